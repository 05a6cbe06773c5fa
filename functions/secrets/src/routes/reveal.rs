//! The value of one secret, and the answer type that may carry values.

use coder_core::{Code, Result, StoredAnswer};
use coder_handler::Routes;
use coder_middleware::answer::{describe_json, render_json};
use coder_middleware::{Answer, Body, Example, OperationDescription, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::{Action, OnSecret};
use crate::catalogue::SecretReveal;
use crate::model::{RotationMode, SecretId};
use crate::service::Secrets;
use crate::service::reveal::Wanted;
use crate::value::{Kind, SecretValue};

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    routes
        .post("/{secretId}/reveal", "reveal_secret", "Show the value; the use is recorded", reveal)
        .problems([
            Code::SecretDisabled,
            Code::SecretExpired,
            Code::InvalidState,
            Code::VersionDestroyed,
            Code::ReasonRequired,
            Code::KeyUnavailable,
        ])
        .described(|operation| operation.never_kept = true)
}

/// Which value is wanted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevealInput {
    /// The version; the current one if it is left out.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    version: Option<u32>,
    /// One field of the value.
    #[schemars(length(min = 1, max = 200))]
    field: Option<String>,
    /// Why; some secrets ask for it.
    #[schemars(length(max = 500))]
    reason: Option<String>,
}

impl Example for RevealInput {
    fn example() -> Self {
        Self { version: None, field: None, reason: Some("On call".to_owned()) }
    }
}

/// An answer that carries values: no cache keeps it, and neither does the platform.
#[derive(Debug)]
pub struct WithValues<T>(pub T);

/// What can be rendered into such an answer, by hand, so that no value is serialized by accident.
pub trait Valued: Send {
    /// What stands in the documentation.
    type Shown: Serialize + JsonSchema + Example + Send + Sync;
    /// The body with its values.
    fn expose(&self) -> Value;
}

impl<T: Valued> Answer for WithValues<T> {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<T::Shown>(operation, 200, "Done.", &["Cache-Control"]);
    }

    fn render(&self) -> Result<StoredAnswer> {
        let headers = vec![("cache-control".to_owned(), "no-store".to_owned())];
        render_json(200, &self.0.expose(), headers)
    }
}

/// A value with what it belongs to.
#[derive(Debug)]
pub struct Revealed {
    pub(super) secret_id: SecretId,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) version: u32,
    pub(super) value: SecretValue,
    pub(super) webhook_signing_key: Option<String>,
}

/// A value with what it belongs to, as it is documented.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevealedView {
    /// The secret.
    secret_id: SecretId,
    /// Its name.
    name: String,
    /// What shape the value has.
    kind: Kind,
    /// The version.
    version: u32,
    /// The value, or the field of it.
    value: SecretValue,
    /// What the receiver of a rotation's webhook checks signatures with.
    webhook_signing_key: Option<String>,
}

impl Example for RevealedView {
    fn example() -> Self {
        Self {
            secret_id: coder_core::id::EXAMPLE.into(),
            name: "STRIPE_KEY".to_owned(),
            kind: Kind::ApiKey,
            version: 1,
            value: SecretValue::example(),
            webhook_signing_key: None,
        }
    }
}

impl Valued for Revealed {
    type Shown = RevealedView;

    fn expose(&self) -> Value {
        serde_json::json!({
            "secretId": self.secret_id,
            "name": self.name,
            "kind": self.kind,
            "version": self.version,
            "value": self.value.expose(),
            "webhookSigningKey": self.webhook_signing_key,
        })
    }
}

async fn reveal(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretReveal>,
    Body(input): Body<RevealInput>,
) -> Result<WithValues<Revealed>> {
    secrets.limit_values(&who.asker).await?;
    let wanted = Wanted { version: input.version, field: input.field, reason: input.reason };
    let opened = secrets.open(&who.asker, &who.secret, Action::Reveal, &wanted).await?;
    let mut unit = who.asker.transaction().await?;
    let (trail, secret, version) = (who.trail(), &who.secret, opened.version);
    Secrets::note_revealed(&mut unit, &trail, secret, Action::Reveal, version, wanted.reason)?;
    let by_webhook = secret.data.rotation.mode == RotationMode::Webhook && wanted.field.is_none();
    let signing_key =
        by_webhook.then(|| secrets.webhooks.signing_key(who.asker.organization_id, &secret.meta.id));
    unit.commit(WithValues(Revealed {
        secret_id: secret.id()?,
        name: secret.data.name.clone(),
        kind: secret.data.kind,
        version,
        value: opened.value,
        webhook_signing_key: signing_key,
    }))
    .await
}
