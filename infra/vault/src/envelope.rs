//! Envelope encryption: a data key for each tenant encrypts its documents, a key of the vault encrypts the data
//! key. The vault's key can then live where nobody can read it, and rotating it rewrites data keys only.

use std::fmt;

use coder_core::Ambient;

use crate::master::MasterKey;
use crate::sealer::Sealer;
use crate::{VaultError, Zeroizing};

/// The purpose of the local vault's key-encryption key.
const PURPOSE: &str = "key-vault";

/// A key that encrypts documents. It is stored only wrapped.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new key.
    pub fn generate(ambient: &Ambient) -> Self {
        Self(Zeroizing::new(ambient.random()))
    }

    /// The key made of these bytes; for implementations of [`KeyVault`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        <[u8; 32]>::try_from(bytes).map(|bytes| Self(Zeroizing::new(bytes))).map_err(|_| VaultError::NotAKey)
    }

    /// The bytes; for implementations of [`KeyVault`].
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A sealer under this key.
    pub fn sealer(&self, ambient: Ambient) -> Sealer {
        Sealer::new(&self.0, ambient)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DataKey")
    }
}

/// A data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The vault's key, with its version, that wraps it.
    pub wrapped_by: String,
    /// How, in the words of JSON Web Algorithms: `A256GCM`, `RSA-OAEP-256`.
    pub algorithm: String,
    /// The encrypted key.
    pub text: String,
}

/// Holds key-encryption keys and never gives them away.
#[async_trait::async_trait]
pub trait KeyVault: Send + Sync + fmt::Debug {
    /// The key, with its newest version, that [`KeyVault::wrap`] uses now: what is wrapped by another is due to be
    /// wrapped again.
    async fn newest(&self) -> Result<String, VaultError>;

    /// Encrypts a data key under the newest key of the vault. `context` says whose key it is.
    async fn wrap(&self, key: &DataKey, context: &str) -> Result<WrappedKey, VaultError>;

    /// Decrypts a data key that was wrapped with the same context.
    async fn unwrap(&self, wrapped: &WrappedKey, context: &str) -> Result<DataKey, VaultError>;
}

/// A vault in this process: each version of its key is derived from a master key.
#[derive(Debug, Clone)]
pub struct LocalKeyVault {
    newest: Version,
    older: Vec<Version>,
}

#[derive(Debug, Clone)]
struct Version {
    name: String,
    sealer: Sealer,
}

impl LocalKeyVault {
    /// How keys are wrapped here.
    pub const ALGORITHM: &str = "A256GCM";

    /// The vault of this master key.
    pub fn new(master: &MasterKey, ambient: Ambient) -> Self {
        Self { newest: Version::new(1, master, ambient), older: Vec::new() }
    }

    /// The vault with a newer version of its key; what older ones wrapped can still be unwrapped.
    pub fn renewed(mut self, master: &MasterKey, ambient: Ambient) -> Self {
        let newest = Version::new(self.older.len() + 2, master, ambient);
        self.older.push(std::mem::replace(&mut self.newest, newest));
        self
    }
}

impl Version {
    fn new(number: usize, master: &MasterKey, ambient: Ambient) -> Self {
        Self { name: format!("local/{number}"), sealer: master.sealer(PURPOSE, ambient) }
    }
}

#[async_trait::async_trait]
impl KeyVault for LocalKeyVault {
    async fn newest(&self) -> Result<String, VaultError> {
        Ok(self.newest.name.clone())
    }

    async fn wrap(&self, key: &DataKey, context: &str) -> Result<WrappedKey, VaultError> {
        let text = self.newest.sealer.seal(key.expose(), context);
        Ok(WrappedKey { wrapped_by: self.newest.name.clone(), algorithm: Self::ALGORITHM.to_owned(), text })
    }

    async fn unwrap(&self, wrapped: &WrappedKey, context: &str) -> Result<DataKey, VaultError> {
        let mut versions = std::iter::once(&self.newest).chain(&self.older);
        let version =
            versions.find(|version| version.name == wrapped.wrapped_by).ok_or(VaultError::UnknownKey)?;
        DataKey::from_bytes(&version.sealer.open(&wrapped.text, context)?)
    }
}

/// Stands for a vault that was never set up: everything is refused as unavailable.
#[derive(Debug, Clone, Copy)]
pub struct NoKeyVault;

#[async_trait::async_trait]
impl KeyVault for NoKeyVault {
    async fn newest(&self) -> Result<String, VaultError> {
        Err(VaultError::Unavailable)
    }

    async fn wrap(&self, _: &DataKey, _: &str) -> Result<WrappedKey, VaultError> {
        Err(VaultError::Unavailable)
    }

    async fn unwrap(&self, _: &WrappedKey, _: &str) -> Result<DataKey, VaultError> {
        Err(VaultError::Unavailable)
    }
}

#[cfg(test)]
mod tests {
    use coder_core::Ambient;

    use super::{DataKey, KeyVault as _, LocalKeyVault, WrappedKey};
    use crate::{MasterKey, VaultError};

    #[tokio::test]
    async fn a_data_key_comes_back_only_to_its_tenant_from_its_vault() {
        let ambient = Ambient::system();
        let vault = LocalKeyVault::new(&MasterKey::new([1; 32]), ambient.clone());
        let key = DataKey::generate(&ambient);
        let sealed = key.sealer(ambient.clone()).seal(b"document", "tenant/1");
        let wrapped = vault.wrap(&key, "tenant").await.unwrap();

        let again = vault.unwrap(&wrapped, "tenant").await.unwrap();
        assert_eq!(**again.sealer(ambient.clone()).open(&sealed, "tenant/1").unwrap(), *b"document");

        assert_eq!(vault.unwrap(&wrapped, "another").await.unwrap_err(), VaultError::Refused);
        let other = LocalKeyVault::new(&MasterKey::new([2; 32]), ambient);
        assert_eq!(other.unwrap(&wrapped, "tenant").await.unwrap_err(), VaultError::Refused);
        let foreign = WrappedKey { wrapped_by: "cloud/7".to_owned(), ..wrapped };
        assert_eq!(vault.unwrap(&foreign, "tenant").await.unwrap_err(), VaultError::UnknownKey);
    }

    #[tokio::test]
    async fn a_renewed_vault_unwraps_what_it_wrapped_before() {
        let ambient = Ambient::system();
        let old = LocalKeyVault::new(&MasterKey::new([1; 32]), ambient.clone());
        let key = DataKey::generate(&ambient);
        let wrapped = old.wrap(&key, "tenant").await.unwrap();
        let renewed = old.clone().renewed(&MasterKey::new([2; 32]), ambient);
        assert_ne!(renewed.newest().await.unwrap(), wrapped.wrapped_by);
        let again = renewed.wrap(&renewed.unwrap(&wrapped, "tenant").await.unwrap(), "tenant").await.unwrap();
        assert_eq!(again.wrapped_by, renewed.newest().await.unwrap());
        assert_eq!(renewed.unwrap(&again, "tenant").await.unwrap().expose(), key.expose());
        assert_eq!(old.unwrap(&again, "tenant").await.unwrap_err(), VaultError::UnknownKey);
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", DataKey::from_bytes(&[7; 32]).unwrap()), "DataKey");
        assert_eq!(DataKey::from_bytes(&[7; 31]).unwrap_err(), VaultError::NotAKey);
    }
}
