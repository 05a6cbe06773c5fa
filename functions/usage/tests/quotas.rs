//! Quotas: what counts towards them, what they refuse, whom they warn.

use serde_json::{Value, json};

use crate::world::{Company, World, event, quota, tokens, with};

fn executions(id: &str, executions: i64) -> Value {
    event(id, "mcp.execution", json!({"executions": executions}))
}

fn asking(executions: i64) -> Value {
    json!({"categoryCode": "mcp.execution", "estimate": {"executions": executions}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_comes_once_in_a_period() {
    let world = World::start().await;
    let body = json!({
        "name": "Tokens", "scope": "organization", "categoryPattern": "ai.*", "metric": "inputTokens",
        "period": "day", "limit": 100, "action": "warn",
    });
    let id = world.configure::<coder_usage::model::Quota>(body).await;
    for (event, quantity, warned) in [(1, 79, 0), (2, 1, 1), (3, 5, 1)] {
        world.count(vec![tokens(event, quantity, coder_usage::model::Subject::default())]).await;
        assert_eq!(world.told("quota.warned").await.len(), warned, "{event}");
        assert_eq!(world.documents("alert").await.len(), warned, "{event}");
    }
    let warned = world.told("quota.warned").await.remove(0);
    assert_eq!(
        (&warned["quotaId"], &warned["used"], &warned["limit"]),
        (&json!(id), &json!(80), &json!(100))
    );
    assert_eq!(warned["resetsAt"], "2026-01-06T00:00:00Z");
    // The last unit, and one day later the alerts resolve by themselves.
    world.count(vec![tokens(4, 15, coder_usage::model::Subject::default())]).await;
    assert_eq!((world.told("quota.warned").await.len(), world.told("quota.exceeded").await.len()), (2, 1));
    world.every("roll").await;
    assert_eq!(world.told("quota.reset").await.len(), 0);
    world.clock.advance(jiff::SignedDuration::from_hours(12));
    world.every("roll").await;
    world.every("roll").await;
    assert_eq!(world.told("quota.reset").await.len(), 1);
    let states = world.documents("alert").await;
    assert!(states.iter().all(|alert| alert["state"] == "resolved"), "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_is_left_and_changes_nothing() {
    let company = Company::start().await;
    let id = company.make("quotas", quota(100, "block")).await;
    company.use_up(vec![executions("1", 60)]).await;
    let check = async |executions: i64| {
        company.member.post("/api/usage/quotas/check", asking(executions)).await.expect(200).body
    };
    let fits = check(40).await;
    assert_eq!(
        (&fits["allowed"], &fits["action"], &fits["retryAfterSeconds"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    let stands = &fits["quotas"][0];
    assert_eq!((&stands["id"], &stands["used"], &stands["remaining"]), (&json!(id), &json!(60), &json!(40)));
    assert_eq!((&stands["percent"], &stands["resetsAt"]), (&json!(60), &json!("2026-02-01T00:00:00Z")));
    let passes = check(41).await;
    assert_eq!((&passes["allowed"], &passes["action"]), (&json!(false), &json!("block")));
    // 26 days and 11:59 hours are left of the month.
    assert_eq!(passes["retryAfterSeconds"], 26 * 86_400 + 11 * 3600 + 59 * 60);
    assert_eq!(check(40).await, fits);
    // A raised limit binds from the next check on.
    company.owner.patch(&format!("/api/usage/quotas/{id}"), json!({"limit": 200})).await.expect(200);
    assert_eq!(check(41).await["allowed"], true);
    company.owner.patch(&format!("/api/usage/quotas/{id}"), json!({"active": false})).await.expect(200);
    assert_eq!(check(1000).await["quotas"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_scope_counts_its_own() {
    let company = Company::start().await;
    let project = coder_core::id::EXAMPLE.to_string();
    let make = async |more: Value| company.make("quotas", with(quota(10, "block"), more)).await;
    let of_project = make(json!({"scope": "project", "scopeId": project})).await;
    let of_each = make(json!({"scope": "each_user", "period": "week"})).await;
    let of_member = make(json!({"scope": "user", "scopeId": company.member.user_id, "period": "hour"})).await;
    let filtered = make(json!({"dimensionFilters": {"tool": "rm"}, "metric": "errors"})).await;
    let mine = json!({"subject": {"userId": company.member.user_id, "projectId": project}, "dimensions": {"tool": "rm"}});
    let theirs = json!({"subject": {"userId": company.owner.user_id}});
    let failed = event("3", "mcp.execution", json!({"executions": 1, "errors": 2}));
    company
        .use_up(vec![
            with(executions("1", 3), mine.clone()),
            with(executions("2", 5), theirs),
            with(failed, mine),
        ])
        .await;
    let asked = with(asking(1), json!({"subject": {"projectId": project}, "dimensions": {"tool": "rm"}}));
    let check = company.member.post("/api/usage/quotas/check", asked).await.expect(200).body;
    let used = |id: &str| {
        let quotas = check["quotas"].as_array().unwrap();
        quotas.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id}: {check}"))["used"].clone()
    };
    assert_eq!(
        [used(&of_project), used(&of_each), used(&of_member), used(&filtered)],
        [json!(4), json!(4), json!(4), json!(2)]
    );
    // Others are not asked about: the caller is the subject.
    let asked = with(asking(1), json!({"subject": {"userId": company.owner.user_id}}));
    let check = company.member.post("/api/usage/quotas/check", asked).await.expect(200).body;
    let quotas: Vec<_> = check["quotas"].as_array().unwrap().iter().map(|one| one["used"].clone()).collect();
    assert_eq!(quotas, [json!(4), json!(4)]);
    let counters = company.member.get("/api/usage/counters").await.expect(200).body;
    assert_eq!(counters["quotas"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_quota_and_a_blocking_budget_look_at_money() {
    let company = Company::start().await;
    company
        .make(
            "prices",
            crate::prices::price(json!({
                "components": [{"metric": "requests", "amount": "10", "per": 1}],
            })),
        )
        .await;
    let money = json!({"metric": "cost", "categoryPattern": "*", "limit": 100});
    company.make("quotas", with(quota(100, "throttle"), money)).await;
    let budget = json!({"name": "B", "scope": "organization", "period": "year", "amountMinor": 150, "currency": "EUR", "action": "block"});
    company.make("budgets", budget).await;
    company.use_up(vec![event("1", "ai.completion", json!({"requests": 9}))]).await;
    let check = async |requests: i64| {
        let body = json!({"categoryCode": "ai.completion", "estimate": {"requests": requests}});
        company.member.post("/api/usage/quotas/check", body).await.expect(200).body
    };
    assert_eq!(check(1).await["action"], Value::Null);
    let throttled = check(2).await;
    assert_eq!((&throttled["allowed"], &throttled["retryAfterSeconds"]), (&json!(true), &json!(10)));
    assert_eq!(check(7).await["action"], "block");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_unique_and_sound() {
    let company = Company::start().await;
    let post = async |body: Value| company.owner.post("/api/usage/quotas", body).await;
    let id = post(quota(100, "block")).await.expect(201).text("/id");
    post(quota(50, "warn")).await.expect_problem(409, "already_exists");
    for more in [
        json!({"limit": 0}),
        json!({"limit": -1}),
        json!({"warnPercent": 95}),
        json!({"scope": "team"}),
        json!({"scopeId": coder_core::id::EXAMPLE}),
        json!({"scope": "user", "scopeId": "somebody"}),
        json!({"categoryPattern": "*.ai"}),
        json!({"metric": "Input"}),
        json!({"name": "  "}),
        json!({"more": 1}),
    ] {
        assert_eq!(post(with(quota(1, "warn"), more.clone())).await.status.as_u16(), 422, "{more}");
    }
    company.member.post("/api/usage/quotas", quota(1, "warn")).await.expect_problem(403, "forbidden");
    let path = format!("/api/usage/quotas/{id}");
    // What is unique moves with the quota.
    company.owner.patch(&path, json!({"period": "day"})).await.expect(200);
    post(quota(50, "warn")).await.expect(201);
    company.owner.patch(&path, json!({"period": "month"})).await.expect_problem(409, "already_exists");
    company.owner.delete(&path).await.expect(204);
    company.owner.get(&path).await.expect_problem(404, "not_found");
    post(with(quota(50, "warn"), json!({"period": "day"}))).await.expect(201);
    let list = company
        .owner
        .get("/api/usage/quotas?scope=organization&active=true&categoryPattern=mcp.*&sort=-name")
        .await;
    assert_eq!(list.expect(200).body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_acknowledged_once_seen() {
    let company = Company::start().await;
    company.make("quotas", quota(10, "warn")).await;
    company.use_up(vec![executions("1", 9)]).await;
    let alerts = company
        .member
        .get("/api/usage/alerts?state=active&kind=quota_warning&severity=warning")
        .await
        .expect(200);
    assert_eq!(
        (&alerts.body["items"][0]["currentValue"], &alerts.body["items"][0]["thresholdValue"]),
        (&json!(9), &json!(8))
    );
    let path = format!("/api/usage/alerts/{}/acknowledge", alerts.text("/items/0/id"));
    for _ in 0..2 {
        assert_eq!(company.member.post(&path, json!({})).await.expect(200).text("/state"), "acknowledged");
    }
    let unknown = format!("/api/usage/alerts/{}/acknowledge", "0".repeat(64));
    company.member.post(&unknown, json!({})).await.expect_problem(404, "not_found");
    company.member.post("/api/usage/alerts/x/acknowledge", json!({})).await.expect_problem(404, "not_found");
    // A raised limit resolves it with the next hour.
    let quotas = company.owner.get("/api/usage/quotas").await.expect(200);
    let quota = format!("/api/usage/quotas/{}", quotas.text("/items/0/id"));
    company.owner.patch(&quota, json!({"limit": 1000})).await.expect(200);
    company.platform.advance(jiff::SignedDuration::from_mins(5)).await;
    let alerts = company.member.get("/api/usage/alerts").await.expect(200);
    assert_eq!(alerts.text("/items/0/state"), "resolved");
    company.member.post(&path, json!({})).await.expect_problem(409, "invalid_state");
}
