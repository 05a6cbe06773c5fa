//! Signing in: the first factor, and what a sign-in leaves behind when all factors were shown.

use coder_config::EmailVerification;
use coder_core::{Code, Failure, Problem, UserId};
use coder_database::Record;
use coder_handler::Cause;
use coder_middleware::{Access, Anyone, RequestContext};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::answer::{Client, LoginAnswer, MfaDue, TokenAnswer};
use super::links::put_token;
use super::second_factor::FactorUse;
use super::sessions::NewSession;
use super::tokens::invalid_credentials;
use super::{Auth, person_actor};
use crate::email::EmailAddress;
use crate::model::{CONTAINER, Identity, IdentityStatus, Mfa, OneTimeToken, Purpose};
use crate::one_time_token::NewToken;
use crate::password::Verdict;

/// A person who has shown who they are.
#[derive(Debug)]
pub(crate) struct SignIn<'a> {
    pub(crate) user_id: UserId,
    pub(crate) identity: &'a Record<Identity>,
    /// `password`, or the kind of the external provider.
    pub(crate) method: &'static str,
    /// Authentication methods (RFC 8176) so far.
    pub(crate) amr: Vec<String>,
    pub(crate) client: &'a Client,
    /// The second factor that was used up.
    pub(crate) factor: Option<FactorUse>,
    /// The hash of the password with today's parameters.
    pub(crate) renewed_hash: Option<String>,
}

impl Auth {
    /// Signs in by password. An unknown address costs the same work and gets the same answer.
    pub(crate) async fn log_in(
        &self,
        who: &Anyone,
        email: &EmailAddress,
        password: &SecretString,
        client: &Client,
    ) -> Result<LoginAnswer, Failure> {
        let context = who.context();
        self.admit_try(email).await?;
        let found = self.find_by_email(Cause::Request(context), email).await?;
        let active = found.as_ref().filter(|(_, identity)| identity.data.status == IdentityStatus::Active);
        let hash = active.and_then(|(_, identity)| identity.data.password_hash.as_deref());
        let verdict = self.hasher.verify(password, hash).await?;
        // Others may have guessed while this was computed; more tries at once must not be worth more.
        let admitted = self.admit_try(email).await;
        let (user_id, identity) = match found {
            Some(found) if verdict.is_right() => found,
            found => {
                let user_id = found.map(|(user_id, _)| user_id);
                self.count_failure(context, email, user_id, "wrong_password").await?;
                return Err(admitted.err().unwrap_or_else(invalid_credentials));
            }
        };
        admitted?;
        if self.runtime.settings.email_verification == EmailVerification::Required
            && identity.data.email_verified_at.is_none()
        {
            let detail = "Open the link in the mail that was sent to you; `POST /api/auth/verify-email/resend` sends another.";
            return Err(Problem::new(Code::EmailUnverified, detail).into());
        }
        let renewed_hash = match verdict {
            Verdict::Right { needs_rehash: true } => Some(self.hasher.hash(password).await?),
            _ => None,
        };
        let (method, amr) = ("password", vec!["pwd".to_owned()]);
        let sign_in =
            SignIn { user_id, identity: &identity, method, amr, client, factor: None, renewed_hash };
        self.pass_first_factor(who, sign_in).await
    }

    /// Goes on after the first factor, of whatever kind: tokens, or the second step where one is due.
    pub(crate) async fn pass_first_factor(
        &self,
        who: &impl Access,
        sign_in: SignIn<'_>,
    ) -> Result<LoginAnswer, Failure> {
        if sign_in.identity.data.mfa == Mfa::None {
            return self.sign_in(who, sign_in).await.map(LoginAnswer::Tokens);
        }
        let data = json!({"method": sign_in.method, "amr": sign_in.amr, "client": sign_in.client});
        let ambient = &self.runtime.ambient;
        let token = NewToken::generate(ambient, Purpose::MfaLogin, Some(sign_in.user_id), data);
        let cause = Cause::Request(who.context());
        let mut unit = cause.begin(CONTAINER, OneTimeToken::partition(&token.id)).without_audit();
        put_token(&mut unit, &token)?;
        cause.commit(unit).await?;
        Ok(LoginAnswer::MfaDue(MfaDue::new(token.token.expose_secret().to_owned())))
    }

    /// Signs a person in who has shown every factor that is due.
    pub(crate) async fn sign_in(
        &self,
        who: &impl Access,
        sign_in: SignIn<'_>,
    ) -> Result<TokenAnswer, Failure> {
        let context = who.context();
        let SignIn { user_id, identity, method, amr, client, factor, renewed_hash } = sign_in;
        if identity.data.status != IdentityStatus::Active {
            return Err(invalid_credentials());
        }
        let person = self.person(user_id).await?.ok_or_else(invalid_credentials)?;
        let mut unit = who.begin(CONTAINER, Identity::partition(user_id)).await?;
        unit.act_as(person_actor(context, user_id));
        let memberships = &person.memberships;
        let new = NewSession { user_id, identity, memberships, method, amr, client };
        let (answer, revoked) = self.open_session(context, &mut unit, new).await?;
        if let Some(hash) = renewed_hash {
            let mut renewed = identity.data.clone();
            renewed.renew_password_hash(hash);
            unit.replace(identity, renewed)?;
        }
        if let Some(factor) = factor {
            factor.write(&mut unit, user_id)?;
        }
        self.reset_failures(context, &identity.data.email).await?;
        let answer = unit.commit(answer).await?;
        self.announce(context, &revoked).await;
        self.end_surplus(context, user_id).await;
        Ok(answer)
    }

    /// Checks the password of a person who is signed in, as slowly as at login.
    pub(crate) async fn check_own_password(
        &self,
        context: &RequestContext,
        user_id: UserId,
        identity: &Identity,
        password: &SecretString,
    ) -> Result<(), Failure> {
        self.admit_try(&identity.email).await?;
        let verdict = self.hasher.verify(password, identity.password_hash.as_deref()).await?;
        let admitted = self.admit_try(&identity.email).await;
        if verdict.is_right() {
            return admitted;
        }
        self.count_failure(context, &identity.email, Some(user_id), "wrong_password").await?;
        Err(admitted.err().unwrap_or_else(invalid_credentials))
    }
}
