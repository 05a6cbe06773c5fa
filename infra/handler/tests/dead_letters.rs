//! What operators see of dead letters and do with them, over HTTP.

use coder_core::{Credential, Timestamp};
use coder_database::AuditEntry;
use coder_handler::functions::Outcome;
use coder_queue::dead_letter::State;
use serde_json::{Value, json};

use crate::shop::{Shop, event, person};

const DONE: Outcome = Outcome::Done(Value::Null);

/// A shop with one dead letter, `e-1.index`.
async fn with_one(does: &Value) -> Shop {
    let shop = Shop::open().await;
    assert_eq!(shop.deliver(&event("e-1", "order.changed", does)).await, DONE);
    assert_eq!(shop.taken(), ["index"]);
    shop
}

fn refused() -> Value {
    json!({"index": "reject", "title": "Milk", "apiKey": "k-123", "deep": [{"password": "p-123"}]})
}

async fn patch_index(shop: &Shop, does: &str) {
    let patch = json!({"event": {"data": {"index": does}}});
    shop.operate("PATCH", "/e-1.index", Some(patch)).await.is(200, "");
}

/// Audit entries of one act.
async fn acts(shop: &Shop, action: &str) -> Vec<AuditEntry> {
    shop.audit().await.into_iter().filter(|entry| entry.action == action).collect()
}

#[tokio::test]
async fn only_operators_with_a_session_come_near() {
    let shop = with_one(&refused()).await;
    let mut key = person(true);
    let permissions = coder_core::PermissionSet::default();
    let scope = coder_core::Scope::Organization(key.organization_id.unwrap());
    key.credential = Credential::ApiKey { key_id: "k".into(), permissions, scope };
    for (method, path) in [
        ("GET", ""),
        ("GET", "/e-1.index"),
        ("PATCH", "/e-1.index"),
        ("DELETE", "/e-1.index"),
        ("POST", "/e-1.index/replay"),
        ("POST", "/replay"),
        ("POST", "/drop"),
    ] {
        shop.request(None, method, path, None, &[]).await.is(401, "unauthenticated");
        shop.request(Some(&person(false)), method, path, None, &[]).await.is(403, "forbidden");
        shop.request(Some(&key), method, path, None, &[]).await.is(403, "forbidden");
    }
    assert_eq!(shop.dead_letter().await.data.state, State::Open);
    assert_eq!(shop.outbox().await, []);
}

#[tokio::test]
async fn a_list_is_filtered_and_paged_and_shows_no_events() {
    let shop = Shop::open().await;
    for number in 0..5 {
        let does = json!({"index": "reject", "notify": if number == 0 { "reject" } else { "" }});
        let name = if number % 2 == 0 { "order.placed" } else { "order.changed" };
        shop.deliver(&event(&format!("e-{number}"), name, &does)).await;
    }
    shop.call("on-event", json!({"Data": {}})).await;
    let list = async |query: &str| shop.operate("GET", query, None).await.is(200, "");
    let ids = |page: &Value| {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (query, count) in [
        ("", 7),
        ("?type=coder.shop.order.pl", 4),
        ("?type=coder.shop.order.changed", 2),
        ("?reason=malformed", 1),
        ("?reason=expired", 0),
        ("?consumer=notify", 1),
        ("?state=open&consumer=index", 5),
        ("?state=dropped", 0),
    ] {
        let page = list(query).await;
        assert_eq!(ids(&page).len(), count, "{query}");
        assert!(page["items"].as_array().unwrap().iter().all(|item| item["event"].is_null()));
    }
    let first = list("?limit=4").await;
    let second = list(&format!("?limit=4&cursor={}", first["nextCursor"].as_str().unwrap())).await;
    let mut all = ids(&first);
    all.extend(ids(&second));
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), &second["nextCursor"]), (7, &Value::Null));
    for bad in ["?reason=bored", "?limit=0", "?colour=red", "?cursor=x"] {
        shop.operate("GET", bad, None).await.is(400, "invalid_query");
    }
}

