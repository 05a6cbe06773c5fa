//! Making the tokens of a session.

use coder_core::{Code, Failure, Problem, SessionId};
use secrecy::{ExposeSecret as _, SecretString};

use super::Auth;
use super::answer::Tokens;
use crate::model::{AuthPolicy, Identity, Mfa, Session};
use crate::token::{Grant, LIFETIME_SECONDS};

impl Auth {
    /// The access token of a session as it is now; the refresh token is added by those who hand it out. Waits
    /// for the signing key on the very first start.
    pub(crate) async fn tokens(
        &self,
        session_id: SessionId,
        session: &Session,
        enrolment_only: bool,
    ) -> Result<Tokens, Failure> {
        let signer = self.keys.signer().await?;
        let grant = Grant {
            user_id: session.user_id,
            organization_id: session.current_organization_id,
            session_id,
            roles: session.roles.clone(),
            amr: session.amr.clone(),
            auth_time: session.auth_time,
            enrolment_only,
        };
        let issued = self.issuer.issue(&signer, grant)?;
        Ok(Tokens {
            access_token: issued.token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in_seconds: LIFETIME_SECONDS,
            refresh_token: None,
            session_id,
            user_id: session.user_id,
            organization_id: session.current_organization_id,
            mfa_enrolment_required: enrolment_only,
        })
    }

    /// The refresh token of a session's present generation.
    pub(crate) fn refresh_token(&self, session_id: SessionId, session: &Session) -> SecretString {
        self.refresh_tokens.issue(session.user_id, session_id, session.generation, &session.salt)
    }
}

/// Whether the person must set up a second factor before anything else.
pub(crate) fn must_enrol(identity: &Identity, policy: &AuthPolicy) -> bool {
    policy.mfa_required && identity.mfa == Mfa::None
}

/// `401` for whatever does not go together; the same words for every cause.
pub(crate) fn invalid_credentials() -> Failure {
    let detail = "These credentials do not go together. Check them, or have a new password set.";
    Problem::new(Code::InvalidCredentials, detail).into()
}

/// `401` for a session that is over.
pub(crate) fn session_ended() -> Failure {
    Problem::new(Code::Unauthenticated, "The session has ended; sign in again.").into()
}
