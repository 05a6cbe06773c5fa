//! The operators' commands on what the broker gave up, for groups that do not run.

use std::sync::Arc;

use coder_azure::service_bus::ServiceBus;
use coder_cli::broker_letters::{BrokerLetters, HeldLetter, Wanted};
use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_embedded::broker::{Reason as Why, Source, Subscription};
use coder_embedded::{Options, SqliteBroker};
use coder_queue::dead_letter::{Reason, Selection};
use coder_queue::{Entity, Message, Publisher as _};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::doubles::service_bus::{Front, NAMESPACE};
use crate::doubles::transport::InProcess;
use crate::platform::Identity;

/// A broker before which no group runs.
struct Desk {
    letters: BrokerLetters,
    broker: Arc<SqliteBroker>,
    clock: ManualClock,
    _directory: TempDir,
}

impl Desk {
    /// In it `users` gave up the events `e-0` to `e-2`, what is no event, and a job.
    async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-11-23T08:46:50Z".parse().unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let broker = SqliteBroker::open(directory.path(), &Options::default(), ambient.clone()).unwrap();
        let groups = coder_platform::route_groups();
        let subscriptions: Vec<_> = groups.iter().map(|group| Subscription::new(group.name, ["*"])).collect();
        broker.subscribe(&subscriptions).await.unwrap();
        let broker = Arc::new(broker);
        let front = InProcess::to(NAMESPACE, Front::new(broker.clone()).router());
        let identity = Arc::new(Identity::default());
        let bus = ServiceBus::with_options(NAMESPACE, identity, ambient.clone(), front).unwrap();
        let letters = BrokerLetters::of(bus, &groups.iter().collect::<Vec<_>>(), ambient);
        let desk = Self { letters, broker, clock, _directory: directory };
        for number in 0..3 {
            desk.give_up(Entity::Events, &format!("e-{number}"), event(number).to_string()).await;
        }
        desk.give_up(Entity::Events, "odd", "good morning".into()).await;
        desk.give_up(Entity::Jobs, "job", event(9).to_string()).await;
        desk
    }

    async fn give_up(&self, entity: Entity, id: &str, body: String) {
        let properties = [("type", json!("coder.auth.login.succeeded")), ("target", json!("users"))];
        let message = Message {
            id: id.into(),
            entity,
            body: body.into_bytes(),
            content_type: "application/cloudevents+json".into(),
            subject: None,
            session_id: None,
            properties: properties.map(|(name, value)| (name.to_owned(), value)).into(),
            scheduled_at: None,
            ttl_seconds: None,
        };
        self.broker.publish(&[message]).await.unwrap();
        let found = self.broker.receive(&source(entity), 1).await.unwrap().remove(0);
        let why = Why::new("MaxDeliveryCountExceeded", "It was delivered 10 times.");
        self.broker.dead_letter(&found.lock, why).await.unwrap();
    }

    async fn list(&self, wanted: &Wanted) -> Vec<HeldLetter> {
        self.letters.list(wanted).await.unwrap()
    }

    async fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.list(&Wanted::default()).await.into_iter().map(|held| held.id).collect();
        ids.sort_unstable();
        ids
    }

    /// What the group gets now.
    async fn delivered(&self, entity: Entity) -> usize {
        self.broker.receive(&source(entity), 10).await.unwrap().len()
    }
}

fn source(entity: Entity) -> Source {
    match entity {
        Entity::Events => Source::subscription("users"),
        Entity::Jobs => Source::jobs("users"),
    }
}

fn event(number: usize) -> Value {
    json!({
        "specversion": "1.0", "id": format!("e-{number}"), "source": "/functions/auth",
        "type": "coder.auth.login.succeeded", "subject": "s", "time": "2026-01-05T12:00:00Z",
        "organizationid": "platform", "data": {"userId": "nobody"},
    })
}

fn named(ids: &[&str]) -> Wanted {
    Wanted { ids: ids.iter().map(|&id| id.to_owned()).collect(), ..Wanted::default() }
}

fn that(selection: Selection) -> Wanted {
    Wanted { selection, ..Wanted::default() }
}

#[tokio::test]
async fn what_the_broker_holds_is_listed_as_what_groups_keep() {
    let desk = Desk::open().await;
    assert_eq!(desk.ids().await, ["e-0", "e-1", "e-2", "job", "odd"]);
    let found = desk.list(&named(&["e-1"])).await.remove(0);
    let letter = &found.letter;
    assert_eq!((letter.group.as_str(), letter.event_id.as_deref()), ("users", Some("e-1")));
    assert_eq!((letter.reason, letter.last_at), (Reason::DeliveryCountExceeded, moment()));
    assert!(letter.description.ends_with("It was delivered 10 times."), "{}", letter.description);
    let odd = desk.list(&named(&["odd"])).await.remove(0).letter;
    assert_eq!((odd.event, odd.raw.as_deref()), (None, Some("good morning")));
    assert_eq!(odd.event_type.as_deref(), Some("coder.auth.login.succeeded"));
    let count = async |selection| desk.list(&that(selection)).await.len();
    assert_eq!(count(Selection { has_event: Some(true), ..Selection::default() }).await, 4);
    assert_eq!(count(Selection { reason: Some(Reason::Expired), ..Selection::default() }).await, 0);
    let other = Selection { type_prefix: Some("coder.users.".into()), ..Selection::default() };
    assert_eq!(count(other).await, 0);
}

fn moment() -> Timestamp {
    "2026-11-23T08:46:50Z".parse().unwrap()
}

#[tokio::test]
async fn one_or_many_are_replayed_to_their_group_or_dropped() {
    let desk = Desk::open().await;
    let outcomes = desk.letters.replay(&Wanted::default(), None, true).await;
    assert!(outcomes.len() == 5 && outcomes.iter().all(|(_, outcome)| outcome.is_ok()), "{outcomes:?}");
    assert_eq!((desk.ids().await.len(), desk.delivered(Entity::Events).await), (5, 0));

    let outcomes = desk.letters.replay(&named(&["e-1", "job", "e-9"]), None, false).await;
    let refused: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    assert!(outcomes.len() == 3 && refused.len() == 1 && refused[0].0 == "e-9", "{outcomes:?}");
    assert_eq!((desk.delivered(Entity::Events).await, desk.delivered(Entity::Jobs).await), (1, 1));

    let outcomes = desk.letters.discard(&named(&["odd"]), false).await;
    assert_eq!(outcomes, [("odd".to_owned(), Ok(()))]);
    assert_eq!(desk.ids().await, ["e-0", "e-2"]);
}

#[tokio::test]
async fn many_go_out_at_the_rate_that_was_asked_for() {
    let desk = Desk::open().await;
    let events = Selection { has_event: Some(true), ..Selection::default() };
    let outcomes = desk.letters.replay(&that(events), Some(1), false).await;
    assert_eq!(outcomes.len(), 4);
    let at_once = desk.delivered(Entity::Events).await + desk.delivered(Entity::Jobs).await;
    assert_eq!(at_once, 1);
    desk.clock.advance(SignedDuration::from_secs(10));
    let later = desk.delivered(Entity::Events).await + desk.delivered(Entity::Jobs).await;
    assert_eq!(later, 3);
}
