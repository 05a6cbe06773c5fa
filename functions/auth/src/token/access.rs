//! What an access token says (RFC 9068), and signing it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::{Ambient, Failure, OrganizationId, SessionId, Timestamp, UserId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::signing_key::KeySigner;

/// Seconds that an access token is good.
pub const LIFETIME_SECONDS: i64 = 900;
/// Whom every access token is for.
pub const AUDIENCE: &str = "coder";
/// The token's type, so that no other JWT passes for one.
pub const TYPE: &str = "at+jwt";

/// For whom a token is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The person.
    pub user_id: UserId,
    /// The organization that they work in; none before they have one.
    pub organization_id: Option<OrganizationId>,
    /// The session.
    pub session_id: SessionId,
    /// Roles in the organization.
    pub roles: Vec<String>,
    /// Authentication methods (RFC 8176).
    pub amr: Vec<String>,
    /// When the person last proved who they are.
    pub auth_time: Timestamp,
}

/// The claims of an access token. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// This group's public address.
    pub iss: String,
    /// Always [`AUDIENCE`].
    pub aud: String,
    /// The user id.
    pub sub: UserId,
    /// The organization id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<OrganizationId>,
    /// The session id.
    pub sid: SessionId,
    /// Roles in the organization.
    pub roles: Vec<String>,
    /// Authentication methods.
    pub amr: Vec<String>,
    /// The last proof.
    pub auth_time: i64,
    /// The token's own id.
    pub jti: String,
    /// When it was made.
    pub iat: i64,
    /// When it begins.
    pub nbf: i64,
    /// When it ends.
    pub exp: i64,
}

/// A signed token.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The JWT.
    pub token: SecretString,
    /// What it says.
    pub claims: Claims,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Makes access tokens.
#[derive(Debug, Clone)]
pub struct AccessTokenIssuer {
    issuer: String,
    ambient: Ambient,
}

impl AccessTokenIssuer {
    /// `public_url` is the platform's address as clients see it, without a slash at the end.
    pub fn new(public_url: &str, ambient: Ambient) -> Self {
        Self { issuer: format!("{}/api/auth", public_url.trim_end_matches('/')), ambient }
    }

    /// What every token names as `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs a token for the grant; about a millisecond.
    pub fn issue(&self, signer: &KeySigner, grant: Grant) -> Result<IssuedToken, Failure> {
        let now = self.ambient.now().as_second();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: grant.user_id,
            org: grant.organization_id,
            sid: grant.session_id,
            roles: grant.roles,
            amr: grant.amr,
            auth_time: grant.auth_time.as_second(),
            jti: self.ambient.new_uuid().to_string(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(LIFETIME_SECONDS),
        };
        let expires_at = Timestamp::from_second(claims.exp).map_err(Failure::internal)?;
        let token = sign(signer, &claims).map_err(Failure::internal)?.into();
        Ok(IssuedToken { token, claims, expires_at })
    }
}

/// The JWS compact serialisation. Written here because the library parses the private key anew for every token.
fn sign(signer: &KeySigner, claims: &Claims) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let header = json!({"typ": TYPE, "alg": "RS256", "kid": signer.kid()});
    let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);
    let signature = signer.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
    use jiff::SignedDuration;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    use secrecy::ExposeSecret as _;
    use serde_json::{Value, json};

    use super::{AccessTokenIssuer, Claims, Grant};
    use crate::token::signing_key::tests::{KEY, OTHER_KEY};

    fn issue(organization: bool) -> (String, Grant) {
        let now: Timestamp = "2026-01-31T09:30:00.250Z".parse().unwrap();
        let ambient = Ambient::new(ManualClock::at(now), OsEntropy);
        let grant = Grant {
            user_id: ambient.new_id(),
            organization_id: organization.then(|| ambient.new_id()),
            session_id: ambient.new_id(),
            roles: vec!["admin".into()],
            amr: vec!["pwd".into(), "otp".into()],
            auth_time: now - SignedDuration::from_mins(5),
        };
        let issuer = AccessTokenIssuer::new("https://coder.example.com/", ambient);
        let issued = issuer.issue(&KEY.signer().unwrap(), grant.clone()).unwrap();
        assert_eq!(issued.expires_at, "2026-01-31T09:45:00Z".parse().unwrap());
        assert!(!format!("{issued:?}").contains(issued.token.expose_secret()));
        (issued.token.expose_secret().to_owned(), grant)
    }

    /// What another implementation makes of the token; times are the middleware's business.
    fn read(token: &str, key: &super::super::GeneratedKey) -> Result<Value, jsonwebtoken::errors::Error> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["coder"]);
        validation.set_issuer(&["https://coder.example.com/api/auth"]);
        validation.validate_exp = false;
        decode(token, &DecodingKey::from_jwk(&key.public_jwk)?, &validation).map(|data| data.claims)
    }

    #[test]
    fn says_what_the_conventions_ask_for() {
        let (token, grant) = issue(true);
        let header = decode_header(&token).unwrap();
        assert_eq!(
            (header.typ.as_deref(), header.alg, header.kid.as_deref()),
            (Some("at+jwt"), Algorithm::RS256, Some(KEY.kid.as_str()))
        );
        let mut claims = read(&token, &KEY).unwrap();
        assert_eq!(claims["jti"].take().as_str().unwrap().len(), 36);
        let now = 1_769_851_800;
        assert_eq!(
            claims,
            json!({
                "iss": "https://coder.example.com/api/auth", "aud": "coder", "sub": grant.user_id,
                "org": grant.organization_id, "sid": grant.session_id, "roles": ["admin"],
                "amr": ["pwd", "otp"], "auth_time": now - 300, "iat": now, "nbf": now, "exp": now + 900,
                "jti": null,
            })
        );
    }

    #[test]
    fn leaves_out_an_absent_organization() {
        let (token, _) = issue(false);
        let claims = read(&token, &KEY).unwrap();
        assert_eq!(claims.get("org"), None);
        assert_eq!(serde_json::from_value::<Claims>(claims).unwrap().org, None);
    }

    #[test]
    fn does_not_verify_with_another_key_or_changed_claims() {
        let (token, _) = issue(true);
        assert!(read(&token, &OTHER_KEY).is_err());
        let (other, _) = issue(true);
        let parts: Vec<_> = token.split('.').collect();
        let changed = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
        assert!(read(&changed, &KEY).is_err());
    }
}
