//! Passwords of providers, which the `secrets` group keeps: `secret:<id>[#<field>]`.

use coder_core::OrganizationId;
use coder_middleware::token::Acting;
use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::CarryFault;
use crate::service::Notifications;

/// The value behind a reference. The platform asks for itself, so the secret must be flagged for that (`systemUse`).
/// While it cannot be had, mail waits.
pub(super) async fn resolve(
    service: &Notifications,
    organization_id: OrganizationId,
    reference: &str,
) -> Result<SecretString, CarryFault> {
    let away = |why: String| CarryFault::Waits(format!("the secret `{reference}` cannot be had: {why}"));
    let acting = Some(Acting { organization_id, user_id: None });
    let body = json!({"references": [reference]});
    let answer = service
        .peers
        .call_for(acting, "secrets", Method::POST, "/resolve", Some(&body))
        .await
        .map_err(|failure| away(failure.to_string()))?;
    if !answer.status.is_success() {
        return Err(away(format!("`secrets` answered {}", answer.status.as_u16())));
    }
    match &answer.body["results"][0]["value"] {
        Value::String(value) => Ok(value.clone().into()),
        _ => Err(away("there is no such text that services may use".to_owned())),
    }
}
