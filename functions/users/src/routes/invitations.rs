//! Invitations, as the organization sees them.

use coder_core::{Code, Problem, Result, TeamId, Timestamp, UserId};
use coder_database::{Filter, Meta, Record};
use coder_handler::{Cause, Routes};
use coder_middleware::{Access as _, Allowed, Example, Filters, Json, List, NoContent, PageOf, Path, State};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::catalogue::{InvitationCreate, InvitationDelete, InvitationRead};
use crate::invite::{self, Sent};
use crate::model::{CONTAINER, Delivery, Invitation, InvitationId, InvitationStatus, ProjectGrant};
use crate::service::Users;

pub(crate) use crate::invite::accept_by_token;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let routes = routes
        .get("/invitations", "list_invitations", "List invitations", list_invitations)
        .get("/invitations/{invitationId}", "get_invitation", "Read an invitation", get_invitation)
        .post("/invitations/{invitationId}/resend", "resend_invitation", "Send an invitation again", resend)
        .problems([Code::InvalidState, Code::LimitReached])
        .delete("/invitations/{invitationId}", "revoke_invitation", "Take an invitation back", revoke)
        .problems([Code::InvalidState]);
    super::invitation_answers::routes(super::invite::routes(routes))
}

/// An invitation as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the stored invitation")]
pub struct InvitationView {
    #[serde(flatten)]
    pub meta: Meta,
    pub email: String,
    pub roles: Vec<String>,
    pub team_ids: Vec<TeamId>,
    pub project_grants: Vec<ProjectGrant>,
    pub message: Option<String>,
    pub status: InvitationStatus,
    pub invited_by: Option<UserId>,
    pub delivery: Delivery,
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires_at: Timestamp,
    pub sent_count: u8,
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub last_sent_at: Option<Timestamp>,
}

impl InvitationView {
    /// The invitation as it stands now, even if no job has noted yet that it lapsed.
    pub(super) fn of(record: Record<Invitation>, now: Timestamp) -> Self {
        let mut invitation = record.data;
        invitation.expire(now);
        Self {
            meta: record.meta,
            email: invitation.email,
            roles: invitation.roles,
            team_ids: invitation.team_ids,
            project_grants: invitation.project_grants,
            message: invitation.message,
            status: invitation.status,
            invited_by: invitation.invited_by,
            delivery: invitation.delivery,
            expires_at: invitation.expires_at,
            sent_count: invitation.sent_count,
            last_sent_at: invitation.last_sent_at,
        }
    }
}

impl Example for InvitationView {
    fn example() -> Self {
        let record = Record::example(invite::example());
        Self::of(record, Timestamp::MIN)
    }
}

/// An invitation that was sent again.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resent {
    /// The invitation.
    #[serde(flatten)]
    pub invitation: InvitationView,
    /// Where the invited person answers; shown this once, and only where no mail server is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_url: Option<String>,
}

impl Example for Resent {
    fn example() -> Self {
        Self { invitation: InvitationView::example(), accept_url: None }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct InvitationFilters {
    /// Only those in this status.
    pub status: Option<InvitationStatus>,
}

impl Filters for InvitationFilters {
    const SORT: &'static [&'static str] = &["-createdAt", "email"];

    fn filter(&self) -> Option<Filter> {
        self.status.map(|status| Filter::eq("status", status.as_str()))
    }
}

/// Where the answer may show the link, since no mail brings it.
pub(super) fn shown_url(users: &Users, sent: &Sent) -> Option<String> {
    users.runtime.settings.smtp.is_none().then(|| sent.accept_url.expose_secret().to_owned())
}

async fn list_invitations(
    State(users): State<Users>,
    who: Allowed<InvitationRead>,
    list: List<InvitationFilters>,
) -> Result<Json<PageOf<InvitationView>>> {
    let page = list.page(&users.invitations, &who.partition(), None).await?;
    let items = page.items.into_iter().map(|record| InvitationView::of(record, users.now())).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn get_invitation(
    State(users): State<Users>,
    who: Allowed<InvitationRead>,
    Path(id): Path<InvitationId>,
) -> Result<Json<InvitationView>> {
    let record = users.invitations.get(&who.partition(), &id.to_string()).await?;
    Ok(Json(InvitationView::of(record, users.now())))
}

async fn resend(
    State(users): State<Users>,
    who: Allowed<InvitationCreate>,
    Path(id): Path<InvitationId>,
) -> Result<Json<Resent>> {
    let mut unit = who.transaction(CONTAINER).await?;
    let before = users.invitations.get(&who.partition(), &id.to_string()).await?;
    let cause = Cause::Request(who.context());
    let sent = users.invite_again(cause, &mut unit, who.organization_id, &before).await?;
    let accept_url = shown_url(&users, &sent);
    unit.commit(Json(Resent { invitation: InvitationView::of(sent.invitation, users.now()), accept_url }))
        .await
}

async fn revoke(
    State(users): State<Users>,
    who: Allowed<InvitationDelete>,
    Path(id): Path<InvitationId>,
) -> Result<NoContent> {
    let mut unit = who.transaction(CONTAINER).await?;
    let before = users.invitations.get(&who.partition(), &id.to_string()).await?;
    let mut after = before.data.clone();
    after.revoke(users.now()).map_err(Problem::from)?;
    invite::close(&mut unit, &before, after)?;
    unit.commit(NoContent).await
}

#[cfg(test)]
mod tests {
    use super::{InvitationView, Record, Timestamp};
    use crate::model::InvitationStatus;

    #[test]
    fn the_view_has_no_token_and_tells_what_lapsed() {
        let mut invitation = crate::invite::example();
        invitation.token_hash = "h45h".to_owned();
        invitation.sealed_token = Some("s34l3d".to_owned());
        let view = InvitationView::of(Record::example(invitation), Timestamp::MAX);
        assert_eq!(view.status, InvitationStatus::Expired);
        let shown = serde_json::to_string(&view).unwrap();
        assert!(
            !shown.contains("h45h") && !shown.contains("s34l3d") && !shown.contains("tokenId"),
            "{shown}"
        );
    }
}
