//! How somebody wants to be told: a person's own preferences, and the defaults of organization, team and project.

use std::str::FromStr;

use coder_core::{OrganizationId, Permission as _, Problem, ProjectId, Result, Scope, TeamId};
use coder_database::{Partition, Record};
use coder_handler::Routes;
use coder_middleware::access::effective;
use coder_middleware::{Access as _, Body, IfMatch, Json, Patch, Paths, SignedIn, State};
use serde_json::json;

use crate::CONTAINER;
use crate::accept::taken_is_stale;
use crate::catalogue::PreferenceUpdate;
use crate::deliver::of_tenant;
use crate::model::preference::{Preference, PreferenceScope, PreferenceWrite};
use crate::model::{CONFIG, of_user};
use crate::service::Notifications;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    let scoped = "/preferences/{scope}/{scopeId}";
    routes
        .get("/preferences/me", "get_my_notification_preferences", "Read how you want to be told", mine)
        .patch(
            "/preferences/me",
            "update_my_notification_preferences",
            "Change how you want to be told",
            update_mine,
        )
        .get(scoped, "get_preferences", "Read the defaults of an organization, team or project", get)
        .put(
            scoped,
            "replace_preferences",
            "Replace the defaults of an organization, team or project",
            replace,
        )
}

/// A person's own preferences, or none set.
pub(crate) async fn own(
    service: &Notifications,
    who: &SignedIn,
) -> Result<(Partition, Option<Record<Preference>>)> {
    let found = service.own_layer(who.organization_id, who.user_id).await?;
    Ok((of_user(who.organization_id, who.user_id), found))
}

async fn mine(State(service): State<Notifications>, who: SignedIn) -> Result<Json<Preference>> {
    let (_, found) = own(&service, &who).await?;
    let empty = || Preference::empty(PreferenceScope::User, who.user_id);
    Ok(Json(found.map_or_else(empty, |found| found.data)))
}

async fn update_mine(
    State(service): State<Notifications>,
    who: SignedIn,
    patch: Patch<PreferenceWrite>,
) -> Result<Json<Preference>> {
    let (partition, before) = own(&service, &who).await?;
    let present = before.as_ref().map(|found| found.data.set.clone()).unwrap_or_default();
    let set = patch.apply(&present)?;
    set.check(PreferenceScope::User)?;
    let dnd_until = before.as_ref().and_then(|found| found.data.dnd_until);
    let preference = Preference { set, dnd_until, ..Preference::empty(PreferenceScope::User, who.user_id) };
    write(&who, partition, before, preference).await
}

/// Writes preferences that are there or not.
pub(crate) async fn write(
    who: &SignedIn,
    partition: Partition,
    before: Option<Record<Preference>>,
    preference: Preference,
) -> Result<Json<Preference>> {
    let mut unit = who.begin(CONTAINER, partition).await?;
    let id = Preference::document_id(preference.scope, &preference.scope_id);
    let event = json!({"scope": preference.scope, "scopeId": preference.scope_id});
    match &before {
        Some(before) => {
            let (_, changes) = unit.replace(before, preference.clone())?;
            unit.emit_changes("preference.updated", &id, event, &changes);
        }
        None => {
            unit.create(&id, preference.clone())?;
            unit.emit("preference.updated", &id, event);
        }
    }
    taken_is_stale(unit.commit(Json(preference)).await)
}

/// A scope of defaults, as the path names it.
#[derive(Debug, Clone, Copy)]
pub struct DefaultScope(PreferenceScope);

impl FromStr for DefaultScope {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "organization" => Ok(Self(PreferenceScope::Organization)),
            "team" => Ok(Self(PreferenceScope::Team)),
            "project" => Ok(Self(PreferenceScope::Project)),
            _ => Err(()),
        }
    }
}

/// The organization, if the caller may set the defaults of the scope: with the permission there, as a team's lead, or
/// as one who may change the project.
async fn admitted(
    service: &Notifications,
    who: &SignedIn,
    scope: PreferenceScope,
    id: &str,
) -> Result<OrganizationId> {
    let absent = || Problem::not_found("scope");
    let organization_id = who.organization_id.ok_or_else(absent)?;
    let (at, also) = match scope {
        PreferenceScope::Organization => (id.parse().ok().map(Scope::Organization), None),
        PreferenceScope::Team => (id.parse::<TeamId>().ok().map(Scope::Team), Some("users.team.update")),
        PreferenceScope::Project => {
            (id.parse::<ProjectId>().ok().map(Scope::Project), Some("users.project.update"))
        }
        PreferenceScope::User => (None, None),
    };
    let at = at.ok_or_else(absent)?;
    if matches!(at, Scope::Organization(other) if other != organization_id)
        || !service.directory.access(organization_id, who.user_id, at).await?.scope_known
    {
        return Err(absent().into());
    }
    let held = effective(who.context(), organization_id, who.user_id, at).await?;
    let wanted = PreferenceUpdate::DECLARATION.name;
    if held.allows(wanted) || also.is_some_and(|also| held.allows(also)) {
        return Ok(organization_id);
    }
    Err(Problem::missing_permission(wanted).into())
}

async fn get(
    State(service): State<Notifications>,
    who: SignedIn,
    Paths(DefaultScope(scope), id): Paths<DefaultScope, String>,
) -> Result<Json<Preference>> {
    let organization_id = admitted(&service, &who, scope, &id).await?;
    let partition = of_tenant(Some(organization_id)).bucket(CONFIG);
    let found = service.preferences().find(&partition, &Preference::document_id(scope, &id)).await?;
    Ok(Json(found.map_or_else(|| Preference::empty(scope, &id), |found| found.data)))
}

async fn replace(
    State(service): State<Notifications>,
    who: SignedIn,
    Paths(DefaultScope(scope), id): Paths<DefaultScope, String>,
    if_match: IfMatch,
    Body(set): Body<PreferenceWrite>,
) -> Result<Json<Preference>> {
    let organization_id = admitted(&service, &who, scope, &id).await?;
    set.check(scope)?;
    let partition = of_tenant(Some(organization_id)).bucket(CONFIG);
    let before = service.preferences().find(&partition, &Preference::document_id(scope, &id)).await?;
    if let Some(before) = &before {
        if_match.check(&before.meta)?;
    }
    write(&who, partition, before, Preference { set, ..Preference::empty(scope, &id) }).await
}
