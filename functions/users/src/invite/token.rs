//! The token of an invitation: `base64url(token id ‖ secret)` in the link, the hash of the secret in the store.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_config::Settings;
use coder_core::Ambient;
use coder_core::id::Uuid;
use coder_core::text::sha256_hex;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::model::Invitation;

const SECRET_BYTES: usize = 32;
const TOKEN_CHARACTERS: usize = (16 + SECRET_BYTES) * 4 / 3;

/// A token that was just made.
#[derive(Debug)]
pub(crate) struct NewToken {
    /// The id of its look-up.
    pub(crate) id: String,
    /// What is stored of the secret.
    pub(crate) hash: String,
    /// What the invited person gets.
    pub(crate) text: SecretString,
}

/// A token as it came in: says where to look, proves nothing yet.
pub(crate) struct PresentedToken {
    /// The id of its look-up.
    pub(crate) id: String,
    hash: String,
}

impl fmt::Debug for PresentedToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PresentedToken({})", self.id)
    }
}

impl NewToken {
    /// Makes a token.
    pub(crate) fn generate(ambient: &Ambient) -> Self {
        let (id, secret) = (ambient.new_uuid(), ambient.random::<SECRET_BYTES>());
        let text = URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &secret].concat());
        Self { id: id.to_string(), hash: sha256_hex(&[secret]), text: text.into() }
    }
}

impl PresentedToken {
    /// Reads a token's form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_CHARACTERS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        Some(Self { id: Uuid::from_bytes(*id).to_string(), hash: sha256_hex(&[secret]) })
    }

    /// Whether it is the token that was sent last for this invitation.
    pub(crate) fn answers(&self, invitation: &Invitation) -> bool {
        self.id == invitation.token_id
            && bool::from(self.hash.as_bytes().ct_eq(invitation.token_hash.as_bytes()))
    }
}

/// The link that a mail carries. The token stands in the fragment, which browsers send to nobody, so that it
/// reaches no access log and no referrer.
pub(crate) fn accept_url(settings: &Settings, token: &SecretString) -> SecretString {
    let application = settings.allowed_origins.first().map_or(settings.public_url.as_str(), String::as_str);
    format!("{}/invitations#token={}", application.trim_end_matches('/'), token.expose_secret()).into()
}

#[cfg(test)]
mod tests {
    use coder_core::Ambient;
    use secrecy::ExposeSecret as _;

    use super::{NewToken, PresentedToken, accept_url};
    use crate::invite::example;

    #[test]
    fn only_the_last_token_answers() {
        let ambient = Ambient::system();
        let (token, other) = (NewToken::generate(&ambient), NewToken::generate(&ambient));
        let presented = PresentedToken::parse(token.text.expose_secret()).unwrap();
        let mut invitation = example();
        (invitation.token_id, invitation.token_hash) = (token.id.clone(), token.hash.clone());
        assert!(presented.answers(&invitation));
        invitation.token_hash = other.hash;
        assert!(!presented.answers(&invitation), "the right id with another secret");
        (invitation.token_id, invitation.token_hash) = (other.id, token.hash);
        assert!(!presented.answers(&invitation), "the right secret for another id");
    }

    #[test]
    fn what_is_no_token_is_none_and_nothing_prints_a_secret() {
        let token = NewToken::generate(&Ambient::system());
        let text = token.text.expose_secret();
        for wrong in ["", "x", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "%")] {
            assert!(PresentedToken::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{token:?}").contains(text));
    }

    #[test]
    fn the_link_leads_to_the_application_with_the_token_in_its_fragment() {
        let settings = coder_config::Settings::for_tests(".");
        let url = accept_url(&settings, &"t0k3n".into());
        assert_eq!(url.expose_secret(), "http://localhost:3000/invitations#token=t0k3n");
    }
}
