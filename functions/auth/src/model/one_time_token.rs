//! A token that works once: what a link in a mail, a login step or the first start carries.

use coder_core::{Timestamp, UserId};
use coder_database::{Entity, Partition};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The server's half of a one-time token. Lives in the partition of its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OneTimeToken {
    /// What it is good for, and nothing else.
    pub purpose: Purpose,
    /// SHA-256 of the secret half.
    pub secret_hash: String,
    /// Whose it is; none for `bootstrap`.
    pub user_id: Option<UserId>,
    /// What the purpose needs besides, such as a new address.
    pub data: Value,
    /// Wrong codes so far, for `mfa_login`.
    pub attempts: u32,
    /// When it was used.
    pub consumed_at: Option<Timestamp>,
    /// When it ends; none for `bootstrap`.
    pub expires_at: Option<Timestamp>,
}

/// What a one-time token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Confirms the address of a new account.
    EmailVerification,
    /// Confirms a new address.
    EmailChange,
    /// Sets a new password.
    PasswordReset,
    /// Stands for the right password until the second factor is shown.
    MfaLogin,
    /// Stands for an external login until it is exchanged for tokens.
    ExternalExchange,
    /// Makes the first owner.
    Bootstrap,
}

impl Purpose {
    /// Seconds that a token of this purpose is good; none is for ever.
    pub fn lifetime_seconds(self) -> Option<i64> {
        match self {
            Self::EmailVerification | Self::EmailChange => Some(24 * 3600),
            Self::PasswordReset => Some(3600),
            Self::MfaLogin => Some(300),
            Self::ExternalExchange => Some(60),
            Self::Bootstrap => None,
        }
    }
}

impl Entity for OneTimeToken {
    const TYPE: &'static str = "one-time-token";
    const SECRET: &'static [&'static str] = &["secretHash", "data"];
}

impl OneTimeToken {
    /// Wrong codes that burn an `mfa_login` token.
    pub const MAX_ATTEMPTS: u32 = 5;

    /// The partition of a token id.
    pub fn partition(token_id: &str) -> Partition {
        Partition::keyed("token", token_id)
    }
}
