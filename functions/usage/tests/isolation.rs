//! Who sees what: members, admins, strangers, services.

use coder_middleware::token::Acting;
use coder_testkit::TestPlatform;
use http::Method;
use serde_json::{Value, json};

use crate::world::{Company, event, quota, with};

fn question(more: Value) -> Value {
    with(json!({"from": "2026-01-05T00:00:00Z", "to": "2026-01-06T00:00:00Z", "granularity": "day"}), more)
}

async fn used_by_both(company: &Company) {
    let of = |id: &str, who: Value, queries: i64| {
        with(event(id, "search.code", json!({"queries": queries})), json!({"subject": {"userId": who}}))
    };
    let (owner, member) = (json!(company.owner.user_id), json!(company.member.user_id));
    company.use_up(vec![of("1", owner, 10), of("2", member, 3)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_sees_only_their_own_and_an_admin_everybodys() {
    let company = Company::start().await;
    used_by_both(&company).await;
    let admin = company.platform.join(&company.owner, "ada@example.com", "admin").await;
    let viewer = company.platform.join(&company.owner, "vera@example.com", "viewer").await;
    let owners = question(json!({"filters": {"userId": company.owner.user_id}}));
    let all = question(json!({"groupBy": ["userId"]}));
    let rows = async |who: &coder_testkit::Client, body: &Value| {
        who.post("/api/usage/query", body.clone()).await.expect(200).body["rows"].clone()
    };
    for body in [&owners, &all] {
        let own = rows(&company.member, body).await;
        assert_eq!((own.as_array().unwrap().len(), &own[0]["metrics"]["queries"]), (1, &json!(3)), "{body}");
    }
    assert_eq!(rows(&viewer, &all).await, json!([]));
    assert_eq!(rows(&admin, &owners).await[0]["metrics"]["queries"], 10);
    assert_eq!(rows(&admin, &all).await.as_array().unwrap().len(), 2);
    // Totals of the organization show nobody.
    assert_eq!(rows(&company.member, &question(json!({}))).await[0]["metrics"]["queries"], 13);
    let of_owner = format!("/api/usage/summary?userId={}", company.owner.user_id.unwrap());
    assert_eq!(company.member.get(&of_owner).await.expect(200).body["events"], 1);
    assert_eq!(admin.get(&of_owner).await.expect(200).body["categories"][0]["metrics"]["queries"], 10);
    let of_owner = format!("/api/usage/events?userId={}", company.owner.user_id.unwrap());
    let events = company.member.get(&of_owner).await.expect(200).body;
    assert_eq!(events["items"][0]["subject"]["userId"], json!(company.member.user_id));
    assert_eq!(admin.get("/api/usage/events").await.expect(200).body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_reports_sees_its_own() {
    let company = Company::start().await;
    used_by_both(&company).await;
    let role = json!({"name": "guest", "permissions": ["users.project.read"]});
    company.owner.post("/api/users/roles", role).await.expect(201);
    let guest = company.platform.join(&company.owner, "gus@example.com", "guest").await;
    let rows = guest.post("/api/usage/query", question(json!({}))).await.expect(200);
    assert_eq!(rows.body["rows"], json!([]));
    assert_eq!(guest.get("/api/usage/summary").await.expect(200).body["events"], 0);
    assert_eq!(guest.get("/api/usage/counters").await.expect(200).body["quotas"], json!([]));
    for path in ["events", "quotas", "budgets", "alerts", "prices", "statements", "categories"] {
        guest.get(&format!("/api/usage/{path}")).await.expect_problem(403, "forbidden");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_finds_nothing() {
    let company = Company::start().await;
    used_by_both(&company).await;
    let stranger = company.platform.register("eve@example.com", Some("Elsewhere")).await;
    let id = company.make("quotas", quota(100, "block")).await;
    let path = format!("/api/usage/quotas/{id}");
    stranger.get(&path).await.expect_problem(404, "not_found");
    stranger.patch(&path, json!({"limit": 1})).await.expect_problem(404, "not_found");
    stranger.delete(&path).await.expect_problem(404, "not_found");
    let held = json!({"categoryCode": "mcp.execution", "estimate": {"executions": 1}});
    let held = company.owner.post("/api/usage/reservations", held).await.expect(201).text("/id");
    let path = format!("/api/usage/reservations/{held}/release");
    stranger.post(&path, json!({})).await.expect_problem(404, "not_found");
    let all = question(json!({"groupBy": ["userId"], "filters": {"userId": company.owner.user_id}}));
    assert_eq!(stranger.post("/api/usage/query", all).await.expect(200).body["rows"], json!([]));
    assert_eq!(stranger.get("/api/usage/summary").await.expect(200).body["events"], 0);
    // The same event elsewhere is another event.
    let same = with(event("1", "search.code", json!({"queries": 1})), json!({}));
    let reported = stranger.post("/api/usage/events", json!({"events": [same]})).await.expect(202).body;
    assert_eq!(reported["accepted"], 1);
    assert_eq!(company.owner.get("/api/usage/summary").await.expect(200).body["events"], 2);
    company
        .member
        .post("/api/usage/events", json!({"events": [event("9", "search.code", json!({}))]}))
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_report_and_reserve_for_any_organization() {
    let company = Company::start().await;
    company.make("quotas", with(quota(5, "block"), json!({"scope": "each_user"}))).await;
    let platform: &TestPlatform = &company.platform;
    let peers = platform.platform.assembly.peers.seen_by("ai");
    let organization_id = company.owner.organization_id.unwrap();
    let for_nobody = Acting { organization_id, user_id: None };
    let call = async |acting: Option<Acting>, path: &str, body: Value| {
        peers.call_for(acting, "usage", Method::POST, path, Some(&body)).await.unwrap()
    };
    let mut one = event("1", "mcp.execution", json!({"executions": 2}));
    one["source"] = json!("/functions/mcp");
    one["subject"] = json!({"userId": company.member.user_id});
    let reported = call(Some(for_nobody), "/events", json!({"events": [one]})).await;
    assert_eq!((reported.status.as_u16(), &reported.body["accepted"]), (202, &json!(1)));
    let asked = json!({
        "categoryCode": "mcp.execution", "estimate": {"executions": 3}, "subject": {"userId": company.member.user_id},
    });
    let held = call(Some(for_nobody), "/reservations", asked.clone()).await;
    assert_eq!(held.status.as_u16(), 201);
    let check = call(Some(for_nobody), "/quotas/check", asked).await;
    assert_eq!((check.status.as_u16(), &check.body["allowed"]), (200, &json!(false)));
    let release = format!("/reservations/{}/release", held.body["id"].as_str().unwrap());
    assert_eq!(call(Some(for_nobody), &release, json!({})).await.status.as_u16(), 200);
    // Without an organization there is none to report for.
    let nowhere = call(None, "/events", json!({"events": [event("2", "search.code", json!({}))]})).await;
    assert_eq!(nowhere.status.as_u16(), 403);
}
