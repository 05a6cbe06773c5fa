//! The organization's sign-in policy: one, with the platform's own values until somebody changes it.

use coder_core::{Problem, Result, Timestamp};
use coder_database::{Record, audit};
use coder_handler::Routes;
use coder_middleware::{Allowed, Example, IfMatch, Json, Patch, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Auth;
use crate::catalogue::{PolicyRead, PolicyUpdate};
use crate::model::{AuthPolicy, CONTAINER, LoginMethod};
use crate::service::{networks, stale_if_taken};

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.get("/policy", "get_auth_policy", "Read the organization's sign-in policy", get).patch(
        "/policy",
        "update_auth_policy",
        "Change the organization's sign-in policy",
        update,
    )
}

/// What an organization demands of its people's sign-in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyFields {
    /// Shortest password, in Unicode code points.
    #[schemars(range(min = 12, max = 64))]
    password_min_length: u32,
    /// Whether members need a second factor.
    mfa_required: bool,
    /// How members may sign in.
    #[schemars(length(min = 1, max = 2))]
    login_methods: Vec<LoginMethod>,
    /// Seconds of disuse that end a session.
    #[schemars(range(min = 300, max = 1_209_600))]
    session_idle_seconds: i64,
    /// Seconds that end a session in any case.
    #[schemars(range(min = 300, max = 2_592_000))]
    session_absolute_seconds: i64,
    /// Longest life of an API key, in days.
    #[schemars(range(min = 1, max = 365))]
    api_key_max_days: u32,
    /// Networks that members may sign in from; empty is everywhere.
    #[schemars(inner(length(min = 1, max = 49)), extend("maxItems" = 100))]
    allowed_cidrs: Vec<String>,
}

impl Example for PolicyFields {
    fn example() -> Self {
        Self::from(&AuthPolicy::default())
    }
}

impl From<&AuthPolicy> for PolicyFields {
    fn from(policy: &AuthPolicy) -> Self {
        Self {
            password_min_length: policy.password_min_length,
            mfa_required: policy.mfa_required,
            login_methods: policy.login_methods.clone(),
            session_idle_seconds: policy.session_idle_seconds,
            session_absolute_seconds: policy.session_absolute_seconds,
            api_key_max_days: policy.api_key_max_days,
            allowed_cidrs: networks::texts(&policy.allowed_cidrs),
        }
    }
}

impl PolicyFields {
    fn policy(self) -> Result<AuthPolicy> {
        let mut login_methods = self.login_methods;
        login_methods.sort_unstable();
        login_methods.dedup();
        Ok(AuthPolicy {
            password_min_length: self.password_min_length,
            mfa_required: self.mfa_required,
            login_methods,
            session_idle_seconds: self.session_idle_seconds,
            session_absolute_seconds: self.session_absolute_seconds,
            api_key_max_days: self.api_key_max_days,
            allowed_cidrs: networks::parse(&self.allowed_cidrs, "/allowedCidrs").map_err(Problem::invalid)?,
        })
    }
}

/// The policy, and who changed it last.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PolicyView {
    #[serde(flatten)]
    policy: AuthPolicy,
    /// When it was last changed; null while nobody has.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    updated_at: Option<Timestamp>,
    /// Who changed it last.
    updated_by: Option<String>,
    /// Changes at every write; null while nobody has changed anything.
    etag: Option<String>,
}

impl Example for PolicyView {
    fn example() -> Self {
        Self::of(Record::example(AuthPolicy::default()))
    }
}

impl PolicyView {
    fn of(record: Record<AuthPolicy>) -> Self {
        let meta = record.meta;
        let (updated_at, updated_by) = (Some(meta.updated_at), Some(meta.updated_by));
        Self { policy: record.data, updated_at, updated_by, etag: Some(meta.etag) }
    }

    fn unchanged() -> Self {
        Self { policy: AuthPolicy::default(), updated_at: None, updated_by: None, etag: None }
    }
}

async fn get(State(auth): State<Auth>, who: Allowed<PolicyRead>) -> Result<Json<PolicyView>> {
    let found = auth.policies.find(&who.partition(), AuthPolicy::ID).await?;
    Ok(Json(found.map_or_else(PolicyView::unchanged, PolicyView::of)))
}

async fn update(
    State(auth): State<Auth>,
    who: Allowed<PolicyUpdate>,
    if_match: IfMatch,
    patch: Patch<PolicyFields>,
) -> Result<Json<PolicyView>> {
    let mut unit = who.transaction(CONTAINER).await?;
    let found = auth.policies.find(&who.partition(), AuthPolicy::ID).await?;
    let before = match &found {
        Some(found) => found.clone(),
        None => unit.record(AuthPolicy::ID, AuthPolicy::default()),
    };
    if_match.check(&before.meta)?;
    let policy = patch.apply(&PolicyFields::from(&before.data))?.policy()?;
    let changes = audit::changes(&json!(before.data), &json!(policy), &[]);
    let record = match &found {
        Some(found) => unit.replace(found, policy)?.0,
        None => unit.create(AuthPolicy::ID, policy)?,
    };
    let subject = who.organization_id.to_string();
    unit.emit_changes("policy.updated", &subject, json!({}), &changes);
    unit.commit(Json(PolicyView::of(record))).await.map_err(stale_if_taken)
}
