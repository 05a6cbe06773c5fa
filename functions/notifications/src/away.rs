//! Whether a person is there: an open stream, or a look at the inbox within two minutes.

use coder_core::{OrganizationId, Result, UserId};
use coder_database::{Partition, Repository};
use coder_middleware::{RequestContext, Unit};

use crate::CONTAINER;
use crate::model::item::Presence;
use crate::model::of_user;
use crate::service::Notifications;

/// Seconds without a sign after which a person is away.
const AWAY_SECONDS: i64 = 120;
/// A newer note is not written again.
const NOTE_SECONDS: i64 = 30;

impl Notifications {
    fn presences(&self) -> Repository<Presence> {
        Repository::new(self.runtime.store.clone(), CONTAINER)
    }

    /// Whether the person is away.
    pub async fn is_away(&self, organization_id: Option<OrganizationId>, user_id: UserId) -> Result<bool> {
        if self.hub.has(user_id) {
            return Ok(false);
        }
        let found = self.presences().find(&of_user(organization_id, user_id), Presence::ID).await?;
        Ok(found.is_none_or(|found| self.seconds_since(&found.data) > AWAY_SECONDS))
    }

    /// Notes that the person was here. It is a note: a failure is logged and nothing more.
    pub async fn note_presence(&self, context: &RequestContext, partition: &Partition, user_id: UserId) {
        if let Err(failure) = self.write_presence(context, partition, user_id).await {
            tracing::warn!(cause = %failure, "a presence was not noted");
        }
    }

    async fn write_presence(
        &self,
        context: &RequestContext,
        partition: &Partition,
        user_id: UserId,
    ) -> Result<()> {
        let found = self.presences().find(partition, Presence::ID).await?;
        if found.is_some_and(|found| self.seconds_since(&found.data) < NOTE_SECONDS) {
            return Ok(());
        }
        let mut unit = Unit::aside(context, CONTAINER, partition.clone()).without_audit();
        unit.mirror(Presence::ID, Presence { user_id, last_active_at: self.now() })?;
        unit.commit(coder_middleware::NoContent).await.map(|_| ())
    }

    fn seconds_since(&self, presence: &Presence) -> i64 {
        self.now().duration_since(presence.last_active_at).as_secs()
    }
}
