//! Making accounts.

use coder_config::{EmailVerification, Registration};
use coder_core::{Code, Failure, Problem, UserId};
use coder_handler::Cause;
use coder_middleware::{Access as _, Anyone, RequestContext};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::answer::{Client, RegisterAnswer, TokenAnswer};
use super::mail::MailKind;
use super::people::{NewPerson, Provisioned};
use super::sessions::{NewSession, emit};
use super::{Auth, person_actor};
use crate::email::EmailAddress;
use crate::model::{Alias, AuthPolicy, CONTAINER, EmailClaim, Identity};
use crate::password::{self, PasswordOwner};

/// Somebody who wants an account.
#[derive(Debug)]
pub(crate) struct Applicant {
    pub(crate) email: EmailAddress,
    pub(crate) password: SecretString,
    pub(crate) display_name: String,
    pub(crate) organization_name: Option<String>,
    pub(crate) invitation_token: Option<SecretString>,
    pub(crate) client: Client,
}

impl Auth {
    /// Registers a person. The address is claimed first; what fails later leaves a claim that lapses by itself.
    pub(crate) async fn register(
        &self,
        who: &Anyone,
        applicant: &Applicant,
    ) -> Result<RegisterAnswer, Failure> {
        let (context, email) = (who.context(), &applicant.email);
        let invited = applicant.invitation_token.is_some();
        match self.runtime.settings.registration {
            Registration::Closed => return Err(closed("Nobody can register here at present.")),
            Registration::Invite if !invited => {
                return Err(closed("An invitation is needed to register here."));
            }
            _ => {}
        }
        check_password(applicant)?;
        let hash = self.hasher.hash(&applicant.password).await?;
        // The act is the identity's beginning; this keeps the answer and the claim.
        let mut unit = who.begin(CONTAINER, EmailClaim::partition(email)).await?.without_audit();
        let user_id = self.runtime.ambient.new_id();
        if !self.claim_email(Cause::Request(context), email, user_id).await? {
            if self.runtime.settings.email_verification == EmailVerification::Optional {
                let detail = "There is an account with this address; sign in.";
                return Err(Problem::new(Code::AlreadyExists, detail).into());
            }
            if self.admit_mail(context, email).await? {
                let kind = MailKind::AlreadyRegistered;
                self.postbox.post(&mut unit, &self.runtime, email, kind, &self.page("login"))?;
            }
            return unit.commit(RegisterAnswer::LinkSent).await;
        }
        // Holding the invitation's token proves the address: it was mailed there.
        let answer = self.make_account(context, applicant, user_id, hash, invited).await?;
        if !invited && self.admit_mail(context, email).await? {
            self.send_verification(context, email, Some(user_id), true).await?;
        }
        self.activate_claim(&mut unit, email).await?;
        unit.commit(answer).await
    }

    /// Makes the person, the identity and, where nothing has to be confirmed first, a session. The address is
    /// claimed already.
    pub(crate) async fn make_account(
        &self,
        context: &RequestContext,
        applicant: &Applicant,
        user_id: UserId,
        hash: String,
        verified: bool,
    ) -> Result<RegisterAnswer, Failure> {
        let cause = Cause::Request(context);
        let email = &applicant.email;
        let person = NewPerson {
            user_id,
            email,
            display_name: &applicant.display_name,
            organization_name: applicant.organization_name.as_deref(),
            invitation_token: applicant.invitation_token.as_ref().map(ExposeSecret::expose_secret),
            membership: None,
            email_verified: verified,
        };
        let provisioned = self.provision_or_release(cause, &person).await?;
        let now = self.runtime.ambient.now();
        let mut identity = Identity::new(email.clone());
        identity.email_verified_at = verified.then_some(now);
        identity.managed_by_organization_id = self.organization_of(Alias::Domain(email.domain())).await?;
        identity.set_password(hash, now);
        let mut unit = cause.begin(CONTAINER, Identity::partition(user_id));
        unit.act_as(person_actor(context, user_id));
        let identity = unit.create(user_id, identity)?;
        let Provisioned { organization_id, memberships } = provisioned;
        let invited = applicant.invitation_token.is_some();
        let data = json!({
            "userId": user_id, "email": email, "method": "password",
            "organizationId": organization_id, "invited": invited,
        });
        emit(&mut unit, organization_id, "identity.registered", &user_id.to_string(), data);
        let required = self.runtime.settings.email_verification == EmailVerification::Required;
        if required && !verified {
            cause.commit(unit).await?;
            return Ok(RegisterAnswer::LinkSent);
        }
        let new = NewSession {
            user_id,
            identity: &identity,
            memberships: &memberships,
            method: "password",
            amr: vec!["pwd".to_owned()],
            client: &applicant.client,
        };
        let (answer, _) = self.open_session(context, &mut unit, new).await?;
        cause.commit(unit).await?;
        Ok(RegisterAnswer::Tokens(TokenAnswer { status: 201, ..answer }))
    }

    /// Makes the person to whom an address is claimed. A refusal is final, so the address is free again at once;
    /// else the claim lapses by itself.
    pub(crate) async fn provision_or_release(
        &self,
        cause: Cause<'_>,
        person: &NewPerson<'_>,
    ) -> Result<Provisioned, Failure> {
        let outcome = self.provision(person).await;
        if let Err(failure) = &outcome
            && failure.code().is_some_and(|code| code.status() < 500)
        {
            self.release_claim(cause, person.email, person.user_id).await?;
        }
        outcome
    }
}

/// Refuses a password that breaks a rule, naming every rule.
pub(crate) fn check_password(applicant: &Applicant) -> Result<(), Failure> {
    let owner = PasswordOwner { email: &applicant.email, display_name: Some(&applicant.display_name) };
    let min_length = AuthPolicy::default().password_min_length;
    let faults = password::check(applicant.password.expose_secret(), min_length, owner, "/password");
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults).into()) }
}

fn closed(detail: &str) -> Failure {
    Problem::new(Code::RegistrationClosed, detail).into()
}
