//! Handing an invitation's mail over to the notifications group, and forgetting its token then.

use coder_core::{Failure, OrganizationId};
use coder_database::{Partition, Record};
use coder_handler::{Invocation, retry_stale};
use http::Method;
use serde_json::Value;

use super::accept_url;
use super::mail::InvitationMail;
use crate::model::{CONTAINER, Delivery, Invitation};
use crate::service::Users;

/// Hands over the mail that an invitation waits for. One that waits for none any more is no fault, and notifications
/// knows a mail that it has, so that a repeat sends nothing.
pub(crate) async fn deliver(
    users: &Users,
    run: &Invocation,
    organization_id: OrganizationId,
    id: &str,
) -> Result<(), Failure> {
    let partition = Partition::organization(organization_id);
    let found = users.invitations.find(&partition, id).await?;
    let Some(invitation) = found.filter(|record| record.data.is_open(users.now())) else { return Ok(()) };
    let Some(mail) = mail(users, organization_id, &invitation).await? else { return Ok(()) };
    let group = "notifications";
    let taken = users.peers.call(group, Method::POST, "/internal/messages", Some(&mail.compose())).await?;
    taken.success::<Value>(group)?;
    note_sent(users, run, &partition, &invitation).await
}

async fn mail(
    users: &Users,
    organization_id: OrganizationId,
    record: &Record<Invitation>,
) -> Result<Option<InvitationMail>, Failure> {
    let Some(token) = users.unseal_token(organization_id, record)? else { return Ok(None) };
    let invitation = &record.data;
    Ok(Some(InvitationMail {
        organization_id,
        organization: users.organization(organization_id).await?.data.name,
        to: invitation.email.clone(),
        inviter: users.inviter(invitation).await?,
        message: invitation.message.clone(),
        accept_url: accept_url(&users.runtime.settings, &token),
        expires_at: invitation.expires_at,
        key: format!("invitation:{}", invitation.token_id),
    }))
}

/// Notes that the mail was handed over, unless the invitation was closed or sent again meanwhile.
async fn note_sent(
    users: &Users,
    run: &Invocation,
    partition: &Partition,
    sent: &Record<Invitation>,
) -> Result<(), Failure> {
    retry_stale(|| async {
        let found = users.invitations.find(partition, &sent.meta.id).await?;
        let waits = |now: &Invitation| now.token_id == sent.data.token_id && now.sealed_token.is_some();
        let Some(before) = found.filter(|found| waits(&found.data)) else { return Ok(()) };
        let after = Invitation { sealed_token: None, delivery: Delivery::Sent, ..before.data.clone() };
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        unit.replace(&before, after)?;
        run.commit(unit).await
    })
    .await
}

impl Users {
    /// The name of the person who invites, if it was a person who is still there.
    pub(crate) async fn inviter(&self, invitation: &Invitation) -> Result<Option<String>, Failure> {
        let Some(user_id) = invitation.invited_by else { return Ok(None) };
        let person = self.people.find(&Partition::user(user_id), &user_id.to_string()).await?;
        Ok(person.map(|person| person.data.display_name))
    }
}
