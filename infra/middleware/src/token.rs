//! Access tokens and service tokens: verification, and the signing of service tokens.
//!
//! An access token is RS256 with `typ: at+jwt` and a published key; a service token is HS256 with its own `typ`
//! and a key that only the platform has. Algorithm, type and key are pinned on each side, so that one can never
//! pass for the other.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use coder_core::{
    Ambient, Caller, Code, Credential, Failure, OrganizationId, Problem, SessionId, Timestamp, UserId,
};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// Seconds by which clocks may differ.
pub const CLOCK_SKEW_SECONDS: i64 = 60;

/// Seconds that a service token lives.
pub const SERVICE_TOKEN_SECONDS: i64 = 60;

/// The longest credential that is looked at, in bytes.
pub const MAX_BYTES: usize = 8192;

/// The audience of access tokens.
pub const AUDIENCE: &str = "coder";

/// The type of access tokens (RFC 9068).
pub const ACCESS_TYPE: &str = "at+jwt";

const SERVICE_TYPE: &str = "coder-service+jwt";

/// Where the public keys of access tokens come from: the `auth` group, near or far.
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The published keys.
    async fn public_keys(&self) -> Result<Vec<Jwk>, Failure>;
}

/// The claims of an access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer: `{public URL}/api/auth`.
    pub iss: String,
    /// Audience: `coder`.
    pub aud: String,
    /// The person.
    pub sub: UserId,
    /// The organization, if one is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<OrganizationId>,
    /// The session.
    pub sid: SessionId,
    /// Organization roles at the time of issue.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Authentication methods.
    pub amr: Vec<String>,
    /// When the person last proved who they are; seconds since 1970.
    pub auth_time: i64,
    /// The token's own id.
    pub jti: String,
    /// Issued at.
    pub iat: i64,
    /// Not before.
    pub nbf: i64,
    /// Expires at.
    pub exp: i64,
    /// Set while the person must first set up a second factor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enrol: bool,
}

/// Verifies access tokens against the published keys.
#[derive(Debug)]
pub struct TokenVerifier {
    ambient: Ambient,
    issuer: String,
    keys: Arc<dyn KeySource>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<DecodingKey>>,
    fetched_at: Option<Timestamp>,
}

impl fmt::Debug for Known {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Known").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Keys are fetched again after this time even if every `kid` is known.
const KEYS_LIVE_SECONDS: i64 = 300;

/// An unknown `kid` makes the keys be fetched again, but not more often than this.
const REFETCH_SECONDS: i64 = 5;

impl TokenVerifier {
    /// A verifier for tokens of one issuer.
    pub fn new(ambient: Ambient, issuer: String, keys: Arc<dyn KeySource>) -> Self {
        Self { ambient, issuer, keys, known: RwLock::default() }
    }

    /// The claims of a token, if everything about it holds now.
    pub async fn verify(&self, token: &str) -> Result<AccessClaims, Failure> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        if header.alg != Algorithm::RS256 || header.typ.as_deref() != Some(ACCESS_TYPE) {
            return Err(refused());
        }
        let key = self.key(header.kid.as_deref().ok_or_else(refused)?).await?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Times are checked below, on the injected clock.
        validation.validate_exp = false;
        let claims =
            jsonwebtoken::decode::<AccessClaims>(token, &key, &validation).map_err(|_| refused())?.claims;
        let now = self.ambient.now().as_second();
        if claims.nbf > now + CLOCK_SKEW_SECONDS || claims.iat > now + CLOCK_SKEW_SECONDS {
            return Err(refused());
        }
        if claims.exp <= now - CLOCK_SKEW_SECONDS {
            return Err(expired().into());
        }
        Ok(claims)
    }

