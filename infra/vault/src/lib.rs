//! Keys, and the encryption of what is stored. One master key; every purpose gets its own key, derived from it.
//!
//! Entry points: [`MasterKey`] at start-up, [`Sealer`] to encrypt small texts under a key of the platform,
//! [`DataKey`] with a [`KeyVault`] where each tenant has a key of its own (envelope encryption).

mod envelope;
mod master;
mod sealer;

pub use envelope::{DataKey, KeyVault, LocalKeyVault, NoKeyVault, WrappedKey};
pub use master::MasterKey;
pub use sealer::{Ciphertext, Sealer};
/// Bytes that are overwritten when they go out of scope.
pub use secrecy::zeroize::Zeroizing;

/// Why a vault refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Not base64 of 32 bytes.
    #[error("the key is not base64 of 32 bytes; `openssl rand -base64 32` makes one")]
    NotAKey,
    /// Not what a sealer of this version writes.
    #[error("the text was not sealed by this platform, or by a newer version of it")]
    NotSealed,
    /// The authentication tag does not hold: changed, moved to another place, or sealed under another key.
    #[error("the sealed text was changed, belongs elsewhere, or was sealed under another key")]
    Refused,
    /// The data key is wrapped under a key that this vault does not have.
    #[error("the data key is wrapped under a key that this vault does not have")]
    UnknownKey,
    /// The vault cannot be reached.
    #[error("the key vault does not answer")]
    Unavailable,
}

impl From<VaultError> for coder_core::Failure {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Unavailable => {
                let detail = "The key vault does not answer; try again soon.";
                coder_core::Problem::new(coder_core::Code::KeyUnavailable, detail).retry_after(30).into()
            }
            other => Self::internal(other),
        }
    }
}

/// What a failure means that the arguments' types and lengths exclude: going on without the key would be worse
/// than stopping.
fn certain<T, E>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|_| std::process::abort())
}
