//! The live stream of one person's inbox. Every change is read from the store, so that changes by another process
//! are told like those of this one, only later: this process wakes its streams, and each looks now and then anyway.

mod hub;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use coder_core::{Caller, Credential, OrganizationId, Result, Scope, Timestamp, UserId};
use coder_database::Partition;
use coder_middleware::{RequestContext, ServerSentEvent};
use futures_util::Stream;
use serde_json::json;

pub use hub::{Hint, Hub, Place, STREAMS};

use crate::inbox::Tally;
use crate::model::item::ItemRecord;
use crate::routes::inbox::Counts;
use crate::service::Notifications;
use crate::topics::covers;

/// How often a stream looks for changes that another process made, and whether it may go on.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Items that a stream sends at once; for more the client reads the list again.
pub const REPLAYED: u32 = 500;

/// One stream.
struct Tail {
    service: Notifications,
    context: RequestContext,
    caller: Arc<Caller>,
    organization_id: Option<OrganizationId>,
    user_id: UserId,
    partition: Partition,
    place: Place,
    topics: Vec<String>,
    since: Timestamp,
    seen: Tally,
    waiting: VecDeque<ServerSentEvent>,
}

/// What a stream is opened with.
#[derive(Debug)]
pub struct Opening {
    /// The request.
    pub context: RequestContext,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Whose inbox.
    pub user_id: UserId,
    /// In which organization.
    pub organization_id: Option<OrganizationId>,
    /// The person's bucket.
    pub partition: Partition,
    /// Patterns of hints.
    pub topics: Vec<String>,
    /// The last event that the client has.
    pub last_event_id: Option<String>,
}

/// Opens a stream: first what the client missed, then the counts, then everything as it happens.
pub async fn open(
    service: &Notifications,
    place: Place,
    opening: Opening,
) -> Result<impl Stream<Item = ServerSentEvent> + Send + 'static> {
    let Opening { context, caller, user_id, organization_id, partition, topics, last_event_id } = opening;
    let seen = service.tally(&partition).await?;
    let (since, waiting) = (service.now(), VecDeque::new());
    let service = service.clone();
    let mut tail = Tail {
        service,
        context,
        caller,
        organization_id,
        user_id,
        partition,
        place,
        topics,
        since,
        seen,
        waiting,
    };
    if let Some(last) = last_event_id {
        tail.replay(&last).await?;
    }
    tail.push("counts", tail.seen.seq, json!(Counts::of(&tail.seen)));
    Ok(futures_util::stream::unfold(tail, |mut tail| async move {
        let event = tail.next().await?;
        Some((event, tail))
    }))
}

impl Tail {
    fn push(&mut self, event: &'static str, id: u64, data: serde_json::Value) {
        self.waiting.push_back(ServerSentEvent { id: id.to_string(), event, data });
    }

    fn push_created(&mut self, items: &[ItemRecord]) {
        for item in items {
            self.push("inbox.created", item.data.seq, json!(item));
        }
    }

    /// What came after the last event that the client has; items that come from now on are told as they come.
    async fn replay(&mut self, last: &str) -> Result<()> {
        let newest = self.seen.seq;
        let Some(last) = last.parse::<u64>().ok().filter(|last| *last <= newest) else {
            self.push("reset", newest, json!({}));
            return Ok(());
        };
        let missed = self.service.created_since(&self.partition, last, REPLAYED + 1).await?;
        let missed: Vec<ItemRecord> = missed.into_iter().filter(|item| item.data.seq <= newest).collect();
        if missed.len() > REPLAYED as usize {
            self.push("reset", newest, json!({}));
        } else {
            self.push_created(&missed);
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<ServerSentEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let hint = tokio::select! {
                changed = self.place.changes.changed() => {
                    changed.ok()?;
                    None
                }
                hint = self.place.hints.recv() => hint.ok(),
                () = tokio::time::sleep(LOOK_EVERY) => None,
            };
            if self.is_revoked() {
                return None;
            }
            if let Some(hint) = hint {
                self.take_hint(&hint).await;
                continue;
            }
            self.service.note_presence(&self.context, &self.partition, self.user_id).await;
            if let Err(failure) = self.look().await {
                // The client comes back and misses nothing.
                tracing::warn!(cause = %failure, "a stream ends early");
                return None;
            }
        }
    }

    /// Puts what changed since the last look among the waiting events.
    async fn look(&mut self) -> Result<()> {
        let tally = self.service.tally(&self.partition).await?;
        if tally == self.seen {
            return Ok(());
        }
        let changed = self.service.changed_since(&self.partition, self.seen.revision, REPLAYED + 1).await?;
        let (mut created, mut updated): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|item| item.data.seq > self.seen.seq);
        // What came after the head was read is told at the next look, with its head.
        created.retain(|item| item.data.seq <= tally.seq);
        updated.retain(|item| item.data.revision <= tally.revision);
        if created.len() + updated.len() > REPLAYED as usize {
            self.push("reset", tally.seq, json!({}));
        } else {
            created.sort_by_key(|item| item.data.seq);
            self.push_created(&created);
            for item in &updated {
                self.push("inbox.updated", tally.seq, json!(item));
            }
        }
        self.push("counts", tally.seq, json!(Counts::of(&tally)));
        self.seen = tally;
        Ok(())
    }

    /// Whether the credential was taken back after the stream began.
    fn is_revoked(&self) -> bool {
        let revocations = &self.service.runtime.revocations;
        match &self.caller.credential {
            Credential::Session { session_id, .. } => {
                revocations.is_revoked(*session_id, self.user_id, self.organization_id, self.since)
            }
            Credential::ApiKey { key_id, .. } => revocations.is_key_revoked(key_id),
            Credential::Service { .. } => false,
        }
    }

    async fn take_hint(&mut self, hint: &Hint) {
        let wanted = self.topics.iter().any(|pattern| covers(pattern, hint.name));
        if !wanted || self.organization_id != Some(hint.organization_id) {
            return;
        }
        let party = hint.parties.contains(&self.user_id);
        let reader = match hint.project_id {
            Some(project) if !party => {
                let scope = Scope::Project(project);
                let authorizer = &self.service.runtime.authorizer;
                let held = authorizer.permissions(hint.organization_id, self.user_id, scope).await;
                held.is_ok_and(|held| held.allows("users.project.read"))
            }
            _ => false,
        };
        if party || reader {
            let data = json!({"id": hint.subject, "projectId": hint.project_id});
            self.push(hint.name, self.seen.seq, data);
        }
    }
}
