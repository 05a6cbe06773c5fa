//! What the group's handlers, consumers and jobs work with.

use std::sync::Arc;

use coder_handler::Peers;
use coder_middleware::Runtime;

/// The group's service.
#[derive(Debug, Clone)]
pub struct Usage {
    /// The services of the platform.
    pub runtime: Arc<Runtime>,
    /// The other groups.
    pub peers: Arc<Peers>,
}

impl Usage {
    /// The service of a group that starts.
    pub fn new(runtime: Arc<Runtime>, peers: Arc<Peers>) -> Self {
        Self { runtime, peers }
    }
}
