//! API keys: made by a person in a session, shown whole once, narrowed, rotated, revoked.

mod bodies;

use coder_core::{
    Code, Fault, OrganizationId, Pattern, Permission as _, PermissionSet, Problem, Result, Scope, Timestamp,
    UserId, text,
};
use coder_database::{Filter, Record};
use coder_handler::{Cause, Routes};
use coder_middleware::access::effective;
use coder_middleware::{
    Access as _, Body, Created, IfMatch, InSession, Json, List, NoContent, PageOf, Patch, Path,
    RequestContext, SignedIn, State,
};
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;

use self::bodies::{
    ApiKeyFields, ApiKeyFilters, ApiKeyView, CreateApiKey, KeyId, Listed, NewApiKeyView, RotateApiKey,
    patterns,
};
use crate::Auth;
use crate::api_key::NewApiKey;
use crate::catalogue::{ApiKeyDelete, ApiKeyInspect};
use crate::model::{ApiKey, ApiKeyDetails, ApiKeyListing, ApiKeyStatus, AuthPolicy, CONTAINER};
use crate::service::api_keys::widened;
use crate::service::revocations::Revoked;
use crate::service::{networks, repository, stale_if_taken};

/// Longest time that a replaced key lives on, in seconds.
const MAX_OVERLAP_SECONDS: u32 = 86_400;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .get("/api-keys", "list_api_keys", "List own API keys, or all of the organization", list)
        .post("/api-keys", "create_api_key", "Make an API key; the answer shows it whole, once", create)
        .problems([Code::LimitReached, Code::UnknownPermission])
        .patch("/api-keys/{keyId}", "update_api_key", "Rename or narrow an API key", update)
        .problems([Code::InvalidState])
        .delete("/api-keys/{keyId}", "revoke_api_key", "Revoke an API key", revoke)
        .post("/api-keys/{keyId}/rotate", "rotate_api_key", "Replace an API key by a new one", rotate)
        .problems([Code::InvalidState])
}

async fn list(
    State(auth): State<Auth>,
    who: SignedIn,
    list: List<ApiKeyFilters>,
) -> Result<Json<PageOf<ApiKeyView>>> {
    let Some(organization_id) = who.organization_id else {
        return Ok(Json(PageOf { items: Vec::new(), next_cursor: None }));
    };
    let everybody = list.filters.scope == Some(Listed::Organization);
    if everybody {
        demand(who.context(), organization_id, who.user_id, ApiKeyInspect::DECLARATION.name).await?;
    }
    let own = (!everybody).then(|| Filter::eq("userId", who.user_id.to_string()));
    let listings = repository::<ApiKeyListing>(&auth.runtime);
    let page = list.page(&listings, &ApiKeyListing::partition(organization_id), own).await?;
    let now = auth.runtime.ambient.now();
    let view = |key: &Record<ApiKeyListing>| ApiKeyView::new(&key.data.details, key.meta.created_at, now);
    Ok(Json(PageOf { items: page.items.iter().map(view).collect(), next_cursor: page.next_cursor }))
}

async fn create(
    State(auth): State<Auth>,
    who: InSession,
    Body(input): Body<CreateApiKey>,
) -> Result<Created<NewApiKeyView>> {
    let organization_id = organization(who.organization_id)?;
    let mut unit = who.begin(CONTAINER, ApiKeyListing::partition(organization_id)).await?;
    let policy = auth.policy(Some(organization_id)).await?;
    let made = NewApiKey::generate(&auth.runtime.ambient);
    let unknown = unknown_scope(&auth, &who, organization_id, input.scope).await?;
    let details = details(&auth, &who, organization_id, &policy, &made.key_id, input, unknown)?;
    let held = effective(who.context(), organization_id, who.user_id, details.scope).await?;
    if let Some(name) = auth.missing_permission(&details.permissions, held.person()) {
        return Err(Problem::missing_permission(&name).into());
    }
    let cause = Cause::Request(who.context());
    auth.admit_api_key(cause, organization_id, who.user_id, &made.key_id).await?;
    let key = ApiKey { details, secret_hash: made.secret_hash.clone(), noticed_days: None };
    let key = auth.store_api_key(cause, key, None).await?;
    unit.create(&made.key_id, key.data.listing())?;
    unit.without_audit().commit(created(&auth, &key, &made)).await
}

