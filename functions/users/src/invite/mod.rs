//! Invitations: made with a token that only a mail carries, answered by it, closed once and for good.
//!
//! An invitation spans three places. Its two look-ups (by token and by address) are written first and go by
//! themselves; a look-up that leads nowhere does no harm. The invitation, its claim on the address and its event
//! are one batch of the organization. Accepting is one batch there too, and the mirror beside the person follows.

mod accept;
mod deliver;
mod mail;
mod token;

use coder_core::{Code, id::Uuid};
use coder_core::{OrganizationId, Problem, Result, Timestamp, UserId};
use coder_database::{Partition, Record, Transaction};
use coder_handler::Cause;
use coder_vault::Sealer;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

pub(crate) use accept::{accept, accept_by_token, accepted_before, decline, locate, opened};
pub(crate) use deliver::deliver;
pub(crate) use token::{NewToken, accept_url};

use crate::model::{
    CONTAINER, Delivery, Invitation, InvitationId, InvitationRef, InvitationStatus, InvitationToken,
    ProjectGrant, claims,
};
use crate::service::Users;

/// Hours for which the look-up of a token outlives its invitation, to answer `410` and not `404`.
const LOOK_UP_HOURS: i64 = 30 * 24;

/// What the invitations of one request have in common.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) roles: Vec<String>,
    pub(crate) team_ids: Vec<coder_core::TeamId>,
    pub(crate) project_grants: Vec<ProjectGrant>,
    pub(crate) message: Option<String>,
    pub(crate) invited_by: UserId,
    pub(crate) expires_at: Timestamp,
}

/// An invitation on its way, with the link that answers it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) invitation: Record<Invitation>,
    pub(crate) accept_url: SecretString,
}

impl Users {
    /// Invites an address, and the person who is known to have it, in the organization's transaction, which must be guarded against others who do the same.
    pub(crate) async fn invite(
        &self,
        cause: Cause<'_>,
        unit: &mut Transaction,
        organization_id: OrganizationId,
        draft: &Draft,
        (email, invited): (&str, Option<UserId>),
    ) -> Result<Sent> {
        let ambient = &self.runtime.ambient;
        let (id, token) = (ambient.new_id::<InvitationId>(), NewToken::generate(ambient));
        self.look_up(cause, organization_id, id, email, &token, draft.expires_at).await?;
        let Draft { roles, team_ids, project_grants, message, invited_by, expires_at } = draft.clone();
        let invitation = Invitation {
            email: email.to_owned(),
            roles,
            team_ids,
            project_grants,
            message,
            status: InvitationStatus::Pending,
            invited_by: Some(invited_by),
            sealed_token: Some(self.seal_token(organization_id, id, &token)),
            token_id: token.id,
            token_hash: token.hash,
            delivery: Delivery::Pending,
            expires_at,
            sent_count: 1,
            last_sent_at: Some(self.now()),
        };
        let conflict = Problem::new(Code::AlreadyExists, "This address has a pending invitation already.");
        unit.claim(claims::INVITATION_EMAIL, &[email], &id.to_string(), conflict)?;
        let invitation = unit.create(id, invitation)?;
        emit_sent(unit, &invitation, invited);
        Ok(Sent { invitation, accept_url: accept_url(&self.runtime.settings, &token.text) })
    }

    /// Sends a pending invitation again, with a new token: the one before answers no more.
    pub(crate) async fn invite_again(
        &self,
        cause: Cause<'_>,
        unit: &mut Transaction,
        organization_id: OrganizationId,
        before: &Record<Invitation>,
    ) -> Result<Sent> {
        let token = NewToken::generate(&self.runtime.ambient);
        let id: InvitationId = before.id()?;
        let mut after = before.data.clone();
        after.resend(&token.id, &token.hash, self.now()).map_err(Problem::from)?;
        after.sealed_token = Some(self.seal_token(organization_id, id, &token));
        after.delivery = Delivery::Pending;
        self.look_up(cause, organization_id, id, &after.email, &token, after.expires_at).await?;
        let invited = self.account_holders(&[&after.email]).await.remove(&after.email);
        let (invitation, _) = unit.replace(before, after)?;
        emit_sent(unit, &invitation, invited);
        Ok(Sent { invitation, accept_url: accept_url(&self.runtime.settings, &token.text) })
    }

