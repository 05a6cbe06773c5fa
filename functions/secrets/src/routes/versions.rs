//! Versions of a secret: history, new values, rolling back, switching off, destroying.

use coder_core::{Code, Failure, Problem, Result};
use coder_database::Filter;
use coder_handler::Routes;
use coder_middleware::{Body, Created, Example, Filters, Json, List, PageOf, Paths, State, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Action, Note, OnSecret};
use crate::catalogue::{SecretRead, SecretUpdate};
use crate::model::version::{Cause, VersionView};
use crate::model::{SecretId, Version, VersionState};
use crate::service::Secrets;
use crate::service::write::NewVersion;
use crate::value::SecretValue;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    let (all, one) = ("/{secretId}/versions", "/{secretId}/versions/{n}");
    let act = |verb: &str| format!("{one}/{verb}");
    routes
        .get(all, "list_secret_versions", "List the versions of a secret, without values", list)
        .post(all, "create_secret_version", "Set a new value", create)
        .problems([Code::VersionConflict, Code::InvalidState, Code::KeyUnavailable])
        .post(&act("activate"), "activate_secret_version", "Make a former value current again", activate)
        .problems([Code::InvalidState, Code::VersionDestroyed, Code::KeyUnavailable])
        .post(&act("disable"), "disable_secret_version", "Switch a version off", disable)
        .problems([Code::InvalidState])
        .post(&act("enable"), "enable_secret_version", "Switch a version on again", enable)
        .problems([Code::InvalidState])
        .post(&act("destroy"), "destroy_secret_version", "Destroy the value of a version", destroy)
        .problems([Code::InvalidState])
}

/// Versions have no filters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct VersionFilters {}

impl Filters for VersionFilters {
    const SORT: &'static [&'static str] = &["-version"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

/// A new value.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionInput {
    /// The value, in the shape of the secret's kind.
    value: SecretValue,
    /// Why.
    #[schemars(length(max = 500))]
    reason: Option<String>,
    /// The version that the caller believes to be current.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    expected_version: Option<u32>,
}

impl Example for VersionInput {
    fn example() -> Self {
        let reason = Some("The old key leaked".to_owned());
        Self { value: SecretValue::example(), reason, expected_version: None }
    }
}

async fn list(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretRead>,
    list: List<VersionFilters>,
) -> Result<Json<PageOf<VersionView>>> {
    let of_secret = Filter::eq("secretId", who.secret.meta.id.as_str());
    let page = list.page(&secrets.versions, &who.asker.partition(), Some(of_secret)).await?;
    let items = page.items.iter().map(VersionView::from).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn create(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretUpdate>,
    Body(input): Body<VersionInput>,
) -> Result<Created<VersionView>> {
    // First of all: a repeated request gets its first answer, whatever is current by now.
    let unit = who.asker.transaction().await?;
    let current = who.secret.data.current_version;
    if input.expected_version.is_some_and(|expected| expected != current) {
        let detail = format!("Version {current} is current; look at it before setting another.");
        return Err(Failure::problem(Code::VersionConflict, detail));
    }
    let faults = input.value.faults(who.secret.data.kind, "/value");
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    added(&secrets, &who, unit, NewVersion::manual(input.value, input.reason)).await
}

async fn activate(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretUpdate>,
    Paths(_, number): Paths<SecretId, u32>,
) -> Result<Created<VersionView>> {
    let unit = who.asker.transaction().await?;
    let (organization_id, kind) = (who.asker.organization_id, who.secret.data.kind);
    let former = secrets.version(&who.asker.partition(), &who.secret, number).await?;
    if former.data.state == VersionState::Destroyed {
        let detail = format!("The value of version {number} was destroyed.");
        return Err(Failure::problem(Code::VersionDestroyed, detail));
    }
    if number == who.secret.data.current_version || former.data.state == VersionState::Disabled {
        let detail = "A former version that is enabled can become current again.";
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    let value = secrets.unseal(organization_id, (who.secret.id()?, number), &former, kind).await?;
    let reason = Some(format!("Copied from version {number}"));
    added(&secrets, &who, unit, NewVersion { cause: Cause::Rollback, ..NewVersion::manual(value, reason) })
        .await
}

async fn added(
    secrets: &Secrets,
    who: &OnSecret<SecretUpdate>,
    mut unit: Unit,
    new: NewVersion,
) -> Result<Created<VersionView>> {
    let (_, version) = secrets.add_version(&mut unit, &who.trail(), &who.secret, new).await?;
    let location = format!("/api/secrets/{}/versions", who.secret.meta.id);
    unit.commit(Created { location, body: VersionView::from(&version) }).await
}

async fn disable(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretUpdate>,
    Paths(_, number): Paths<SecretId, u32>,
) -> Result<Json<VersionView>> {
    change(&secrets, &who, number, |version| Version { state: VersionState::Disabled, ..version.clone() })
        .await
}

async fn enable(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretUpdate>,
    Paths(_, number): Paths<SecretId, u32>,
) -> Result<Json<VersionView>> {
    change(&secrets, &who, number, |version| Version { state: VersionState::Enabled, ..version.clone() })
        .await
}

async fn destroy(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretUpdate>,
    Paths(_, number): Paths<SecretId, u32>,
) -> Result<Json<VersionView>> {
    if number == who.secret.data.current_version {
        let detail = "The current version cannot be destroyed; set another value first.";
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    change(&secrets, &who, number, Version::destroyed).await
}

async fn change(
    secrets: &Secrets,
    who: &OnSecret<SecretUpdate>,
    number: u32,
    change: impl Fn(&Version) -> Version,
) -> Result<Json<VersionView>> {
    let mut unit = who.asker.transaction().await?;
    let before = secrets.version(&who.asker.partition(), &who.secret, number).await?;
    let after = change(&before.data);
    if before.data.state == VersionState::Destroyed || before.data.state == after.state {
        let detail = format!("Version {number} is {} already.", word(before.data.state));
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    // What is current is decided by the secret: it must not change meanwhile.
    unit.replace(&who.secret, who.secret.data.clone())?;
    let (record, _) = unit.replace(&before, after)?;
    who.trail().note(&mut unit, &who.secret, Note::of(Action::Update).version(number))?;
    unit.commit(Json(VersionView::from(&record))).await
}

fn word(state: VersionState) -> &'static str {
    match state {
        VersionState::Enabled => "enabled",
        VersionState::Disabled => "disabled",
        VersionState::Destroyed => "destroyed",
    }
}