/// Everything of the key but its secret; all faults of the input at once.
fn details(
    auth: &Auth,
    who: &InSession,
    organization_id: OrganizationId,
    policy: &AuthPolicy,
    key_id: &str,
    input: CreateApiKey,
    unknown_scope: Option<Fault>,
) -> Result<ApiKeyDetails> {
    let mut faults = Vec::new();
    let name = name(&input.name, &mut faults);
    let permissions = permissions(&input.permissions, &mut faults);
    faults.extend(auth.permission_faults(&permissions, &input.permissions));
    let allowed_cidrs = networks::parse(&input.allowed_cidrs, "/allowedCidrs").unwrap_or_else(|found| {
        faults.extend(found);
        Vec::new()
    });
    let scope = input.scope.unwrap_or(Scope::Organization(organization_id));
    faults.extend(unknown_scope);
    let latest = days_later(auth.runtime.ambient.now(), policy.api_key_max_days);
    let usual = days_later(auth.runtime.ambient.now(), ApiKey::DEFAULT_DAYS);
    let expires_at = input.expires_at.unwrap_or(usual.min(latest));
    if expires_at > latest {
        let message =
            format!("The organization's policy lets a key live {} days at most.", policy.api_key_max_days);
        faults.push(Fault::new("/expiresAt", "too_late", message));
    } else if expires_at <= auth.runtime.ambient.now() {
        faults.push(Fault::new("/expiresAt", "too_early", "This is not in the future."));
    }
    if !faults.is_empty() {
        return Err(invalid(faults).into());
    }
    Ok(ApiKeyDetails {
        key_id: key_id.to_owned(),
        name,
        user_id: who.user_id,
        owner_organization_id: organization_id,
        permissions,
        scope,
        allowed_cidrs,
        expires_at,
        last_used_at: None,
        last_used_ip: None,
        status: ApiKeyStatus::Active,
        replaced_by: None,
    })
}

/// What is wrong with the wanted scope: the key is for the organization of the session, or for something in it.
async fn unknown_scope(
    auth: &Auth,
    who: &InSession,
    organization_id: OrganizationId,
    scope: Option<Scope>,
) -> Result<Option<Fault>> {
    let (known, pointer, message) = match scope {
        None => return Ok(None),
        Some(Scope::Organization(id)) => {
            let message = "The key can only be for the organization of the session.";
            (id == organization_id, "/scope/id", message)
        }
        Some(scope) => {
            let known = auth.has_scope(organization_id, who.user_id, scope).await?;
            (known, "/scope", "The organization has no such team or project.")
        }
    };
    Ok((!known).then(|| Fault::new(pointer, "not_found", message)))
}

async fn update(
    State(auth): State<Auth>,
    who: SignedIn,
    Path(KeyId(key_id)): Path<KeyId>,
    if_match: IfMatch,
    patch: Patch<ApiKeyFields>,
) -> Result<Json<ApiKeyView>> {
    let before = managed(&auth, &who, &key_id).await?;
    if_match.check(&before.meta)?;
    live(&auth, &before)?;
    let present = &before.data.details;
    let fields = patch.apply(&ApiKeyFields {
        name: present.name.clone(),
        permissions: patterns(&present.permissions),
        allowed_cidrs: networks::texts(&present.allowed_cidrs),
        expires_at: present.expires_at,
    })?;
    let mut faults = Vec::new();
    let after = ApiKeyDetails {
        name: name(&fields.name, &mut faults),
        permissions: permissions(&fields.permissions, &mut faults),
        allowed_cidrs: networks::parse(&fields.allowed_cidrs, "/allowedCidrs").unwrap_or_else(|found| {
            faults.extend(found);
            present.allowed_cidrs.clone()
        }),
        expires_at: fields.expires_at,
        ..present.clone()
    };
    faults.extend(widened(present, &after));
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    let cause = Cause::Request(who.context());
    let key = auth.replace_api_key(cause, &before, after, None).await?;
    Ok(Json(ApiKeyView::of(&key, auth.runtime.ambient.now())))
}

async fn revoke(
    State(auth): State<Auth>,
    who: SignedIn,
    Path(KeyId(key_id)): Path<KeyId>,
) -> Result<NoContent> {
    let key = managed(&auth, &who, &key_id).await?;
    auth.revoke_api_key(Cause::Request(who.context()), &key).await?;
    Ok(NoContent)
}

