//! Why a vault did not do what it was asked.

use azure_core::error::{Error, ErrorKind};
use coder_vault::VaultError;

use crate::fault::chain;

/// Why a vault did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyVaultFault {
    /// There is no such key, secret or version.
    #[error("the key vault has no {0}")]
    Missing(String),
    /// The identity may not do it, or the key is disabled or out of its time.
    #[error(
        "the key vault does not allow it: {0}; give the identity its role on the vault, and see whether the key is enabled"
    )]
    Forbidden(String),
    /// What was sent makes no sense to it: a text that this key did not encrypt, above all.
    #[error("the key vault rejects what it was sent: {0}")]
    Rejected(String),
    /// It was asked too often, and still when it was asked again.
    #[error("the key vault is asked too often; try again soon")]
    Busy,
    /// It does not answer, nor does whoever gives tokens for it.
    #[error("the key vault does not answer: {0}")]
    Unreachable(String),
    /// It answered something else than was asked for.
    #[error("the key vault's answer makes no sense: {0}")]
    Unreadable(String),
}

impl KeyVaultFault {
    /// What the SDK's error means. `what` names the thing that was asked for.
    pub(super) fn of(error: &Error, what: &str) -> Self {
        let said = || chain(error);
        match (error.http_status().map(u16::from), error.kind()) {
            (Some(404), _) => Self::Missing(what.to_owned()),
            (Some(401 | 403), _) => Self::Forbidden(said()),
            (Some(429), _) => Self::Busy,
            (Some(408), _) => Self::Unreachable(said()),
            (Some(400..=499), _) => Self::Rejected(said()),
            (None, ErrorKind::DataConversion) => Self::Unreadable(said()),
            _ => Self::Unreachable(said()),
        }
    }
}

impl From<KeyVaultFault> for VaultError {
    fn from(fault: KeyVaultFault) -> Self {
        match fault {
            KeyVaultFault::Missing(_) => Self::UnknownKey,
            KeyVaultFault::Rejected(_) => Self::Refused,
            // People mend it, or time does; the data is fine.
            KeyVaultFault::Forbidden(_)
            | KeyVaultFault::Busy
            | KeyVaultFault::Unreachable(_)
            | KeyVaultFault::Unreadable(_) => Self::Unavailable,
        }
    }
}
