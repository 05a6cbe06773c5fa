//! The rules of one-time tokens: `base64url(token id ‖ secret)` in a link, the hash of the secret in the store.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::id::Uuid;
use coder_core::{Ambient, Timestamp, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::digest::{same, sha256_hex};
use crate::model::{OneTimeToken, Purpose};

const SECRET_BYTES: usize = 32;
const TOKEN_CHARACTERS: usize = (16 + SECRET_BYTES) * 4 / 3;

/// A token that was just made: the document to store and the text to hand out, once.
#[derive(Debug)]
pub struct NewToken {
    /// The document's id.
    pub id: String,
    /// What is stored.
    pub document: OneTimeToken,
    /// What the person gets.
    pub token: SecretString,
}

/// A token as it came in: says which document to read, proves nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedToken {
    /// The document's id.
    pub id: String,
    secret_hash: String,
}

impl fmt::Debug for PresentedToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PresentedToken({})", self.id)
    }
}

/// The token does not hold. The caller is told one thing whatever the cause: `link_expired` for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Another secret or purpose.
    Foreign,
    /// Used before.
    Consumed,
    /// Too old.
    Expired,
    /// Too many wrong codes.
    Burnt,
}

impl NewToken {
    /// Makes a token for a purpose.
    pub fn generate(ambient: &Ambient, purpose: Purpose, user_id: Option<UserId>, data: Value) -> Self {
        let (id, secret) = (ambient.new_uuid(), ambient.random::<SECRET_BYTES>());
        let text = URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &secret].concat());
        let document = OneTimeToken {
            purpose,
            secret_hash: sha256_hex(&secret),
            user_id,
            data,
            attempts: 0,
            consumed_at: None,
            expires_at: purpose.lifetime_seconds().map(|seconds| ambient.after(seconds)),
        };
        Self { id: id.to_string(), document, token: text.into() }
    }

    /// The link that a mail carries. The token stands in the fragment, which browsers send to nobody, so that
    /// it reaches no access log and no referrer.
    pub fn link(&self, application: &Url, page: &str) -> SecretString {
        let base = application.as_str().trim_end_matches('/');
        format!("{base}/{page}#token={}", self.token.expose_secret()).into()
    }
}

impl PresentedToken {
    /// Reads a token's form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_CHARACTERS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        Some(Self { id: Uuid::from_bytes(*id).to_string(), secret_hash: sha256_hex(secret) })
    }
}

impl OneTimeToken {
    /// Whether the presented token may be consumed now. Consuming sets `consumed_at` under `If-Match`, so that
    /// of two requests one wins.
    pub fn admit(&self, presented: &PresentedToken, purpose: Purpose, now: Timestamp) -> Result<(), Refusal> {
        if self.purpose != purpose || !same(self.secret_hash.as_bytes(), presented.secret_hash.as_bytes()) {
            Err(Refusal::Foreign)
        } else if self.consumed_at.is_some() {
            Err(Refusal::Consumed)
        } else if self.expires_at.is_some_and(|expires_at| now >= expires_at) {
            Err(Refusal::Expired)
        } else if self.attempts >= Self::MAX_ATTEMPTS {
            Err(Refusal::Burnt)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
    use jiff::SignedDuration;
    use secrecy::ExposeSecret as _;
    use serde_json::Value;
    use url::Url;

    use super::{NewToken, PresentedToken, Refusal};
    use crate::model::Purpose;

    fn new(purpose: Purpose) -> (NewToken, PresentedToken, Timestamp) {
        let ambient = Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy);
        let token = NewToken::generate(&ambient, purpose, Some(ambient.new_id()), Value::Null);
        let presented = PresentedToken::parse(token.token.expose_secret()).unwrap();
        (token, presented, ambient.now())
    }

    #[test]
    fn holds_until_its_time() {
        let (token, presented, now) = new(Purpose::PasswordReset);
        assert_eq!(presented.id, token.id);
        let end = now + SignedDuration::from_mins(60);
        let almost = end - SignedDuration::from_millis(1);
        assert_eq!(token.document.admit(&presented, Purpose::PasswordReset, almost), Ok(()));
        assert_eq!(token.document.admit(&presented, Purpose::PasswordReset, end), Err(Refusal::Expired));
        let (token, presented, _) = new(Purpose::Bootstrap);
        assert_eq!(token.document.admit(&presented, Purpose::Bootstrap, Timestamp::MAX), Ok(()));
    }

    #[test]
    fn is_good_for_its_purpose_and_secret_only() {
        let (token, presented, now) = new(Purpose::PasswordReset);
        assert_eq!(token.document.admit(&presented, Purpose::EmailChange, now), Err(Refusal::Foreign));
        let (_, other, _) = new(Purpose::PasswordReset);
        assert_eq!(token.document.admit(&other, Purpose::PasswordReset, now), Err(Refusal::Foreign));
    }

    #[test]
    fn is_used_once_and_burns_after_five_wrong_codes() {
        let (token, presented, now) = new(Purpose::MfaLogin);
        let mut document = token.document;
        document.attempts = 4;
        assert_eq!(document.admit(&presented, Purpose::MfaLogin, now), Ok(()));
        document.attempts = 5;
        assert_eq!(document.admit(&presented, Purpose::MfaLogin, now), Err(Refusal::Burnt));
        document.consumed_at = Some(now);
        assert_eq!(document.admit(&presented, Purpose::MfaLogin, now), Err(Refusal::Consumed));
    }

    #[test]
    fn stores_no_secret_and_prints_none() {
        let (token, presented, _) = new(Purpose::PasswordReset);
        let text = token.token.expose_secret();
        let stored = serde_json::to_string(&token.document).unwrap();
        assert!(!stored.contains(&text[22..]) && !format!("{token:?} {presented:?}").contains(&text[22..]));
    }

    #[test]
    fn the_link_has_the_token_in_its_fragment() {
        let (token, ..) = new(Purpose::EmailVerification);
        let link = token.link(&Url::parse("https://app.example.com/").unwrap(), "verify-email");
        let link = Url::parse(link.expose_secret()).unwrap();
        assert_eq!((link.path(), link.query()), ("/verify-email", None));
        assert_eq!(link.fragment(), Some(format!("token={}", token.token.expose_secret()).as_str()));
    }

    #[test]
    fn refuses_other_forms() {
        let (token, ..) = new(Purpose::PasswordReset);
        let text = token.token.expose_secret();
        for other in ["", "token", &text[1..], &format!("{text}A"), &"!".repeat(64), &"ä".repeat(32)] {
            assert_eq!(PresentedToken::parse(other), None, "{other}");
        }
    }
}
