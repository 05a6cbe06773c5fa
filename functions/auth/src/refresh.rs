//! Refresh tokens. The server stores nothing that could be used as one: a token is a seal over the session's
//! generation, made with a key of the platform and the session's own salt.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::id::Uuid;
use coder_core::{Ambient, SessionId, UserId};
use secrecy::SecretString;

/// What every refresh token begins with.
pub const PREFIX: &str = "rt_";

const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 32;
const TOKEN_BYTES: usize = 16 + 16 + 4 + TAG_BYTES;
const TOKEN_CHARACTERS: usize = PREFIX.len() + (TOKEN_BYTES * 4).div_ceil(3);

/// Makes and checks refresh tokens with one key.
#[derive(Clone)]
pub struct RefreshTokens(hmac::Key);

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("RefreshTokens")
    }
}

/// A token as it came in: says which session to read, proves nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedRefreshToken {
    /// Whose partition to read.
    pub user_id: UserId,
    /// Which session.
    pub session_id: SessionId,
    generation: u32,
    tag: [u8; TAG_BYTES],
}

impl fmt::Debug for PresentedRefreshToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PresentedRefreshToken({}, {})", self.session_id, self.generation)
    }
}

/// The generation of a token that was made here: the evidence that a session's rules decide upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenGeneration(u32);

impl ProvenGeneration {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn of(generation: u32) -> Self {
        Self(generation)
    }
}

/// A new session's salt, as it is stored.
pub fn new_salt(ambient: &Ambient) -> String {
    URL_SAFE_NO_PAD.encode(ambient.random::<SALT_BYTES>())
}

impl RefreshTokens {
    /// Tokens sealed with a key of the platform.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The token of a session's generation; the same for the same arguments.
    pub fn issue(&self, user_id: UserId, session_id: SessionId, generation: u32, salt: &str) -> SecretString {
        let mut token = Vec::with_capacity(TOKEN_BYTES);
        token.extend_from_slice(user_id.uuid().as_bytes());
        token.extend_from_slice(session_id.uuid().as_bytes());
        token.extend_from_slice(&generation.to_be_bytes());
        token.extend_from_slice(hmac::sign(&self.0, &sealed(session_id, generation, salt)).as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token)).into()
    }

    /// The generation, if the token was made here for this session.
    pub fn prove(&self, token: &PresentedRefreshToken, salt: &str) -> Option<ProvenGeneration> {
        let sealed = sealed(token.session_id, token.generation, salt);
        // Compares in constant time.
        hmac::verify(&self.0, &sealed, &token.tag).ok().map(|()| ProvenGeneration(token.generation))
    }
}

impl PresentedRefreshToken {
    /// Reads a token's form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_CHARACTERS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (user_id, rest) = bytes.split_first_chunk::<16>()?;
        let (session_id, rest) = rest.split_first_chunk::<16>()?;
        let (generation, tag) = rest.split_first_chunk::<4>()?;
        Some(Self {
            user_id: Uuid::from_bytes(*user_id).into(),
            session_id: Uuid::from_bytes(*session_id).into(),
            generation: u32::from_be_bytes(*generation),
            tag: tag.try_into().ok()?,
        })
    }
}

/// What the seal covers. All parts have a fixed length, so none can pass for another. The user id needs no
/// cover: a session is read in the user's partition, and its salt is its own.
fn sealed(session_id: SessionId, generation: u32, salt: &str) -> Vec<u8> {
    [salt.as_bytes(), session_id.uuid().as_bytes(), &generation.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use coder_core::{Ambient, SessionId, UserId};
    use secrecy::ExposeSecret as _;

    use super::{PresentedRefreshToken, RefreshTokens, new_salt};

    fn sample() -> (RefreshTokens, UserId, SessionId, String, String) {
        let ambient = Ambient::system();
        let (tokens, salt) = (RefreshTokens::new(&[7; 32]), new_salt(&ambient));
        let (user_id, session_id) = (ambient.new_id(), ambient.new_id());
        let token = tokens.issue(user_id, session_id, 3, &salt).expose_secret().to_owned();
        (tokens, user_id, session_id, salt, token)
    }

    #[test]
    fn proves_its_own_tokens() {
        let (tokens, user_id, session_id, salt, token) = sample();
        let presented = PresentedRefreshToken::parse(&token).unwrap();
        assert_eq!((presented.user_id, presented.session_id), (user_id, session_id));
        assert_eq!(tokens.prove(&presented, &salt).unwrap().get(), 3);
        assert_eq!(tokens.issue(user_id, session_id, 3, &salt).expose_secret(), token);
        assert!(!format!("{presented:?}").contains(&token[70..]));
    }

    #[test]
    fn refuses_another_key_salt_session_or_generation() {
        let (tokens, _, _, salt, token) = sample();
        let presented = PresentedRefreshToken::parse(&token).unwrap();
        assert_eq!(RefreshTokens::new(&[8; 32]).prove(&presented, &salt), None);
        assert_eq!(tokens.prove(&presented, &new_salt(&Ambient::system())), None);
        let ahead = PresentedRefreshToken { generation: 4, ..presented.clone() };
        assert_eq!(tokens.prove(&ahead, &salt), None);
        let foreign = PresentedRefreshToken { session_id: Ambient::system().new_id(), ..presented };
        assert_eq!(tokens.prove(&foreign, &salt), None);
    }

    #[test]
    fn a_changed_character_is_found() {
        let (tokens, user_id, _, salt, token) = sample();
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let proven = PresentedRefreshToken::parse(&changed)
                .filter(|presented| presented.user_id == user_id)
                .and_then(|presented| tokens.prove(&presented, &salt));
            assert_eq!(proven, None, "position {at}");
        }
    }

    #[test]
    fn refuses_other_forms() {
        let (.., token) = sample();
        for text in [
            "",
            "rt_",
            &token[3..],
            &token[..token.len() - 1],
            &format!("{token}A"),
            &token.replace("rt_", "at_"),
        ] {
            assert_eq!(PresentedRefreshToken::parse(text), None, "{text}");
        }
    }
}
