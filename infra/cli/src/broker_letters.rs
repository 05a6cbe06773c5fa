//! The dead letters that Service Bus still holds itself, shown and decided about as those that the groups keep.
//!
//! A group's functions take them as they come; what is found here waits for a group that does not run. The broker
//! shows no message without locking it, so whoever looks keeps others from it until the look is over.

use std::cell::{Cell, RefCell};

use anyhow::Context as _;
use coder_azure::credential::managed_identity;
use coder_azure::service_bus::dead_letters::{DeadLetterError, DeadMessage};
use coder_azure::service_bus::{DeadLetterQueue, ServiceBus};
use coder_config::AzureSettings;
use coder_core::Ambient;
use coder_handler::Group;
use coder_queue::dead_letter::{Audience, DeadLetter, DeadLetters, Selection, given_up};
use coder_queue::message::property;
use coder_queue::{Entity, cloud_event};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::Value;

/// The most messages of one queue that are locked for one command.
const MOST: usize = 1_000;

/// The functions that take dead letters, and of which topic.
const TAKERS: [(&str, Entity); 2] = [("on-dead-letter", Entity::Events), ("on-dead-job", Entity::Jobs)];

/// A dead letter that the broker holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldLetter {
    /// The message's id. Several groups can hold the same message.
    pub id: String,
    /// Its number in the queue.
    pub sequence_number: i64,
    /// What it would be as a document.
    #[serde(flatten)]
    pub letter: DeadLetter,
}

/// Which are meant.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those with these ids; all without any.
    pub ids: Vec<String>,
    /// And that pass this.
    pub selection: Selection,
}

impl Wanted {
    fn takes(&self, held: &HeldLetter) -> bool {
        (self.ids.is_empty() || self.ids.contains(&held.id)) && self.selection.takes(&held.letter)
    }
}

/// What came of each that was meant, by its id; a queue that cannot be read is told by its path.
pub type Outcomes = Vec<(String, Result<(), String>)>;

/// The dead letters of some groups.
#[derive(Debug)]
pub struct BrokerLetters {
    bus: ServiceBus,
    queues: Vec<DeadLetterQueue>,
    ambient: Ambient,
}

impl BrokerLetters {
    /// Those in the namespace of the settings, read as the identity that they name.
    pub fn open(azure: &AzureSettings, groups: &[&Group], ambient: Ambient) -> anyhow::Result<Self> {
        let credential = managed_identity(&azure.client_id)?;
        let bus = ServiceBus::new(&azure.servicebus_namespace, credential, ambient.clone());
        Ok(Self::of(bus.context("`CODER_SERVICEBUS_NAMESPACE` cannot be used")?, groups, ambient))
    }

    /// Those in this namespace.
    pub fn of(bus: ServiceBus, groups: &[&Group], ambient: Ambient) -> Self {
        let queues = groups.iter().flat_map(|group| {
            let functions = group.functions();
            let taken = TAKERS.into_iter().filter(move |(name, _)| functions.iter().any(|one| one == name));
            taken.map(|(_, entity)| bus.dead_letters(entity, group.name))
        });
        Self { queues: queues.collect(), bus, ambient }
    }

    /// Those that are meant, the newest first. All are as they were afterwards.
    pub async fn list(&self, wanted: &Wanted) -> anyhow::Result<Vec<HeldLetter>> {
        let found = RefCell::new(Vec::new());
        let look = async |_: &DeadLetterQueue, _: &DeadMessage, held: HeldLetter| {
            found.borrow_mut().push(held);
            false
        };
        for (path, ended) in self.visit(wanted, &look).await {
            ended.with_context(|| format!("`{path}` cannot be read; `--group` leaves others out"))?;
        }
        let mut found = found.take();
        found.sort_by_key(|held| std::cmp::Reverse(held.letter.last_at));
        Ok(found)
    }

