//! Capture and redaction.

use coder_core::{Fault, Problem, Result};
use coder_database::Record;
use coder_handler::Routes;
use coder_middleware::{Access as _, Allowed, Example, IfMatch, Json, Patch, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{SettingsRead, SettingsUpdate};
use crate::model::{AuditSettings, CONTAINER, Capture, Trail};
use crate::redact::compiled;
use crate::service::Logging;
use crate::service::rules::shipped_record;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes.get("/settings", "get_audit_settings", "See what the audit log captures", get).patch(
        "/settings",
        "update_audit_settings",
        "Change what the audit log captures",
        update,
    )
}

/// What a client writes of the settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct SettingsWrite {
    /// What is captured.
    capture: Capture,
    /// Keys whose values are hidden, besides the built-in ones; case, `_` and `-` make no difference.
    #[schemars(extend("maxItems" = 100), inner(length(min = 2, max = 64)))]
    redact_keys: Vec<String>,
    /// Regular expressions (RE2 syntax); what matches is hidden.
    #[schemars(extend("maxItems" = 20), inner(length(min = 1, max = 200)))]
    redact_patterns: Vec<String>,
}

impl Default for SettingsWrite {
    fn default() -> Self {
        Self::of(&AuditSettings::default())
    }
}

impl SettingsWrite {
    fn of(settings: &AuditSettings) -> Self {
        let AuditSettings { capture, redact_keys, redact_patterns, .. } = settings.clone();
        Self { capture, redact_keys, redact_patterns }
    }

    fn check(&self) -> Result<()> {
        let patterns = self.redact_patterns.iter().enumerate().filter_map(|(at, pattern)| {
            let error = compiled(pattern).err()?;
            Some(Fault::new(format!("/redactPatterns/{at}"), "invalid_format", error))
        });
        let keys =
            self.redact_keys.iter().enumerate().filter(|(_, key)| key.chars().all(|c| !c.is_alphanumeric()));
        let keys = keys.map(|(at, _)| {
            Fault::new(format!("/redactKeys/{at}"), "invalid_value", "A key has letters or digits.")
        });
        let faults: Vec<Fault> = patterns.chain(keys).collect();
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults).into()) }
    }
}

impl Example for SettingsWrite {
    fn example() -> Self {
        Self::of(&AuditSettings::example())
    }
}

impl Logging {
    async fn stored_settings(&self, trail: Trail) -> Result<(Record<AuditSettings>, bool)> {
        let found = self.settings.find(&trail.config(), AuditSettings::ID).await?;
        let default = || shipped_record(AuditSettings::ID.to_owned(), trail, AuditSettings::default());
        let stored = found.is_some();
        Ok((found.unwrap_or_else(default), stored))
    }
}

async fn get(
    State(logging): State<Logging>,
    who: Allowed<SettingsRead>,
) -> Result<Json<Record<AuditSettings>>> {
    let (settings, _) = logging.stored_settings(Trail::Organization(who.organization_id)).await?;
    Ok(Json(settings))
}

async fn update(
    State(logging): State<Logging>,
    who: Allowed<SettingsUpdate>,
    if_match: IfMatch,
    patch: Patch<SettingsWrite>,
) -> Result<Json<Record<AuditSettings>>> {
    let trail = Trail::Organization(who.organization_id);
    let (before, stored) = logging.stored_settings(trail).await?;
    if_match.check(&before.meta)?;
    let write = patch.apply(&SettingsWrite::of(&before.data))?;
    write.check()?;
    let SettingsWrite { capture, redact_keys, redact_patterns } = write;
    let after = AuditSettings { capture, redact_keys, redact_patterns, ..before.data.clone() };
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    let (record, changes) = if stored {
        unit.replace(&before, after)?
    } else {
        let changes = coder_database::audit::changes(&json!(before.data), &json!(after), &[]);
        (unit.create(AuditSettings::ID, after)?, changes)
    };
    unit.emit_changes("settings.updated", AuditSettings::ID, json!({}), &changes);
    unit.commit(Json(record)).await
}
