//! A session going on: new tokens for an old one, another organization, a fresh proof.

use coder_core::{Code, Failure, OrganizationId, Problem, SessionId, UserId};
use coder_database::Record;
use coder_handler::Cause;
use coder_middleware::{Access, Anyone, InSession, RequestContext};
use secrecy::SecretString;
use serde_json::json;

use super::answer::{Delivery, TokenAnswer};
use super::people::Person;
use super::second_factor::{FactorUse, Proof};
use super::sessions::emit;
use super::tokens::{must_enrol, session_ended};
use super::{Auth, person_actor};
use crate::model::{AuthPolicy, CONTAINER, IdentityStatus, RevokedReason, Session};
use crate::refresh::PresentedRefreshToken;
use crate::session::Rotation;
use crate::token::LIFETIME_SECONDS;

/// Seconds that roles are believed while the users group is away: the life of the token that carries them, and
/// as long again.
const ROLES_SECONDS: i64 = 2 * LIFETIME_SECONDS;

/// What a person shows to prove that they are still there.
#[derive(Debug)]
pub(crate) enum FreshProof {
    /// Their password.
    Password(SecretString),
    /// A code or recovery code.
    Factor(Proof),
}

impl Auth {
    /// New tokens for a refresh token.
    pub(crate) async fn refresh(
        &self,
        who: &Anyone,
        token: &str,
        delivery: Delivery,
    ) -> Result<TokenAnswer, Failure> {
        let context = who.context();
        let presented = PresentedRefreshToken::parse(token).ok_or_else(session_ended)?;
        let (user_id, session_id) = (presented.user_id, presented.session_id);
        let partition = Session::partition(user_id);
        let found = self.sessions.find(&partition, &Session::document_id(session_id)).await?;
        let before = found.ok_or_else(session_ended)?;
        let proven = self.refresh_tokens.prove(&presented, &before.data.salt).ok_or_else(session_ended)?;
        let now = self.runtime.ambient.now();
        let generation = match before.data.rotation(proven, now) {
            Rotation::Advance(generation) | Rotation::Repeat(generation) => generation,
            Rotation::Reuse => return Err(self.end_reused(context, user_id, session_id, &before).await?),
            Rotation::Ended => return Err(session_ended()),
        };
        let identity = self.identity(user_id).await?.ok_or_else(session_ended)?;
        if identity.data.status != IdentityStatus::Active {
            return Err(session_ended());
        }
        let mut session = before.data.clone();
        let policy = self.renew_roles(context, &mut session).await?;
        let mut unit = who.begin(CONTAINER, partition).await?.without_audit();
        unit.act_as(person_actor(context, user_id));
        if generation != before.data.generation {
            session.advance(generation, now, &policy);
            let mut record = before.clone();
            record.data = session.clone();
            record.expires_at = Some(session.kept_until());
            unit.update(&before, record)?;
        }
        let tokens = self.tokens(session_id, &session, must_enrol(&identity.data, &policy)).await?;
        let refresh_token = Some(self.refresh_token(session_id, &session));
        unit.commit(TokenAnswer { status: 200, tokens, refresh_token, delivery }).await
    }

    /// Brings organization and roles up to date; without the users group they stay for a while as they are.
    async fn renew_roles(
        &self,
        context: &RequestContext,
        session: &mut Session,
    ) -> Result<AuthPolicy, Failure> {
        let now = self.runtime.ambient.now();
        match self.person(session.user_id).await {
            Ok(person) => {
                let Person { memberships, .. } = person.ok_or_else(session_ended)?;
                let current = session.current_organization_id;
                let workplace = self.workplace(context, &memberships, current, &session.amr).await?;
                session.current_organization_id = workplace.organization_id();
                session.roles = workplace.roles();
                session.roles_read_at = Some(now);
                Ok(workplace.policy)
            }
            Err(failure) => {
                let read_at = session.roles_read_at;
                let recent = read_at.is_some_and(|at| now.duration_since(at).as_secs() <= ROLES_SECONDS);
                if !recent {
                    return Err(failure);
                }
                tracing::warn!(cause = %failure, "a session goes on with the roles that it had");
                self.policy(session.current_organization_id).await
            }
        }
    }

