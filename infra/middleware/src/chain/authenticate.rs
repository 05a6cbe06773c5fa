//! Step 7: who is asking. Access token, API key or service token, and whether the session still lives.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coder_cache::Revocations;
use coder_core::{Ambient, Caller, Code, Credential, Failure, Problem, Timestamp, UserId};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use moka::sync::Cache;

use super::Identity;
use crate::token::{self, ServiceTokens, TokenVerifier};

/// What came of the credential of a request.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// None was sent.
    Anonymous,
    /// It holds.
    Verified(Arc<Caller>),
    /// It does not hold, or cannot be checked now; operations that need one answer this.
    Refused(Problem),
}

/// Looks up API keys; implemented by the `auth` group, near or far.
#[async_trait]
pub trait ApiKeys: Send + Sync + fmt::Debug {
    /// The caller that a key stands for, if it is alive and may be used from this address.
    async fn introspect(&self, key: &str, identity: &Identity) -> Result<Option<Caller>, Failure>;
}

/// Callers whose credential was verified: the digest of the credential stands for it.
#[derive(Debug, Clone)]
pub struct CallerCache(Cache<[u8; 32], Cached>);

#[derive(Debug, Clone)]
struct Cached {
    caller: Arc<Caller>,
    issued_at: Timestamp,
    until: Timestamp,
}

/// Most credentials kept.
const CACHED_CALLERS: u64 = 20_000;

/// How long the answer for an API key is believed, in seconds.
const API_KEY_SECONDS: i64 = 30;

/// How old the list of revocations may be before sessions are not believed any more, in seconds.
const STALE_SECONDS: i64 = 60;

/// How long the first requests of a process wait for its first look at that list.
const FIRST_LIST: Duration = Duration::from_secs(3);

/// Behind a gateway, or from a group, that proves itself in `Authorization`: what the gateway's own caller sent there,
/// or the group's service token, or `none`. It is worth what the credential in it is worth, so it does no harm from
/// anybody else.
pub const ASSERTION: &str = "x-coder-assertion";

/// Stands in [`ASSERTION`] where the gateway's caller sent nothing.
const NO_CREDENTIAL: &str = "none";

/// The credential for `Authorization`, wherever it travels.
fn authorization(headers: &HeaderMap) -> Option<&HeaderValue> {
    match headers.get(ASSERTION) {
        Some(passed_on) => (*passed_on != NO_CREDENTIAL).then_some(passed_on),
        None => headers.get(AUTHORIZATION),
    }
}

impl Default for CallerCache {
    fn default() -> Self {
        Self(Cache::new(CACHED_CALLERS))
    }
}

/// Checks credentials.
#[derive(Debug)]
pub struct Authenticator {
    /// Time.
    pub ambient: Ambient,
    /// Access tokens.
    pub verifier: TokenVerifier,
    /// Service tokens.
    pub services: ServiceTokens,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeys>,
    /// What has been revoked.
    pub revocations: Arc<Revocations>,
    /// Whether the `auth` group runs in this process and writes to the list itself; else a feed must keep it fresh.
    pub revokes_here: bool,
    /// Verified before.
    pub cache: CallerCache,
    /// Platform operators.
    pub operators: BTreeSet<UserId>,
}

