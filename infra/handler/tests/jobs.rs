//! Messages of jobs that start none, jobs that the broker gave up, and what the timers of every group mend.

use coder_core::{Actor, ActorKind};
use coder_database::transaction::Act;
use coder_database::{Partition, Transaction};
use coder_handler::functions::Outcome;
use coder_jobs::{JobRecord, enqueue};
use coder_queue::PublishError;
use coder_queue::dead_letter::{Audience, Reason};
use coder_queue::message::{Entity, Message};
use serde_json::{Value, json};

use crate::shop::{Shop, envelope, event};

const DONE: Outcome = Outcome::Done(Value::Null);

impl Shop {
    fn begin(&self, partition: Partition) -> Transaction {
        let act = Act {
            actor: Actor::new(ActorKind::Job, "test"),
            action: "test".into(),
            request_id: "r".into(),
            group: "shop",
            traceparent: None,
        };
        let providers = &self.assembly.providers;
        let (store, ambient) = (providers.store.clone(), providers.ambient.clone());
        Transaction::new(store, ambient, self.container.name, partition, act)
    }

    async fn timer(&self, name: &str) -> Outcome {
        self.assembly.groups[0].functions.run_timer(name, "call-1").await
    }
}

/// The message that starts a job whose record has this id.
fn message(job: &str, id: &str, container: &str) -> Value {
    let mut message = event(&format!("message-of-{id}"), "job.tidy", &json!({}));
    message["subject"] = json!(id);
    message["data"] =
        json!({"job": job, "group": "shop", "container": container, "partition": ["job:operators"]});
    message
}

#[tokio::test]
async fn a_message_that_starts_no_job_is_kept_with_its_reason() {
    let shop = Shop::open().await;
    let mut elsewhere = message("tidy", "j-2", "shop");
    elsewhere["data"]["partition"] = json!(7);
    let cases = [
        ("good morning".to_owned(), "m-0", Reason::Malformed, "no JSON"),
        (message("sweep", "j-1", "shop").to_string(), "message-of-j-1", Reason::Unroutable, "no job `sweep`"),
        (elsewhere.to_string(), "message-of-j-2", Reason::Unroutable, "no partition"),
        (message("tidy", "j-3", "users").to_string(), "message-of-j-3", Reason::Unroutable, "no container"),
    ];
    for (body, id, reason, words) in cases {
        assert_eq!(shop.call("run-job", envelope(body.as_bytes(), "m-0", 1, &[].into())).await, DONE, "{id}");
        let letters = shop.dead_letters().await;
        let letter = &letters.iter().find(|letter| letter.meta.id == id).unwrap().data;
        assert_eq!((letter.reason, letter.audience), (reason, Audience::Jobs), "{id}");
        assert!(letter.description.contains(words), "{}", letter.description);
    }
    assert_eq!(shop.taken().len(), 0);
}

#[tokio::test]
async fn a_job_that_the_broker_gave_up_runs_when_it_is_replayed() {
    let shop = Shop::open().await;
    let place = coder_queue::dead_letter::partition(&shop.container, "shop");
    let mut transaction = shop.begin(place);
    let record = enqueue(&mut transaction, "tidy", json!({}), None).unwrap();
    drop(transaction.commit().await.unwrap());
    let lost = shop.outbox().await.remove(0).event;
    // The store was away for as long as the broker delivered it.
    let reason = [("DeadLetterReason".to_owned(), json!("MaxDeliveryCountExceeded"))].into();
    let dead = envelope(lost.to_string().as_bytes(), "m", 11, &reason);
    assert_eq!(shop.call("on-dead-job", dead).await, DONE);
    let letter = shop.dead_letter().await;
    assert_eq!((letter.data.reason, letter.data.audience), (Reason::DeliveryCountExceeded, Audience::Jobs));
    assert_eq!(letter.data.attempts, 10);
    // What was first recorded is gone with the broker.
    *shop.publisher.refusal.lock().unwrap() = None;
    assert_eq!(shop.timer("sweep-outbox").await, DONE);
    shop.published();
    shop.operate("POST", &format!("/{}/replay", letter.meta.id), None).await.is(200, "");
    assert_eq!(shop.timer("sweep-outbox").await, DONE);
    let published = shop.published();
    let [again] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!((again.entity, again.text("target")), (Entity::Jobs, Some("shop")));
    let ran = shop.deliver_message(again).await;
    assert_eq!(ran, Outcome::Done(json!({"job": record.meta.id, "outcome": "ended"})));
    assert_eq!(shop.taken(), ["tidy"]);
}

#[tokio::test]
async fn what_no_broker_takes_becomes_a_dead_letter_with_the_next_sweep() {
    let shop = Shop::open().await;
    let mut transaction = shop.begin(Partition::platform());
    transaction.emit("order.placed", "o-1", json!({}));
    drop(transaction.commit().await.unwrap());
    let refusal = PublishError::Permanent { index: 0, reason: "too large".into() };
    *shop.publisher.refusal.lock().unwrap() = Some(refusal);
    assert_eq!(shop.timer("sweep-outbox").await, DONE);
    let letter = shop.dead_letter().await;
    assert_eq!((letter.data.reason, letter.data.audience), (Reason::Unroutable, Audience::Everybody));
    *shop.publisher.refusal.lock().unwrap() = None;
    shop.operate("POST", &format!("/{}/replay", letter.meta.id), None).await.is(200, "");
    assert_eq!(shop.timer("sweep-outbox").await, DONE);
    let published: Vec<Message> = shop.published();
    assert_eq!((published.len(), published[0].text("target")), (1, None));
    assert_eq!(Some(published[0].id.clone()), letter.data.event_id);
}

#[tokio::test]
async fn a_forgotten_job_is_found_among_many_that_wait() {
    let shop = Shop::open().await;
    let now = shop.assembly.providers.ambient.now();
    let later = now + jiff::SignedDuration::from_hours(24 * 365);
    for _ in 0..13 {
        let mut transaction = shop.begin(Partition::platform());
        for _ in 0..80 {
            let id = transaction.new_id();
            transaction.create(id, JobRecord::queued("shop", "tidy", json!({}), later)).unwrap();
        }
        drop(transaction.without_audit().commit().await.unwrap());
    }
    let mut transaction = shop.begin(Partition::platform());
    transaction.create("zz-forgotten", JobRecord::queued("shop", "tidy", json!({}), now)).unwrap();
    drop(transaction.commit().await.unwrap());
    shop.clock.advance(jiff::SignedDuration::from_mins(11));
    assert_eq!(shop.timer("repair-jobs").await, DONE);
    assert_eq!(shop.timer("sweep-outbox").await, DONE);
    let published = shop.published();
    let [again] = published.as_slice() else { panic!("{} messages", published.len()) };
    assert_eq!(
        shop.deliver_message(again).await,
        Outcome::Done(json!({"job": "zz-forgotten", "outcome": "ended"}))
    );
    assert_eq!(shop.taken(), ["tidy"]);
}
