//! Reads all that the platform shows, over HTTP.

use coder_core::Timestamp;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::check::{Entry, Export, Observed, Thing};
use crate::company::Company;
use crate::ledger::Kind;

const GROUPS: [&str; 6] = ["auth", "users", "usage", "logging", "notifications", "secrets"];

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

/// Group, name and state of the jobs that are to run by now or soon; mail with a link, for one, is forgotten days
/// later.
async fn jobs(company: &Company, now: Timestamp) -> Vec<(String, String, String)> {
    let soon = now.saturating_add(SignedDuration::from_hours(2)).unwrap();
    let mut found = Vec::new();
    for group in GROUPS {
        let jobs = company.otto.all(&format!("/api/{group}/operations/jobs")).await;
        let due = jobs.iter().filter(|job| text(job, "dueAt").parse::<Timestamp>().unwrap() <= soon);
        found.extend(due.map(|job| (group.to_owned(), text(job, "job"), text(job, "state"))));
    }
    found
}

/// What is still under way; it is not said of what was given up.
pub(crate) async fn under_way(company: &Company, now: Timestamp) -> Vec<String> {
    let jobs = jobs(company, now).await.into_iter();
    let open = jobs.filter(|(_, _, state)| state != "succeeded" && state != "dead");
    let mut found: Vec<String> = open.map(|job| format!("{job:?}")).collect();
    let deliveries = deliveries(company).await.into_iter().filter(|(_, state)| state != "delivered");
    found.extend(deliveries.map(|delivery| format!("{delivery:?}")));
    found
}

async fn deliveries(company: &Company) -> Vec<(String, String)> {
    let path = format!("/api/notifications/webhooks/{}/deliveries", company.webhook);
    company.olga.all(&path).await.iter().map(|one| (text(one, "id"), text(one, "status"))).collect()
}

async fn things(company: &Company) -> Vec<Thing> {
    const BUILDS: &str =
        "/api/usage/events?categoryCode=compute.build&from=2026-01-01T00:00:00Z&to=2026-01-20T00:00:00Z";
    let lists = [
        (Kind::Build, BUILDS, "eventId", "eventId"),
        (Kind::Project, "/api/users/projects", "key", "id"),
        (Kind::Secret, "/api/secrets", "name", "id"),
        (Kind::Message, "/api/notifications/messages?topic=announcement", "title", "id"),
        (Kind::Entry, "/api/logging/entries?action=release.approved", "eventId", "eventId"),
        (Kind::Export, "/api/logging/exports", "id", "id"),
    ];
    let mut things = Vec::new();
    for (kind, path, name, id) in lists {
        let listed = company.olga.all(path).await;
        things.extend(listed.iter().map(|one| Thing { kind, name: text(one, name), id: text(one, id) }));
    }
    things
}

async fn entries(company: &Company) -> Vec<Entry> {
    let entries = company.olga.all("/api/logging/entries?sort=seq").await;
    let entry = |one: &Value| Entry {
        number: number(one, "seq"),
        action: text(one, "action"),
        about: text(one, "resourceId"),
        event: text(one, "eventId"),
    };
    entries.iter().map(entry).collect()
}

/// The exports and what their files hold.
async fn exports(company: &Company) -> Vec<Export> {
    let mut exports = Vec::new();
    for export in company.olga.all("/api/logging/exports").await {
        let id = text(&export, "id");
        let file = company.olga.get(&format!("/api/logging/exports/{id}/download")).await;
        let lines = file.body.as_str().unwrap_or_default().lines().skip(1).count() as u64;
        exports.push(Export { id, entries: number(&export, "entryCount"), lines });
    }
    exports
}

async fn given_up(company: &Company) -> Vec<String> {
    let mut found = Vec::new();
    for group in GROUPS {
        let letters = company.otto.all(&format!("/api/{group}/operations/dead-letters")).await;
        found.extend(letters.iter().map(|letter| format!("{group}: {letter}")));
    }
    found
}

/// The timers and the slots that their latest runs have done.
async fn slots(company: &Company) -> Vec<(String, String)> {
    let mut done = Vec::new();
    for group in GROUPS {
        for timer in company.otto.all(&format!("/api/{group}/operations/timers")).await {
            let path = format!("/api/{group}/operations/timers/{}/history", text(&timer, "timer"));
            let history = company.otto.get(&path).await.expect(200);
            let runs = history.body["runs"].as_array().unwrap().clone();
            let done_here = runs.into_iter().filter(|run| run["outcome"] == "succeeded");
            done.extend(
                done_here.map(|run| (format!("{group} {}", text(&timer, "timer")), text(&run, "slot"))),
            );
        }
    }
    done
}

async fn platform_messages(company: &Company) -> Vec<String> {
    let all = company.olga.all("/api/notifications/messages").await;
    all.iter().filter(|one| one["topic"] != "announcement").map(|one| text(one, "id")).collect()
}

/// All of it.
pub(crate) async fn observe(company: &Company, now: Timestamp) -> Observed {
    let (olga, max) = (&company.olga, &company.max);
    let summary = olga.get("/api/usage/summary").await.expect(200).body;
    let mut categories = summary["categories"].as_array().unwrap().iter();
    let builds = categories.find(|one| one["categoryCode"] == "compute.build").cloned().unwrap_or_default();
    assert_eq!(builds["events"], builds["metrics"]["jobs"], "{builds}");
    let verified = olga.post("/api/logging/verify", json!({})).await.expect(200).body;
    let items = max.all("/api/notifications/inbox?state=all").await;
    let mut inbox: Vec<_> = items.iter().map(|one| (number(one, "seq"), text(one, "messageId"))).collect();
    inbox.sort_unstable();
    let counts = max.get("/api/notifications/inbox/counts").await.expect(200).body;
    Observed {
        things: things(company).await,
        counted: (number(&builds, "events"), number(&builds["metrics"], "seconds")),
        platform_messages: platform_messages(company).await,
        entries: entries(company).await,
        chain_verifies: verified["valid"] == true && verified["faults"] == json!([]),
        inbox,
        inbox_counts: (number(&counts, "unread"), number(&counts, "seq")),
        posted: company.receiver.taken(),
        deliveries: deliveries(company).await,
        jobs: jobs(company, now).await,
        exports: exports(company).await,
        dead_letters: given_up(company).await,
        slots: slots(company).await,
    }
}
