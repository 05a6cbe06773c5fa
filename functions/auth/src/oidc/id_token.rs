//! Checking an ID token (OpenID Connect Core 1.0, section 3.1.3.7).

use coder_core::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};
use url::Url;

use crate::digest::same;
use crate::email::EmailAddress;

/// Seconds by which clocks may differ.
const LEEWAY_SECONDS: i64 = 60;
/// Longest subject, in bytes.
const MAX_SUBJECT_BYTES: usize = 255;
/// Longest ID token, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The hosts of Entra ID, where one issuer's subjects are only unique together with the application.
const ENTRA_HOSTS: &[&str] = &["login.microsoftonline.com", "sts.windows.net", "login.microsoftonline.us"];

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The provider's issuer.
    pub issuer: &'a str,
    /// This platform's name there.
    pub client_id: &'a str,
    /// The login transaction's nonce.
    pub nonce: &'a str,
    /// Entra ID tenants whose people may come; if there are any, the token must name one.
    pub allowed_tenant_ids: &'a [String],
}

/// Whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The issuer.
    pub issuer: String,
    /// The account's name there: `sub`, or tenant and object id for Entra ID.
    pub subject: String,
    /// The address, if there is a well-formed one.
    pub email: Option<EmailAddress>,
    /// Whether the provider says that the address is the person's.
    pub email_verified: bool,
    /// What the person is called.
    pub name: Option<String>,
    /// Everything the token says.
    pub claims: Map<String, Value>,
}

/// Why an ID token does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// It is no JWT.
    #[error("it is malformed")]
    Malformed,
    /// It is signed otherwise than with RS256 or ES256.
    #[error("its algorithm is not accepted")]
    Algorithm,
    /// The provider shows no such key; fetch its keys again, once.
    #[error("its key is unknown")]
    UnknownKey,
    /// The signature is another's.
    #[error("its signature is wrong")]
    Signature,
    /// Another issuer.
    #[error("its issuer is another")]
    Issuer,
    /// For somebody else.
    #[error("its audience is another")]
    Audience,
    /// Made for another client.
    #[error("its authorized party is another")]
    AuthorizedParty,
    /// Too old, or without an end.
    #[error("it has expired")]
    Expired,
    /// Not valid yet.
    #[error("it is from the future")]
    NotYetValid,
    /// From another login.
    #[error("its nonce is another")]
    Nonce,
    /// Without a usable subject.
    #[error("its subject is missing or too long")]
    Subject,
    /// From a tenant that is not allowed.
    #[error("its tenant is not allowed")]
    Tenant,
}

/// The keys of a provider.
#[derive(Debug, Clone, Default)]
pub struct ProviderKeys(Vec<Jwk>);

impl ProviderKeys {
    /// Reads a key set. Keys of a kind that is not understood are left out: they are for others.
    pub fn read(body: &[u8]) -> Option<Self> {
        let set: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let keys = set.get("keys")?.as_array()?;
        Some(Self(keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect()))
    }

    /// The key of a token: the one that it names, or the only one that fits if it names none.
    fn find(&self, header: &Header) -> Result<&Jwk, IdTokenFault> {
        let mut fitting = self.0.iter().filter(|key| fits(key, header.alg));
        match &header.kid {
            Some(kid) => fitting.find(|key| key.common.key_id.as_ref() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
        .ok_or(IdTokenFault::UnknownKey)
    }
}

/// Whether the key is one for signatures of this algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => Some(KeyAlgorithm::RS256),
        (AlgorithmParameters::EllipticCurve(_), Algorithm::ES256) => Some(KeyAlgorithm::ES256),
        _ => None,
    };
    kind.is_some()
        && key.common.key_algorithm.is_none_or(|named| Some(named) == kind)
        && key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
}

