//! Handing an invitation's mail over, and forgetting its token then.

use coder_core::{Failure, OrganizationId};
use coder_database::{Partition, Record};
use coder_handler::{ConsumerFault, Invocation};
use coder_mail::MailError;

use super::accept_url;
use crate::mail::{InvitationMail, InvitationMailer};
use crate::model::{CONTAINER, Delivery, Invitation};
use crate::service::Users;

/// How often the outcome is noted against other writers of the invitation.
const TRIES: u32 = 8;

/// Sends the mail that an invitation waits for. One that waits for none any more is no fault, so that a repeated
/// delivery of the event sends nothing; only a process that dies right after sending sends twice.
pub(crate) async fn deliver(
    users: &Users,
    run: &Invocation,
    mailer: &dyn InvitationMailer,
    organization_id: OrganizationId,
    id: &str,
) -> Result<(), ConsumerFault> {
    let partition = Partition::organization(organization_id);
    let found = users.invitations.find(&partition, id).await?;
    let Some(invitation) = found.filter(|record| record.data.is_open(users.now())) else { return Ok(()) };
    let Some(mail) = mail(users, organization_id, &invitation).await? else { return Ok(()) };
    match mailer.send(&mail).await {
        Ok(()) => {}
        Err(error) if is_final(&error) => return Err(ConsumerFault::Reject(error.to_string())),
        Err(error) => return Err(ConsumerFault::Retry(Failure::internal(error))),
    }
    note_sent(users, run, &partition, invitation).await?;
    Ok(())
}

/// Whether another try can't help.
fn is_final(error: &MailError) -> bool {
    matches!(error, MailError::Address(_))
}

async fn mail(
    users: &Users,
    organization_id: OrganizationId,
    record: &Record<Invitation>,
) -> Result<Option<InvitationMail>, Failure> {
    let Some(token) = users.unseal_token(organization_id, record)? else { return Ok(None) };
    let invitation = &record.data;
    Ok(Some(InvitationMail {
        to: invitation.email.clone(),
        organization: users.organization(organization_id).await?.data.name,
        inviter: users.inviter(invitation).await?,
        message: invitation.message.clone(),
        accept_url: accept_url(&users.runtime.settings, &token),
        expires_at: invitation.expires_at,
    }))
}

/// Notes that the mail has left, unless the invitation was closed or sent again meanwhile.
async fn note_sent(
    users: &Users,
    run: &Invocation,
    partition: &Partition,
    mut invitation: Record<Invitation>,
) -> Result<(), Failure> {
    let token_id = invitation.data.token_id.clone();
    let mut tries = 0;
    loop {
        let after = Invitation { sealed_token: None, delivery: Delivery::Sent, ..invitation.data.clone() };
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        unit.replace(&invitation, after)?;
        match run.commit(unit).await {
            Err(Failure::Stale) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
        match users.invitations.find(partition, &invitation.meta.id).await? {
            Some(now) if now.data.token_id == token_id && now.data.sealed_token.is_some() => invitation = now,
            _ => return Ok(()),
        }
    }
}

impl Users {
    /// The name of the person who invites, if it was a person who is still there.
    pub(crate) async fn inviter(&self, invitation: &Invitation) -> Result<Option<String>, Failure> {
        let Some(user_id) = invitation.invited_by else { return Ok(None) };
        let person = self.people.find(&Partition::user(user_id), &user_id.to_string()).await?;
        Ok(person.map(|person| person.data.display_name))
    }
}
