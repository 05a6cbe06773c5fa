//! The open streams of this process: who is woken by a change, and what all are hinted at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coder_core::{OrganizationId, ProjectId, UserId};
use coder_database::Partition;
use coder_handler::Event;
use serde_json::Value;
use tokio::sync::{broadcast, watch};

use crate::topics::project_id;

/// Streams that one person can have open.
pub const STREAMS: usize = 5;
/// Hints that a slow stream may lag behind; it misses those before.
const HINTS: usize = 256;

/// Types of events that open views are hinted at, and the name of the hint.
const HINTED: &[(&str, &str)] = &[
    ("coder.messaging.message.posted", "message.posted"),
    ("coder.messaging.message.edited", "message.edited"),
    ("coder.messaging.message.deleted", "message.deleted"),
    ("coder.messaging.message.resolved", "message.resolved"),
    ("coder.execution.run.queued", "run.queued"),
    ("coder.execution.run.started", "run.started"),
    ("coder.execution.run.paused", "run.paused"),
    ("coder.execution.run.resumed", "run.resumed"),
    ("coder.execution.run.waiting", "run.waiting"),
    ("coder.execution.run.completed", "run.completed"),
    ("coder.execution.run.failed", "run.failed"),
    ("coder.execution.run.cancelled", "run.cancelled"),
    ("coder.workflow.gate.opened", "gate.opened"),
    ("coder.workflow.gate.approved", "gate.approved"),
    ("coder.workflow.gate.rejected", "gate.rejected"),
    ("coder.workflow.gate.expired", "gate.expired"),
    ("coder.workflow.gate.escalated", "gate.escalated"),
];

/// Fields of a payload that name people who take part.
const PARTIES: &[&str] = &["userIds", "memberIds", "recipientIds", "approvers", "approverIds", "requestedBy"];

/// That something happened which an open view may want to read again.
#[derive(Debug, Clone)]
pub struct Hint {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// Its name, such as `run.completed`.
    pub name: &'static str,
    /// The resource.
    pub subject: String,
    /// Who may read this project may know.
    pub project_id: Option<ProjectId>,
    /// These people may know too.
    pub parties: Vec<UserId>,
}

/// The open streams of this process.
#[derive(Debug)]
pub struct Hub {
    open: Mutex<HashMap<UserId, Watched>>,
    hints: broadcast::Sender<Arc<Hint>>,
}

#[derive(Debug)]
struct Watched {
    streams: usize,
    changes: watch::Sender<u64>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { open: Mutex::default(), hints: broadcast::Sender::new(HINTS) }
    }
}

/// A stream's place in the hub; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    hub: Arc<Hub>,
    user_id: UserId,
    /// Changes whenever the person's inbox does.
    pub changes: watch::Receiver<u64>,
    /// What happens in all organizations.
    pub hints: broadcast::Receiver<Arc<Hint>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.hub.lock();
        let left = open.get_mut(&self.user_id).map(|watched| {
            watched.streams -= 1;
            watched.streams
        });
        if left == Some(0) {
            open.remove(&self.user_id);
        }
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Watched>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more stream of the person; `None` if all are taken.
    pub fn open(self: &Arc<Self>, user_id: UserId) -> Option<Place> {
        let mut open = self.lock();
        let watched =
            open.entry(user_id).or_insert_with(|| Watched { streams: 0, changes: watch::Sender::new(0) });
        if watched.streams >= STREAMS {
            return None;
        }
        watched.streams += 1;
        let (changes, hints) = (watched.changes.subscribe(), self.hints.subscribe());
        Some(Place { hub: Arc::clone(self), user_id, changes, hints })
    }

    /// Whether the person has a stream open.
    pub fn has(&self, user_id: UserId) -> bool {
        self.lock().contains_key(&user_id)
    }

    /// Wakes the person's streams.
    pub fn wake(&self, user_id: UserId) {
        if let Some(watched) = self.lock().get(&user_id) {
            watched.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Wakes the streams of the person whose bucket this is.
    pub fn wake_bucket(&self, partition: &Partition) {
        let user_id = partition.bucket_name().and_then(|name| name.strip_prefix("user:")?.parse().ok());
        if let Some(user_id) = user_id {
            self.wake(user_id);
        }
    }

    /// Tells open streams of an event, if views want to know of it.
    pub fn hint(&self, event: &Event) {
        let name = HINTED.iter().find(|(kind, _)| *kind == event.kind).map(|(_, name)| *name);
        let (Some(name), Some(organization_id)) = (name, event.organization_id) else { return };
        let people = |value: &Value| -> Vec<UserId> {
            let id = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
            value
                .as_array()
                .map_or_else(|| id(value).into_iter().collect(), |all| all.iter().filter_map(id).collect())
        };
        let hint = Hint {
            organization_id,
            name,
            subject: event.subject.clone(),
            project_id: project_id(&event.data),
            parties: PARTIES.iter().flat_map(|field| people(&event.data[*field])).collect(),
        };
        // Nobody listens: nobody is told.
        drop(self.hints.send(Arc::new(hint)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_limited_and_given_back() {
        let hub = Arc::new(Hub::default());
        let user: UserId = coder_core::id::EXAMPLE.into();
        let mut places: Vec<Place> = (0..STREAMS).map(|_| hub.open(user).unwrap()).collect();
        assert!(hub.open(user).is_none());
        assert!(hub.has(user));
        hub.wake(user);
        assert!(places.iter().all(|place| place.changes.has_changed().unwrap()));
        places.pop();
        places.push(hub.open(user).unwrap());
        drop(places);
        assert!(!hub.has(user));
        assert!(hub.lock().is_empty());
    }

    #[test]
    fn only_named_events_are_hinted_and_parties_are_read() {
        let hub = Arc::new(Hub::default());
        let user: UserId = coder_core::id::EXAMPLE.into();
        let mut place = hub.open(user).unwrap();
        for kind in ["coder.users.team.created", "coder.workflow.gate.opened"] {
            let event = json!({
                "specversion": "1.0", "id": "e", "source": "/functions/test", "type": kind, "subject": "s", "time": "2026-01-05T12:00:00Z",
                "organizationid": user, "data": {"approvers": [user, 3], "projectId": "none"},
            });
            hub.hint(&Event::parse(&event).unwrap());
        }
        let hint = place.hints.try_recv().unwrap();
        assert_eq!((hint.name, hint.parties.as_slice(), hint.project_id), ("gate.opened", &[user][..], None));
        assert!(place.hints.try_recv().is_err());
    }
}