/// Checks the token and reads who it vouches for.
pub fn verify(
    token: &str,
    keys: &ProviderKeys,
    expected: Expected<'_>,
    now: Timestamp,
) -> Result<ExternalIdentity, IdTokenFault> {
    let claims = verify_signature(token, keys)?;
    if text(&claims, "iss") != Some(expected.issuer) {
        return Err(IdTokenFault::Issuer);
    }
    check_audience(&claims, expected.client_id)?;
    check_times(&claims, now)?;
    let nonce = text(&claims, "nonce").ok_or(IdTokenFault::Nonce)?;
    if !same(nonce.as_bytes(), expected.nonce.as_bytes()) {
        return Err(IdTokenFault::Nonce);
    }
    let subject = subject(&claims, expected)?;
    Ok(ExternalIdentity {
        issuer: expected.issuer.to_owned(),
        subject,
        email: text(&claims, "email").and_then(|email| EmailAddress::parse(email).ok()),
        email_verified: matches!(claims.get("email_verified"), Some(Value::Bool(true))),
        name: text(&claims, "name").map(str::to_owned),
        claims,
    })
}

fn verify_signature(token: &str, keys: &ProviderKeys) -> Result<Map<String, Value>, IdTokenFault> {
    if token.len() > MAX_BYTES {
        return Err(IdTokenFault::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| IdTokenFault::Malformed)?;
    if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) || header.crit.is_some() {
        return Err(IdTokenFault::Algorithm);
    }
    let key = DecodingKey::from_jwk(keys.find(&header)?).map_err(|_| IdTokenFault::UnknownKey)?;
    // The claims are checked here, with the injected clock.
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let data = jsonwebtoken::decode(token, &key, &validation).map_err(|_| IdTokenFault::Signature)?;
    Ok(data.claims)
}

fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), IdTokenFault> {
    let audiences: Vec<&Value> = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    if !audiences.iter().any(|audience| audience.as_str() == Some(client_id)) {
        return Err(IdTokenFault::Audience);
    }
    match claims.get("azp") {
        Some(party) if party.as_str() != Some(client_id) => Err(IdTokenFault::AuthorizedParty),
        None if audiences.len() > 1 => Err(IdTokenFault::AuthorizedParty),
        _ => Ok(()),
    }
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), IdTokenFault> {
    let now = now.as_second();
    let expires_at = seconds(claims, "exp").ok_or(IdTokenFault::Expired)?;
    if now >= expires_at.saturating_add(LEEWAY_SECONDS) {
        return Err(IdTokenFault::Expired);
    }
    let begins = [seconds(claims, "nbf"), seconds(claims, "iat")];
    if begins.into_iter().flatten().any(|begin| begin > now.saturating_add(LEEWAY_SECONDS)) {
        return Err(IdTokenFault::NotYetValid);
    }
    Ok(())
}

/// The account's lasting name. Entra ID's `sub` differs from application to application, so there it is the
/// object id within its tenant, which must be an allowed one.
fn subject(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<String, IdTokenFault> {
    let usable = |name: &str| text(claims, name).filter(|text| (1..=MAX_SUBJECT_BYTES).contains(&text.len()));
    if expected.allowed_tenant_ids.is_empty() && !is_entra(expected.issuer) {
        return usable("sub").map(str::to_owned).ok_or(IdTokenFault::Subject);
    }
    let tenant = usable("tid").ok_or(IdTokenFault::Tenant)?;
    if !expected.allowed_tenant_ids.iter().any(|allowed| allowed == tenant) {
        return Err(IdTokenFault::Tenant);
    }
    let object = usable("oid").ok_or(IdTokenFault::Subject)?;
    Ok(format!("{tenant}/{object}"))
}

fn is_entra(issuer: &str) -> bool {
    let host = Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| ENTRA_HOSTS.contains(&host.as_str()))
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// A time in seconds; fractions are cut off.
fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = claims.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "a time out of range becomes the nearest end of it")]
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

#[cfg(test)]
pub(super) mod tests;
