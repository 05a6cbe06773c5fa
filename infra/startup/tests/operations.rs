//! Jobs and timers over HTTP, for operators.

use axum::body::Body;
use axum::extract::Request;
use coder_core::Caller;
use coder_database::{PlatformJob, Query};
use coder_middleware::chain::Authentication;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::hosts::{Host, Hosts};
use crate::notes::{Answer, answer, person};

const BASE: &str = "/api/usage/operations";

fn operator() -> Caller {
    Caller { operator: true, ..person(3, 1) }
}

async fn call(host: &Host, caller: &Caller, method: &str, path: &str, body: Option<Value>) -> Answer {
    let content = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder().method(method).uri(format!("{BASE}{path}"));
    let mut request = request.header("content-type", "application/json").body(content).unwrap();
    request.extensions_mut().insert(Authentication::Verified(Arc::new(caller.clone())));
    answer(coder_handler::server::api(&host.running), request).await
}

async fn get(host: &Host, path: &str) -> Answer {
    call(host, &operator(), "GET", path, None).await
}

async fn post(host: &Host, path: &str, body: Value) -> Answer {
    call(host, &operator(), "POST", path, Some(body)).await
}

#[tokio::test]
async fn operators_alone_may_see_and_do_anything() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    for (method, path) in [
        ("GET", "/jobs"),
        ("POST", "/jobs"),
        ("GET", "/jobs/j"),
        ("POST", "/jobs/j/cancel"),
        ("GET", "/timers"),
        ("POST", "/timers/tidy/run"),
        ("GET", "/timers/tidy/history"),
    ] {
        let body = (path == "/jobs" && method == "POST").then(|| json!({"job": "work"}));
        call(&host, &person(3, 1), method, path, body).await.is(403, "forbidden");
    }
}

