//! Prices, and what events cost by them.

use serde_json::{Value, json};

use crate::world::{Company, event, with};

/// A price of completions from the beginning of 2026.
pub(crate) fn price(more: Value) -> Value {
    let base = json!({
        "categoryCode": "ai.completion", "currency": "EUR", "effectiveFrom": "2026-01-01T00:00:00Z",
        "model": "components", "components": [
            {"metric": "inputTokens", "amount": "250", "per": 1_000_000},
            {"metric": "outputTokens", "amount": "1000", "per": 1_000_000},
        ],
    });
    with(base, more)
}

fn tiered(model: &str, tiers: Value) -> Value {
    price(json!({"model": model, "metric": "requests", "components": [], "tiers": tiers}))
}

fn requests(id: &str, requests: i64) -> Value {
    event(id, "ai.completion", json!({"requests": requests}))
}

async fn costs(company: &Company) -> Vec<String> {
    let events = company.owner.get("/api/usage/events").await.expect(200).body;
    let mut events: Vec<Value> = events["items"].as_array().unwrap().clone();
    events.sort_by_key(|event| event["eventId"].to_string());
    events.iter().map(|event| event["cost"]["amount"].as_str().unwrap_or("none").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_costs_what_its_components_do_and_lines_are_rounded() {
    let company = Company::start().await;
    let id = company.make("prices", price(json!({}))).await;
    let used = json!({"inputTokens": 1500, "outputTokens": 500});
    let estimate = json!({"categoryCode": "ai.completion", "metrics": used});
    let estimate = company.member.post("/api/usage/prices/estimate", estimate).await.expect(200).body;
    assert_eq!((&estimate["amount"], &estimate["priceId"]), (&json!("0.875000"), &json!(id)));
    company.use_up(vec![event("1", "ai.completion", used)]).await;
    assert_eq!(costs(&company).await, ["0.875000"]);
    let statement = company.owner.get("/api/usage/statements/2026-01").await.expect(200).body;
    assert_eq!((&statement["provisional"], &statement["totalMinor"]), (&json!(true), &json!(1)));
    let line = &statement["lines"][0];
    assert_eq!((&line["categoryCode"], &line["amountMinor"]), (&json!("ai.completion"), &json!(1)));
    assert_eq!((&line["metric"], &line["quantity"]), (&json!("inputTokens"), &json!(1500)));
    let list = company.owner.get("/api/usage/statements").await.expect(200).body;
    assert_eq!(
        list["items"],
        json!([{"month": "2026-01", "provisional": true, "totalMinor": 1, "currency": "EUR"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_go_on_from_event_to_event() {
    let company = Company::start().await;
    let tiers = json!([{"upTo": 100, "amount": "2"}, {"upTo": null, "amount": "1"}]);
    company.make("prices", tiered("graduated", tiers)).await;
    company.use_up(vec![requests("1", 80)]).await;
    company.use_up(vec![requests("2", 40)]).await;
    assert_eq!(costs(&company).await, ["160.000000", "60.000000"]);
    // A repeat changes nothing of the tiers either.
    company.report(vec![requests("1", 80)]).await.expect(202);
    company.use_up(vec![requests("3", 5), requests("4", 5)]).await;
    assert_eq!(costs(&company).await[2..], ["5.000000", "5.000000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_are_exact_with_many_writers_at_once() {
    let company = Company::start().await;
    let tiers = json!([{"upTo": 100, "amount": "2"}, {"upTo": null, "amount": "1"}]);
    company.make("prices", tiered("graduated", tiers)).await;
    let reports = (0..12).map(|id| {
        let owner = company.owner.clone();
        tokio::spawn(async move {
            owner.post("/api/usage/events", json!({"events": [requests(&id.to_string(), 10)]})).await
        })
    });
    for report in reports.collect::<Vec<_>>() {
        report.await.unwrap().expect(202);
    }
    let statement = company.owner.get("/api/usage/statements/2026-01").await.expect(200).body;
    assert_eq!(statement["totalMinor"], 220);
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_is_settled_by_the_total_of_the_month() {
    let company = Company::start().await;
    let tiers = json!([{"upTo": 100, "amount": "2"}, {"upTo": null, "amount": "1"}]);
    company.make("prices", tiered("volume", tiers)).await;
    company.use_up(vec![requests("1", 80), requests("2", 40)]).await;
    let statement = company.owner.get("/api/usage/statements/2026-01").await.expect(200).body;
    assert_eq!((&statement["totalMinor"], &statement["lines"][0]["quantity"]), (&json!(120), &json!(120)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_price_costs_nothing_and_says_so() {
    let company = Company::start().await;
    let search = event("2", "search.semantic", json!({"queries": 3}));
    company.use_up(vec![requests("1", 7), search]).await;
    let events = company.owner.get("/api/usage/events").await.expect(200).body;
    let of = |id: &str| {
        events["items"].as_array().unwrap().iter().find(|one| one["eventId"] == id).unwrap().clone()
    };
    assert_eq!((&of("1")["unpriced"], &of("1")["cost"]), (&json!(true), &Value::Null));
    // The platform gives searches away.
    assert_eq!((&of("2")["unpriced"], &of("2")["cost"]["amount"]), (&json!(false), &json!("0.000000")));
    let statement = company.owner.get("/api/usage/statements/2026-01").await.expect(200).body;
    assert_eq!((statement["lines"].as_array().unwrap().len(), &statement["totalMinor"]), (2, &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_stand_in_each_others_way() {
    let company = Company::start().await;
    let post = async |body: Value| company.owner.post("/api/usage/prices", body).await;
    let id = post(price(json!({}))).await.expect(201).text("/id");
    post(price(json!({}))).await.expect_problem(409, "conflict");
    post(price(json!({"currency": "USD", "dimensionFilters": {"a": "b"}})))
        .await
        .expect_problem(409, "conflict");
    post(price(json!({"dimensionFilters": {"model": "m"}}))).await.expect(201);
    post(price(json!({"effectiveFrom": "2026-02-01T00:00:00Z"}))).await.expect_problem(409, "conflict");
    let path = format!("/api/usage/prices/{id}");
    company.owner.patch(&path, json!({"effectiveTo": "2026-02-01T00:00:00Z"})).await.expect(200);
    post(price(json!({"effectiveFrom": "2026-02-01T00:00:00Z"}))).await.expect(201);
    // A price that was never applied can change; one that was can only end.
    let cheaper = json!({"components": [{"metric": "inputTokens", "amount": "1", "per": 1}]});
    company.owner.patch(&path, cheaper.clone()).await.expect(200);
    company.use_up(vec![event("1", "ai.completion", json!({"inputTokens": 3}))]).await;
    company.owner.patch(&path, json!({"components": []})).await.expect(422);
    company
        .owner
        .patch(&path, json!({"currency": "EUR", "effectiveFrom": "2025-01-01T00:00:00Z"}))
        .await
        .expect_problem(409, "invalid_state");
    company
        .owner
        .patch(&path, json!({"effectiveTo": "2026-01-02T00:00:00Z"}))
        .await
        .expect_problem(409, "invalid_state");
    company.owner.delete(&path).await.expect_problem(409, "invalid_state");
    company.owner.patch(&path, json!({"effectiveTo": "2026-01-20T00:00:00Z"})).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_prices_at_once_do_not_overlap() {
    let company = Company::start().await;
    let posts = (0..6).map(|_| {
        let owner = company.owner.clone();
        tokio::spawn(async move { owner.post("/api/usage/prices", price(json!({}))).await.status.as_u16() })
    });
    let mut made = 0;
    for post in posts.collect::<Vec<_>>() {
        match post.await.unwrap() {
            201 => made += 1,
            status => assert_eq!(status, 409),
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_that_make_no_sense_are_refused() {
    let company = Company::start().await;
    for (body, pointer) in [
        (json!({"categoryCode": "nothing"}), "/categoryCode"),
        (json!({"components": []}), "/components"),
        (json!({"model": "free"}), "/components"),
        (json!({"model": "graduated", "components": [], "metric": "requests"}), "/tiers"),
        (
            json!({"model": "graduated", "components": [], "tiers": [{"upTo": null, "amount": "1"}]}),
            "/metric",
        ),
        (
            json!({"model": "package", "components": [], "metric": "requests", "tiers": [{"upTo": null, "amount": "1"}]}),
            "/tiers",
        ),
        (json!({"effectiveTo": "2025-01-01T00:00:00Z"}), "/effectiveTo"),
        (json!({"components": [{"metric": "pages", "amount": "1", "per": 1}]}), "/model"),
        (json!({"components": [{"metric": "requests", "amount": "1", "per": 7}]}), "/components/0/per"),
        (json!({"components": [{"metric": "requests", "amount": 0.1, "per": 1}]}), "/components/0/amount"),
        (json!({"components": [{"metric": "requests", "amount": "-1", "per": 1}]}), "/model"),
        (
            json!({"components": [{"metric": "requests", "amount": "0.0000001", "per": 1}]}),
            "/components/0/amount",
        ),
        (json!({"currency": "euro"}), "/currency"),
    ] {
        let refused = company.owner.post("/api/usage/prices", price(body.clone())).await.expect(422);
        let named =
            refused.body["errors"].as_array().unwrap().iter().any(|fault| fault["pointer"] == pointer);
        assert!(named, "{body}: {:?}", refused.body);
    }
}
