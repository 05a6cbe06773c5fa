//! The way to one vault: who asks, how long, and how often.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Url};
use azure_security_keyvault_keys::models::{Key, KeyClientGetKeyOptions};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceExt as _};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use coder_core::Ambient;

use super::KeyVaultFault;

/// Further tries after a fault that may pass: 408, 429, 5xx, no connection. A `Retry-After` is kept to.
const RETRIES: u32 = 3;

/// Longest time for an answer, with all tries.
const LONGEST: Duration = Duration::from_secs(10);

/// A text that is no vault's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a key vault; write `https://name.vault.azure.net/`")]
pub struct InvalidVault(String);

/// A vault, as one identity sees it. Clones share connections and tokens; the first call makes both.
#[derive(Clone)]
pub struct Vault(Arc<Shared>);

struct Shared {
    url: Url,
    credential: Arc<dyn TokenCredential>,
    ambient: Ambient,
    options: ClientOptions,
    keys: OnceLock<KeyClient>,
    secrets: OnceLock<SecretClient>,
}

impl Vault {
    /// The vault at this address: `https`, a host, nothing else.
    pub fn new(
        url: &str,
        credential: Arc<dyn TokenCredential>,
        ambient: Ambient,
    ) -> Result<Self, InvalidVault> {
        let retry = ExponentialRetryOptions { max_retries: RETRIES, ..ExponentialRetryOptions::default() };
        let retry = RetryOptions::exponential(retry);
        Self::with_options(url, credential, ambient, ClientOptions { retry, ..ClientOptions::default() })
    }

    /// The vault, with another transport or other retries than usual.
    pub fn with_options(
        url: &str,
        credential: Arc<dyn TokenCredential>,
        ambient: Ambient,
        options: ClientOptions,
    ) -> Result<Self, InvalidVault> {
        let plain = |url: &Url| url.scheme() == "https" && url.host().is_some() && url.path() == "/";
        let parsed = Url::parse(url).ok().filter(|parsed| plain(parsed) && parsed.query().is_none());
        let url = parsed.ok_or_else(|| InvalidVault(url.to_owned()))?;
        let (keys, secrets) = (OnceLock::new(), OnceLock::new());
        Ok(Self(Arc::new(Shared { url, credential, ambient, options, keys, secrets })))
    }

    pub(super) fn ambient(&self) -> &Ambient {
        &self.0.ambient
    }

    /// The full name of a version of a key, as the vault gives it.
    pub(super) fn key_id(&self, key: &str, version: &str) -> String {
        format!("{}keys/{key}/{version}", self.0.url)
    }

    /// The version that a full name tells, if it names this key of this vault.
    pub(super) fn version_of<'a>(&self, key: &str, id: &'a str) -> Option<&'a str> {
        let version = id.strip_prefix(&self.key_id(key, ""))?;
        (!version.is_empty() && version.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(version)
    }

    /// A key's public half and attributes: of a version, or of the newest.
    pub(super) async fn key(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(Key, String), KeyVaultFault> {
        let options = KeyClientGetKeyOptions {
            key_version: version.map(str::to_owned),
            ..KeyClientGetKeyOptions::default()
        };
        let what = format!("key `{name}`");
        let key = async { self.keys()?.get_key(name, Some(options)).await?.into_model() };
        let key = self.call(&what, key).await?;
        let id = key.resource_id().map_err(|error| KeyVaultFault::of(&error, &what))?;
        let version =
            id.version.ok_or_else(|| KeyVaultFault::Unreadable(format!("{what} has no version")))?;
        Ok((key, version))
    }

    pub(super) fn keys(&self) -> azure_core::Result<&KeyClient> {
        let shared = &self.0;
        if let Some(client) = shared.keys.get() {
            return Ok(client);
        }
        let options =
            KeyClientOptions { client_options: shared.options.clone(), ..KeyClientOptions::default() };
        let client = KeyClient::new(shared.url.as_str(), shared.credential.clone(), Some(options))?;
        Ok(shared.keys.get_or_init(|| client))
    }

    pub(super) fn secrets(&self) -> azure_core::Result<&SecretClient> {
        let shared = &self.0;
        if let Some(client) = shared.secrets.get() {
            return Ok(client);
        }
        let options =
            SecretClientOptions { client_options: shared.options.clone(), ..SecretClientOptions::default() };
        let client = SecretClient::new(shared.url.as_str(), shared.credential.clone(), Some(options))?;
        Ok(shared.secrets.get_or_init(|| client))
    }

    /// Waits for an answer, but not for ever. `what` names the thing that is asked for.
    pub(super) async fn call<T>(
        &self,
        what: &str,
        answer: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<T, KeyVaultFault> {
        match tokio::time::timeout(LONGEST, answer).await {
            Ok(outcome) => outcome.map_err(|error| KeyVaultFault::of(&error, what)),
            Err(_) => Err(KeyVaultFault::Unreachable(format!("no answer within {} s", LONGEST.as_secs()))),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vault").field("url", &self.0.url.as_str()).finish_non_exhaustive()
    }
}
