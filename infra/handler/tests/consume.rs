//! One event, several consumers, and everything that can go wrong.

use coder_database::Container;
use coder_handler::functions::Outcome;
use coder_queue::PublishError;
use coder_queue::dead_letter::{RAW_LIMIT, Reason, State};
use coder_queue::message::{Message, SIZE_LIMIT};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::shop::{Shop, envelope, event};

const DONE: Outcome = Outcome::Done(Value::Null);

fn metrics(shop: &Shop) -> String {
    shop.assembly.providers.metrics.render()
}

#[track_caller]
fn counted(shop: &Shop, consumer: &str, outcome: &str, count: u32) {
    let line = format!("{{group=\"shop\",consumer=\"{consumer}\",outcome=\"{outcome}\"}} {count}");
    assert!(metrics(shop).contains(&line), "no `{line}` in {}", metrics(shop));
}

#[tokio::test]
async fn every_consumer_that_asked_for_the_type_takes_an_event_once() {
    for container in [Container::new("shop"), Container::bucketed("shop")] {
        let shop = Shop::in_container(container).await;
        let placed = event("e-1", "order.placed", &json!({}));
        for _ in 0..3 {
            assert_eq!(shop.deliver(&placed).await, DONE);
        }
        assert_eq!(shop.taken(), ["index", "notify"]);
        assert_eq!(shop.deliver(&event("e-2", "order.changed", &json!({}))).await, DONE);
        assert_eq!(shop.taken(), ["index"]);
        counted(&shop, "index", "done", 2);
        counted(&shop, "index", "duplicate", 2);
        counted(&shop, "notify", "done", 1);
        // A broker can repeat a message for as long as it keeps it.
        shop.clock.advance(SignedDuration::from_hours(24 * 14));
        assert_eq!(shop.deliver(&placed).await, DONE);
        assert_eq!(shop.taken(), [""; 0]);
        shop.clock.advance(SignedDuration::from_hours(24 * 2));
        shop.deliver(&placed).await;
        assert_eq!(shop.taken(), ["index", "notify"]);
    }
}

