//! Secrets without their values: list, create, read, change, delete, restore, purge.

use coder_core::{Code, Permission as _, Problem, Result, Scope};
use coder_database::{Filter, Query, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::{Action, Asker, InOrganization, Note, OnSecret, Standing, Trail, Verdict};
use crate::catalogue::{SecretCreate, SecretDelete, SecretPurge, SecretRead, SecretRestore, SecretUpdate};
use crate::model::secret::shown;
use crate::model::{Secret, SecretScope, SecretState};
use crate::service::Secrets;
use crate::service::input::{NewSecret, SecretWrite};
use crate::service::write::{NewVersion, event};
use crate::value::Kind;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    routes
        .get("", "list_secrets", "List secrets, without values", list)
        .post("", "create_secret", "Create a secret with its first version", create)
        .problems([Code::AlreadyExists, Code::LimitReached, Code::KeyUnavailable])
        .get("/{secretId}", "get_secret", "Read a secret and what one may do with it", get)
        .patch("/{secretId}", "update_secret", "Change a secret, but not its value", update)
        .problems([Code::AlreadyExists, Code::InvalidState])
        .delete(
            "/{secretId}",
            "delete_secret",
            "Delete a secret so that it can be restored for 30 days",
            delete,
        )
        .problems([Code::InvalidState])
        .post("/{secretId}/restore", "restore_secret", "Restore a deleted secret", restore)
        .problems([Code::InvalidState, Code::AlreadyExists])
        .post("/{secretId}/purge", "purge_secret", "Destroy a secret for good, with every version", purge)
}

/// A secret and what the caller may do with it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SecretView {
    /// The secret.
    #[serde(flatten)]
    secret: Record<Secret>,
    /// What the caller may do.
    actions: Vec<Action>,
}

impl Example for SecretView {
    fn example() -> Self {
        Self { secret: Record::example(Secret::example()), actions: vec![Action::Read, Action::Reveal] }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretFilters {
    /// Only those for this kind of scope.
    pub scope: Option<SecretScope>,
    /// Only those of this team, project or person.
    #[schemars(length(min = 1, max = 36))]
    pub scope_id: Option<String>,
    /// Only those of this environment.
    #[schemars(length(min = 1, max = 32))]
    pub environment: Option<String>,
    /// Only those in this folder and below it.
    #[schemars(length(min = 1, max = 256))]
    pub folder: Option<String>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
    /// Only those with this tag.
    #[schemars(length(min = 1, max = 50))]
    pub tag: Option<String>,
    /// Only those in this state; deleted ones are left out otherwise.
    pub state: Option<SecretState>,
    /// Only those that expire before this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_before: Option<coder_core::Timestamp>,
    /// A part of the name, whatever its case.
    #[schemars(length(min = 1, max = 128))]
    pub q: Option<String>,
}

impl Filters for SecretFilters {
    const SORT: &'static [&'static str] = &["name", "createdAt", "updatedAt", "expiresAt"];

    fn filter(&self) -> Option<Filter> {
        let text =
            |field: &str, value: &Option<String>| value.as_deref().map(|value| Filter::eq(field, value));
        let state = match self.state {
            Some(state) => Filter::Eq("state".to_owned(), json!(state)),
            None => Filter::Ne("state".to_owned(), json!(SecretState::Deleted)),
        };
        let parts = [
            Some(state),
            self.scope.map(|scope| Filter::Eq("scope".to_owned(), json!(scope))),
            text("scopeId", &self.scope_id),
            text("environment", &self.environment),
            self.folder.as_deref().and_then(below),
            self.kind.map(|kind| Filter::Eq("kind".to_owned(), json!(kind))),
            self.tag.as_ref().map(|tag| Filter::ArrayContains("tags".to_owned(), json!(tag))),
            self.expires_before.map(|end| Filter::Lt("expiresAt".to_owned(), json!(end))),
            self.q.as_ref().map(|q| Filter::Contains("foldedName".to_owned(), q.to_ascii_lowercase())),
        ];
        Some(Filter::And(parts.into_iter().flatten().collect()))
    }
}

fn below(folder: &str) -> Option<Filter> {
    let folder = folder.trim_end_matches('/');
    let inside = Filter::StartsWith("folder".to_owned(), format!("{folder}/"));
    (!folder.is_empty()).then(|| Filter::Or(vec![Filter::eq("folder", folder), inside]))
}

async fn list(
    State(secrets): State<Secrets>,
    who: InOrganization<SecretRead>,
    list: List<SecretFilters>,
) -> Result<Json<PageOf<Record<Secret>>>> {
    let visible = secrets.visible(&who.asker).await?;
    let page = list.page(&secrets.secrets, &who.asker.partition(), Some(visible)).await?;
    let now = secrets.now();
    let items = page.items.into_iter().map(|record| shown(record, now)).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn create(
    State(secrets): State<Secrets>,
    who: InOrganization<SecretCreate>,
    Body(input): Body<NewSecret>,
) -> Result<Created<Record<Secret>>> {
    let asker = &who.asker;
    let (secret, value) = secrets.checked(asker, input).await?;
    let mut unit = asker.transaction().await?;
    let first = NewVersion::manual(value, None);
    let record = secrets.create(&mut unit, &Trail::of(asker), secret, first).await?;
    let location = format!("{}/{}", asker.context().path(), record.meta.id);
    unit.commit(Created { location, body: record }).await
}

async fn get(State(secrets): State<Secrets>, who: OnSecret<SecretRead>) -> Result<Json<SecretView>> {
    let actions = secrets.actions(&who.asker, &who.secret).await?;
    Ok(Json(SecretView { secret: shown(who.secret, secrets.now()), actions }))
}

async fn update(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretUpdate>,
    if_match: IfMatch,
    patch: Patch<SecretWrite>,
) -> Result<Json<Record<Secret>>> {
    let before = &who.secret;
    if_match.check(&before.meta)?;
    let write = patch.apply(&SecretWrite::from(&before.data))?;
    let after = secrets.changed(&who.asker, before, write).await?;
    let mut unit = who.asker.transaction().await?;
    let (old, new) = (before.data.place(), after.place());
    if old != new {
        Secrets::release_place(&mut unit, &old);
        Secrets::claim_place(&mut unit, &new, &before.meta.id)?;
    }
    let (record, changes) = unit.replace(before, after)?;
    who.trail().note(&mut unit, &record, Note::of(Action::Update))?;
    unit.emit_changes("secret.updated", &record.meta.id, event(&record), &changes);
    unit.commit(Json(shown(record, secrets.now()))).await
}

async fn delete(who: OnSecret<SecretDelete>, if_match: IfMatch) -> Result<NoContent> {
    if_match.check(&who.secret.meta)?;
    let mut unit = who.asker.transaction().await?;
    Secrets::delete(&mut unit, &who.trail(), &who.secret)?;
    unit.commit(NoContent).await
}

async fn restore(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretRestore>,
) -> Result<Json<Record<Secret>>> {
    let mut unit = who.asker.transaction().await?;
    let record = Secrets::restore(&mut unit, &who.trail(), &who.secret)?;
    unit.commit(Json(shown(record, secrets.now()))).await
}

/// Confirms that a secret is to be destroyed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Purge {
    /// The secret's name.
    #[schemars(length(min = 1, max = 128))]
    confirm_name: String,
}

impl Example for Purge {
    fn example() -> Self {
        Self { confirm_name: "STRIPE_KEY".to_owned() }
    }
}

async fn purge(
    State(secrets): State<Secrets>,
    who: OnSecret<SecretPurge>,
    Body(input): Body<Purge>,
) -> Result<NoContent> {
    let mut unit = who.asker.transaction().await?;
    if input.confirm_name != who.secret.data.name {
        let message = "This is not the secret's name.";
        return Err(Problem::fault("/confirmName", "invalid_value", message).into());
    }
    loop {
        let mut step = who.asker.aside().without_audit();
        if !secrets.purge_step(&mut step, &who.secret.meta.id).await? {
            break;
        }
        step.commit(NoContent).await?;
    }
    Secrets::purge(&mut unit, &who.trail(), &who.secret)?;
    unit.commit(NoContent).await
}

impl Secrets {
    /// Which secrets the caller may see, as a filter, so that the store fills the pages.
    async fn visible(&self, asker: &Asker) -> Result<Filter> {
        let (user_id, needed) = (asker.person()?, SecretRead::DECLARATION.name);
        let everywhere = asker.effective(Scope::Organization(asker.organization_id)).await?;
        let own = Filter::eq("scope", "user").and(Filter::eq("scopeId", user_id.to_string()));
        if everywhere.allows(needed) {
            let shared = Filter::Ne("scope".to_owned(), json!(SecretScope::User));
            return Ok(Filter::Or(vec![shared, own]));
        }
        // A key that was given the permission for one team or project sees what is there.
        if !asker.key_allows(needed) {
            return Err(Problem::missing_permission(needed).into());
        }
        self.visible_scopes(asker, own).await
    }

