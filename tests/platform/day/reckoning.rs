//! What the groups say in the evening, against the books.

use std::collections::BTreeSet;
use std::path::Path;

use coder_core::Timestamp;
use coder_testkit::killable::logged;
use coder_testkit::team::PASSWORD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::books::Books;
use super::office::{Office, SECOND_COSTS, TOOL_RUNS};
use super::people::People;
use super::receiver::Receiver;
use super::watching::Watcher;
use super::{MARK, distinct};

const GROUPS: [&str; 6] = ["auth", "users", "usage", "logging", "notifications", "secrets"];

/// How often the process was killed.
const KILLS: usize = 2;

/// Whether no job waits or runs, but for those of another day, and no call of the webhook is still to come.
pub(super) async fn is_quiet(people: &People, office: &Office, now: Timestamp) -> bool {
    for group in GROUPS {
        let jobs = people.otto.all(&format!("/api/{group}/operations/jobs")).await;
        if jobs
            .iter()
            .any(|job| job["state"] != "succeeded" && job["state"] != "dead" && is_of_today(job, now))
        {
            return false;
        }
    }
    let calls = format!("/api/notifications/webhooks/{}/deliveries", office.webhook);
    people.olga.all(&calls).await.iter().all(|one| one["status"] == "delivered")
}

/// Whether a job is to run soon; mail with a link, for one, is forgotten a day later.
fn is_of_today(job: &Value, now: Timestamp) -> bool {
    let soon = now.saturating_add(SignedDuration::from_hours(2)).unwrap();
    job["dueAt"].as_str().unwrap().parse::<Timestamp>().unwrap() <= soon
}

/// Every reported event counts once, and the quota let through what it allows.
pub(super) async fn of_usage(people: &People, books: &Books) {
    let seconds: u64 = books.builds.values().sum();
    let summary = people.olga.get("/api/usage/summary").await.expect(200).body;
    let of = |code: &str| {
        let found = summary["categories"].as_array().unwrap().iter().find(|one| one["categoryCode"] == code);
        found.unwrap().clone()
    };
    let builds = of("compute.build");
    assert_eq!(builds["events"], books.builds.len());
    assert_eq!(builds["metrics"], json!({"jobs": books.builds.len(), "seconds": seconds}));
    let cost: f64 = builds["cost"].as_str().unwrap().parse().unwrap();
    assert_eq!(format!("{cost:.6}"), format!("{}.000000", seconds * SECOND_COSTS));
    assert_eq!(of("mcp.execution")["metrics"], json!({"executions": TOOL_RUNS}));
    let stored = people.olga.all("/api/usage/events?categoryCode=compute.build").await;
    assert_eq!(distinct(&stored, "/eventId"), books.builds.keys().cloned().collect());

    let counters = people.olga.get("/api/usage/counters").await.expect(200).body;
    let quota = &counters["quotas"][0];
    assert_eq!(
        (&quota["used"], &quota["held"], &quota["remaining"]),
        (&json!(TOOL_RUNS), &json!(0), &json!(0))
    );
    let more = json!({"categoryCode": "mcp.execution", "estimate": {"executions": 1}});
    let verdict = people.max.post("/api/usage/quotas/check", more).await.expect(200);
    assert_eq!(verdict.body["allowed"], false);
}

/// Max has each message once, the counts say so, and his stream told him of each once and in order.
pub(super) async fn of_the_inbox(people: &People, books: &Books, watcher: &mut Watcher) {
    let inbox = people.max.all("/api/notifications/inbox?state=all").await;
    let messages = distinct(&inbox, "/messageId");
    let own: Vec<Value> = inbox.iter().filter(|item| item["topic"] == "announcement").cloned().collect();
    assert_eq!(&distinct(&own, "/messageId"), books.messages());
    let counts = people.max.get("/api/notifications/inbox/counts").await.expect(200).body;
    assert_eq!((&counts["unread"], &counts["seq"]), (&json!(inbox.len()), &json!(inbox.len())));
    watcher.sees(&messages).await;
    let told: Vec<&Value> = watcher.items.iter().map(|item| &item["seq"]).collect();
    assert_eq!(json!(told), json!((1..=inbox.len()).collect::<Vec<_>>()));
}