#[tokio::test]
async fn secrets_are_masked_and_stay_what_they_are() {
    let shop = with_one(&refused()).await;
    let shown = shop.operate("GET", "/e-1.index", None).await.is(200, "");
    assert_eq!(shown["event"]["data"]["title"], "Milk");
    assert_eq!(shown["event"]["data"]["apiKey"], "[redacted]");
    assert!(!shown.to_string().contains("-123"), "{shown}");
    let edited = json!({"event": {"data": {"title": "Bread"}}});
    let shown = shop.operate("PATCH", "/e-1.index", Some(edited)).await.is(200, "");
    assert!(!shown.to_string().contains("-123"), "{shown}");
    let letter = shop.dead_letter().await.data;
    let stored = letter.event.unwrap();
    assert_eq!([&stored["data"]["title"], &stored["data"]["apiKey"]], ["Bread", "k-123"]);
    assert_eq!(letter.original_event.unwrap()["data"]["title"], "Milk");
    // What stands for a secret is not one.
    let masked = json!({"event": {"data": {"apiKey": "[redacted]"}}});
    let refused = shop.operate("PATCH", "/e-1.index", Some(masked)).await.is(422, "validation_failed");
    assert_eq!(refused["errors"][0]["code"], "masked_value");
    assert!(!serde_json::to_string(&shop.audit().await).unwrap().contains("-123"));
    for missing in ["/e-2.index", "/%2e%2e", "/a%2Fb", "/%3f"] {
        shop.operate("GET", missing, None).await.is(404, "not_found");
    }
}

