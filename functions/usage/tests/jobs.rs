//! What runs by the clock: budgets, anomalies, reconciliation.

use coder_database::{Operation, Patch};
use coder_testkit::Client;
use coder_usage::model::{Budget, Price, Subject, month};
use coder_usage::period::Month;
use coder_usage::service::Incoming;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{Company, START, World, event, tokens, with};

fn budget(more: Value) -> Value {
    let base = json!({"name": "Models", "scope": "organization", "period": "month", "amountMinor": 100, "currency": "EUR"});
    with(base, more)
}

async fn priced(world: &World) {
    let price = json!({
        "categoryCode": "ai.completion", "model": "components", "currency": "EUR", "effectiveFrom": "2025-01-01T00:00:00Z",
        "components": [{"metric": "inputTokens", "amount": "1", "per": 1}],
    });
    world.configure::<Price>(price).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_warn_once_at_each_threshold_and_of_what_is_to_come() {
    let world = World::start().await;
    priced(&world).await;
    world.configure::<Budget>(budget(json!({"forecastAlert": true}))).await;
    world.count(vec![tokens(1, 40, Subject::default())]).await;
    world.every("budgets").await;
    // 40 in 4.5 of 31 days come to more than 100.
    let warned = world.told("budget.warned").await;
    assert_eq!((warned.len(), warned[0]["projectedMinor"].as_i64().unwrap() > 200), (1, true), "{warned:?}");
    world.count(vec![tokens(2, 45, Subject::default())]).await;
    for _ in 0..2 {
        world.every("budgets").await;
    }
    assert_eq!((world.told("budget.warned").await.len(), world.told("budget.exceeded").await.len()), (3, 0));
    world.count(vec![tokens(3, 15, Subject::default())]).await;
    world.every("budgets").await;
    let exceeded = world.told("budget.exceeded").await;
    assert_eq!((&exceeded[0]["percent"], &exceeded[0]["spentMinor"]), (&json!(100), &json!(100)));
    // The month after, the alerts are resolved and the budget begins anew.
    world.clock.advance(SignedDuration::from_hours(24 * 31));
    world.every("budgets").await;
    world.every("roll").await;
    assert!(world.documents("alert").await.iter().all(|alert| alert["state"] == "resolved"));
    assert_eq!(world.told("budget.exceeded").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_says_where_it_stands() {
    let company = Company::start().await;
    company
        .make(
            "prices",
            crate::prices::price(json!({
                "components": [{"metric": "requests", "amount": "10", "per": 1}],
            })),
        )
        .await;
    let id = company.make("budgets", budget(json!({"categoryPattern": "ai.*"}))).await;
    company.use_up(vec![event("1", "ai.completion", json!({"requests": 8}))]).await;
    let status = company.member.get(&format!("/api/usage/budgets/{id}/status")).await.expect(200).body;
    assert_eq!(
        (&status["spent"], &status["percent"], &status["state"]),
        (&json!("80.000000"), &json!(80), &json!("critical"))
    );
    assert_eq!(status["byCategory"], json!([{"categoryCode": "ai.completion", "spent": "80.000000"}]));
    assert!(status["projected"].is_string());
    let path = format!("/api/usage/budgets/{id}");
    let bad = async |owner: &Client, body: Value| owner.patch(&path, body).await.status.as_u16();
    assert_eq!(bad(&company.owner, json!({"amountMinor": 0})).await, 422);
    assert_eq!(bad(&company.owner, json!({"thresholds": [1, 2, 3, 4, 5, 6]})).await, 422);
    assert_eq!(bad(&company.owner, json!({"scope": "project"})).await, 422);
    let patched = company.owner.patch(&path, json!({"thresholds": [90, 40]})).await.expect(200);
    assert_eq!(patched.body["thresholds"], json!([40, 90]));
    company.owner.delete(&path).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusual_day_is_told_once() {
    let world = World::start().await;
    // The fifth is the unusual one of 21 days.
    let day =
        |days: i64| START.parse::<coder_core::Timestamp>().unwrap() - SignedDuration::from_hours(24 * days);
    let of = |id: usize, days: i64, quantity: i64| Incoming {
        occurred_at: day(days),
        ..tokens(id, quantity, Subject::default())
    };
    let events = (1..21_i64).map(|back| of(usize::try_from(back).unwrap(), back, 95 + back % 3 * 5));
    world.count(events.chain([of(99, 0, 1000)]).collect()).await;
    world.clock.advance(SignedDuration::from_hours(24));
    for _ in 0..2 {
        world.every("anomalies").await;
    }
    let told = world.told("anomaly.detected").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["categoryCode"], &told[0]["value"], &told[0]["expected"]),
        (&json!("ai.completion"), &json!(1000), &json!(100))
    );
    assert_eq!(told[0]["day"], "2026-01-05T00:00:00Z");
    world.clock.advance(SignedDuration::from_hours(24));
    world.every("anomalies").await;
    assert_eq!(world.told("anomaly.detected").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_counters_are_put_right_at_night() {
    let world = World::start().await;
    priced(&world).await;
    world.count((0..50).map(|id| tokens(id, 2, Subject::default())).collect()).await;
    let right = world.documents("counter").await;
    world.clock.advance(SignedDuration::from_hours(24));
    world.every("reconcile").await;
    assert_eq!(world.documents("counter").await, right, "nothing was wrong");
    let partition = month(world.organization, Month::of(START.parse().unwrap()));
    let of = |series: &str| {
        right.iter().find(|one| one["series"] == series).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let wrong = vec![
        Operation::Patch {
            id: of("day:organization"),
            patches: vec![Patch::Increment { field: "values.inputTokens_units".into(), by: 5 }],
            if_match: None,
        },
        Operation::Delete { id: of("hour:user:none"), if_match: None },
    ];
    world.usage.runtime.store.write("usage", &partition.key(), wrong).await.unwrap();
    world.every("reconcile").await;
    let values = |counters: &[Value]| {
        let mut all: Vec<_> =
            counters.iter().map(|one| (one["id"].to_string(), one["values"].clone())).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    assert_eq!(values(&world.documents("counter").await), values(&right));
}
