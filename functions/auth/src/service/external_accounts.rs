//! To which account an external login leads: linked, found, or made.

use coder_config::Registration;
use coder_core::{Code, Failure, OrganizationId, Problem, UserId, text};
use coder_database::Record;
use coder_handler::Cause;
use coder_middleware::RequestContext;
use serde_json::json;

use super::people::NewPerson;
use super::providers::LoginProvider;
use super::sessions::emit;
use super::{Auth, person_actor};
use crate::email::EmailAddress;
use crate::model::{Alias, CONTAINER, EmailClaim, ExternalLogin, Identity};
use crate::oidc::ExternalIdentity;
use crate::oidc::account::{may_link_by_email, role};

impl Auth {
    /// The person whom an external account belongs to. Both halves must be there: a person's own half is what
    /// they take away when they unlink it.
    async fn linked_user(&self, identity: &ExternalIdentity) -> Result<Option<UserId>, Failure> {
        let key = ExternalLogin::key(&identity.issuer, &identity.subject);
        let partition = ExternalLogin::partition(&identity.issuer, &identity.subject);
        let Some(found) = self.logins.find(&partition, &key).await? else { return Ok(None) };
        let user_id = found.data.user_id;
        let own = self.logins.find(&ExternalLogin::mirror_partition(user_id), &key).await?;
        Ok(own.map(|_| user_id))
    }

    /// Links an external account to a person: the account's half first, which makes it theirs alone.
    pub(crate) async fn link(
        &self,
        context: &RequestContext,
        provider: &LoginProvider,
        identity: &ExternalIdentity,
        user_id: UserId,
    ) -> Result<(), Failure> {
        let cause = Cause::Request(context);
        let (issuer, subject) = (identity.issuer.clone(), identity.subject.clone());
        let key = ExternalLogin::key(&issuer, &subject);
        let partition = ExternalLogin::partition(&issuer, &subject);
        let linked_at = self.runtime.ambient.now();
        let login =
            ExternalLogin { user_id, provider_id: provider.id.to_string(), issuer, subject, linked_at };
        if let Some(found) = self.logins.find(&partition, &key).await? {
            if found.data.user_id != user_id {
                if self.linked_user(identity).await?.is_some() {
                    let detail = "This login is linked to another account.";
                    return Err(Problem::new(Code::AlreadyExists, detail).into());
                }
                // Left over from somebody who has unlinked it.
                let mut unit = cause.begin(CONTAINER, partition).without_audit();
                unit.replace(&found, login.clone())?;
                cause.commit(unit).await?;
            }
        } else {
            let mut unit = cause.begin(CONTAINER, partition).without_audit();
            unit.create(&key, login.clone())?;
            cause.commit(unit).await.map_err(super::stale_if_taken)?;
        }
        let own = ExternalLogin::mirror_partition(user_id);
        if self.logins.find(&own, &key).await?.is_none() {
            let mut unit = cause.begin(CONTAINER, own);
            unit.act_as(person_actor(context, user_id));
            let data = json!({"userId": user_id, "providerId": provider.id});
            unit.create(&key, login)?;
            emit(&mut unit, provider.owner, "external-login.linked", &user_id.to_string(), data);
            cause.commit(unit).await?;
        }
        Ok(())
    }

    /// Every external account of a person.
    pub(crate) async fn external_logins(
        &self,
        user_id: UserId,
    ) -> Result<Vec<Record<ExternalLogin>>, Failure> {
        self.logins.all(&ExternalLogin::mirror_partition(user_id), None, 1000).await
    }

    /// Forgets the account's half of a link that the person has taken back.
    pub(crate) async fn drop_external_account(
        &self,
        cause: Cause<'_>,
        login: &ExternalLogin,
    ) -> Result<(), Failure> {
        let partition = ExternalLogin::partition(&login.issuer, &login.subject);
        let key = ExternalLogin::key(&login.issuer, &login.subject);
        let found = self.logins.find(&partition, &key).await?;
        let Some(found) = found.filter(|found| found.data.user_id == login.user_id) else { return Ok(()) };
        let mut unit = cause.begin(CONTAINER, partition).without_audit();
        unit.delete(&found)?;
        cause.commit(unit).await
    }

