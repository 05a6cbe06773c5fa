//! What clients write of a secret, and the rules that a schema cannot state. No message quotes a value.

use std::collections::BTreeMap;

use coder_core::text::has_refused_characters;
use coder_core::{Code, Fault, Permission as _, Problem, Result, Scope, Timestamp};
use coder_database::Record;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secrets;
use super::rotate::can_be_generated;
use crate::access::Asker;
use crate::catalogue::{SecretCreate, SystemUseUpdate};
use crate::model::{Rotation, RotationMode, RotationState, Secret, SecretScope, SecretState};
use crate::value::{Kind, SecretValue};

/// Names of secrets.
pub const NAME: &str = r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$";
/// Names of environments.
pub const ENVIRONMENT: &str = r"^[a-z0-9][a-z0-9-]{0,31}$";
/// Paths of folders.
pub const FOLDER: &str = r"^/([A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*)?$";

/// Most characters of a key in `metadata`.
const LONGEST_KEY: usize = 64;

/// Most characters of a value in `metadata`.
const LONGEST_TEXT: usize = 256;

pub(crate) fn default_environment() -> String {
    "default".to_owned()
}

pub(crate) fn default_folder() -> String {
    "/".to_owned()
}

fn default_max_versions() -> u32 {
    10
}

pub(crate) fn default_scope() -> SecretScope {
    SecretScope::Organization
}

/// What can be said of a secret at any time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// What it is for.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// The folder.
    #[serde(default = "default_folder")]
    #[schemars(length(max = 256), regex(pattern = FOLDER))]
    pub folder: String,
    /// Versions whose values are kept.
    #[serde(default = "default_max_versions")]
    #[schemars(range(min = 1, max = 100))]
    pub max_versions: u32,
    /// When its time is over; in the future. A certificate's own end takes its place when it is made.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// How new values come about.
    #[serde(default)]
    pub rotation: Rotation,
    /// For finding.
    #[serde(default)]
    #[schemars(length(max = 20), inner(length(min = 1, max = 50)))]
    pub tags: Vec<String>,
    /// Whatever else is to be known; keys up to 64 characters, texts up to 256.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 20))]
    pub metadata: BTreeMap<String, String>,
    /// Whether seeing the value needs a reason.
    #[serde(default)]
    pub require_reason: bool,
    /// Whether the platform's services may use it without a person's rights; for admins.
    #[serde(default)]
    pub system_use: bool,
}

impl Default for Details {
    fn default() -> Self {
        Self {
            description: None,
            folder: default_folder(),
            max_versions: default_max_versions(),
            expires_at: None,
            rotation: Rotation::default(),
            tags: Vec::new(),
            metadata: BTreeMap::new(),
            require_reason: false,
            system_use: false,
        }
    }
}

/// A new secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewSecret {
    /// The name, unique in its place whatever its case.
    #[schemars(regex(pattern = NAME))]
    pub name: String,
    /// What shape the value has; cannot be changed later.
    pub kind: Kind,
    /// The value.
    pub value: SecretValue,
    /// For whom it is; cannot be changed later.
    #[serde(default = "default_scope")]
    pub scope: SecretScope,
    /// The team or project; left out for the organization and for oneself.
    #[schemars(length(max = 36))]
    pub scope_id: Option<String>,
    /// The environment; cannot be changed later.
    #[serde(default = "default_environment")]
    #[schemars(regex(pattern = ENVIRONMENT))]
    pub environment: String,
    /// All that can be changed later.
    #[serde(flatten)]
    pub details: Details,
}

/// The states that a client can set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WritableState {
    /// In use.
    #[default]
    Active,
    /// Switched off.
    Disabled,
}

/// What can be changed of a secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretWrite {
    /// Whether it is in use.
    #[serde(default)]
    pub state: WritableState,
    /// All that can be said when it is made, too.
    #[serde(flatten)]
    pub details: Details,
}

impl Example for NewSecret {
    fn example() -> Self {
        Self {
            name: "STRIPE_KEY".to_owned(),
            kind: Kind::ApiKey,
            value: SecretValue::example(),
            scope: SecretScope::Organization,
            scope_id: None,
            environment: default_environment(),
            details: Details {
                description: Some("For payments".to_owned()),
                tags: vec!["payments".to_owned()],
                ..Details::default()
            },
        }
    }
}

impl Example for SecretWrite {
    fn example() -> Self {
        SecretWrite::from(&Secret::example())
    }
}

impl From<&Secret> for SecretWrite {
    fn from(secret: &Secret) -> Self {
        let disabled = secret.state == SecretState::Disabled;
        let details = Details {
            description: secret.description.clone(),
            folder: secret.folder.clone(),
            max_versions: secret.max_versions,
            expires_at: secret.expires_at,
            rotation: secret.rotation.clone(),
            tags: secret.tags.clone(),
            metadata: secret.metadata.clone(),
            require_reason: secret.require_reason,
            system_use: secret.system_use,
        };
        Self { state: if disabled { WritableState::Disabled } else { WritableState::Active }, details }
    }
}

