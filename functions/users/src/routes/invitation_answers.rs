//! Invitations, as the invited person sees them.

use coder_core::{Code, OrganizationId, Problem, Result, Timestamp};
use coder_database::{Partition, Query, Record};
use coder_handler::{Cause, Routes};
use coder_middleware::{
    Access as _, Anyone, Example, InSession, Json, NoContent, PageOf, Path, SignedIn, State,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::invite;
use crate::model::{CONTAINER, Invitation, InvitationId, Organization, OrganizationStatus};
use crate::rules::InvitationError;
use crate::service::{Users, mirrors};

/// The most invitations that a person is shown.
const MOST: u32 = 200;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Users>) -> Routes<Users> {
    let path = "/invitations/by-token/{token}";
    let verb = |verb: &str| format!("{path}/{verb}");
    let problems = [Code::LinkExpired, Code::EmailMismatch];
    routes
        .get(
            "/me/invitations",
            "list_my_invitations",
            "List pending invitations to one's e-mail address",
            list_mine,
        )
        .get(path, "get_invitation_by_token", "See who invites, before signing in", look)
        .described(|operation| operation.guarded = true)
        .problems([Code::LinkExpired])
        .post(&verb("accept"), "accept_invitation", "Accept an invitation", accept)
        .problems(problems)
        .problems([Code::InvalidState, Code::LimitReached])
        .post(&verb("decline"), "decline_invitation", "Decline an invitation", decline)
        .problems(problems)
}

/// An organization, to somebody who is asked to join it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitingOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its short name in addresses.
    pub slug: String,
    /// Address of its logo.
    pub logo_url: Option<String>,
}

/// An invitation, to the invited person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationOffer {
    /// The invitation.
    pub id: InvitationId,
    /// Who invites.
    pub organization: InvitingOrganization,
    /// The name of the person who does it; null where a program does.
    pub inviter: Option<String>,
    /// The invited address.
    pub email: String,
    /// Roles of the membership to be.
    pub roles: Vec<String>,
    /// A word from the inviter.
    pub message: Option<String>,
    /// When it lapses.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires_at: Timestamp,
}

impl InvitingOrganization {
    fn of(id: OrganizationId, organization: &Organization) -> Self {
        let Organization { name, slug, logo_url, .. } = organization.clone();
        Self { id, name, slug, logo_url }
    }
}

impl Example for InvitingOrganization {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE.into();
        Self { id, name: "Acme".to_owned(), slug: "acme".to_owned(), logo_url: None }
    }
}

impl Example for InvitationOffer {
    fn example() -> Self {
        Self {
            id: coder_core::id::EXAMPLE.into(),
            organization: InvitingOrganization::example(),
            inviter: Some("Grace Hopper".to_owned()),
            email: "ada@example.com".to_owned(),
            roles: vec!["member".to_owned()],
            message: None,
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// The offer of an open invitation; `None` where the organization is not in use.
async fn offer(
    users: &Users,
    organization_id: OrganizationId,
    record: Record<Invitation>,
) -> Result<Option<InvitationOffer>> {
    let partition = Partition::organization(organization_id);
    let found = users.organizations.find(&partition, &organization_id.to_string()).await?;
    let in_use = found.filter(|found| found.data.status == OrganizationStatus::Active);
    let Some(organization) = in_use.filter(|_| record.data.is_open(users.now())) else { return Ok(None) };
    Ok(Some(InvitationOffer {
        id: record.id()?,
        organization: InvitingOrganization::of(organization_id, &organization.data),
        inviter: users.inviter(&record.data).await?,
        email: record.data.email,
        roles: record.data.roles,
        message: record.data.message,
        expires_at: record.data.expires_at,
    }))
}

async fn list_mine(State(users): State<Users>, who: SignedIn) -> Result<Json<PageOf<InvitationOffer>>> {
    let mut items = Vec::new();
    let person = users.person(who.user_id).await?;
    if let Some(email) = users.own_email(&person.data) {
        let refs = Query::new(None).limit(MOST);
        for found in users.invitation_refs.page(&invite::by_email(email), &refs).await?.0 {
            let organization_id = found.data.invited_to;
            let partition = Partition::organization(organization_id);
            if let Some(record) = users.invitations.find(&partition, &found.meta.id).await? {
                items.extend(offer(&users, organization_id, record).await?);
            }
        }
    }
    Ok(Json(PageOf { items, next_cursor: None }))
}

async fn look(
    State(users): State<Users>,
    _: Anyone,
    Path(token): Path<String>,
) -> Result<Json<InvitationOffer>> {
    let at = invite::locate(&users, &token).await?;
    let invitation = invite::opened(&users, &at).await?;
    let offer = offer(&users, at.organization_id, invitation).await?;
    offer.map(Json).ok_or_else(|| Problem::from(InvitationError::Over).into())
}

async fn accept(
    State(users): State<Users>,
    who: InSession,
    Path(token): Path<String>,
) -> Result<Json<InvitingOrganization>> {
    let at = invite::locate(&users, &token).await?;
    let mut unit = who.begin(CONTAINER, Partition::organization(at.organization_id)).await?;
    let organization = users.organization(at.organization_id).await?.data;
    let invitation = invite::opened(&users, &at).await?;
    if organization.status != OrganizationStatus::Active {
        return Err(Problem::from(InvitationError::Over).into());
    }
    let person = users.person(who.user_id).await?;
    let email = users.own_email(&person.data);
    let cause = Cause::Request(who.context());
    // The answer stays `410`; what a killed first request left undone is done all the same.
    invite::accepted_before(&users, cause, &at, &invitation.data, who.user_id, email).await?;
    invite::accept(&users, cause, &mut unit, &invitation, &person, email).await?;
    let body = InvitingOrganization::of(at.organization_id, &organization);
    let answer = unit.commit(Json(body)).await?;
    mirrors::later(users.settle_membership(cause, at.organization_id, who.user_id).await);
    Ok(answer)
}

async fn decline(State(users): State<Users>, who: InSession, Path(token): Path<String>) -> Result<NoContent> {
    let at = invite::locate(&users, &token).await?;
    let mut unit = who.begin(CONTAINER, Partition::organization(at.organization_id)).await?;
    let invitation = invite::opened(&users, &at).await?;
    let person = users.person(who.user_id).await?;
    invite::decline(&users, &mut unit, &invitation, users.own_email(&person.data))?;
    unit.commit(NoContent).await
}