impl Authenticator {
    /// Checks the credential of a request. `audience` is the group that is asked.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        identity: &Identity,
        audience: &str,
    ) -> Authentication {
        let outcome = match (authorization(headers), headers.get("x-api-key")) {
            (None, None) => return Authentication::Anonymous,
            (Some(_), Some(_)) => Err(unauthenticated("Send an access token or an API key, not both.")),
            (Some(value), None) => match bearer(value.to_str().ok()) {
                Some(token) if ServiceTokens::is_service_token(token) => {
                    self.services.verify(token, audience).map(Arc::new)
                }
                Some(token) => self.access_token(token).await,
                None => Err(unauthenticated("Send the access token as `Authorization: Bearer …`.")),
            },
            (None, Some(value)) => match value.to_str() {
                Ok(key) if key.len() <= token::MAX_BYTES => self.api_key(key, identity).await,
                _ => Err(unauthenticated("The API key is not well-formed.")),
            },
        };
        match outcome {
            Ok(caller) => Authentication::Verified(caller),
            Err(Failure::Problem(problem)) => Authentication::Refused(*problem),
            Err(other) => {
                tracing::error!(request.id = %identity.request_id, cause = %other, "a credential could not be checked");
                Authentication::Refused(Problem::unavailable(
                    "Credentials cannot be checked at the moment.",
                    5,
                ))
            }
        }
    }

    async fn access_token(&self, token: &str) -> Result<Arc<Caller>, Failure> {
        let digest = digest(b"access", token);
        let now = self.ambient.now();
        let cached = match self.cache.0.get(&digest) {
            Some(cached) => cached,
            None => {
                let claims = self.verifier.verify(token).await?;
                let time = |seconds| Timestamp::from_second(seconds).map_err(Failure::internal);
                let until = time(claims.exp + token::CLOCK_SKEW_SECONDS)?;
                let cached = Cached {
                    caller: Arc::new(claims.caller(&self.operators)),
                    issued_at: time(claims.iat)?,
                    until,
                };
                self.cache.0.insert(digest, cached.clone());
                cached
            }
        };
        if cached.until <= now {
            return Err(token::expired().into());
        }
        self.check_session(&cached, now).await?;
        Ok(cached.caller)
    }

    /// Whether the session was ended since the token was issued. A list that nobody has renewed for a minute is
    /// not believed: authentication fails closed.
    async fn check_session(&self, cached: &Cached, now: Timestamp) -> Result<(), Failure> {
        // A process that has just started may be asked before its first look at the list has come back.
        if !self.revokes_here
            && tokio::time::timeout(FIRST_LIST, self.revocations.first_heard()).await.is_err()
        {
            tracing::warn!("the list of revocations has not come yet");
        }
        let age = self.revocations.fresh_at().map(|at| now.duration_since(at).as_secs());
        if !self.revokes_here && age.is_none_or(|age| age > STALE_SECONDS) {
            return Err(Problem::unavailable("Sessions cannot be checked at the moment.", 5).into());
        }
        let caller = &cached.caller;
        let (Credential::Session { session_id, .. }, Some(user)) = (&caller.credential, caller.user_id)
        else {
            return Ok(());
        };
        if self.revocations.is_revoked(*session_id, user, caller.organization_id, cached.issued_at) {
            return Err(unauthenticated("The session has ended; sign in again."));
        }
        Ok(())
    }

    async fn api_key(&self, key: &str, identity: &Identity) -> Result<Arc<Caller>, Failure> {
        // A key may be bound to addresses, so the address is part of what was verified.
        let address = identity.client_address.map(|address| address.to_string()).unwrap_or_default();
        let digest = digest(format!("api-key {address}").as_bytes(), key);
        let now = self.ambient.now();
        if let Some(cached) = self.cache.0.get(&digest)
            && cached.until > now
        {
            return self.check_key(&cached).map(|()| cached.caller);
        }
        let caller = self.api_keys.introspect(key, identity).await?;
        let caller = Arc::new(caller.ok_or_else(|| unauthenticated("The API key does not hold."))?);
        let cached = Cached { caller, issued_at: now, until: self.ambient.after(API_KEY_SECONDS) };
        self.cache.0.insert(digest, cached.clone());
        Ok(cached.caller)
    }

    fn check_key(&self, cached: &Cached) -> Result<(), Failure> {
        let Credential::ApiKey { key_id, .. } = &cached.caller.credential else { return Ok(()) };
        if self.revocations.is_key_revoked(key_id) {
            return Err(unauthenticated("The API key does not hold."));
        }
        Ok(())
    }
}

fn unauthenticated(detail: &str) -> Failure {
    Failure::problem(Code::Unauthenticated, detail)
}

fn bearer(value: Option<&str>) -> Option<&str> {
    let (scheme, token) = value?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.len() <= token::MAX_BYTES && !token.is_empty())
        .then_some(token)
}

fn digest(kind: &[u8], credential: &str) -> [u8; 32] {
    coder_core::text::sha256(&[kind, credential.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_passes_on_stands_for_its_own_authorization() {
        let mut headers = HeaderMap::new();
        assert_eq!(authorization(&headers), None);
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer gateway"));
        assert_eq!(authorization(&headers).unwrap(), "Bearer gateway");
        headers.insert(ASSERTION, HeaderValue::from_static("Bearer person"));
        assert_eq!(authorization(&headers).unwrap(), "Bearer person");
        headers.insert(ASSERTION, HeaderValue::from_static(NO_CREDENTIAL));
        assert_eq!(authorization(&headers), None);
    }
}
