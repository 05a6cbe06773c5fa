//! Sharing a secret.

use coder_core::{Code, Failure, Fault, Problem, Result, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Body, Created, Example, Filters, Json, List, NoContent, PageOf, Paths, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::rights::MAX_GRANTS;
use crate::access::{Action, Asker, Note, OnSecret, Standing, Verdict};
use crate::catalogue::{GrantCreate, GrantDelete, GrantRead};
use crate::model::{Grant, GrantAction, GrantId, Principal, Secret, SecretId, SecretScope, claims};
use crate::service::Secrets;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    let (all, one) = ("/{secretId}/grants", "/{secretId}/grants/{grantId}");
    routes
        .get(all, "list_secret_grants", "List with whom a secret is shared", list)
        .post(all, "create_secret_grant", "Share a secret", create)
        .problems([Code::AlreadyExists, Code::LimitReached, Code::InvalidState])
        .delete(one, "delete_secret_grant", "Stop sharing a secret, at once", delete)
}

/// Grants have no filters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GrantFilters {}

impl Filters for GrantFilters {
    const SORT: &'static [&'static str] = &["createdAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

/// With whom a secret is to be shared.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewGrant {
    /// With whom.
    principal: Principal,
    /// What it allows; nothing that the caller may not do.
    #[schemars(length(min = 1, max = 5))]
    actions: Vec<GrantAction>,
    /// When it ends by itself; in the future.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    expires_at: Option<Timestamp>,
}

impl Example for NewGrant {
    fn example() -> Self {
        let Grant { principal, actions, expires_at, .. } = Grant::example();
        Self { principal, actions, expires_at }
    }
}

async fn list(
    State(secrets): State<Secrets>,
    who: OnSecret<GrantRead>,
    list: List<GrantFilters>,
) -> Result<Json<PageOf<Record<Grant>>>> {
    let of_secret = Filter::eq("secretId", who.secret.meta.id.as_str());
    list.page(&secrets.grants, &who.asker.partition(), Some(of_secret)).await.map(Json)
}

async fn create(
    State(secrets): State<Secrets>,
    who: OnSecret<GrantCreate>,
    Body(input): Body<NewGrant>,
) -> Result<Created<Record<Grant>>> {
    let (asker, secret) = (&who.asker, &who.secret);
    if secret.data.scope == SecretScope::User {
        let detail = "A personal secret is its owner's alone; create one for a team or project to share it.";
        return Err(Failure::problem(Code::InvalidState, detail));
    }
    let mut unit = asker.transaction().await?;
    let mut grant = secrets.checked_grant(asker, secret, input).await?;
    grant.actions.sort_by_key(|action| *action as u8);
    grant.actions.dedup();
    let of_secret = Filter::eq("secretId", secret.meta.id.as_str());
    let present = secrets.grants.all(&asker.partition(), of_secret, 2 * MAX_GRANTS).await?;
    let now = secrets.now();
    let record = match present.iter().find(|one| one.data.principal == grant.principal) {
        // One that has ended gives its place to the new one.
        Some(ended) if !ended.data.is_active(now) => unit.replace(ended, grant)?.0,
        Some(_) => return Err(is_shared().into()),
        None if present.len() >= MAX_GRANTS => {
            let detail = format!("A secret can be shared {MAX_GRANTS} times; share it with a team or role.");
            return Err(Failure::problem(Code::LimitReached, detail));
        }
        None => {
            let id = GrantId::from(secrets.runtime.ambient.new_uuid());
            let tuple = grant.claim();
            let tuple = tuple.each_ref().map(String::as_str);
            unit.claim(claims::GRANT, &tuple, &id.to_string(), is_shared())?;
            unit.create(id, grant)?
        }
    };
    who.trail().note(&mut unit, secret, Note::of(Action::Share))?;
    unit.emit("grant.created", &record.meta.id, event(&record.data));
    let location = format!("{}/{}", asker.context().path(), record.meta.id);
    unit.commit(Created { location, body: record }).await
}

async fn delete(
    State(secrets): State<Secrets>,
    who: OnSecret<GrantDelete>,
    Paths(secret_id, grant_id): Paths<SecretId, GrantId>,
) -> Result<NoContent> {
    let grant = secrets.grants.get(&who.asker.partition(), &grant_id.to_string()).await?;
    if grant.data.secret_id != secret_id {
        return Err(Problem::not_found("grant").into());
    }
    let mut unit = who.asker.transaction().await?;
    Secrets::delete_grant(&mut unit, &grant)?;
    who.trail().note(&mut unit, &who.secret, Note::of(Action::Unshare))?;
    unit.commit(NoContent).await
}

fn is_shared() -> Problem {
    Problem::new(Code::AlreadyExists, "The secret is shared with them already; delete that grant first.")
}

/// The payload of events about a grant.
fn event(grant: &Grant) -> serde_json::Value {
    json!({"secretId": grant.secret_id, "principal": grant.principal, "actions": grant.actions})
}

impl Secrets {
    /// Takes a grant away.
    pub(crate) fn delete_grant(unit: &mut coder_database::Transaction, grant: &Record<Grant>) -> Result<()> {
        unit.delete(grant)?;
        unit.release(claims::GRANT, &grant.data.claim().each_ref().map(String::as_str));
        unit.emit("grant.deleted", &grant.meta.id, event(&grant.data));
        Ok(())
    }

    /// The grant that the input asks for; nobody grants an action that they lack.
    async fn checked_grant(&self, asker: &Asker, secret: &Record<Secret>, input: NewGrant) -> Result<Grant> {
        let mut standing = Standing::of(self, asker, secret).await?;
        for action in &input.actions {
            let action = Action::from(*action);
            if standing.verdict(action).await? != Verdict::Allowed {
                return Err(Problem::missing_permission(action.permission()).into());
            }
        }
        let mut faults = Vec::new();
        if input.expires_at.is_some_and(|end| end <= self.now()) {
            faults.push(Fault::new("/expiresAt", "too_small", "This has to be in the future."));
        }
        if !self.principal_exists(asker.organization_id, &input.principal).await? {
            let kind = input.principal.kind.as_str();
            faults.push(Fault::new("/principal/id", "not_found", format!("There is no such {kind} here.")));
        }
        if !faults.is_empty() {
            return Err(Problem::invalid(faults).into());
        }
        let NewGrant { principal, actions, expires_at } = input;
        Ok(Grant { secret_id: secret.id()?, principal, actions, expires_at })
    }
}