#[tokio::test]
async fn a_job_is_queued_run_and_found_again() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let input = json!(["do", {"apiKey": "k-1"}]);
    let queued = post(&host, "/jobs", json!({"job": "work", "input": input})).await;
    let id = queued.body["id"].as_str().unwrap().to_owned();
    assert_eq!((queued.status, queued.body["state"].as_str()), (202, Some("queued")));
    assert_eq!(queued.headers["location"], format!("{BASE}/jobs/{id}"));
    host.deliver(&id).await;
    let whole = get(&host, &format!("/jobs/{id}")).await;
    assert_eq!((&whole.body["state"], &whole.body["result"]), (&json!("succeeded"), &json!({"attempt": 1})));
    assert_eq!(whole.body["input"][0], "do");
    assert!(!whole.body.to_string().contains("k-1"), "{}", whole.body);
    // Somewhere else in the group, and later.
    hosts.pass(5);
    let other = host.enqueue("careful", json!(["do"]), None).await;
    let listed = get(&host, "/jobs").await;
    let ids: Vec<&str> =
        listed.body["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&other, &id]);
    assert_eq!(listed.body["items"][1]["input"], Value::Null);
    for (filter, wanted) in [("state=queued", &other), ("job=work", &id), ("limit=1", &other)] {
        let page = get(&host, &format!("/jobs?{filter}")).await;
        assert_eq!(page.body["items"].as_array().unwrap().len(), 1, "{filter}");
        assert_eq!(page.body["items"][0]["id"], **wanted, "{filter}");
    }
    let first = get(&host, "/jobs?limit=1").await;
    let second =
        get(&host, &format!("/jobs?limit=1&cursor={}", first.body["nextCursor"].as_str().unwrap())).await;
    assert_eq!((&second.body["items"][0]["id"], &second.body["nextCursor"]), (&json!(id), &Value::Null));
    get(&host, "/jobs?state=lost").await.is(400, "invalid_query");
    get(&host, "/jobs/none").await.is(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_queued_is_named() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let unknown = post(&host, "/jobs", json!({"job": "dance"})).await.is(422, "validation_failed");
    assert!(
        unknown.body["detail"].as_str().unwrap().contains("work, careful, every-tidy"),
        "{}",
        unknown.body
    );
    post(&host, "/jobs", json!({"job": "work", "at": "tomorrow"})).await.is(422, "validation_failed");
    post(&host, "/jobs", json!({"job": "work", "when": 1})).await.is(422, "unknown_field");
    post(&host, "/timers/dance/run", json!({})).await.is(404, "not_found");
    get(&host, "/timers/dance/history").await.is(404, "not_found");
    let later =
        post(&host, "/jobs", json!({"job": "work", "input": ["do"], "at": "2026-01-06T00:00:00Z"})).await;
    let id = later.body["id"].as_str().unwrap();
    assert_eq!(host.messages(id).await[0].1, Some("2026-01-06T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_job_is_cancelled_at_once_or_asked_to_stop_and_somebody_did_it() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let waiting = host.enqueue("work", json!(["do"]), None).await;
    let answer = post(&host, &format!("/jobs/{waiting}/cancel"), json!({})).await;
    assert_eq!((answer.status, answer.body["state"].as_str()), (200, Some("cancelled")));
    assert!(host.job(&waiting).await.expires_at.is_some());
    post(&host, &format!("/jobs/{waiting}/cancel"), json!({})).await.is(409, "invalid_state");
    post(&host, "/jobs/none/cancel", json!({})).await.is(404, "not_found");

    let running = host.enqueue("work", json!(["pause"]), None).await;
    let run = tokio::spawn({
        let (host, id) = (host.clone(), running.clone());
        async move { host.deliver(&id).await }
    });
    hosts.script.waits().await;
    let answer = post(&host, &format!("/jobs/{running}/cancel"), json!({})).await;
    assert_eq!(
        (answer.body["state"].as_str(), &answer.body["cancelRequested"]),
        (Some("running"), &json!(true))
    );
    hosts.script.open();
    run.await.unwrap();
    assert_eq!(get(&host, &format!("/jobs/{running}")).await.body["state"], "cancelled");

    let entries = host.store::<coder_database::audit::AuditEntry>();
    let (entries, _) = entries.page_across(&PlatformJob::begin(), &Query::new(None)).await.unwrap();
    let mut acts: Vec<_> = entries.iter().map(|(_, entry)| entry.data.action.as_str()).collect();
    acts.retain(|act| *act != "test");
    assert_eq!(acts, ["cancel_background_job"; 2]);
    let by =
        |entry: &coder_database::audit::AuditEntry| entry.action == "test" || entry.actor == operator_actor();
    assert!(entries.iter().all(|(_, entry)| by(&entry.data)));
}

fn operator_actor() -> coder_core::Actor {
    operator().actor()
}

#[tokio::test]
async fn timers_are_shown_with_their_runs_and_run_when_asked() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let shown = get(&host, "/timers").await;
    let expected = json!({
        "group": "usage", "timer": "other", "schedule": "0 */10 * * * *", "runningSince": null, "lastRun": null,
        "nextDue": ["2026-01-05T12:10:00Z", "2026-01-05T12:20:00Z", "2026-01-05T12:30:00Z"],
    });
    assert_eq!(shown.body["items"][0], expected);
    let items = shown.body["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|timer| timer["timer"].as_str().unwrap()).collect();
    assert_eq!(names, ["other", "repair-jobs", "sweep-outbox", "tidy"]);
    hosts.at("12:10:00");
    hosts.script.timer(&["retry"]);
    host.tick("tidy", false).await;
    let queued = post(&host, "/timers/tidy/run", json!({})).await;
    assert_eq!(queued.status, 202);
    host.deliver(queued.body["id"].as_str().unwrap()).await;
    let history = get(&host, "/timers/tidy/history").await.body;
    let runs = history["runs"].as_array().unwrap();
    let brief: Vec<_> = runs.iter().map(|run| (&run["outcome"], &run["slot"], &run["error"])).collect();
    let failed = (&json!("failed"), &json!("2026-01-05T12:10:00Z"), &json!("not now"));
    assert_eq!(brief, [(&json!("succeeded"), &Value::Null, &Value::Null), failed]);
    assert_eq!(history["timer"]["lastRun"]["run"], 2);
    hosts.at("12:20:00");
    hosts.script.timer(&["wait"]);
    let run = tokio::spawn({
        let host = host.clone();
        async move { host.tick("tidy", false).await }
    });
    hosts.script.waits().await;
    assert_eq!(get(&host, "/timers").await.body["items"][3]["runningSince"], "2026-01-05T12:20:00Z");
    hosts.script.open();
    run.await.unwrap();
}

#[tokio::test]
async fn a_job_whose_message_was_lost_is_called_again() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let id = host.enqueue("work", json!(["do"]), None).await;
    let unknown = host.enqueue("of-another-version", json!(null), None).await;
    hosts.pass(599);
    host.timer_now("repair-jobs").await;
    assert_eq!(host.messages(&id).await.len(), 1);
    hosts.pass(2);
    host.timer_now("repair-jobs").await;
    host.timer_now("repair-jobs").await;
    assert_eq!((host.messages(&id).await.len(), host.messages(&unknown).await.len()), (2, 1));
    host.deliver(&id).await;
    hosts.pass(3600);
    host.timer_now("repair-jobs").await;
    assert_eq!(host.messages(&id).await.len(), 2);
    assert_eq!(host.job(&id).await.data.state.as_str(), "succeeded");
}

#[tokio::test]
async fn a_group_repairs_itself_when_its_host_calls_at_the_slots() {
    let hosts = Hosts::new();
    let host = hosts.host().await;
    let id = host.enqueue("work", json!(["do"]), None).await;
    // Nobody tells the dispatcher of anything here: only the timer finds the message.
    hosts.at("12:02:00");
    host.tick("sweep-outbox", false).await;
    assert_eq!(host.messages(&id).await, []);
    assert_eq!(host.published().await, [id.as_str()]);
    // It was taken, and nobody ran the job.
    hosts.at("12:20:00");
    host.tick("repair-jobs", false).await;
    host.tick("sweep-outbox", false).await;
    assert_eq!(host.published().await, [id.as_str()]);
}