#[tokio::test]
async fn a_type_that_nobody_takes_is_no_error() {
    let shop = Shop::open().await;
    assert_eq!(shop.deliver(&event("e-1", "basket.filled", &json!({}))).await, DONE);
    assert_eq!((shop.taken().len(), shop.dead_letters().await.len()), (0, 0));
    counted(&shop, "none", "ignored", 1);
    // One that is for another group alone is not for this one, whatever its type.
    let placed = event("e-2", "order.placed", &json!({}));
    assert_eq!(shop.deliver_with(&placed, 1, &[("target", json!("users"))]).await, DONE);
    assert_eq!((shop.taken().len(), shop.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn a_failing_consumer_tries_again_alone_until_it_gives_up() {
    let shop = Shop::open().await;
    let placed = event("e-1", "order.placed", &json!({"notify": "retry"}));
    assert_eq!(shop.deliver(&placed).await, DONE);
    assert_eq!(shop.taken(), ["index", "notify"]);
    for attempt in 2..=3_u32 {
        let published = shop.published();
        let [copy] = published.as_slice() else { panic!("{published:?}") };
        assert_eq!(copy.id, format!("e-1.shop.notify.{attempt}"));
        assert_eq!(copy.body, placed.to_string().into_bytes());
        assert_eq!([copy.text("target"), copy.text("consumer")], [Some("shop"), Some("notify")]);
        assert_eq!(copy.properties["attempt"], json!(attempt));
        assert_eq!(copy.text("lasterror"), Some("the shelf is full; token [redacted]"));
        let pause = copy.scheduled_at.unwrap().duration_since(shop.assembly.providers.ambient.now());
        let longest = SignedDuration::from_secs(1 << (attempt - 1));
        assert!(pause >= SignedDuration::from_secs(1) && pause <= longest, "{pause:?}");
        // The first message once more: both have it, as far as this message goes.
        assert_eq!(shop.deliver(&placed).await, DONE);
        assert_eq!(shop.taken(), [""; 0]);
        assert_eq!(shop.deliver_message(copy).await, DONE);
        assert_eq!(shop.taken(), ["notify"]);
        // And the copy once more.
        assert_eq!(shop.deliver_message(copy).await, DONE);
        assert_eq!(shop.taken(), [""; 0]);
    }
    assert_eq!(shop.published(), []);
    let letter = shop.dead_letter().await;
    assert_eq!(letter.meta.id, "e-1.notify");
    assert_eq!((letter.data.reason, letter.data.attempts), (Reason::AttemptsExhausted, 3));
    assert_eq!((letter.data.consumer.as_deref(), letter.data.state), (Some("notify"), State::Open));
    assert_eq!(letter.data.event, Some(placed));
    assert!(letter.data.description.contains("`notify` failed at each of 3 attempts"));
    assert_eq!(shop.audit().await.len(), 0);
    counted(&shop, "notify", "retry", 2);
    counted(&shop, "notify", "rejected", 1);
}

#[tokio::test]
async fn attempts_that_come_out_of_order_are_made_once() {
    let shop = Shop::open().await;
    let placed = event("e-1", "order.placed", &json!({"notify": "retry"}));
    let attempt = async |number: u32| {
        let properties =
            [("target", json!("shop")), ("consumer", json!("notify")), ("attempt", json!(number))];
        shop.deliver_with(&placed, 1, &properties).await
    };
    assert_eq!(attempt(2).await, DONE);
    assert_eq!(attempt(1).await, DONE);
    assert_eq!(shop.taken(), ["notify"]);
    // The message for everybody is the first attempt of `notify`, which is past.
    assert_eq!(shop.deliver(&placed).await, DONE);
    assert_eq!(shop.taken(), ["index"]);
}

#[tokio::test]
async fn a_panic_and_a_run_without_end_are_failures_of_one_consumer() {
    let shop = Shop::open().await;
    let hurried = event("e-1", "order.hurried", &json!({"hasty": "hang", "index": "panic"}));
    assert_eq!(shop.deliver(&hurried).await, DONE);
    let mut errors: Vec<String> =
        shop.published().iter().map(|copy| copy.text("lasterror").unwrap().to_owned()).collect();
    errors.sort();
    assert_eq!(errors, ["the consumer panicked", "the consumer ran longer than 0.02 s"]);
    assert_eq!(shop.dead_letters().await.len(), 0);
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_is_a_failure_of_one_consumer() {
    let shop = Shop::open().await;
    assert_eq!(shop.deliver(&event("e-1", "order.eager", &json!({}))).await, DONE);
    assert_eq!(shop.taken(), ["index"]);
    let published = shop.published();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].text("lasterror"), Some("the consumer panicked"));
}

#[tokio::test]
async fn a_delivery_that_fails_late_does_not_undo_what_a_repeat_has_done() {
    let shop = std::sync::Arc::new(Shop::open().await);
    let placed = event("e-1", "order.placed", &json!({"notify": "late"}));
    let late = tokio::spawn({
        let (shop, placed) = (shop.clone(), placed.clone());
        async move { shop.deliver(&placed).await }
    });
    while !shop.log.lock().unwrap().iter().any(|(name, _)| *name == "notify") {
        tokio::task::yield_now().await;
    }
    // Its lock has ended meanwhile: the broker delivers again, and this time it succeeds.
    assert_eq!(shop.deliver(&placed).await, DONE);
    shop.gate.add_permits(1);
    assert_eq!(late.await.unwrap(), DONE);
    assert_eq!((shop.published(), shop.dead_letters().await.len()), (Vec::new(), 0));
    shop.taken();
    assert_eq!(shop.deliver(&placed).await, DONE);
    assert_eq!(shop.taken(), [""; 0], "it is done");
}

#[tokio::test]
async fn what_a_consumer_refuses_is_a_dead_letter_at_once() {
    let shop = Shop::open().await;
    let placed = event("e-1", "order.placed", &json!({"notify": "reject"}));
    for _ in 0..2 {
        assert_eq!(shop.deliver(&placed).await, DONE);
    }
    assert_eq!(shop.taken(), ["index", "notify"]);
    let letter = shop.dead_letter().await.data;
    assert_eq!((letter.reason, letter.attempts), (Reason::Rejected, 1));
    assert!(letter.description.ends_with("refused the event: there is no such shelf"));
    assert_eq!(shop.published(), []);
}

#[tokio::test]
async fn while_the_broker_takes_nothing_the_delivery_itself_comes_again() {
    let shop = Shop::open().await;
    let placed = event("e-1", "order.placed", &json!({"notify": "retry"}));
    *shop.publisher.refusal.lock().unwrap() = Some(PublishError::transient("away"));
    for taken in [vec!["index", "notify"], vec!["notify"]] {
        let Outcome::Retry(reason) = shop.deliver(&placed).await else { panic!("no retry") };
        assert!(reason.contains("notify") && reason.contains("away"), "{reason}");
        assert_eq!(shop.taken(), taken);
    }
    *shop.publisher.refusal.lock().unwrap() = None;
    assert_eq!(shop.deliver(&placed).await, DONE);
    assert_eq!((shop.taken(), shop.published().len()), (vec!["notify"], 1));
}

#[tokio::test]
async fn what_no_broker_takes_again_is_a_dead_letter() {
    let shop = Shop::open().await;
    let refusal = PublishError::Permanent { index: 0, reason: "too large".into() };
    *shop.publisher.refusal.lock().unwrap() = Some(refusal);
    assert_eq!(shop.deliver(&event("e-1", "order.placed", &json!({"notify": "retry"}))).await, DONE);
    let letter = shop.dead_letter().await.data;
    assert_eq!(letter.reason, Reason::Unroutable);
    assert!(letter.description.contains("too large"));
}

#[tokio::test]
async fn an_ordered_consumer_holds_back_what_follows() {
    let shop = Shop::open().await;
    let closed = event("e-1", "account.closed", &json!({"ledger": "retry"}));
    for count in 1..=2 {
        assert!(matches!(shop.deliver_with(&closed, count, &[]).await, Outcome::Retry(_)), "{count}");
        assert_eq!((shop.published().len(), shop.dead_letters().await.len()), (0, 0));
    }
    assert_eq!(shop.deliver_with(&closed, 3, &[]).await, DONE);
    let letter = shop.dead_letter().await.data;
    assert_eq!((letter.reason, letter.attempts), (Reason::AttemptsExhausted, 3));
    assert_eq!(shop.taken(), ["ledger"; 3]);
    // The process was killed before it could answer: the broker counts on, the consumer does not.
    assert_eq!(shop.deliver_with(&closed, 4, &[]).await, DONE);
    assert_eq!(shop.taken(), [""; 0]);
}

#[tokio::test]
async fn a_message_for_a_consumer_that_is_gone_is_a_dead_letter() {
    let shop = Shop::open().await;
    let placed = event("e-1", "order.placed", &json!({}));
    assert_eq!(shop.deliver_with(&placed, 1, &[("consumer", json!("archive"))]).await, DONE);
    let letter = shop.dead_letter().await;
    assert_eq!((letter.meta.id.as_str(), letter.data.reason), ("e-1.archive", Reason::Unroutable));
    assert!(letter.data.description.contains("`archive`"));
}

#[tokio::test]
async fn what_is_no_event_is_kept_under_the_id_of_its_message() {
    let shop = Shop::open().await;
    let mut incomplete = event("e-1", "order.placed", &json!({}));
    incomplete.as_object_mut().unwrap().remove("subject");
    incomplete["time"] = json!("yesterday");
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("plain", b"good morning".to_vec(), "line 1"),
        ("binary", vec![0xff, 0xfe, 0x80], "no JSON"),
        ("list", b"[]".to_vec(), "JSON object"),
        ("incomplete", incomplete.to_string().into_bytes(), "`subject`: The attribute is missing. `time`"),
        ("large", vec![b'x'; SIZE_LIMIT + 1], "at most 262144"),
    ];
    for (id, body, words) in cases {
        for _ in 0..2 {
            assert_eq!(shop.call("on-event", envelope(&body, id, 4, &[].into())).await, DONE);
        }
        let letters = shop.dead_letters().await;
        let letter = &letters.iter().find(|letter| letter.meta.id == id).unwrap().data;
        assert_eq!((letter.reason, letter.attempts), (Reason::Malformed, 4));
        assert!(letter.description.contains(words), "{}", letter.description);
        let raw = letter.raw.as_ref().unwrap();
        assert!(!raw.is_empty() && raw.len() <= RAW_LIMIT && letter.event.is_none());
    }
    assert_eq!((shop.dead_letters().await.len(), shop.taken().len()), (5, 0));
    // Ids that are no ids of documents are kept as well, and apart.
    for id in ["a/b", "a?b", "..", &"x".repeat(300)] {
        assert_eq!(shop.call("on-event", envelope(b"{}", id, 1, &[].into())).await, DONE);
    }
    assert_eq!(shop.dead_letters().await.len(), 9);
}

#[tokio::test]
async fn a_sender_cannot_choose_the_consumer_by_what_the_host_spills() {
    let shop = Shop::open().await;
    let mut placed = event("e-1", "order.placed", &json!({}));
    placed["ApplicationProperties"] = json!({"consumer": "ledger"});
    let body = json!({
        "Data": {"message": json!(placed.to_string()).to_string()},
        "Metadata": {"MessageId": "\"m\"", "ApplicationProperties": {"consumer": "ledger"}},
    });
    assert_eq!(shop.call("on-event", body).await, DONE);
    assert_eq!(shop.taken(), ["index", "notify"]);
}

#[tokio::test]
async fn what_the_broker_gave_up_is_a_dead_letter_with_its_reason() {
    let shop = Shop::open().await;
    let cases = [
        ("MaxDeliveryCountExceeded", Reason::DeliveryCountExceeded, "did the process crash?"),
        ("TTLExpiredException", Reason::Expired, "was the group down?"),
        ("HeaderSizeExceeded", Reason::Unroutable, "HeaderSizeExceeded"),
        ("", Reason::Unroutable, "did not say why"),
    ];
    for (number, (given, reason, words)) in cases.into_iter().enumerate() {
        let event = event(&format!("e-{number}"), "order.placed", &json!({}));
        let mut properties =
            vec![("consumer", json!("index")), ("DeadLetterErrorDescription", json!("It is so."))];
        if !given.is_empty() {
            properties.push(("DeadLetterReason", json!(given)));
        }
        let properties = properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        // Ten deliveries of the message, and the first of the dead letter.
        let body = envelope(event.to_string().as_bytes(), "m", 11, &properties);
        assert_eq!(shop.call("on-dead-letter", body).await, DONE);
        let letters = shop.dead_letters().await;
        let letter =
            &letters.iter().find(|letter| letter.meta.id == format!("e-{number}.index")).unwrap().data;
        assert_eq!((letter.reason, letter.attempts), (reason, 10), "{given}");
        assert!(letter.description.contains(words) && letter.description.ends_with("It is so."));
    }
    let reason = [("DeadLetterReason".to_owned(), json!("MaxDeliveryCountExceeded"))].into();
    assert_eq!(shop.call("on-dead-letter", envelope(b"good morning", "odd", 11, &reason)).await, DONE);
    let odd = shop.dead_letters().await.into_iter().find(|letter| letter.meta.id == "odd").unwrap().data;
    assert_eq!((odd.reason, odd.attempts), (Reason::Malformed, 10));
    assert_eq!(odd.raw.as_deref(), Some("good morning"));
    assert_eq!(shop.taken().len(), 0);
}

#[tokio::test]
async fn concurrent_failures_of_many_events_lose_none() {
    let shop = std::sync::Arc::new(Shop::open().await);
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let shop = shop.clone();
            let does = json!({"index": "reject", "notify": "reject"});
            let event = event(&format!("e-{}", number % 20), "order.placed", &does);
            tokio::spawn(async move { shop.deliver(&event).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), DONE);
    }
    assert_eq!(shop.dead_letters().await.len(), 40);
}

#[tokio::test]
async fn a_consumer_can_be_run_alone() {
    let shop = Shop::open().await;
    let functions = &shop.assembly.groups[0].functions;
    for _ in 0..2 {
        let good = event("e-1", "order.placed", &json!({}));
        assert_eq!(functions.consume("index", &good, "test").await, DONE);
    }
    let does = |does: &str| event("e-2", "order.placed", &json!({"index": does}));
    assert!(matches!(functions.consume("index", &does("retry"), "test").await, Outcome::Retry(_)));
    assert!(matches!(functions.consume("index", &does("reject"), "test").await, Outcome::Reject(_)));
    assert!(matches!(functions.consume("nobody", &does("retry"), "test").await, Outcome::Reject(_)));
    assert_eq!((shop.published(), shop.dead_letters().await.len()), (Vec::<Message>::new(), 0));
}