/// Where a new secret is to be, and the right to make it there.
#[derive(Debug, Clone)]
pub struct Target {
    /// For whom.
    pub scope: SecretScope,
    /// The team, project or person.
    pub scope_id: Option<String>,
}

impl Secrets {
    /// Checks that the caller may make secrets in the scope, and that there is such a scope.
    pub(crate) async fn target(
        &self,
        asker: &Asker,
        scope: SecretScope,
        scope_id: Option<String>,
    ) -> Result<Target> {
        let own = asker.person()?.to_string();
        let misplaced = |message: &str| Problem::fault("/scopeId", "invalid_value", message);
        let at = match (scope, &scope_id) {
            (SecretScope::Organization, None) | (SecretScope::User, _) => None,
            (SecretScope::Organization, Some(_)) => {
                return Err(misplaced("The whole organization needs no id.").into());
            }
            (SecretScope::Team, Some(id)) => Some(id.parse().map(Scope::Team)),
            (SecretScope::Project, Some(id)) => Some(id.parse().map(Scope::Project)),
            (SecretScope::Team | SecretScope::Project, None) => {
                return Err(Problem::fault("/scopeId", "required", "The team or project is needed.").into());
            }
        };
        let unknown = || misplaced("The organization has no such team or project.");
        let at = at.transpose().map_err(|_| unknown())?;
        let everywhere = Scope::Organization(asker.organization_id);
        let needed = SecretCreate::DECLARATION.name;
        if !asker.effective(at.unwrap_or(everywhere)).await?.allows(needed) {
            return Err(Problem::missing_permission(needed).into());
        }
        match at {
            Some(at) if !self.scope_exists(asker.organization_id, at).await? => return Err(unknown().into()),
            _ => {}
        }
        if scope == SecretScope::User && scope_id.as_ref().is_some_and(|id| *id != own) {
            return Err(misplaced("A personal secret is the caller's own.").into());
        }
        let scope_id = if scope == SecretScope::User { Some(own) } else { scope_id };
        Ok(Target { scope, scope_id })
    }

    /// The secret that the input asks for, and its value; or everything that is wrong with the input.
    pub(crate) async fn checked(&self, asker: &Asker, input: NewSecret) -> Result<(Secret, SecretValue)> {
        let target = self.target(asker, input.scope, input.scope_id).await?;
        self.check_system_use(asker, input.details.system_use).await?;
        let mut faults = input.value.faults(input.kind, "/value");
        let mut secret = blank(&target, input.name, input.kind);
        secret.environment = input.environment;
        let write = SecretWrite { state: WritableState::Active, details: input.details };
        faults.extend(self.faults(&secret, &write.details).await);
        if faults.is_empty() {
            Ok((apply(secret, write, self.now()), input.value))
        } else {
            Err(Problem::invalid(faults).into())
        }
    }

    /// The secret as the change leaves it; or everything that is wrong with the change.
    pub(crate) async fn changed(
        &self,
        asker: &Asker,
        before: &Record<Secret>,
        write: SecretWrite,
    ) -> Result<Secret> {
        if before.data.state == SecretState::Deleted {
            let detail = "The secret is deleted; restore it first.";
            return Err(Problem::new(Code::InvalidState, detail).into());
        }
        self.check_system_use(asker, write.details.system_use && !before.data.system_use).await?;
        let faults = self.faults(&before.data, &write.details).await;
        if faults.is_empty() {
            Ok(apply(before.data.clone(), write, self.now()))
        } else {
            Err(Problem::invalid(faults).into())
        }
    }

    async fn check_system_use(&self, asker: &Asker, wanted: bool) -> Result<()> {
        let (needed, everywhere) =
            (SystemUseUpdate::DECLARATION.name, Scope::Organization(asker.organization_id));
        if !wanted || asker.effective(everywhere).await?.allows(needed) {
            Ok(())
        } else {
            Err(Problem::missing_permission(needed).into())
        }
    }

