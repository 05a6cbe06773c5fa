//! Making access tokens (RFC 9068). What one says is written down where it is verified, in `coder-middleware`.

use coder_core::{Ambient, Failure, OrganizationId, SessionId, Timestamp, UserId};
use coder_middleware::token::{ACCESS_TYPE, AUDIENCE, AccessClaims};
use secrecy::SecretString;

use super::jws;
use super::signing_key::KeySigner;

/// Seconds that an access token is good.
pub const LIFETIME_SECONDS: i64 = 900;
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
    /// The person must set up a second factor first and can do nothing else.
    pub enrolment_only: bool,
}

/// A signed token.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The JWT.
    pub token: SecretString,
    /// What it says.
    pub claims: AccessClaims,
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
        let claims = AccessClaims {
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
            enrol: grant.enrolment_only,
        };
        let expires_at = Timestamp::from_second(claims.exp).map_err(Failure::internal)?;
        let token = jws::compact(signer, ACCESS_TYPE, &claims).map_err(Failure::internal)?.into();
        Ok(IssuedToken { token, claims, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use coder_core::{Ambient, Code, Failure, ManualClock, OsEntropy, Timestamp};
    use coder_middleware::token::{AccessClaims, KeySource, TokenVerifier};
    use jiff::SignedDuration;
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    use secrecy::ExposeSecret as _;
    use serde_json::{Value, json};

    use super::{AccessTokenIssuer, Grant};
    use crate::token::GeneratedKey;
    use crate::token::test_keys::{KEY, OTHER_KEY};

    const NOW: i64 = 1_769_851_800;

    #[derive(Debug)]
    struct Published(&'static GeneratedKey);

    #[async_trait]
    impl KeySource for Published {
        async fn public_keys(&self) -> Result<Vec<Jwk>, Failure> {
            Ok(vec![self.0.public_jwk.clone()])
        }
    }

    fn ambient(clock: &ManualClock) -> Ambient {
        Ambient::new(clock.clone(), OsEntropy)
    }

    fn issue(organization: bool, enrolment_only: bool) -> (String, Grant, ManualClock) {
        let clock = ManualClock::at("2026-01-31T09:30:00.250Z".parse().unwrap());
        let ambient = ambient(&clock);
        let grant = Grant {
            user_id: ambient.new_id(),
            organization_id: organization.then(|| ambient.new_id()),
            session_id: ambient.new_id(),
            roles: vec!["admin".into()],
            amr: vec!["pwd".into(), "otp".into()],
            auth_time: Timestamp::from_second(NOW - 300).unwrap(),
            enrolment_only,
        };
        let issuer = AccessTokenIssuer::new("https://coder.example.com/", ambient);
        let token = issuer.issue(&KEY.signer().unwrap(), grant.clone()).unwrap();
        assert_eq!(token.expires_at, Timestamp::from_second(NOW + 900).unwrap());
        assert!(!format!("{token:?}").contains(token.token.expose_secret()));
        (token.token.expose_secret().to_owned(), grant, clock)
    }

    async fn verify(
        token: &str,
        key: &'static GeneratedKey,
        clock: &ManualClock,
    ) -> Result<AccessClaims, Failure> {
        let issuer = "https://coder.example.com/api/auth".to_owned();
        TokenVerifier::new(ambient(clock), issuer, Arc::new(Published(key))).verify(token).await
    }

    #[test]
    fn says_what_the_conventions_ask_for() {
        let (token, grant, _) = issue(true, false);
        let header = decode_header(&token).unwrap();
        assert_eq!(
            (header.typ.as_deref(), header.alg, header.kid.as_deref()),
            (Some("at+jwt"), Algorithm::RS256, Some(KEY.kid.as_str()))
        );
        let mut validation = Validation::new(Algorithm::RS256);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let key = DecodingKey::from_jwk(&KEY.public_jwk).unwrap();
        let mut claims: Value = decode(&token, &key, &validation).unwrap().claims;
        assert_eq!(claims["jti"].take().as_str().unwrap().len(), 36);
        assert_eq!(
            claims,
            json!({
                "iss": "https://coder.example.com/api/auth", "aud": "coder", "sub": grant.user_id,
                "org": grant.organization_id, "sid": grant.session_id, "roles": ["admin"],
                "amr": ["pwd", "otp"], "auth_time": NOW - 300, "iat": NOW, "nbf": NOW, "exp": NOW + 900,
                "jti": null,
            })
        );
    }

    #[tokio::test]
    async fn the_platform_takes_its_own_tokens_for_a_quarter_of_an_hour() {
        let (token, grant, clock) = issue(false, true);
        let claims = verify(&token, &KEY, &clock).await.unwrap();
        assert_eq!(
            (claims.sub, claims.org, claims.sid, claims.enrol),
            (grant.user_id, None, grant.session_id, true)
        );
        clock.advance(SignedDuration::from_secs(900 + 61));
        assert_eq!(verify(&token, &KEY, &clock).await.unwrap_err().code(), Some(Code::TokenExpired));
    }

    #[tokio::test]
    async fn does_not_verify_with_another_key_or_changed_claims() {
        let (token, _, clock) = issue(true, false);
        assert!(verify(&token, &OTHER_KEY, &clock).await.is_err());
        let (other, ..) = issue(true, false);
        let parts: Vec<_> = token.split('.').collect();
        let changed = format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2]);
        assert!(verify(&changed, &KEY, &clock).await.is_err());
    }
}