    async fn key(&self, kid: &str) -> Result<Arc<DecodingKey>, Failure> {
        let now = self.ambient.now();
        let (found, age) = {
            let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            let age = known.fetched_at.map(|at| now.duration_since(at).as_secs());
            (known.keys.get(kid).cloned(), age)
        };
        match (found, age) {
            (Some(key), Some(age)) if age < KEYS_LIVE_SECONDS => return Ok(key),
            (None, Some(age)) if age < REFETCH_SECONDS => return Err(refused()),
            _ => {}
        }
        let mut keys = HashMap::new();
        for jwk in self.keys.public_keys().await? {
            let rsa = matches!(jwk.algorithm, AlgorithmParameters::RSA(_));
            if let (true, Some(kid), Ok(key)) = (rsa, jwk.common.key_id.clone(), DecodingKey::from_jwk(&jwk))
            {
                keys.insert(kid, Arc::new(key));
            }
        }
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *known = Known { keys, fetched_at: Some(now) };
        known.keys.get(kid).cloned().ok_or_else(refused)
    }
}

impl AccessClaims {
    /// The caller that the claims name. Operators are named by configuration, never by a token.
    pub fn caller(&self, operators: &BTreeSet<UserId>) -> Caller {
        let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        Caller {
            user_id: Some(self.sub),
            organization_id: self.org,
            operator: operators.contains(&self.sub),
            credential: Credential::Session {
                session_id: self.sid,
                roles: self.roles.clone(),
                amr: self.amr.clone(),
                auth_time: time(self.auth_time),
                expires_at: time(self.exp),
                enrolment_only: self.enrol,
            },
        }
    }
}

/// `401` for a token that does not hold; the reason is nobody's business.
pub fn refused() -> Failure {
    Failure::problem(Code::Unauthenticated, "The access token does not hold; sign in again.")
}

/// `401` for a token that has run out.
pub fn expired() -> Problem {
    Problem::new(
        Code::TokenExpired,
        "The access token has run out; get a new one with `POST /api/auth/refresh`.",
    )
}

/// The claims of a service token.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ServiceClaims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
    /// The organization and the person that the caller acts for, if it does not act for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    org: Option<OrganizationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<UserId>,
}

/// For whom one part of the platform calls another. The callee applies this person's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acting {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The person, agent or service account; `None` where a service works for the organization itself.
    pub user_id: Option<UserId>,
}

/// Signs and verifies the tokens by which parts of the platform know each other on one machine.
pub struct ServiceTokens {
    ambient: Ambient,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ServiceTokens")
    }
}

impl ServiceTokens {
    /// Tokens under a key that only the platform has.
    pub fn new(ambient: Ambient, key: &[u8; 32]) -> Self {
        Self { ambient, signing: EncodingKey::from_secret(key), verifying: DecodingKey::from_secret(key) }
    }

    /// A token with which `group` calls `audience` in the next minute.
    pub fn issue(&self, group: &str, audience: &str, acting: Option<Acting>) -> Result<String, Failure> {
        let now = self.ambient.now().as_second();
        let claims = ServiceClaims {
            iss: group.to_owned(),
            aud: audience.to_owned(),
            iat: now,
            exp: now + SERVICE_TOKEN_SECONDS,
            jti: self.ambient.new_uuid().to_string(),
            org: acting.map(|acting| acting.organization_id),
            sub: acting.and_then(|acting| acting.user_id),
        };
        let header = Header { typ: Some(SERVICE_TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.signing).map_err(Failure::internal)
    }

    /// Whether the token says that it is a service's; only then is it checked as one.
    pub fn is_service_token(token: &str) -> bool {
        jsonwebtoken::decode_header(token).is_ok_and(|header| header.typ.as_deref() == Some(SERVICE_TYPE))
    }

    /// The calling service, if the token is good for `audience`.
    pub fn verify(&self, token: &str, audience: &str) -> Result<Caller, Failure> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<ServiceClaims>(token, &self.verifying, &validation)
            .map_err(|_| refused())?;
        let now = self.ambient.now().as_second();
        if decoded.claims.exp <= now || decoded.claims.iat > now + CLOCK_SKEW_SECONDS {
            return Err(refused());
        }
        let ServiceClaims { iss: group, org: organization_id, sub: user_id, .. } = decoded.claims;
        let credential = Credential::Service { group };
        Ok(Caller { user_id, organization_id, operator: false, credential })
    }
}
