//! Confirming the address of an account, and changing it.

use coder_core::{Code, Failure, Problem, UserId};
use coder_handler::{Cause, retry_stale};
use coder_middleware::{Access as _, Anyone, InSession, NoContent, RequestContext};
use secrecy::SecretString;
use serde_json::json;

use super::links::{busy_if_stale, link_expired};
use super::mail::MailKind;
use super::tokens::session_ended;
use super::{Auth, person_actor};
use crate::email::EmailAddress;
use crate::model::{Alias, CONTAINER, EmailClaim, Identity, IdentityStatus, Purpose};

impl Auth {
    /// Mails a link that confirms an address. Without a person the same is written but for the mail.
    pub(crate) async fn send_verification(
        &self,
        context: &RequestContext,
        email: &EmailAddress,
        user_id: Option<UserId>,
        mail: bool,
    ) -> Result<(), Failure> {
        let data = json!({"email": email});
        self.send_link(Cause::Request(context), Purpose::EmailVerification, email, user_id, data, mail).await
    }

    /// Sends the link again, if there is an address to be confirmed. The same work is done if not.
    pub(crate) async fn resend_verification(
        &self,
        who: &Anyone,
        email: &EmailAddress,
    ) -> Result<(), Failure> {
        let context = who.context();
        let mail = self.admit_link(context, email).await?;
        self.hasher.verify(&SecretString::from("no password"), None).await?;
        let found = self.find_by_email(Cause::Request(context), email).await?;
        let due = found.filter(|(_, identity)| {
            identity.data.status == IdentityStatus::Active && identity.data.email_verified_at.is_none()
        });
        self.send_verification(context, email, due.map(|(user_id, _)| user_id), mail).await
    }

    /// Confirms an address with the link that was mailed there.
    pub(crate) async fn verify_email(&self, who: &Anyone, token: &str) -> Result<NoContent, Failure> {
        let context = who.context();
        let (link, user_id) = self.open_link(token, Purpose::EmailVerification).await?;
        let before = self.identity(user_id).await?.ok_or_else(link_expired)?;
        if link.data.data["email"] != json!(before.data.email) {
            return Err(link_expired());
        }
        if before.data.email_verified_at.is_none() {
            let cause = Cause::Request(context);
            let mut identity = before.data.clone();
            identity.email_verified_at = Some(self.runtime.ambient.now());
            let mut unit = cause.begin(CONTAINER, Identity::partition(user_id));
            unit.act_as(person_actor(context, user_id));
            unit.replace(&before, identity)?;
            unit.emit("identity.email-verified", &user_id.to_string(), json!({"userId": user_id}));
            cause.commit(unit).await?;
        }
        self.consume(Cause::Request(context), &link).await?;
        Ok(NoContent)
    }

    /// Mails a link to a new address and a warning to the old one. Nothing changes before the link is opened.
    pub(crate) async fn request_email_change(
        &self,
        who: &InSession,
        new: &EmailAddress,
    ) -> Result<(), Failure> {
        let (context, user_id) = (who.context(), who.user_id);
        let identity = self.identity(user_id).await?.ok_or_else(session_ended)?;
        let old = &identity.data.email;
        if new == old {
            return Err(Problem::fault("/newEmail", "unchanged", "This is your address already.").into());
        }
        let cause = Cause::Request(context);
        let mail = self.admit_link(context, new).await?;
        // Whether somebody has the address shows only to who reads mail there.
        let taken = self.find_by_email(cause, new).await?.is_some();
        let data = json!({"email": new, "from": old});
        self.send_link(cause, Purpose::EmailChange, new, (!taken).then_some(user_id), data, mail).await?;
        if self.admit_mail(context, old).await? {
            let mut unit = cause.begin(CONTAINER, Identity::partition(user_id));
            let kind = MailKind::EmailChangeRequested;
            self.postbox.post(&mut unit, &self.runtime, old, kind, &self.page("forgot-password"))?;
            cause.commit(unit).await?;
        }
        Ok(())
    }

    /// Moves an account to the address that a link was mailed to. The new address is claimed before the link is
    /// used up, and the old one is given back last, so that the account never loses both.
    pub(crate) async fn confirm_email_change(&self, who: &Anyone, token: &str) -> Result<NoContent, Failure> {
        let context = who.context();
        let cause = Cause::Request(context);
        let (link, user_id) = self.open_link(token, Purpose::EmailChange).await?;
        let before = self.identity(user_id).await?.ok_or_else(link_expired)?;
        if link.data.data["from"] != json!(before.data.email) {
            return Err(link_expired());
        }
        let new = link.data.data["email"].as_str().and_then(|email| EmailAddress::parse(email).ok());
        let new = new.ok_or_else(link_expired)?;
        if !self.claim_email(cause, &new, user_id).await? {
            return Err(
                Problem::new(Code::AlreadyExists, "There is an account with this address by now.").into()
            );
        }
        self.consume(cause, &link).await?;
        let mut claim = cause.begin(CONTAINER, EmailClaim::partition(&new)).without_audit();
        self.activate_claim(&mut claim, &new).await?;
        cause.commit(claim).await?;
        let old = before.data.email.clone();
        self.move_identity(context, user_id, &new).await?;
        self.release_claim(cause, &old, user_id).await?;
        Ok(NoContent)
    }

    /// Writes the new address; the link is used up already, so a change in between is waited out here.
    async fn move_identity(
        &self,
        context: &RequestContext,
        user_id: UserId,
        new: &EmailAddress,
    ) -> Result<(), Failure> {
        let cause = Cause::Request(context);
        let moved = retry_stale(|| async {
            let before = self.identity(user_id).await?.ok_or_else(link_expired)?;
            let mut identity = before.data.clone();
            identity.email = new.clone();
            identity.email_verified_at = Some(self.runtime.ambient.now());
            // Whoever managed the old address did so by its domain.
            identity.managed_by_organization_id = self.organization_of(Alias::Domain(new.domain())).await?;
            let mut unit = cause.begin(CONTAINER, Identity::partition(user_id));
            unit.act_as(person_actor(context, user_id));
            unit.replace(&before, identity)?;
            unit.emit("identity.email-changed", &user_id.to_string(), json!({"userId": user_id}));
            cause.commit(unit).await
        });
        moved.await.map_err(busy_if_stale)
    }
}
