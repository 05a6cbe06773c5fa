//! Random operations on the broker and on a list in memory that does the same.

use std::time::Duration;

use coder_core::Timestamp;
use coder_embedded::broker::{Limits, Lock, Reason, SettleError, Source, Subscription};
use coder_queue::{Entity, Message};
use proptest::prelude::*;
use serde_json::json;

use super::Fixture;

const DELIVERIES: u32 = 3;
const LOCK: i64 = 60;
const JOB_LOCK: i64 = 300;
const WINDOW: i64 = 3600;
const TTL: i64 = 900;
const CLOCK_FAULT: i64 = 600;
const AT_ONCE: i64 = i64::MIN;

#[derive(Debug, Clone)]
enum Step {
    Publish {
        id: u8,
        session: u8,
        target: Option<u8>,
        after: Option<u16>,
        ttl: Option<u16>,
        job: bool,
    },
    Receive {
        source: u8,
        count: u8,
    },
    Settle {
        lock: u8,
        how: u8,
        after: u16,
    },
    Advance(u16),
    /// The clock is set back.
    Back(u16),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let maybe = |most: u16| proptest::option::weighted(0.3, 0..most);
    prop_oneof![
        4 => (0..30_u8, 0..3_u8, proptest::option::weighted(0.2, 0..2_u8), maybe(200), maybe(300), any::<bool>())
            .prop_map(|(id, session, target, after, ttl, job)| Step::Publish { id, session, target, after, ttl, job }),
        4 => (0..6_u8, 1..4_u8).prop_map(|(source, count)| Step::Receive { source, count }),
        4 => (0..12_u8, 0..5_u8, 0..100_u16).prop_map(|(lock, how, after)| Step::Settle { lock, how, after }),
        2 => (1..400_u16).prop_map(Step::Advance),
        1 => (1..2000_u16).prop_map(Step::Back),
        1 => Just(Step::Sweep),
    ]
}

fn sources() -> [Source; 6] {
    let (plain, ordered) = (Source::subscription("plain"), Source::subscription("ordered"));
    let jobs = Source::jobs("plain");
    let dead = [plain.dead_letters(), ordered.dead_letters(), jobs.dead_letters()];
    let [dead_plain, dead_ordered, dead_jobs] = dead;
    [plain, ordered, jobs, dead_plain, dead_ordered, dead_jobs]
}

#[derive(Debug, Clone)]
struct Entry {
    number: i64,
    source: Source,
    id: String,
    session: Option<String>,
    visible: i64,
    expires: Option<i64>,
    deliveries: u32,
    locked: bool,
    reason: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Model {
    now: i64,
    published: i64,
    entries: Vec<Entry>,
    seen: Vec<(Entity, String, i64)>,
}

impl Model {
    fn publish(&mut self, message: &Message) {
        let now = self.now;
        let known = |(entity, id, until): &(Entity, String, i64)| {
            *entity == message.entity && *id == message.id && *until > now
        };
        if self.seen.iter().any(known) {
            return;
        }
        self.seen.push((message.entity, message.id.clone(), now + WINDOW));
        let groups: Vec<&str> = match (message.entity, message.text("target")) {
            (Entity::Jobs, _) => vec!["plain"],
            (_, Some(target)) => vec![target],
            (_, None) => vec!["ordered", "plain"],
        };
        for group in groups {
            let (source, ttl) = match message.entity {
                Entity::Events => (Source::subscription(group), TTL),
                Entity::Jobs => (Source::jobs(group), 30 * 24 * 3600),
            };
            let ordered = source == Source::subscription("ordered");
            let due = message.scheduled_at.map(Timestamp::as_second).filter(|due| *due > now);
            let ttl = message.ttl_seconds.map_or(ttl, |own| ttl.min(i64::from(own)));
            self.published += 1;
            self.entries.push(Entry {
                number: self.published,
                source,
                id: message.id.clone(),
                session: ordered.then(|| message.session_id.clone().unwrap()),
                visible: due.unwrap_or(AT_ONCE),
                expires: Some(due.unwrap_or(now) + ttl),
                deliveries: 0,
                locked: false,
                reason: None,
            });
        }
    }