/// The target took every message, after two failures of the first one; all calls were signed.
pub(super) async fn of_the_webhook(people: &People, office: &Office, books: &Books, receiver: &Receiver) {
    let calls = receiver.calls();
    assert!(calls.iter().all(|call| call.is_signed(&office.signing_secret)));
    assert!(!calls.iter().any(|call| call.is_signed("whsec_another")));
    let id = |call: &super::receiver::Call| call.event()["id"].as_str().unwrap().to_owned();
    let taken: BTreeSet<String> = calls.iter().filter(|call| call.taken).map(id).collect();
    assert_eq!(&taken, books.messages());
    let deliveries = format!("/api/notifications/webhooks/{}/deliveries", office.webhook);
    let deliveries = people.olga.all(&deliveries).await;
    assert_eq!(&distinct(&deliveries, "/id"), books.messages());
    let first = deliveries.last().unwrap();
    let answers: Vec<&Value> =
        first["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(json!(answers), json!([500, 500, 204]));
}

/// Every secret has its value, under the new key.
pub(super) async fn of_secrets(people: &People, books: &Books) {
    let listed = people.olga.all("/api/secrets").await;
    assert_eq!(distinct(&listed, "/id"), books.secrets.keys().cloned().collect());
    assert!(!json!(listed).to_string().contains(MARK));
    for (id, value) in &books.secrets {
        let path = format!("/api/secrets/{id}/reveal");
        assert_eq!(&people.olga.post(&path, json!({})).await.expect(200).body["value"], value);
        people.vera.post(&path, json!({})).await.expect_problem(403, "forbidden");
    }
    let keys = people.olga.all("/api/secrets/keys").await;
    let active: Vec<Value> = keys.into_iter().filter(|key| key["state"] == "active").collect();
    assert_eq!((active.len(), &active[0]["id"]), (1, &json!(books.data_key)));
    assert_eq!(active[0]["encryptions"], books.secrets.len());
}

/// Every accepted job has succeeded, once, but for the one that cannot; timers did each slot once; no event was given
/// up.
pub(super) async fn of_operations(people: &People, books: &Books, now: Timestamp) {
    for group in GROUPS {
        let operations = format!("/api/{group}/operations");
        let dead = people.otto.all(&format!("{operations}/dead-letters")).await;
        assert_eq!(dead, Vec::<Value>::new(), "{group}");
        for job in people.otto.all(&format!("{operations}/jobs")).await {
            let expected = match &job["id"] {
                id if id == books.hopeless.as_str() => "dead",
                _ if is_of_today(&job, now) => "succeeded",
                _ => "queued",
            };
            assert_eq!(job["state"], expected, "{job:#}");
        }
        for timer in people.otto.all(&format!("{operations}/timers")).await {
            let name = timer["timer"].as_str().unwrap();
            let history = people.otto.get(&format!("{operations}/timers/{name}/history")).await.expect(200);
            check_runs(history.body["runs"].as_array().unwrap());
        }
    }
    let jobs = async |group: &str, job: &str| {
        people.otto.all(&format!("/api/{group}/operations/jobs?job={job}")).await
    };
    let encryptions = BTreeSet::from([books.rotation.clone(), books.hopeless.clone()]);
    assert_eq!(distinct(&jobs("secrets", "reencrypt").await, "/id"), encryptions);
    assert_eq!(jobs("logging", "export").await.len(), 1);
    // One for each message, and two more for the one that failed twice.
    assert_eq!(jobs("notifications", "webhook").await.len(), books.messages().len() + 2);
    let path = format!("/api/secrets/operations/jobs/{}", books.rotation);
    let rotation = people.otto.get(&path).await.expect(200).body;
    assert_eq!(rotation["result"]["unreadable"], 0, "{rotation:#}");
    let export = people.olga.get(&format!("/api/logging/exports/{}", books.export)).await.expect(200);
    assert_eq!(export.text("/status"), "succeeded");
    let file = people.olga.get(&format!("/api/logging/exports/{}/download", books.export)).await.expect(200);
    let lines = file.body.as_str().unwrap().lines().count();
    assert!(lines as u64 > export.body["entryCount"].as_u64().unwrap(), "{lines}: {:#}", export.body);
}

/// Each slot was done once. A kill may have met a run, which is then lost, and a later one has made up for it.
fn check_runs(newest_first: &[Value]) {
    let (done, not_done): (Vec<&Value>, Vec<&Value>) =
        newest_first.iter().partition(|run| run["outcome"] == "succeeded");
    let slots: BTreeSet<&str> = done.iter().filter_map(|run| run["slot"].as_str()).collect();
    assert_eq!(slots.len(), done.len(), "{newest_first:#?}");
    let lost = not_done.iter().all(|run| run["outcome"] == "lost");
    assert!(lost && not_done.len() <= KILLS, "{newest_first:#?}");
    assert!(newest_first.first().is_none_or(|run| run["outcome"] == "succeeded"), "{newest_first:#?}");
}

/// Every acknowledged write stands in the chain exactly once, and the chain is whole.
pub(super) async fn of_the_audit(people: &People, books: &Books) {
    let entries = people.olga.all("/api/logging/entries?sort=seq").await;
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=entries.len() as u64).collect::<Vec<_>>());
    distinct(&entries, "/eventId");
    for (action, id) in &books.written {
        let about = entries.iter().filter(|entry| entry["action"] == *action && entry["resourceId"] == *id);
        assert_eq!(about.count(), 1, "{action} {id}");
    }
    let custom: Vec<Value> =
        entries.iter().filter(|entry| entry["action"] == "release.approved").cloned().collect();
    assert_eq!(distinct(&custom, "/eventId"), books.entries);
    let kept = json!({"apiKey": "[redacted]", "stage": "live"});
    assert!(custom.iter().all(|entry| entry["metadata"] == kept), "{custom:#?}");
    assert!(!json!(entries).to_string().contains(MARK));
    let refused = entries.iter().filter(|entry| entry["action"] == "secrets.access.denied");
    let refused: BTreeSet<&str> = refused.filter_map(|entry| entry["actor"]["id"].as_str()).collect();
    let expected = [&people.max, &people.vera].map(|person| person.user_id.unwrap().to_string());
    assert_eq!(refused, expected.iter().map(String::as_str).collect());
    let verified = people.olga.post("/api/logging/verify", json!({})).await.expect(200).body;
    assert_eq!((&verified["valid"], &verified["faults"]), (&json!(true), &json!([])));
    assert!(verified["checked"].as_u64().unwrap() >= entries.len() as u64);
}

/// Nothing that is secret was ever logged.
pub(super) fn of_the_log(people: &People, directory: &Path) {
    let log = logged(directory);
    assert!(log.lines().count() > 100, "the process has logged too little to say anything");
    let credentials =
        [&people.olga, &people.max, &people.vera, &people.otto].map(coder_testkit::Client::token);
    let secrets = [MARK, PASSWORD, people.key.as_str()].into_iter();
    for secret in secrets.chain(credentials.iter().map(String::as_str)) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}