    /// The person behind an external identity: the one that it is linked to, the one who has its address where
    /// the provider speaks for the address's domain, or a new one where the provider's settings say so.
    pub(crate) async fn external_account(
        &self,
        context: &RequestContext,
        provider: &LoginProvider,
        identity: &ExternalIdentity,
    ) -> Result<UserId, Failure> {
        if let Some(user_id) = self.linked_user(identity).await? {
            return Ok(user_id);
        }
        let email = identity.email.as_ref().ok_or_else(refused)?;
        let domain = email.domain().to_owned();
        let owner = self.organization_of(Alias::Domain(&domain)).await?;
        let spoken_for = owner.is_some() && owner == provider.owner;
        let user_id = match self.find_by_email(Cause::Request(context), email).await? {
            Some((user_id, found)) => {
                let domains = if spoken_for { vec![domain] } else { Vec::new() };
                // Whoever registered with the address without reading mail there must not get its owner's login.
                if found.data.email_verified_at.is_none() || !may_link_by_email(identity, &domains) {
                    return Err(refused());
                }
                user_id
            }
            None => {
                let closed = self.runtime.settings.registration == Registration::Closed;
                let vouched = identity.email_verified || !provider.settings.allowed_tenant_ids.is_empty();
                if closed || !provider.settings.auto_provision || !vouched {
                    return Err(refused());
                }
                // An organization's provider can claim any address; only its own domains are taken as confirmed.
                let confirmed = identity.email_verified && (spoken_for || provider.owner.is_none());
                self.make_external_account(context, provider, identity, email, confirmed, owner).await?
            }
        };
        self.link(context, provider, identity, user_id).await?;
        Ok(user_id)
    }

    /// Makes an account without a password, in the provider's organization where it has one. An address that is
    /// not confirmed yet gets a link.
    async fn make_external_account(
        &self,
        context: &RequestContext,
        provider: &LoginProvider,
        identity: &ExternalIdentity,
        email: &EmailAddress,
        confirmed: bool,
        managed_by: Option<OrganizationId>,
    ) -> Result<UserId, Failure> {
        let cause = Cause::Request(context);
        let user_id: UserId = self.runtime.ambient.new_id();
        if !self.claim_email(cause, email, user_id).await? {
            return Err(refused());
        }
        let display_name = display_name(identity, email);
        let person = NewPerson {
            user_id,
            email,
            display_name: &display_name,
            organization_name: None,
            invitation_token: None,
            membership: provider.owner.map(|owner| (owner, role(&provider.settings, identity))),
            email_verified: confirmed,
        };
        let organization_id = self.provision_or_release(cause, &person).await?.organization_id;
        let mut new = Identity::new(email.clone());
        new.email_verified_at = confirmed.then(|| self.runtime.ambient.now());
        new.managed_by_organization_id = managed_by;
        let mut unit = cause.begin(CONTAINER, Identity::partition(user_id));
        unit.act_as(person_actor(context, user_id));
        unit.create(user_id, new)?;
        let data = json!({
            "userId": user_id, "email": email, "method": "external",
            "organizationId": organization_id, "invited": false,
        });
        emit(&mut unit, organization_id, "identity.registered", &user_id.to_string(), data);
        cause.commit(unit).await?;
        let mut claim = cause.begin(CONTAINER, EmailClaim::partition(email)).without_audit();
        self.activate_claim(&mut claim, email).await?;
        cause.commit(claim).await?;
        if !confirmed && self.admit_mail(context, email).await? {
            self.send_verification(context, email, Some(user_id), true).await?;
        }
        Ok(user_id)
    }
}

/// What the provider calls the person, as far as the platform takes such names.
fn display_name(identity: &ExternalIdentity, email: &EmailAddress) -> String {
    let named = identity.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let usable = named.filter(|name| !text::has_refused_characters(name, false));
    usable.unwrap_or(email.local_part()).chars().take(120).collect()
}

/// Nobody is signed in; the same words whether or not anybody has the address.
pub(crate) fn refused() -> Failure {
    let detail =
        "This login belongs to no account here. Sign in in another way and link it, or ask to be invited.";
    Problem::new(Code::Forbidden, detail).into()
}