async fn rotate(
    State(auth): State<Auth>,
    who: InSession,
    Path(KeyId(key_id)): Path<KeyId>,
    Body(input): Body<RotateApiKey>,
) -> Result<Created<NewApiKeyView>> {
    let organization_id = organization(who.organization_id)?;
    let mut unit = who.begin(CONTAINER, ApiKeyListing::partition(organization_id)).await?;
    let before = auth.api_key(organization_id, &key_id).await?;
    // The successor acts for the owner, so that nobody else may hold it.
    if before.data.details.user_id != who.user_id {
        demand(who.context(), organization_id, who.user_id, ApiKeyDelete::DECLARATION.name).await?;
        return Err(Problem::new(
            Code::Forbidden,
            "Only its owner can rotate an API key; revoke it instead.",
        )
        .into());
    }
    live(&auth, &before)?;
    if before.data.details.replaced_by.is_some() {
        return Err(
            Problem::new(Code::InvalidState, "The key was replaced already; rotate its successor.").into()
        );
    }
    let cause = Cause::Request(who.context());
    let made = NewApiKey::generate(&auth.runtime.ambient);
    let policy = auth.policy(Some(organization_id)).await?;
    let successor = ApiKey {
        details: successor(&auth, &before, &policy, &made.key_id),
        secret_hash: made.secret_hash.clone(),
        noticed_days: None,
    };
    // The old key names its one successor under its tag, so that of two rotations one goes on.
    let overlap = i64::from(input.overlap_seconds.min(MAX_OVERLAP_SECONDS));
    let ending = ApiKeyDetails {
        replaced_by: Some(made.key_id.clone()),
        expires_at: before.data.details.expires_at.min(auth.runtime.ambient.after(overlap)),
        status: if overlap == 0 { ApiKeyStatus::Revoked } else { ApiKeyStatus::Active },
        ..before.data.details.clone()
    };
    let key = auth.store_api_key(cause, successor, Some(&before)).await?;
    auth.replace_api_key(cause, &before, ending, Some("api-key.rotated")).await?;
    if overlap == 0 {
        auth.publish_revocations(cause, &[Revoked::Key(key_id)]).await?;
    }
    unit.create(&made.key_id, key.data.listing())?;
    unit.without_audit().commit(created(&auth, &key, &made)).await.map_err(stale_if_taken)
}

/// The successor allows what the old key does and lives as long as that one was to, within the policy.
fn successor(auth: &Auth, before: &Record<ApiKey>, policy: &AuthPolicy, key_id: &str) -> ApiKeyDetails {
    let now = auth.runtime.ambient.now();
    let life = before.data.details.expires_at.duration_since(before.meta.created_at);
    let expires_at = now.saturating_add(life).unwrap_or(Timestamp::MAX);
    ApiKeyDetails {
        key_id: key_id.to_owned(),
        expires_at: expires_at.min(days_later(now, policy.api_key_max_days)),
        last_used_at: None,
        last_used_ip: None,
        ..before.data.details.clone()
    }
}

fn created(auth: &Auth, key: &Record<ApiKey>, made: &NewApiKey) -> Created<NewApiKeyView> {
    let details = ApiKeyView::of(key, auth.runtime.ambient.now());
    let body = NewApiKeyView { key: made.key.expose_secret().to_owned(), details };
    Created { location: format!("/api/auth/api-keys/{}", made.key_id), body }
}

/// A key that the caller may change: their own, used from a session, or anybody's with the permission.
async fn managed(auth: &Auth, who: &SignedIn, key_id: &str) -> Result<Record<ApiKey>> {
    let organization_id = organization(who.organization_id)?;
    let key = auth.api_key(organization_id, key_id).await?;
    let own = key.data.details.user_id == who.user_id && InSession::admit(who.context()).await.is_ok();
    if !own {
        demand(who.context(), organization_id, who.user_id, ApiKeyDelete::DECLARATION.name).await?;
    }
    Ok(key)
}

async fn demand(
    context: &RequestContext,
    organization_id: OrganizationId,
    user_id: UserId,
    permission: &str,
) -> Result<()> {
    let held = effective(context, organization_id, user_id, Scope::Organization(organization_id)).await?;
    if held.allows(permission) { Ok(()) } else { Err(Problem::missing_permission(permission).into()) }
}

fn organization(organization_id: Option<OrganizationId>) -> Result<OrganizationId> {
    let detail = "The access token is for no organization; call `POST /api/auth/switch-organization`.";
    organization_id.ok_or_else(|| Problem::new(Code::Forbidden, detail).into())
}

fn live(auth: &Auth, key: &Record<ApiKey>) -> Result<()> {
    if key.data.details.is_live(auth.runtime.ambient.now()) {
        return Ok(());
    }
    Err(Problem::new(Code::InvalidState, "The key has ended; make a new one.").into())
}

fn days_later(now: Timestamp, days: u32) -> Timestamp {
    now.saturating_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
}

fn name(typed: &str, faults: &mut Vec<Fault>) -> String {
    let name = typed.trim();
    if name.is_empty() || text::has_refused_characters(name, false) {
        faults.push(Fault::new("/name", "invalid_name", "A name has visible characters only, at least one."));
    }
    name.to_owned()
}

fn permissions(typed: &[String], faults: &mut Vec<Fault>) -> PermissionSet {
    let mut read = PermissionSet::default();
    for (index, text) in typed.iter().enumerate() {
        match Pattern::parse(text) {
            Some(pattern) => read.insert(pattern),
            None => {
                let message = "This is no permission such as `users.project.read` or `users.*`.";
                faults.push(Fault::new(format!("/permissions/{index}"), "invalid_format", message));
            }
        }
    }
    read
}

/// `422` with every fault; `unknown_permission` where that is all that is wrong.
fn invalid(faults: Vec<Fault>) -> Problem {
    let unknown = faults.iter().all(|fault| fault.code == Code::UnknownPermission.as_str());
    let problem = Problem::invalid(faults);
    if unknown { Problem { code: Code::UnknownPermission, ..problem } } else { problem }
}
