//! Signing in to Redis with tokens of Entra ID, and signing in again on the open connection before a token ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::redis::auth::{BasicAuth, StreamingCredentialsProvider};
use ::redis::{ErrorKind, RedisError, RedisResult};
use azure_core::credentials::{AccessToken, TokenCredential};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Ambient;
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;

use crate::credential::scope;

/// How long before its end a token is replaced. The credential keeps a token until five minutes before its end, so
/// that asking earlier would only bring the same one.
const LEAD: Duration = Duration::from_mins(4);

/// The shortest time between two tokens.
const LEAST: Duration = Duration::from_secs(1);

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Turns the tokens of a credential into user names and passwords: the object id of the identity, and the token.
pub(super) struct EntraCredentials {
    credential: Arc<dyn TokenCredential>,
    ambient: Ambient,
}

impl EntraCredentials {
    pub(super) fn new(credential: Arc<dyn TokenCredential>, ambient: Ambient) -> Self {
        Self { credential, ambient }
    }
}

impl StreamingCredentialsProvider for EntraCredentials {
    fn subscribe(&self) -> Pin<Box<dyn Stream<Item = RedisResult<BasicAuth>> + Send + 'static>> {
        let (credential, ambient) = (self.credential.clone(), self.ambient.clone());
        Box::pin(unfold(Duration::ZERO, move |wait| {
            let (credential, ambient) = (credential.clone(), ambient.clone());
            async move {
                tokio::time::sleep(wait).await;
                let token = credential.get_token(&[scope::REDIS], None).await;
                let signed_in = token.map_err(no_token).and_then(|token| Ok((user(&token)?, token)));
                Some(match signed_in {
                    Ok((user, token)) => {
                        let wait = renewal(&token, &ambient);
                        (Ok(BasicAuth::new(user, token.token.secret().to_owned())), wait)
                    }
                    Err(error) => (Err(error), AGAIN),
                })
            }
        }))
    }
}

/// When to ask for the next token. One that has less than twice the lead left, or that is handed out again, is
/// asked for at half of what it has left, and so ever more often towards its end.
fn renewal(token: &AccessToken, ambient: &Ambient) -> Duration {
    let left = token.expires_on.unix_timestamp().saturating_sub(ambient.now().as_second());
    let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
    left.saturating_sub(LEAD).max((left / 2).min(LEAD)).max(LEAST)
}

#[derive(Deserialize)]
struct Claims {
    oid: String,
}

/// The identity's object id. The token comes from the identity provider itself, so nothing is checked.
fn user(token: &AccessToken) -> RedisResult<String> {
    let claims = token.token.secret().split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    claims.map(|claims| claims.oid).ok_or_else(|| {
        (ErrorKind::AuthenticationFailed, "the token does not tell the object id of an identity").into()
    })
}

fn no_token(error: azure_core::Error) -> RedisError {
    (ErrorKind::AuthenticationFailed, "no token for Redis", crate::fault::chain(&error)).into()
}

impl fmt::Debug for EntraCredentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("EntraCredentials")
    }
}

#[cfg(test)]
mod tests {
    use azure_core::credentials::AccessToken;
    use azure_core::time::OffsetDateTime;
    use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};

    use super::{renewal, user};

    #[test]
    fn tokens_are_renewed_four_minutes_before_their_end_or_at_half() {
        let clock = ManualClock::at(Timestamp::from_second(1_000_000).unwrap());
        let ambient = Ambient::new(clock, OsEntropy);
        for (left, expected) in
            [(86_400, 86_160), (3_600, 3_360), (480, 240), (240, 120), (10, 5), (1, 1), (-5, 1)]
        {
            let end = OffsetDateTime::from_unix_timestamp(1_000_000 + left).unwrap();
            let wait = renewal(&AccessToken::new("t", end), &ambient);
            assert_eq!(wait.as_secs(), expected, "{left}");
        }
    }

    #[test]
    fn the_user_is_the_object_id() {
        let token = |text: &'static str| AccessToken::new(text, OffsetDateTime::UNIX_EPOCH);
        // {"oid":"0f1e","sub":"x"}
        assert_eq!(user(&token("h.eyJvaWQiOiIwZjFlIiwic3ViIjoieCJ9.s")).unwrap(), "0f1e");
        for wrong in ["", "opaque", "h.e30.s", "h.!.s"] {
            assert!(user(&token(wrong)).is_err(), "{wrong}");
        }
    }
}
