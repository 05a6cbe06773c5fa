//! Setting a password: changed by its owner, or set anew with a link.

use coder_core::{Failure, Fault, Problem, UserId, text};
use coder_database::Record;
use coder_handler::{Cause, retry_stale};
use coder_middleware::{Access as _, Anyone, InSession, NoContent, RequestContext};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::links::{busy_if_stale, link_expired};
use super::sessions::ENDED_AT_ONCE;
use super::tokens::session_ended;
use super::{Auth, person_actor};
use crate::email::EmailAddress;
use crate::model::{CONTAINER, Identity, IdentityStatus, Purpose, RevokedReason, Session};
use crate::password::{self, PasswordOwner};

impl Auth {
    /// Every rule that a new password of a person breaks.
    async fn new_password_faults(
        &self,
        user_id: UserId,
        identity: &Identity,
        new: &SecretString,
        pointer: &str,
    ) -> Result<Vec<Fault>, Failure> {
        // The strictest of the person's organizations decides; without the users group only the one that manages
        // the account is known.
        let person = self.person(user_id).await.ok().flatten();
        let memberships = person.as_ref().map(|person| person.memberships.as_slice()).unwrap_or_default();
        let organizations = memberships.iter().map(|one| one.organization_id);
        let mut min_length = 0;
        for organization_id in organizations.map(Some).chain([identity.managed_by_organization_id]) {
            min_length = min_length.max(self.policy(organization_id).await?.password_min_length);
        }
        let display_name = person.as_ref().and_then(|person| person.display_name.as_deref());
        let owner = PasswordOwner { email: &identity.email, display_name };
        let mut faults = password::check(new.expose_secret(), min_length, owner, pointer);
        if faults.is_empty() && self.hasher.is_any_of(new, &identity.password_history).await? {
            faults.push(password::reused(pointer));
        }
        Ok(faults)
    }

    /// Changes the caller's password and ends their other sessions.
    pub(crate) async fn change_password(
        &self,
        who: &InSession,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<NoContent, Failure> {
        let context = who.context();
        let before = self.identity(who.user_id).await?.ok_or_else(session_ended)?;
        self.check_own_password(context, who.user_id, &before.data, current).await?;
        let faults = self.new_password_faults(who.user_id, &before.data, new, "/newPassword").await?;
        if !faults.is_empty() {
            return Err(Problem::invalid(faults).into());
        }
        let hash = self.hasher.hash(new).await?;
        let mut identity = before.data.clone();
        identity.set_password(hash, self.runtime.ambient.now());
        let live = self.live_sessions(who.user_id).await?;
        let own = Session::document_id(who.session_id);
        let others: Vec<_> = live.iter().filter(|one| one.meta.id != own).take(ENDED_AT_ONCE).collect();
        let mut unit = who.begin(CONTAINER, Identity::partition(who.user_id)).await?;
        unit.replace(&before, identity)?;
        unit.emit("password.changed", &who.user_id.to_string(), json!({"userId": who.user_id, "by": "self"}));
        let revoked = self.end_sessions(&mut unit, &others, RevokedReason::PasswordChanged)?;
        self.reset_failures(context, &before.data.email).await?;
        let answer = unit.commit(NoContent).await?;
        self.announce(context, &revoked).await;
        Ok(answer)
    }

    /// Mails a link to set a new password. The same work is done for an address that nobody has.
    pub(crate) async fn forgot_password(&self, who: &Anyone, email: &EmailAddress) -> Result<(), Failure> {
        let context = who.context();
        let mail = self.admit_link(context, email).await?;
        // The answer takes as long as one that really looks at a password.
        self.hasher.verify(&SecretString::from("no password"), None).await?;
        let found = self.find_by_email(Cause::Request(context), email).await?;
        let active = found.filter(|(_, identity)| identity.data.status == IdentityStatus::Active);
        self.send_reset_link(Cause::Request(context), email, active.as_ref(), mail).await
    }

    /// Stores a token that sets a new password and has its link mailed.
    pub(crate) async fn send_reset_link(
        &self,
        cause: Cause<'_>,
        email: &EmailAddress,
        person: Option<&(UserId, Record<Identity>)>,
        mail: bool,
    ) -> Result<(), Failure> {
        let data = person.map_or(Value::Null, |(_, identity)| state_of(&identity.data));
        let user_id = person.map(|(user_id, _)| *user_id);
        self.send_link(cause, Purpose::PasswordReset, email, user_id, data, mail).await?;
        if let Some((user_id, identity)) = person {
            let mut unit = cause.begin(CONTAINER, Identity::partition(*user_id)).without_audit();
            let (subject, data) = (user_id.to_string(), json!({"userId": user_id}));
            let organization_id = identity.data.managed_by_organization_id;
            super::sessions::emit(&mut unit, organization_id, "password.reset-requested", &subject, data);
            cause.commit(unit).await?;
        }
        Ok(())
    }

    /// Sets a new password with a link, and ends every session of the person.
    pub(crate) async fn reset_password(
        &self,
        who: &Anyone,
        token: &str,
        new: &SecretString,
    ) -> Result<NoContent, Failure> {
        let context = who.context();
        let cause = Cause::Request(context);
        let (link, user_id) = self.open_link(token, Purpose::PasswordReset).await?;
        let before = self.identity(user_id).await?.ok_or_else(link_expired)?;
        // A link outlives neither another new password nor another address.
        if link.data.data != state_of(&before.data) || before.data.status != IdentityStatus::Active {
            return Err(link_expired());
        }
        let faults = self.new_password_faults(user_id, &before.data, new, "/newPassword").await?;
        if !faults.is_empty() {
            return Err(Problem::invalid(faults).into());
        }
        let hash = self.hasher.hash(new).await?;
        self.consume(cause, &link).await?;
        self.set_password_anew(context, user_id, &before.data.email, hash).await?;
        self.reset_failures(context, &before.data.email).await?;
        self.end_all_sessions(cause, user_id, RevokedReason::PasswordReset, |_| true).await?;
        Ok(NoContent)
    }

    /// Writes a new password; the link is used up already, so a change in between is waited out here.
    async fn set_password_anew(
        &self,
        context: &RequestContext,
        user_id: UserId,
        email: &EmailAddress,
        hash: String,
    ) -> Result<(), Failure> {
        let (cause, now) = (Cause::Request(context), self.runtime.ambient.now());
        let revoked = retry_stale(|| async {
            let before = self.identity(user_id).await?.filter(|identity| identity.data.email == *email);
            let before = before.ok_or_else(link_expired)?;
            let mut identity = before.data.clone();
            identity.set_password(hash.clone(), now);
            // Whoever has the link reads mail there.
            identity.email_verified_at = identity.email_verified_at.or(Some(now));
            let live = self.live_sessions(user_id).await?;
            let ended: Vec<_> = live.iter().take(ENDED_AT_ONCE).collect();
            let mut unit = cause.begin(CONTAINER, Identity::partition(user_id));
            unit.act_as(person_actor(context, user_id));
            unit.replace(&before, identity)?;
            unit.emit("password.reset", &user_id.to_string(), json!({"userId": user_id}));
            let revoked = self.end_sessions(&mut unit, &ended, RevokedReason::PasswordReset)?;
            cause.commit(unit).await.map(|()| revoked)
        });
        self.announce(context, &revoked.await.map_err(busy_if_stale)?).await;
        Ok(())
    }
}

/// What must still be true of a person when a link is used.
fn state_of(identity: &Identity) -> Value {
    let password = identity.password_hash.as_deref().map(|hash| text::sha256_hex(&[hash]));
    json!({"email": identity.email, "password": password})
}