    /// Writes the look-ups of an invitation that is about to be written.
    async fn look_up(
        &self,
        cause: Cause<'_>,
        organization_id: OrganizationId,
        id: InvitationId,
        email: &str,
        token: &NewToken,
        expires_at: Timestamp,
    ) -> Result<()> {
        let grace = SignedDuration::from_hours(LOOK_UP_HOURS);
        let mut unit = cause.begin(CONTAINER, Partition::keyed("token", &token.id)).without_audit();
        let look_up = InvitationToken { invited_to: organization_id, invitation_id: id };
        let mut record = unit.record(&token.id, look_up);
        record.expires_at = Some(expires_at.saturating_add(grace).unwrap_or(Timestamp::MAX));
        unit.insert(&record)?;
        cause.commit(unit).await?;
        let partition = by_email(email);
        if self.invitation_refs.find(&partition, &id.to_string()).await?.is_some() {
            return Ok(());
        }
        let mut unit = cause.begin(CONTAINER, partition).without_audit();
        let mut record = unit.record(id, InvitationRef { invited_to: organization_id });
        record.expires_at = Some(expires_at);
        unit.insert(&record)?;
        cause.commit(unit).await
    }

    fn sealer(&self) -> Sealer {
        self.runtime.master.sealer("invitation-token", self.runtime.ambient.clone())
    }

    fn seal_token(&self, organization_id: OrganizationId, id: InvitationId, token: &NewToken) -> String {
        let context = seal_context(organization_id, &id.to_string(), &token.id);
        self.sealer().seal(token.text.expose_secret().as_bytes(), &context)
    }

    /// The token that waits for its mail.
    fn unseal_token(
        &self,
        organization_id: OrganizationId,
        record: &Record<Invitation>,
    ) -> Result<Option<SecretString>> {
        let Some(sealed) = &record.data.sealed_token else { return Ok(None) };
        let context = seal_context(organization_id, &record.meta.id, &record.data.token_id);
        let opened = self.sealer().open(sealed, &context)?;
        let text = std::str::from_utf8(&opened).map_err(coder_core::Failure::internal)?;
        Ok(Some(text.to_owned().into()))
    }
}

/// Where the pending invitations of an address are looked up.
pub(crate) fn by_email(email: &str) -> Partition {
    Partition::keyed("invited", coder_core::text::sha256_hex(&[email]))
}

fn seal_context(organization_id: OrganizationId, id: &str, token_id: &str) -> String {
    format!("{organization_id}/{id}/{token_id}")
}

/// The payload of an invitation's events.
pub(crate) fn event(record: &Record<Invitation>) -> Value {
    let Invitation { email, roles, .. } = &record.data;
    json!({"invitationId": record.meta.id, "email": email, "roles": roles})
}

/// Tells that an invitation is on its way, also to the invited person if they have an account.
fn emit_sent(unit: &mut Transaction, record: &Record<Invitation>, invited: Option<UserId>) {
    let mut data = event(record);
    if let Some(user_id) = invited {
        data["invitedUserId"] = json!(user_id);
    }
    unit.emit("invitation.sent", &record.meta.id, data);
}

/// Writes an invitation that is not pending any more, gives its address back and tells of it.
pub(crate) fn close(
    unit: &mut Transaction,
    before: &Record<Invitation>,
    mut after: Invitation,
) -> Result<Record<Invitation>> {
    after.sealed_token = None;
    let (record, _) = unit.replace(before, after)?;
    unit.release(claims::INVITATION_EMAIL, &[&record.data.email]);
    unit.emit(&format!("invitation.{}", record.data.status.as_str()), &record.meta.id, event(&record));
    Ok(record)
}

/// An invitation for documentation and tests.
pub(crate) fn example() -> Invitation {
    const ID: Uuid = coder_core::id::EXAMPLE;
    Invitation {
        email: "ada@example.com".to_owned(),
        roles: vec!["member".to_owned()],
        team_ids: vec![ID.into()],
        project_grants: vec![ProjectGrant { project_id: ID.into(), role: "viewer".to_owned() }],
        message: Some("Join us!".to_owned()),
        status: InvitationStatus::Pending,
        invited_by: Some(ID.into()),
        token_id: ID.to_string(),
        token_hash: String::new(),
        sealed_token: None,
        delivery: Delivery::Pending,
        expires_at: Timestamp::UNIX_EPOCH,
        sent_count: 1,
        last_sent_at: Some(Timestamp::UNIX_EPOCH),
    }
}
