//! Reservations: together they never pass a limit.

use coder_testkit::Client;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{Company, event, quota};

fn reserving(executions: i64) -> Value {
    json!({"categoryCode": "mcp.execution", "estimate": {"executions": executions}})
}

async fn reserve(who: &Client, executions: i64) -> String {
    who.post("/api/usage/reservations", reserving(executions)).await.expect(201).text("/id")
}

fn place(id: &str, verb: &str) -> String {
    format!("/api/usage/reservations/{id}/{verb}")
}

fn used(id: &str, executions: i64) -> Value {
    json!({"event": event(id, "mcp.execution", json!({"executions": executions}))})
}

async fn standing(company: &Company) -> (Value, Value) {
    let check = company.member.post("/api/usage/quotas/check", reserving(0)).await.expect(200).body;
    (check["quotas"][0]["used"].clone(), check["quotas"][0]["held"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_get_exactly_what_there_is() {
    let company = Company::start().await;
    let quota = company.make("quotas", quota(100, "block")).await;
    let all = (0..20).map(|_| {
        let member = company.member.clone();
        tokio::spawn(async move { member.post("/api/usage/reservations", reserving(10)).await })
    });
    let (mut made, mut refused) = (Vec::new(), 0);
    for one in all.collect::<Vec<_>>() {
        let reply = one.await.unwrap();
        if reply.status.as_u16() == 201 {
            made.push(reply.text("/id"));
            continue;
        }
        let reply = reply.expect_problem(429, "quota_exceeded");
        assert!(reply.text("/detail").contains(&quota), "{reply:?}");
        let seconds: u64 = reply.header("retry-after").parse().unwrap();
        assert_eq!(seconds, 26 * 86_400 + 11 * 3600 + 59 * 60);
        assert_eq!(reply.header("ratelimit-limit"), "100");
        refused += 1;
    }
    assert_eq!((made.len(), refused), (10, 10));
    assert_eq!(standing(&company).await, (json!(0), json!(100)));
    company.member.post(&place(&made[0], "release"), json!({})).await.expect(200);
    reserve(&company.member, 10).await;
    company.member.post("/api/usage/reservations", reserving(1)).await.expect_problem(429, "quota_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_counts_the_use_and_frees_the_rest() {
    let company = Company::start().await;
    company.make("quotas", quota(100, "block")).await;
    let id = reserve(&company.member, 80).await;
    assert_eq!(standing(&company).await, (json!(0), json!(80)));
    let first = company.member.post(&place(&id, "commit"), used("1", 25)).await.expect(200);
    assert_eq!(first.text("/state"), "committed");
    assert_eq!(standing(&company).await, (json!(25), json!(0)));
    let again = company.member.post(&place(&id, "commit"), used("1", 25)).await.expect(200);
    assert_eq!(again.body, first.body);
    assert_eq!(standing(&company).await, (json!(25), json!(0)));
    company.member.post(&place(&id, "release"), json!({})).await.expect_problem(409, "invalid_state");
    // Whose events are metered anyway sends none.
    let id = reserve(&company.member, 75).await;
    company.member.post(&place(&id, "commit"), json!({})).await.expect(200);
    assert_eq!(standing(&company).await, (json!(25), json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_ends_a_reservation_but_not_the_use() {
    let company = Company::start().await;
    company.make("quotas", quota(100, "block")).await;
    let body =
        json!({"categoryCode": "mcp.execution", "estimate": {"executions": 100}, "expiresInSeconds": 60});
    let id = company.member.post("/api/usage/reservations", body).await.expect(201).text("/id");
    // Free at once, whether the job was there or not.
    company.platform.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(standing(&company).await, (json!(0), json!(0)));
    let late = company.member.post(&place(&id, "commit"), used("1", 7)).await;
    late.expect_problem(409, "invalid_state");
    assert_eq!(standing(&company).await, (json!(7), json!(0)));
    let other = reserve(&company.member, 50).await;
    company.platform.advance(SignedDuration::from_mins(6)).await;
    company.member.post(&place(&other, "release"), json!({})).await.expect_problem(409, "invalid_state");
    assert_eq!(standing(&company).await, (json!(7), json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_made_a_reservation_ends_it() {
    let company = Company::start().await;
    company.make("quotas", quota(100, "block")).await;
    let id = reserve(&company.member, 10).await;
    for verb in ["commit", "release"] {
        company.owner.post(&place(&id, verb), json!({})).await.expect_problem(403, "forbidden");
    }
    let nothing = coder_core::id::EXAMPLE.to_string();
    company.owner.post(&place(&nothing, "release"), json!({})).await.expect_problem(404, "not_found");
    let bad = json!({"event": event("1", "mcp.execution", json!({"pages": 1}))});
    company.member.post(&place(&id, "commit"), bad).await.expect_problem(422, "validation_failed");
    assert_eq!(standing(&company).await, (json!(0), json!(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_holds_once() {
    let company = Company::start().await;
    company.make("quotas", quota(15, "block")).await;
    let (body, key) = (reserving(10), [("idempotency-key", "k")]);
    let send =
        async || company.member.send(http::Method::POST, "/api/usage/reservations", Some(&body), &key).await;
    let first = send().await.expect(201).text("/id");
    assert_eq!(send().await.expect(201).text("/id"), first);
    assert_eq!(standing(&company).await, (json!(0), json!(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_person_has_one_request_in_ten_seconds() {
    let company = Company::start().await;
    company.make("quotas", quota(10, "throttle")).await;
    reserve(&company.member, 10).await;
    reserve(&company.member, 1).await;
    let refused = company.member.post("/api/usage/reservations", reserving(1)).await;
    let refused = refused.expect_problem(429, "quota_exceeded");
    assert_eq!(refused.header("retry-after"), "10");
    reserve(&company.owner, 1).await;
    company.platform.clock.advance(SignedDuration::from_secs(10));
    reserve(&company.member, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_reports_what_was_held_and_nothing_else() {
    let company = Company::start().await;
    company.make("quotas", quota(100, "block")).await;
    let id = reserve(&company.member, 10).await;
    let commit = async |change: Value| {
        let mut body = used("final", 7);
        body["event"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        company.member.post(&place(&id, "commit"), body).await
    };
    // Another category, a source that is the platform's own, and more than any event may say.
    for (change, pointer) in [
        (json!({"categoryCode": "ai.completion", "metrics": {"inputTokens": 1}}), "/event/categoryCode"),
        (json!({"source": "/functions/mcp"}), "/event/source"),
        (json!({"dimensions": {"tool": "x".repeat(101)}}), "/event/dimensions"),
    ] {
        let refused = commit(change).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{:#}", refused.body);
    }
    assert_eq!(standing(&company).await, (json!(0), json!(10)));
    // Whoever may only reserve uses up what is their own, whatever they say.
    let somebody_else = company.owner.user_id;
    commit(json!({"subject": {"userId": somebody_else}})).await.expect(200);
    assert_eq!(standing(&company).await, (json!(7), json!(0)));
    let events = company.owner.get("/api/usage/events").await.expect(200);
    assert_eq!(events.body["items"][0]["subject"]["userId"], json!(company.member.user_id));
}