    /// For those who may not read everywhere: looks at each scope that has secrets, and at what is shared with them.
    async fn visible_scopes(&self, asker: &Asker, own: Filter) -> Result<Filter> {
        let mut any = if asker.key_scope().is_none() { vec![own] } else { Vec::new() };
        let mut seen: Vec<(SecretScope, Option<String>)> = Vec::new();
        let mut query = Query::new(Filter::Ne("scope".to_owned(), json!(SecretScope::User))).limit(1000);
        loop {
            let (page, next) = self.secrets.page(&asker.partition(), &query).await?;
            for secret in page {
                let at = (secret.data.scope, secret.data.scope_id.clone());
                if seen.contains(&at) {
                    continue;
                }
                let scope = secret.data.permission_scope(asker.organization_id);
                let Some(scope) = scope else { continue };
                if asker.effective(scope).await?.allows(SecretRead::DECLARATION.name) {
                    any.push(Filter::And(vec![
                        Filter::Eq("scope".to_owned(), json!(at.0)),
                        Filter::Eq("scopeId".to_owned(), json!(at.1)),
                    ]));
                }
                seen.push(at);
            }
            match next {
                Some(next) => query.continuation = Some(next),
                None => break,
            }
        }
        let shared = self.shared_with(asker).await?;
        any.push(Filter::In("id".to_owned(), shared.into_iter().map(Into::into).collect()));
        Ok(Filter::Or(any))
    }

    /// The secrets that a grant shows to the person.
    async fn shared_with(&self, asker: &Asker) -> Result<Vec<String>> {
        let mut shared = Vec::new();
        let mut query = Query::new(None).limit(1000);
        loop {
            let (page, next) = self.grants.page(&asker.partition(), &query).await?;
            for grant in self.counting(asker, &page).await? {
                let id = grant.data.secret_id.to_string();
                let Some(secret) = self.secrets.find(&asker.partition(), &id).await? else { continue };
                let mut standing = Standing::of(self, asker, &secret).await?;
                if !shared.contains(&id) && standing.verdict(Action::Read).await? == Verdict::Allowed {
                    shared.push(id);
                }
            }
            match next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(shared),
            }
        }
    }
}
