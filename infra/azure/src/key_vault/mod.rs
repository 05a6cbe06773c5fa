//! Azure Key Vault: keys that never leave it, which wrap data keys and sign, and the platform's own secrets.

mod fault;
mod secrets;
mod signer;
mod vault;
mod wrapping;

pub use fault::KeyVaultFault;
pub use secrets::{MasterKeyFault, master_key};
pub use signer::{PublicKey, VaultSigner};
pub use vault::{InvalidVault, Vault};
pub use wrapping::AzureKeyVault;
