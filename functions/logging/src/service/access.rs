//! Reading the log is itself an act that the log records.

use coder_core::{Credential, Result};
use coder_middleware::chain::Authentication;
use coder_middleware::request::RequestContext;
use coder_middleware::unit::actor;
use serde_json::{Map, Value, json};

use super::Logging;
use crate::chain::{canonical, hex, sha256};
use crate::draft::Draft;
use crate::mapping;
use crate::model::{Category, Outcome, Severity, Trail};

/// Seconds within which the same reading by the same caller makes one entry: paging through a list is one act.
const ONE_ACT_SECONDS: i64 = 300;

impl Logging {
    /// Records that the caller did this to the log. The entry is made at once, without an event: a reading that
    /// cannot be recorded does not happen.
    pub(crate) async fn note_access(
        &self,
        context: &RequestContext,
        trail: Trail,
        action: &str,
        message: &str,
        resource_id: Option<String>,
        metadata: Value,
    ) -> Result<()> {
        let now = self.now();
        let slot = now.as_second().div_euclid(ONE_ACT_SECONDS);
        let what = json!([caller(context), action, resource_id, metadata, slot]);
        let draft = Draft {
            time: now,
            actor: mapping::actor(Some(json!(actor(context)))),
            action: action.to_owned(),
            category: Category::Access,
            severity: Severity::Info,
            outcome: Outcome::Success,
            resource_type: action.split('.').nth(1).map(str::to_owned),
            resource_id,
            project_id: None,
            source: "logging".to_owned(),
            event_id: format!("access:{}", hex(&sha256(&[&canonical(&what)]))),
            correlation_id: Some(context.identity().request_id.clone()).filter(|id| !id.is_empty()),
            message: message.to_owned(),
            changes: Vec::new(),
            metadata: metadata.as_object().cloned().unwrap_or_else(Map::new),
        };
        self.append(trail, vec![draft]).await.map(|_| ())
    }
}

/// The caller's credential, as `source` and repeats name it: `user:<id>`, `key:<id>` or `service:<group>`.
pub(crate) fn caller(context: &RequestContext) -> String {
    let Authentication::Verified(caller) = context.authentication() else { return "anonymous".to_owned() };
    match &caller.credential {
        Credential::Service { group } => format!("service:{group}"),
        _ => caller.key(),
    }
}