    fn bury(&mut self, index: usize, reason: &'static str) {
        let entry = &mut self.entries[index];
        let source = entry.source.dead_letters();
        (entry.source, entry.visible, entry.session) = (source, AT_ONCE, None);
        (entry.expires, entry.locked, entry.reason) = (None, false, Some(reason));
    }

    /// Indexes of what can be received, in order.
    fn receivable(&self, source: &Source) -> Vec<usize> {
        let (now, fault) = (self.now, self.now + CLOCK_FAULT);
        let under_lock = |one: &Entry| one.locked && one.visible > now && one.visible <= fault;
        let first = |other: &Entry, one: &Entry| {
            other.number < one.number && (other.visible <= now || other.deliveries > 0)
        };
        let head = |one: &Entry| {
            one.session.is_none()
                || !self.entries.iter().any(|other| {
                    other.source == one.source
                        && other.session == one.session
                        && (under_lock(other) || first(other, one))
                })
        };
        let time_has_come = |one: &Entry| one.visible <= now || (one.visible > fault && one.deliveries > 0);
        let here = |entry: &Entry| entry.source == *source && time_has_come(entry) && head(entry);
        // Entries are in the order of their numbers.
        (0..self.entries.len()).filter(|n| here(&self.entries[*n])).collect()
    }

    fn receive(&mut self, source: &Source, count: usize) -> Vec<Entry> {
        let mut received = Vec::new();
        while received.len() < count {
            let found = self.receivable(source);
            if found.is_empty() {
                break;
            }
            for index in found.into_iter().take(count - received.len()) {
                let entry = &mut self.entries[index];
                if entry.expires.is_some_and(|time| time <= self.now) {
                    self.bury(index, "TTLExpiredException");
                } else if entry.reason.is_none() && entry.deliveries >= DELIVERIES.max(limit(source)) {
                    self.bury(index, "MaxDeliveryCountExceeded");
                } else {
                    entry.deliveries += 1;
                    entry.locked = true;
                    entry.visible = self.now + lock_seconds(source);
                    received.push(entry.clone());
                }
            }
        }
        received
    }

    /// Whether the lock held.
    fn settle(&mut self, number: i64, deliveries: u32, how: u8, after: i64) -> bool {
        let held = |entry: &Entry| {
            entry.number == number
                && entry.locked
                && entry.visible > self.now
                && entry.deliveries == deliveries
        };
        let Some(index) = self.entries.iter().position(held) else { return false };
        let source = self.entries[index].source.clone();
        let entry = &mut self.entries[index];
        match how {
            0 => drop(self.entries.remove(index)),
            1 if entry.reason.is_none() && entry.deliveries >= DELIVERIES.max(limit(&source)) => {
                self.bury(index, "MaxDeliveryCountExceeded");
            }
            1 => {
                let visible = if after > 0 { self.now + after } else { AT_ONCE };
                (entry.visible, entry.locked) = (visible, false);
            }
            2 => (entry.visible, entry.locked, entry.deliveries) = (AT_ONCE, false, entry.deliveries - 1),
            3 => self.bury(index, "Refused"),
            _ => entry.visible = self.now + lock_seconds(&source),
        }
        true
    }

    fn sweep(&mut self) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let free = !entry.locked || entry.visible <= self.now;
            if free && entry.expires.is_some_and(|time| time <= self.now) {
                self.bury(index, "TTLExpiredException");
            }
        }
    }
}

fn lock_seconds(source: &Source) -> i64 {
    if source.entity() == Entity::Jobs { JOB_LOCK } else { LOCK }
}