    /// A used refresh token came again, so somebody has a copy: the session ends. Answers what the caller is told.
    async fn end_reused(
        &self,
        context: &RequestContext,
        user_id: UserId,
        session_id: SessionId,
        session: &Record<Session>,
    ) -> Result<Failure, Failure> {
        let cause = Cause::Request(context);
        let mut unit = cause.begin(CONTAINER, Session::partition(user_id));
        let revoked = self.end_sessions(&mut unit, &[session], RevokedReason::ReuseDetected)?;
        let ip_address = context.identity().client_address;
        let data = json!({"userId": user_id, "sessionId": session_id, "ipAddress": ip_address});
        let organization_id = session.data.current_organization_id;
        emit(&mut unit, organization_id, "session.reuse-detected", &session_id.to_string(), data);
        cause.commit(unit).await?;
        self.announce(context, &revoked).await;
        let detail = "This refresh token was used before, so the session was ended; sign in again.";
        Ok(Problem::new(Code::TokenReused, detail).into())
    }

    /// The same session in another organization.
    pub(crate) async fn switch_organization(
        &self,
        who: &InSession,
        organization_id: OrganizationId,
    ) -> Result<TokenAnswer, Failure> {
        let person = self.person(who.user_id).await?.ok_or_else(session_ended)?;
        let before = self.live_session(who.user_id, who.session_id).await?;
        let memberships = &person.memberships;
        let workplace =
            self.workplace_at(who.context(), memberships, organization_id, &before.data.amr).await?;
        let mut session = before.data.clone();
        session.current_organization_id = workplace.organization_id();
        session.roles = workplace.roles();
        session.roles_read_at = Some(self.runtime.ambient.now());
        self.change_session(who, &before, session, None, &workplace.policy).await
    }

    /// An access token with a fresh proof of who the person is.
    pub(crate) async fn reauthenticate(
        &self,
        who: &InSession,
        proof: &FreshProof,
    ) -> Result<TokenAnswer, Failure> {
        let context = who.context();
        let before = self.live_session(who.user_id, who.session_id).await?;
        let identity = self.identity(who.user_id).await?.ok_or_else(session_ended)?;
        let mut session = before.data.clone();
        let (method, factor) = match proof {
            FreshProof::Password(password) => {
                self.check_own_password(context, who.user_id, &identity.data, password).await?;
                ("pwd", None)
            }
            FreshProof::Factor(proof) => {
                self.admit_try(&identity.data.email).await?;
                ("otp", Some(self.check_factor(context, who.user_id, &identity.data, proof).await?))
            }
        };
        if !session.amr.iter().any(|one| one == method) {
            session.amr.push(method.to_owned());
        }
        session.auth_time = self.runtime.ambient.now();
        self.reset_failures(context, &identity.data.email).await?;
        let policy = self.policy(session.current_organization_id).await?;
        self.change_session(who, &before, session, factor, &policy).await
    }

    /// Writes a changed session and makes its access token; the refresh token stays as it is.
    async fn change_session(
        &self,
        who: &InSession,
        before: &Record<Session>,
        session: Session,
        factor: Option<FactorUse>,
        policy: &AuthPolicy,
    ) -> Result<TokenAnswer, Failure> {
        let identity = self.identity(who.user_id).await?.ok_or_else(session_ended)?;
        let mut unit = who.begin(CONTAINER, Session::partition(who.user_id)).await?;
        let (record, _) = unit.replace(before, session)?;
        if let Some(factor) = factor {
            factor.write(&mut unit, who.user_id)?;
        }
        let tokens = self.tokens(who.session_id, &record.data, must_enrol(&identity.data, policy)).await?;
        unit.commit(TokenAnswer { status: 200, tokens, refresh_token: None, delivery: Delivery::Body }).await
    }
}