    /// Delivers those that are meant again, each to the group that could not take it, at most `rate` a second.
    pub async fn replay(&self, wanted: &Wanted, rate: Option<u32>, dry_run: bool) -> Outcomes {
        let (now, sent) = (self.ambient.now(), Cell::new(0));
        let replay = async |queue: &DeadLetterQueue, dead: &DeadMessage| {
            let due = DeadLetters::due(now, sent.get(), rate);
            sent.set(sent.get() + 1);
            queue.replay(dead, (due > now).then_some(due), &self.bus).await
        };
        self.settle(wanted, dry_run, &replay).await
    }

    /// Removes those that are meant. Nothing is left of them.
    pub async fn discard(&self, wanted: &Wanted, dry_run: bool) -> Outcomes {
        let remove = async |queue: &DeadLetterQueue, dead: &DeadMessage| queue.complete(dead).await;
        self.settle(wanted, dry_run, &remove).await
    }

    async fn settle(
        &self,
        wanted: &Wanted,
        dry_run: bool,
        act: &impl AsyncFn(&DeadLetterQueue, &DeadMessage) -> Result<(), DeadLetterError>,
    ) -> Outcomes {
        let outcomes = RefCell::new(Outcomes::new());
        let settle = async |queue: &DeadLetterQueue, dead: &DeadMessage, held: HeldLetter| {
            let outcome = if dry_run { Ok(()) } else { act(queue, dead).await };
            let settled = outcome.is_ok() && !dry_run;
            outcomes.borrow_mut().push((held.id, outcome.map_err(|error| error.to_string())));
            settled
        };
        let ended = self.visit(wanted, &settle).await;
        let mut outcomes = outcomes.take();
        let absent = wanted.ids.iter().filter(|id| !outcomes.iter().any(|(done, _)| done == *id));
        let absent: Vec<_> =
            absent.map(|id| (id.clone(), Err("the broker holds no such message".to_owned()))).collect();
        outcomes.extend(absent);
        outcomes.extend(
            ended.into_iter().filter_map(|(path, ended)| Some((path, Err(ended.err()?.to_string())))),
        );
        outcomes
    }

    /// Shows `act` those that are meant, all queues at once; how it ended is told by the path of each queue.
    async fn visit(
        &self,
        wanted: &Wanted,
        act: &impl AsyncFn(&DeadLetterQueue, &DeadMessage, HeldLetter) -> bool,
    ) -> Vec<(String, Result<bool, DeadLetterError>)> {
        let visits = self.queues.iter().map(async |queue| {
            let ended = queue.visit(MOST, async |dead: &DeadMessage| {
                let held = self.held(queue, dead);
                wanted.takes(&held) && act(queue, dead, held).await
            });
            (format!("{}/{}", queue.entity().name(), queue.group()), ended.await)
        });
        join_all(visits).await
    }

    fn held(&self, queue: &DeadLetterQueue, dead: &DeadMessage) -> HeldLetter {
        let message = &dead.message;
        let (reason, words) = given_up(dead.reason.as_deref(), dead.description.as_deref());
        let at = dead.enqueued_at.unwrap_or_else(|| self.ambient.now());
        let letter = DeadLetter::new(queue.group(), reason, words, at);
        let event = serde_json::from_slice::<Value>(&message.body).ok();
        let mut letter = match event.filter(|event| cloud_event::faults(event).is_empty()) {
            Some(event) => letter.with_event(event),
            None => letter.with_raw(&message.body),
        };
        let text = |name| message.text(name).map(str::to_owned);
        letter.event_type = letter.event_type.or_else(|| text(property::TYPE));
        letter.consumer = text(property::CONSUMER);
        letter.audience = if queue.entity() == Entity::Jobs { Audience::Jobs } else { Audience::Group };
        // To look is a delivery, too.
        letter.attempts = dead.delivery_count.saturating_sub(1);
        HeldLetter { id: message.id.clone(), sequence_number: dead.sequence_number, letter }
    }
}
