//! What administrators may do for the people whom their organization manages.

use coder_core::{Code, OrganizationId, Permission, Problem, Result, UserId};
use coder_database::Record;
use coder_handler::{Cause, Routes};
use coder_middleware::{Access as _, Allowed, Example, Json, NoContent, Path, State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Auth;
use crate::catalogue::{CredentialReset, SessionRevoke};
use crate::model::{CONTAINER, Identity, RevokedReason};
use crate::service::people::{Membership, Person};
use crate::service::revocations::Revoked;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .post(
            "/admin/users/{userId}/reset-link",
            "send_reset_link",
            "Mail a managed person a link to set a new password",
            reset_link,
        )
        .post(
            "/admin/users/{userId}/revoke-sessions",
            "revoke_sessions_of_user",
            "End all sessions of a managed person",
            revoke_sessions,
        )
}

/// How many sessions were ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SessionsEnded {
    /// Sessions that lived until now.
    revoked: usize,
}

impl Example for SessionsEnded {
    fn example() -> Self {
        Self { revoked: 3 }
    }
}

async fn reset_link(
    State(auth): State<Auth>,
    who: Allowed<CredentialReset>,
    Path(user_id): Path<UserId>,
) -> Result<NoContent> {
    let unit = who.transaction(CONTAINER).await?;
    let identity = managed(&auth, &who, user_id).await?;
    let email = identity.data.email.clone();
    if !auth.admit_mail(who.context(), &email).await? {
        let detail = "The address got several mails within the hour; try again later.";
        return Err(Problem::new(Code::RateLimited, detail).retry_after(3600).into());
    }
    let person = (user_id, identity);
    auth.send_reset_link(Cause::Request(who.context()), &email, Some(&person), true).await?;
    unit.commit(NoContent).await
}

async fn revoke_sessions(
    State(auth): State<Auth>,
    who: Allowed<SessionRevoke>,
    Path(user_id): Path<UserId>,
) -> Result<Json<SessionsEnded>> {
    let unit = who.transaction(CONTAINER).await?;
    managed(&auth, &who, user_id).await?;
    let cause = Cause::Request(who.context());
    let revoked = auth.end_all_sessions(cause, user_id, RevokedReason::RevokedByAdmin, |_| true).await?;
    auth.publish_revocations(cause, &[Revoked::User(user_id)]).await?;
    unit.commit(Json(SessionsEnded { revoked })).await
}

/// The identity of a person whom the caller's organization manages and who has no higher rank there; anybody else
/// is as if there were no such person.
async fn managed<P: Permission>(auth: &Auth, who: &Allowed<P>, user_id: UserId) -> Result<Record<Identity>> {
    let identity = auth.identity(user_id).await?;
    let here = identity.filter(|it| it.data.managed_by_organization_id == Some(who.organization_id));
    let identity = here.ok_or_else(|| Problem::not_found("person"))?;
    let theirs = rank(auth.person(user_id).await?, who.organization_id);
    let own = rank(auth.person(who.user_id).await?, who.organization_id);
    if theirs > own {
        return Err(Problem::not_found("person").into());
    }
    Ok(identity)
}

/// The rank of a person in the organization: 0 for those who are none of its administrators.
fn rank(person: Option<Person>, organization_id: OrganizationId) -> u8 {
    let memberships = person.map(|person| person.memberships).unwrap_or_default();
    let here = |membership: &&Membership| membership.organization_id == organization_id;
    match memberships.iter().find(here).map(|membership| membership.rank.as_str()) {
        Some("owner") => 2,
        Some("admin") => 1,
        _ => 0,
    }
}
