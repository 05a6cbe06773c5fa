//! What the group's handlers, consumers and jobs work with.

use std::sync::Arc;
use std::time::Duration;

use coder_core::Timestamp;
use coder_handler::Peers;
use coder_middleware::Runtime;
use coder_outbound::{OutboundError, SafeHttp};
use url::Url;

use crate::directory::Directory;
use crate::stream::Hub;

/// Longest call to an address that a customer typed.
const OUTBOUND_TIMEOUT: Duration = Duration::from_secs(10);

/// The group's service.
#[derive(Debug, Clone)]
pub struct Notifications {
    /// The services of the platform.
    pub runtime: Arc<Runtime>,
    /// The other groups.
    pub peers: Arc<Peers>,
    /// Who is who.
    pub directory: Arc<Directory>,
    /// Open streams of this process.
    pub hub: Arc<Hub>,
    /// The client for addresses that customers typed.
    outbound: Option<SafeHttp>,
}

impl Notifications {
    /// The service of a group that starts.
    pub fn new(runtime: Arc<Runtime>, peers: Arc<Peers>) -> Self {
        let directory = Arc::new(Directory::new(runtime.ambient.clone(), peers.clone()));
        let outbound = SafeHttp::with_timeout(runtime.settings.outbound_allow_loopback, OUTBOUND_TIMEOUT)
            .inspect_err(|error| tracing::error!(cause = %error, "webhooks are not available"))
            .ok();
        Self { runtime, peers, directory, hub: Arc::default(), outbound }
    }

    /// The client for addresses that customers typed.
    pub(crate) fn outbound(&self) -> Result<&SafeHttp, OutboundError> {
        let gone = || OutboundError::Failed("the client could not be made".to_owned());
        self.outbound.as_ref().ok_or_else(gone)
    }

    /// Why an address that a customer typed may not be called; nothing if it may, or if its name cannot be found at
    /// the moment: every call looks again.
    pub(crate) async fn refusal(&self, url: &str) -> Option<String> {
        let url = match Url::parse(url) {
            Ok(url) => url,
            Err(error) => return Some(error.to_string()),
        };
        match self.outbound().ok()?.check(&url).await {
            Err(refused @ OutboundError::Refused(_)) => Some(refused.to_string()),
            _ => None,
        }
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.runtime.ambient.now()
    }
}
