//! The identity of the process: one credential for every service of the cloud, and no key anywhere.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_core::time::Duration;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

/// What tokens are asked for: one service each, so that a token is of no use elsewhere. The clients of Cosmos DB and
/// Key Vault name their own.
pub mod scope {
    /// Service Bus.
    pub const SERVICE_BUS: &str = "https://servicebus.azure.net/.default";
    /// Azure Managed Redis.
    pub const REDIS: &str = "https://redis.azure.com/.default";
}

/// An application of the tenant, for which tokens are asked as for a service.
#[derive(Debug, Clone)]
pub struct Application {
    credential: Arc<dyn TokenCredential>,
    scope: String,
}

/// No token can be had.
#[derive(Debug, thiserror::Error)]
#[error("no token for `{scope}` can be had: {reason}")]
pub struct NoToken {
    scope: String,
    reason: String,
}

impl Application {
    /// The application with this address, such as `api://<client id>`.
    pub fn new(credential: Arc<dyn TokenCredential>, address: &str) -> Self {
        Self { credential, scope: format!("{address}/.default") }
    }

    /// A token for it, from the credential's cache if it has one.
    pub async fn token(&self) -> Result<String, NoToken> {
        let refused = |reason| NoToken { scope: self.scope.clone(), reason };
        match self.credential.get_token(&[&self.scope], None).await {
            Ok(token) => Ok(token.token.secret().to_owned()),
            Err(error) => Err(refused(crate::fault::chain(&error))),
        }
    }
}

/// Further tries for a token, and the longest that they may take together. The SDK's own limit is a minute, longer
/// than a request may wait.
const RETRIES: u32 = 3;
const LONGEST: Duration = Duration::seconds(5);

/// The settings do not tell who the process is.
#[derive(Debug, thiserror::Error)]
#[error("there is no managed identity: {reason}")]
pub struct NoIdentity {
    /// Why.
    reason: String,
}

/// The user-assigned managed identity with this client id (`AZURE_CLIENT_ID`), to be shared by all clients.
///
/// The environment says where tokens come from: a function app sets `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`, a
/// virtual machine is asked at its own address. Nothing is asked before the first token is wanted. A token is kept
/// for each scope until five minutes before it ends; whoever wants it then waits for the next one.
pub fn managed_identity(client_id: &str) -> Result<Arc<dyn TokenCredential>, NoIdentity> {
    let retry = ExponentialRetryOptions {
        max_retries: RETRIES,
        max_total_elapsed: LONGEST,
        ..ExponentialRetryOptions::default()
    };
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: Some(UserAssignedId::ClientId(client_id.to_owned())),
        client_options: ClientOptions { retry: RetryOptions::exponential(retry), ..ClientOptions::default() },
    };
    match ManagedIdentityCredential::new(Some(options)) {
        Ok(credential) => Ok(credential),
        Err(error) => Err(NoIdentity { reason: crate::fault::chain(&error) }),
    }
}
