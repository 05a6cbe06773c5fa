//! Rotating a secret now.

use coder_core::{Code, Problem, Result};
use coder_database::Record;
use coder_handler::Routes;
use coder_middleware::{Body, Example, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::OnSecret;
use crate::catalogue::SecretRotate;
use crate::model::Secret;
use crate::model::secret::shown;
use crate::service::Secrets;
use crate::service::write::NewVersion;
use crate::value::SecretValue;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    routes
        .post(
            "/{secretId}/rotate",
            "rotate_secret",
            "Give a secret a new value; the old one keeps its grace",
            rotate,
        )
        .problems([Code::InvalidState, Code::KeyUnavailable])
}

/// The new value, or nothing to have one generated.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateInput {
    /// The value, in the shape of the secret's kind; generated if it is left out.
    value: Option<SecretValue>,
    /// Why.
    #[schemars(length(max = 500))]
    reason: Option<String>,
    /// Seconds for which the value before stays readable; the secret's own setting if it is left out.
    #[schemars(range(min = 0, max = 2_592_000))]
    grace_seconds: Option<i64>,
}

impl Example for RotateInput {
    fn example() -> Self {
        Self { value: None, reason: Some("Every quarter".to_owned()), grace_seconds: Some(3600) }
    }
}

async fn rotate(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretRotate>,
    Body(input): Body<RotateInput>,
) -> Result<Json<Record<Secret>>> {
    let mut unit = who.asker.transaction().await?;
    let value = match input.value {
        Some(value) => value,
        None => secrets.generated(who.asker.organization_id, &who.secret).await?,
    };
    let faults = value.faults(who.secret.data.kind, "/value");
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    let grace = input.grace_seconds.unwrap_or(who.secret.data.rotation.grace_seconds);
    let new = NewVersion::rotated(value, input.reason, grace);
    let (record, _) = secrets.add_version(&mut unit, &who.trail(), &who.secret, new).await?;
    unit.commit(Json(shown(record, secrets.now()))).await
}