    async fn faults(&self, before: &Secret, write: &Details) -> Vec<Fault> {
        let mut faults = text_faults(write);
        let expires = write.expires_at.filter(|_| write.expires_at != before.expires_at);
        if expires.is_some_and(|end| end <= self.now()) {
            faults.push(Fault::new("/expiresAt", "too_small", "This has to be in the future."));
        }
        if write.system_use && before.scope == SecretScope::User {
            let message = "A personal secret is its owner's alone.";
            faults.push(Fault::new("/systemUse", "invalid_value", message));
        }
        let Rotation { mode, interval_days, webhook_url, .. } = &write.rotation;
        if *mode != RotationMode::None && interval_days.is_none() {
            faults.push(Fault::new("/rotation/intervalDays", "required", "The interval is needed."));
        }
        if *mode == RotationMode::Generate && !can_be_generated(before.kind) {
            let message = "A value of this kind cannot be generated.";
            faults.push(Fault::new("/rotation/mode", "invalid_value", message));
        }
        match webhook_url {
            None if *mode == RotationMode::Webhook => {
                faults.push(Fault::new("/rotation/webhookUrl", "required", "Somebody has to be told."));
            }
            Some(url) if before.rotation.webhook_url.as_ref() != Some(url) => {
                faults.extend(self.webhooks.fault(url, "/rotation/webhookUrl").await);
            }
            _ => {}
        }
        faults
    }
}

fn text_faults(write: &Details) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut refused = |pointer: String| {
        faults.push(Fault::new(
            pointer,
            "refused_character",
            "A control or direction character is not accepted.",
        ));
    };
    if write.description.as_deref().is_some_and(|text| has_refused_characters(text, true)) {
        refused("/description".to_owned());
    }
    for (index, tag) in write.tags.iter().enumerate() {
        if has_refused_characters(tag, false) {
            refused(format!("/tags/{index}"));
        }
    }
    for (key, text) in &write.metadata {
        if has_refused_characters(key, false) || has_refused_characters(text, true) {
            refused("/metadata".to_owned());
        }
    }
    for (key, text) in &write.metadata {
        let pointer = format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1"));
        if key.chars().count() > LONGEST_KEY || key.is_empty() {
            faults.push(Fault::new("/metadata", "too_long", "A key has 1 to 64 characters."));
        } else if text.chars().count() > LONGEST_TEXT {
            faults.push(Fault::new(pointer, "too_long", "At most 256 characters are accepted."));
        }
    }
    faults
}

/// A secret with everything left at its default.
pub(crate) fn blank(target: &Target, name: String, kind: Kind) -> Secret {
    let Details { description, folder, max_versions, expires_at, rotation, tags, metadata, .. } =
        Details::default();
    Secret {
        folded_name: name.to_ascii_lowercase(),
        name,
        description,
        kind,
        scope: target.scope,
        scope_id: target.scope_id.clone(),
        environment: default_environment(),
        folder,
        state: SecretState::Active,
        current_version: 0,
        max_versions,
        expires_at,
        rotation,
        rotation_state: RotationState::default(),
        tags,
        metadata,
        require_reason: false,
        system_use: false,
        fingerprint: String::new(),
        deleted_at: None,
        purge_at: None,
        state_before_deletion: None,
        warned_days: None,
        overfull: false,
    }
}

fn apply(before: Secret, SecretWrite { state, details }: SecretWrite, now: Timestamp) -> Secret {
    let over = details.expires_at.is_some_and(|end| end <= now);
    let state = match state {
        WritableState::Disabled => SecretState::Disabled,
        WritableState::Active if over => SecretState::Expired,
        WritableState::Active => SecretState::Active,
    };
    let rotation_state = if details.rotation == before.rotation {
        before.rotation_state.clone()
    } else {
        RotationState {
            last_rotated_at: before.rotation_state.last_rotated_at,
            next_rotation_at: details.rotation.next_after(now),
            ..RotationState::default()
        }
    };
    Secret {
        warned_days: before.warned_days.filter(|_| details.expires_at == before.expires_at),
        overfull: before.overfull || details.max_versions < before.max_versions,
        description: details.description,
        folder: details.folder,
        state,
        max_versions: details.max_versions,
        expires_at: details.expires_at,
        rotation: details.rotation,
        rotation_state,
        tags: details.tags,
        metadata: details.metadata,
        require_reason: details.require_reason,
        system_use: details.system_use,
        ..before
    }
}

#[cfg(test)]
mod tests {
    use coder_middleware::schema;
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_share_their_details_and_stay_closed() {
        for (schema, own) in [
            (schema::for_validation::<NewSecret>(), 6),
            (schema::for_openapi::<NewSecret>(), 6),
            (schema::for_validation::<SecretWrite>(), 1),
            (schema::for_openapi::<SecretWrite>(), 1),
        ] {
            assert_eq!(schema["additionalProperties"], json!(false), "{schema:#}");
            assert_eq!(schema["properties"].as_object().unwrap().len(), own + 9, "{schema:#}");
            assert!(schema.get("allOf").is_none() && schema.get("unevaluatedProperties").is_none());
        }
        let mut body = json!(SecretWrite::example());
        assert_eq!(json!(serde_json::from_value::<SecretWrite>(body.clone()).unwrap()), body);
        body["value"] = json!("x");
        assert!(serde_json::from_value::<SecretWrite>(body).is_err());
    }
}
