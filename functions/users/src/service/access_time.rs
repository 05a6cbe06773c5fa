//! When a member last used the organization, noted at most once an hour.

use coder_core::{Failure, Result, UserId};
use coder_database::{Operation, Partition, Patch};
use coder_handler::Cause;
use serde_json::json;

use super::{Snapshot, Users};
use crate::model::{CONTAINER, Membership};

/// Seconds between two notes.
const HOUR: i64 = 3600;

impl Users {
    /// Notes that a person uses the organization now, unless that was noted in the last hour. The membership keeps
    /// its entity tag, since nobody changed it.
    pub async fn note_access(&self, cause: Cause<'_>, snapshot: &Snapshot, user_id: UserId) -> Result<()> {
        let Some(membership) = snapshot.permissions.membership(user_id) else { return Ok(()) };
        let now = self.now();
        if membership.last_access_at.is_some_and(|last| now.duration_since(last).as_secs() < HOUR) {
            return Ok(());
        }
        let mut unit =
            cause.begin(CONTAINER, Partition::organization(snapshot.organization_id())).without_audit();
        unit.push(Operation::Patch {
            id: Membership::document_id(user_id),
            patches: vec![Patch::Set { field: "lastAccessAt".to_owned(), value: json!(now) }],
            if_match: None,
        });
        match cause.commit(unit).await {
            // The member has just left.
            Err(Failure::Stale) => Ok(()),
            outcome => outcome,
        }
    }
}
