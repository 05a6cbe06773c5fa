//! The second factor: codes of an authenticator app and recovery codes.

use coder_core::{Failure, UserId};
use coder_database::{Record, Transaction};
use coder_handler::Cause;
use coder_middleware::{Access as _, Anyone, RequestContext};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::Auth;
use super::answer::{Client, Delivery, TokenAnswer, demand_origin};
use super::links::StoredToken;
use super::login::SignIn;
use super::tokens::invalid_credentials;
use crate::model::{CONTAINER, FactorState, Identity, OneTimeToken, Purpose, TotpFactor};
use crate::recovery_code;
use crate::totp::TotpSecret;

/// What a person shows as second factor.
#[derive(Debug)]
pub(crate) enum Proof {
    /// A code of the authenticator app.
    Code(SecretString),
    /// One of the recovery codes.
    Recovery(SecretString),
}

/// A factor that was used: what is to be written, so that it is never taken again.
#[derive(Debug)]
pub(crate) struct FactorUse {
    before: Record<TotpFactor>,
    after: TotpFactor,
    recovery: bool,
}

impl FactorUse {
    /// Writes the use in the person's transaction.
    pub(crate) fn write(self, unit: &mut Transaction, user_id: UserId) -> Result<(), Failure> {
        unit.replace(&self.before, self.after)?;
        if self.recovery {
            unit.emit("mfa.recovery-code-used", &user_id.to_string(), json!({"userId": user_id}));
        }
        Ok(())
    }
}

/// What the first step left for the second.
#[derive(Debug, Deserialize)]
struct FirstStep {
    method: String,
    amr: Vec<String>,
    client: Client,
}

impl Auth {
    /// The second step of a login. Every try costs one of the token's five before the code is looked at, so that
    /// many at once are worth no more.
    pub(crate) async fn log_in_with_factor(
        &self,
        who: &Anyone,
        mfa_token: &str,
        proof: &Proof,
    ) -> Result<TokenAnswer, Failure> {
        let context = who.context();
        let token = self.open_token(mfa_token, Purpose::MfaLogin).await?.ok_or_else(invalid_credentials)?;
        let user_id = token.data.user_id.ok_or_else(invalid_credentials)?;
        let first: FirstStep = FirstStep::deserialize(&token.data.data).map_err(Failure::internal)?;
        if first.client.delivery == Delivery::Cookie {
            demand_origin(context)?;
        }
        let identity = self.identity(user_id).await?.ok_or_else(invalid_credentials)?;
        self.admit_try(&identity.data.email).await?;
        self.count_attempt(context, &token).await?;
        let factor = self.check_factor(context, user_id, &identity.data, proof).await?;
        let method = if first.method == "password" { "password" } else { "external" };
        let mut amr = first.amr;
        amr.push("otp".to_owned());
        let client = &first.client;
        let sign_in = SignIn {
            user_id,
            identity: &identity,
            method,
            amr,
            client,
            factor: Some(factor),
            renewed_hash: None,
        };
        let answer = self.sign_in(who, sign_in).await?;
        // The code is used up already; the token only lapses sooner.
        let spent = match self.tokens.find(&OneTimeToken::partition(&token.meta.id), &token.meta.id).await {
            Ok(Some(token)) => self.consume(Cause::Request(context), &token).await,
            other => other.map(|_| ()),
        };
        if let Err(failure) = spent {
            tracing::warn!(cause = %failure, "a used login step lapses by itself");
        }
        Ok(answer)
    }

    /// Checks a code or recovery code of a person; a wrong one is counted and is `401`.
    pub(crate) async fn check_factor(
        &self,
        context: &RequestContext,
        user_id: UserId,
        identity: &Identity,
        proof: &Proof,
    ) -> Result<FactorUse, Failure> {
        let found = self.factors.find(&TotpFactor::partition(user_id), TotpFactor::ID).await?;
        let active = found.filter(|factor| factor.data.state == FactorState::Active);
        let used = match active {
            Some(factor) => self.use_factor(user_id, factor, proof)?,
            None => None,
        };
        if let Some(used) = used {
            return Ok(used);
        }
        self.count_failure(context, &identity.email, Some(user_id), "wrong_code").await?;
        Err(invalid_credentials())
    }

    /// The secret of a person's authenticator app.
    pub(crate) fn open_totp_secret(
        &self,
        user_id: UserId,
        factor: &TotpFactor,
    ) -> Result<TotpSecret, Failure> {
        Ok(TotpSecret::open(factor, user_id, &self.totp_sealer)?)
    }

    /// The form in which the secret is stored.
    pub(crate) fn seal_totp_secret(&self, user_id: UserId, secret: &TotpSecret) -> String {
        secret.seal(user_id, &self.totp_sealer)
    }

    fn use_factor(
        &self,
        user_id: UserId,
        before: Record<TotpFactor>,
        proof: &Proof,
    ) -> Result<Option<FactorUse>, Failure> {
        let now = self.runtime.ambient.now();
        let mut after = before.data.clone();
        let (accepted, recovery) = match proof {
            Proof::Code(code) => {
                let secret = self.open_totp_secret(user_id, &after)?;
                let step = secret.accept(code.expose_secret(), now, after.last_accepted_step);
                after.last_accepted_step = step.or(after.last_accepted_step);
                (step.is_some(), false)
            }
            Proof::Recovery(code) => {
                (recovery_code::consume(&mut after.recovery_codes, code.expose_secret(), now), true)
            }
        };
        Ok(accepted.then_some(FactorUse { before, after, recovery }))
    }

    async fn count_attempt(&self, context: &RequestContext, token: &StoredToken) -> Result<(), Failure> {
        let cause = Cause::Request(context);
        let mut unit = cause.begin(CONTAINER, OneTimeToken::partition(&token.meta.id)).without_audit();
        let data = OneTimeToken { attempts: token.data.attempts.saturating_add(1), ..token.data.clone() };
        unit.replace(token, data)?;
        cause.commit(unit).await
    }
}
