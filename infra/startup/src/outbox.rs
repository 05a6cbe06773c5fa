//! What happens at once when events were committed, besides publishing.

use std::sync::Arc;

use coder_database::transaction::OutboxEntry;
use coder_queue::OutboxNotifier;

use crate::directory::Directory;

/// Leaves committed events to whoever sweeps the outboxes.
#[derive(Debug, Clone, Copy)]
pub struct LeftForTheSweep;

impl OutboxNotifier for LeftForTheSweep {
    fn committed(&self, _: Vec<OutboxEntry>) {}
}

/// The container whose events can change what somebody may do.
const PERMISSION_CONTAINER: &str = "users";

/// Forgets resolved permissions at every commit that may have changed some, then passes the events on.
#[derive(Debug)]
pub(crate) struct PermissionWatch {
    pub(crate) next: Arc<dyn OutboxNotifier>,
    pub(crate) directory: Arc<Directory>,
}

impl OutboxNotifier for PermissionWatch {
    fn committed(&self, entries: Vec<OutboxEntry>) {
        if entries.iter().any(|entry| entry.container == PERMISSION_CONTAINER) {
            self.directory.forget_permissions();
        }
        self.next.committed(entries);
    }
}
