//! The caller, and the organization that they work in.

use coder_core::{Code, OrganizationId, Result, Scope, Timestamp, UserId};
use coder_handler::Routes;
use coder_middleware::{Access as _, Body, Example, InSession, Json, SignedIn, State, access};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sessions::{SessionView, session_of};
use crate::Auth;
use crate::model::{Mfa, Session};
use crate::service::answer::TokenAnswer;
use crate::service::people::Membership;
use crate::service::tokens::session_ended;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes
        .get("/me", "get_caller", "See who you are and what you may do", me)
        .described(|operation| operation.during_enrolment = true)
        .post(
            "/switch-organization",
            "switch_organization",
            "Get an access token for another organization",
            switch,
        )
        .problems([Code::NotFound])
}

/// The caller.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    /// The person.
    user_id: UserId,
    /// The address that they sign in with; null for those who cannot.
    email: Option<String>,
    /// When they confirmed it.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    email_verified_at: Option<Timestamp>,
    /// Whether a second factor is set up.
    mfa_enabled: bool,
    /// The session; null for an API key.
    session: Option<SessionView>,
    /// The organization of the credential; null before there is one.
    organization_id: Option<OrganizationId>,
    /// Every organization of the person.
    memberships: Vec<Membership>,
    /// The person's roles in the organization of the credential.
    roles: Vec<String>,
    /// Names of all permissions that the credential has there, sorted.
    permissions: Vec<String>,
}

impl Example for Me {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE;
        Self {
            user_id: id.into(),
            email: Some("ada@example.com".into()),
            email_verified_at: Some(Timestamp::UNIX_EPOCH),
            mfa_enabled: true,
            session: Some(SessionView::example()),
            organization_id: Some(id.into()),
            memberships: vec![Membership::example()],
            roles: vec!["owner".into()],
            permissions: vec!["auth.policy.read".into(), "users.team.read".into()],
        }
    }
}

/// The organization to work in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SwitchOrganization {
    /// One that the caller is an active member of.
    organization_id: OrganizationId,
}

impl Example for SwitchOrganization {
    fn example() -> Self {
        Self { organization_id: coder_core::id::EXAMPLE.into() }
    }
}

async fn me(State(auth): State<Auth>, who: SignedIn) -> Result<Json<Me>> {
    let identity = auth.identity(who.user_id).await?;
    let memberships = auth.person(who.user_id).await?.map(|person| person.memberships).unwrap_or_default();
    let current = session_of(&who);
    let session = match current {
        Some(id) => auth.sessions.find(&Session::partition(who.user_id), &Session::document_id(id)).await?,
        None => None,
    };
    if current.is_some() && session.is_none() {
        return Err(session_ended());
    }
    let own = memberships.iter().find(|one| Some(one.organization_id) == who.organization_id);
    let roles = own.map(|one| one.roles.clone()).unwrap_or_default();
    let permissions = match who.organization_id {
        Some(id) => permissions(&auth, &who, id).await?,
        None => Vec::new(),
    };
    let data = identity.as_ref().map(|identity| &identity.data);
    Ok(Json(Me {
        user_id: who.user_id,
        email: data.map(|identity| identity.email.to_string()),
        email_verified_at: data.and_then(|identity| identity.email_verified_at),
        mfa_enabled: data.is_some_and(|identity| identity.mfa != Mfa::None),
        session: session.map(|session| SessionView::new(&session, current)),
        organization_id: who.organization_id,
        memberships,
        roles,
        permissions,
    }))
}

/// The names in the catalogue that the credential covers.
async fn permissions(auth: &Auth, who: &SignedIn, organization_id: OrganizationId) -> Result<Vec<String>> {
    let scope = Scope::Organization(organization_id);
    let effective = access::effective(who.context(), organization_id, who.user_id, scope).await?;
    let names = auth.runtime.catalogue.iter().map(|permission| permission.name);
    let mut held: Vec<String> = names.filter(|name| effective.allows(name)).map(str::to_owned).collect();
    held.sort_unstable();
    Ok(held)
}

async fn switch(
    State(auth): State<Auth>,
    who: InSession,
    Body(input): Body<SwitchOrganization>,
) -> Result<TokenAnswer> {
    auth.switch_organization(&who, input.organization_id).await
}