#[tokio::test]
async fn an_edit_leaves_an_event_and_the_first_original() {
    let shop = with_one(&refused()).await;
    for (event, pointer) in [
        (json!({"id": "e-2"}), "/event/id"),
        (json!({"type": null}), "/event/type"),
        (json!({"time": "soon"}), "/event/time"),
        (json!({"data": "x".repeat(300_000)}), "/event"),
    ] {
        let patch = json!({"event": event});
        let refused = shop.operate("PATCH", "/e-1.index", Some(patch)).await.is(422, "validation_failed");
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    shop.operate("PATCH", "/e-1.index", Some(json!({"state": "dropped"}))).await.is(422, "unknown_field");
    patch_index(&shop, "retry").await;
    patch_index(&shop, "done").await;
    let record = shop.dead_letter().await;
    assert_eq!(record.data.original_event.unwrap()["data"]["index"], "reject");
    let stale = [("if-match", "\"0000\"")];
    let patch = || Some(json!({"event": {"data": {}}}));
    let answer = shop.request(Some(&person(true)), "PATCH", "/e-1.index", patch(), &stale).await;
    answer.is(412, "etag_mismatch");
    let acts = acts(&shop, "edit_dead_letter").await;
    assert_eq!(acts.len(), 2);
    assert_eq!(acts[0].actor.id, person(true).user_id.unwrap().to_string());
    // What could not be read becomes an event by an edit, and can be delivered then.
    shop.call("on-event", json!({"Data": {}, "Metadata": {"MessageId": "odd"}})).await;
    shop.operate("POST", "/odd/replay", None).await.is(409, "invalid_state");
    let whole = json!({"event": event("e-9", "order.changed", &json!({}))});
    let shown = shop.operate("PATCH", "/odd", Some(whole)).await.is(200, "");
    assert_eq!(shown["eventId"], "e-9");
    shop.operate("POST", "/odd/replay", None).await.is(200, "");
}

#[tokio::test]
async fn a_replay_goes_to_the_consumer_that_failed_and_only_once() {
    let shop = Shop::open().await;
    let placed = event("e-1", "order.placed", &json!({"index": "reject"}));
    shop.deliver(&placed).await;
    assert_eq!(shop.taken(), ["index", "notify"]);
    patch_index(&shop, "done").await;
    for _ in 0..3 {
        let shown = shop.operate("POST", "/e-1.index/replay", None).await.is(200, "");
        assert_eq!((&shown["state"], &shown["replays"]), (&json!("replayed"), &json!(1)));
    }
    let waiting = shop.outbox().await;
    assert_eq!(waiting.len(), 1);
    assert_eq!([waiting[0].target.as_deref(), waiting[0].consumer.as_deref()], [Some("shop"), Some("index")]);
    assert_eq!(acts(&shop, "replay_dead_letter").await.len(), 1);
    let message = coder_queue::Message::of_event("m", coder_queue::Entity::Events, &waiting[0].event);
    assert_eq!(shop.sweep().await, [DONE]);
    assert_eq!(shop.taken(), ["index"]);
    // The same delivery once more, and the first one.
    let only = [("consumer", json!("index"))];
    let event: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(shop.deliver_with(&event, 1, &only).await, DONE);
    assert_eq!(shop.deliver(&placed).await, DONE);
    assert_eq!(shop.taken(), [""; 0]);
    assert_eq!(shop.dead_letter().await.data.state, State::Replayed);
}

#[tokio::test]
async fn a_replay_that_fails_again_opens_the_dead_letter_again() {
    let shop = with_one(&refused()).await;
    for replays in 1..=2 {
        shop.operate("POST", "/e-1.index/replay", None).await.is(200, "");
        assert_eq!(shop.sweep().await, [DONE]);
        assert_eq!(shop.taken(), ["index"]);
        let letter = shop.dead_letter().await.data;
        assert_eq!((letter.state, letter.replays, letter.attempts), (State::Open, replays, replays + 1));
        assert!(letter.first_at <= letter.last_at);
    }
    // Its attempts are its own: broker and mark take them for no repeats of the first ones.
    patch_index(&shop, "retry").await;
    shop.operate("POST", "/e-1.index/replay", None).await.is(200, "");
    shop.sweep().await;
    let published = shop.published();
    assert_eq!(published[0].id, "e-1.shop.index.3.2");
    assert_eq!(shop.deliver_message(&published[0]).await, DONE);
    assert_eq!(shop.taken(), ["index", "index"]);
}

#[tokio::test]
async fn what_the_broker_gave_up_is_a_dead_letter_for_each_that_has_not_taken_it() {
    let shop = Shop::open().await;
    let give_up = async |event: &Value| {
        let body = crate::shop::envelope(event.to_string().as_bytes(), "m", 10, &[].into());
        assert_eq!(shop.call("on-dead-letter", body).await, DONE);
        let letters = shop.dead_letters().await.into_iter();
        let letters = letters.filter(|letter| letter.data.event_id.as_deref() == event["id"].as_str());
        let mut found: Vec<_> = letters.map(|letter| (letter.meta.id, letter.data.state)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    };
    let taken = event("e-1", "order.placed", &json!({}));
    shop.deliver(&taken).await;
    assert_eq!(give_up(&taken).await, [("e-1".to_owned(), State::Dropped)], "by all");
    let by_one = event("e-2", "order.placed", &json!({}));
    shop.deliver_with(&by_one, 1, &[("consumer", json!("notify"))]).await;
    assert_eq!(give_up(&by_one).await, [("e-2.index".to_owned(), State::Open)]);
    let unheard = event("e-3", "order.placed", &json!({}));
    assert_eq!(give_up(&unheard).await.len(), 2);
    shop.taken();
    // The marks are long gone.
    shop.clock.advance(jiff::SignedDuration::from_hours(24 * 60));
    for id in ["e-2.index", "e-3.index", "e-3.notify"] {
        shop.operate("POST", &format!("/{id}/replay"), None).await.is(200, "");
    }
    assert_eq!(shop.sweep().await, [DONE; 3]);
    assert_eq!(shop.taken(), ["index", "index", "notify"]);
}

#[tokio::test]
async fn what_is_dropped_stays_and_is_not_delivered() {
    let shop = with_one(&refused()).await;
    for _ in 0..2 {
        shop.operate("DELETE", "/e-1.index", None).await.is(204, "");
    }
    assert_eq!(acts(&shop, "drop_dead_letter").await.len(), 1);
    shop.operate("POST", "/e-1.index/replay", None).await.is(409, "invalid_state");
    let patch = json!({"event": {"data": {}}});
    shop.operate("PATCH", "/e-1.index", Some(patch)).await.is(409, "invalid_state");
    let shown = shop.operate("GET", "/e-1.index", None).await.is(200, "");
    assert_eq!(shown["state"], "dropped");
    shop.operate("DELETE", "/e-7.index", None).await.is(404, "not_found");
    assert_eq!(shop.outbox().await, []);
    shop.clock.advance(jiff::SignedDuration::from_hours(24 * 91));
    shop.operate("GET", "/e-1.index", None).await.is(404, "not_found");
}

#[tokio::test]
async fn many_are_replayed_by_filter_at_a_rate() {
    let shop = Shop::open().await;
    for number in 0..6 {
        shop.deliver(&event(&format!("e-{number}"), "order.changed", &refused())).await;
    }
    shop.call("on-event", json!({"Data": {}, "Metadata": {"MessageId": "odd"}})).await;
    shop.operate("DELETE", "/e-5.index", None).await.is(204, "");
    let dry = json!({"consumer": "index", "dryRun": true});
    let report = shop.operate("POST", "/replay", Some(dry)).await.is(200, "");
    assert_eq!((report["replayed"].as_array().unwrap().len(), &report["dryRun"]), (5, &json!(true)));
    assert_eq!(shop.outbox().await, []);
    let key = [("idempotency-key", "again")];
    let body = || Some(json!({"type": "coder.shop.order", "ratePerSecond": 2}));
    let mut reports = Vec::new();
    for _ in 0..2 {
        let answer = shop.request(Some(&person(true)), "POST", "/replay", body(), &key).await;
        reports.push(answer.is(200, ""));
    }
    assert_eq!(reports[0], reports[1]);
    assert_eq!((reports[0]["replayed"].as_array().unwrap().len(), &reports[0]["more"]), (5, &json!(false)));
    let mut due: Vec<Option<Timestamp>> = shop.outbox().await.into_iter().map(|record| record.due).collect();
    due.sort_unstable();
    let now = shop.assembly.providers.ambient.now();
    let offsets: Vec<i128> =
        due.iter().map(|due| due.map_or(0, |due| due.duration_since(now).as_millis())).collect();
    assert_eq!(offsets, [0, 500, 1000, 1500, 2000]);
    assert_eq!(
        acts(&shop, "replay_dead_letters").await.iter().filter(|act| !act.targets.is_empty()).count(),
        5
    );
    // Without a filter: what cannot be delivered is counted, and hinders nothing.
    let report = shop.operate("POST", "/replay", Some(json!({}))).await.is(200, "");
    assert_eq!((&report["replayed"], &report["failed"]), (&json!([]), &json!([])));
    assert_eq!(report["withoutEvent"], 1);
    // By its id it is named.
    let named = json!({"ids": ["odd", "e-0.index", "e-9.index"]});
    let report = shop.operate("POST", "/replay", Some(named)).await.is(200, "");
    assert_eq!((&report["replayed"], &report["unchanged"]), (&json!([]), &json!(["e-0.index"])));
    assert_eq!(
        (&report["failed"][0]["id"], &report["failed"][1]["id"]),
        (&json!("odd"), &json!("e-9.index"))
    );
    assert!(report["failed"][0]["reason"].as_str().unwrap().contains("edit it"));
    let both = json!({"ids": ["odd"], "consumer": "index"});
    shop.operate("POST", "/replay", Some(both)).await.is(422, "validation_failed");
    for bad in [json!({"ratePerSecond": 0}), json!({"rate": 1}), json!({"reason": "bored"})] {
        assert_eq!(shop.operate("POST", "/replay", Some(bad)).await.status, 422);
    }
}

#[tokio::test]
async fn a_rate_holds_over_several_requests_and_a_dry_run_tells_the_truth() {
    let shop = Shop::open().await;
    for number in 0..4 {
        shop.deliver(&event(&format!("e-{number}"), "order.changed", &refused())).await;
    }
    shop.operate("DELETE", "/e-3.index", None).await.is(204, "");
    let many = async |what: &str, body: Value| shop.operate("POST", what, Some(body)).await.is(200, "");
    let ids = ["e-0.index", "e-1.index", "e-3.index"];
    let dry = many("/replay", json!({"ids": ids, "dryRun": true})).await;
    assert_eq!(dry["replayed"], json!(["e-0.index", "e-1.index"]));
    assert_eq!(dry["failed"][0]["id"], "e-3.index", "it is dropped");
    let first = many("/replay", json!({"ids": ["e-0.index", "e-1.index"], "ratePerSecond": 2})).await;
    let second = many("/replay", json!({"ratePerSecond": 2, "start": first["nextDue"]})).await;
    assert_eq!(second["replayed"], json!(["e-2.index"]));
    let now = shop.assembly.providers.ambient.now();
    let mut due: Vec<i128> = shop
        .outbox()
        .await
        .into_iter()
        .map(|record| record.due.map_or(0, |due| due.duration_since(now).as_millis()))
        .collect();
    due.sort_unstable();
    assert_eq!(due, [0, 500, 1000]);
}

#[tokio::test]
async fn many_are_dropped_by_filter_or_id() {
    let shop = Shop::open().await;
    for number in 0..4 {
        shop.deliver(&event(&format!("e-{number}"), "order.changed", &refused())).await;
    }
    shop.call("on-event", json!({"Data": {}, "Metadata": {"MessageId": "odd"}})).await;
    let many = async |body: Value| shop.operate("POST", "/drop", Some(body)).await.is(200, "");
    let dry = many(json!({"reason": "malformed", "dryRun": true})).await;
    assert_eq!((&dry["dropped"], &dry["dryRun"]), (&json!(["odd"]), &json!(true)));
    assert!(shop.dead_letters().await.iter().all(|letter| letter.data.state == State::Open));
    assert_eq!(many(json!({"reason": "malformed"})).await["dropped"], json!(["odd"]));
    let some = many(json!({"ids": ["odd", "e-1.index", "e-9.index"]})).await;
    assert_eq!((&some["dropped"], &some["unchanged"]), (&json!(["e-1.index"]), &json!(["odd"])));
    assert_eq!(some["failed"][0]["id"], "e-9.index");
    let rest = many(json!({})).await;
    assert_eq!((rest["dropped"].as_array().unwrap().len(), &rest["more"]), (3, &json!(false)));
    assert!(shop.dead_letters().await.iter().all(|letter| letter.data.state == State::Dropped));
    assert_eq!(
        acts(&shop, "drop_dead_letters").await.iter().filter(|act| !act.targets.is_empty()).count(),
        5
    );
}
