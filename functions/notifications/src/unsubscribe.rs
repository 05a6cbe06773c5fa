//! Links that switch the mail of a topic off without signing in (RFC 8058). The token names a person and a topic and
//! nothing else, is signed, and has no end, as mail has none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::UserId;
use coder_core::text::hmac_sha256_hex;
use coder_middleware::Runtime;
use subtle::ConstantTimeEq as _;

use crate::service::Notifications;

/// Longest token that is looked at.
const MAX_TOKEN: usize = 400;

/// The address that a mail names.
pub(crate) fn link(service: &Notifications, user_id: UserId, topic: &str) -> String {
    let settings = &service.runtime.settings;
    let base = settings.public_url.as_str().trim_end_matches('/');
    format!("{base}/api/notifications/unsubscribe/{}", issue(&key(&service.runtime), user_id, topic))
}

/// Whom and what a token of ours names.
pub(crate) fn read(service: &Notifications, token: &str) -> Option<(UserId, String)> {
    open(&key(&service.runtime), token)
}

fn key(runtime: &Runtime) -> [u8; 32] {
    *runtime.master.derive("notifications/unsubscribe")
}

/// The token of a person and a topic.
pub fn issue(key: &[u8; 32], user_id: UserId, topic: &str) -> String {
    let named = format!("{user_id} {topic}");
    format!("{}.{}", URL_SAFE_NO_PAD.encode(&named), hmac_sha256_hex(key, &[named.as_bytes()]))
}

/// Whom and what a token names, if it is one that this key signed.
pub fn open(key: &[u8; 32], token: &str) -> Option<(UserId, String)> {
    let (named, mac) = token.split_once('.').filter(|_| token.len() <= MAX_TOKEN)?;
    let named = String::from_utf8(URL_SAFE_NO_PAD.decode(named).ok()?).ok()?;
    let right = hmac_sha256_hex(key, &[named.as_bytes()]);
    if !bool::from(right.as_bytes().ct_eq(mac.as_bytes())) {
        return None;
    }
    let (user_id, topic) = named.split_once(' ')?;
    Some((user_id.parse().ok()?, topic.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{issue, open};

    #[test]
    fn a_token_says_what_was_signed_and_nothing_else() {
        let (key, user_id) = ([1; 32], coder_core::id::EXAMPLE.into());
        let token = issue(&key, user_id, "task.assigned");
        assert_eq!(open(&key, &token), Some((user_id, "task.assigned".to_owned())));
        assert_eq!(open(&[2; 32], &token), None);
        let other = issue(&key, user_id, "task.overdue");
        let (named, _) = other.split_once('.').unwrap();
        let (_, mac) = token.split_once('.').unwrap();
        assert_eq!(open(&key, &format!("{named}.{mac}")), None);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(open(&key, &String::from_utf8(changed).unwrap()), None, "{at}");
        }
        for bad in ["", ".", "a.b", &token[..token.len() - 1], &format!("{token}0"), &"x".repeat(500)] {
            assert_eq!(open(&key, bad), None, "{bad}");
        }
    }
}