/// Jobs have limits of their own.
fn limit(source: &Source) -> u32 {
    if source.entity() == Entity::Jobs { 10 } else { 0 }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn message(now: i64, step: &Step) -> Message {
    let Step::Publish { id, session, target, after, ttl, job } = step else { unreachable!() };
    let entity = if *job { Entity::Jobs } else { Entity::Events };
    let event = json!({"type": "coder.a.b.c", "subject": format!("s{session}"), "data": {"group": "plain"}});
    let mut message = Message::of_event(format!("m-{id}"), entity, &event);
    message.scheduled_at = after.map(|after| time(now + i64::from(after)));
    message.ttl_seconds = ttl.map(|ttl| u32::from(ttl) + 1);
    if let (Some(target), false) = (target, job) {
        let group = ["plain", "ordered"][usize::from(*target)];
        message.properties.insert("target".into(), json!(group));
    }
    message
}

async fn agree(steps: Vec<Step>) {
    let limits =
        Limits { deliveries: DELIVERIES, ttl: Duration::from_secs(TTL.unsigned_abs()), ..Limits::default() };
    let plain = Subscription { limits, ..Subscription::new("plain", ["coder.*"]) };
    let ordered = Subscription { limits, sessions: true, ..Subscription::new("ordered", ["coder.*"]) };
    let fixture = Fixture::with(time(0), &[plain, ordered]).await;
    let (mut model, mut held) = (Model::default(), Vec::<(Lock, u32)>::new());
    for step in steps {
        match &step {
            Step::Publish { .. } => {
                let message = message(model.now, &step);
                model.publish(&message);
                fixture.publish(&[message]).await;
            }
            Step::Receive { source, count } => {
                let source = &sources()[usize::from(*source)];
                let wanted = model.receive(source, usize::from(*count));
                let found = fixture.broker.receive(source, usize::from(*count)).await.unwrap();
                let told: Vec<_> = found
                    .iter()
                    .map(|one| {
                        let reason = one.dead_letter.as_ref().map(|reason| reason.reason.as_str());
                        let number = one.lock.sequence_number;
                        (number, one.message.id.as_str(), one.delivery_count, one.locked_until, reason)
                    })
                    .collect();
                let wanted: Vec<_> = wanted
                    .iter()
                    .map(|one| (one.number, one.id.as_str(), one.deliveries, time(one.visible), one.reason))
                    .collect();
                assert_eq!(told, wanted, "{source}");
                held.extend(found.into_iter().map(|one| (one.lock, one.delivery_count)));
            }
            Step::Settle { lock, how, after } => {
                // The last ones most often, so that locks are both held and lost.
                let Some((lock, deliveries)) = held.iter().rev().nth(usize::from(*lock)) else { continue };
                let after = i64::from(*after);
                let holds = model.settle(lock.sequence_number, *deliveries, *how, after);
                let settled = match how {
                    0 => fixture.broker.complete(lock).await,
                    1 => fixture.broker.abandon(lock, Some(time(model.now + after))).await,
                    2 => fixture.broker.release(lock).await,
                    3 => fixture.broker.dead_letter(lock, Reason::new("Refused", "")).await,
                    _ => fixture.broker.renew(lock).await.map(drop),
                };
                let wanted = if holds { Ok(()) } else { Err(SettleError::LockLost) };
                assert_eq!(settled, wanted, "{step:?}");
                // A released delivery has its number again; the token tells them apart, the model does not.
                if *how == 2 && holds {
                    let number = lock.sequence_number;
                    held.retain(|(lock, _)| lock.sequence_number != number);
                }
            }
            Step::Advance(seconds) => {
                model.now += i64::from(*seconds);
                fixture.advance(i64::from(*seconds));
            }
            Step::Back(seconds) => {
                model.now -= i64::from(*seconds);
                fixture.advance(-i64::from(*seconds));
            }
            Step::Sweep => {
                model.sweep();
                fixture.broker.sweep().await.unwrap();
            }
        }
        let ready = fixture.broker.ready(&sources()).await.unwrap();
        let wanted: Vec<Source> =
            sources().into_iter().filter(|source| !model.receivable(source).is_empty()).collect();
        assert_eq!(ready, wanted, "{step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_list_in_memory(steps in proptest::collection::vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(agree(steps));
    }
}
