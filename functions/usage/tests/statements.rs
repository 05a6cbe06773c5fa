//! Closing months, and events that come late.

use coder_usage::model::{Price, Subject};
use coder_usage::service::Incoming;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{World, tokens};

async fn priced() -> World {
    let world = World::start().await;
    let price = json!({
        "categoryCode": "ai.completion", "model": "components", "currency": "EUR", "effectiveFrom": "2025-01-01T00:00:00Z",
        "components": [{"metric": "inputTokens", "amount": "0.5", "per": 1}],
    });
    world.configure::<Price>(price).await;
    world
}

fn at(id: usize, quantity: i64, time: &str) -> Incoming {
    Incoming { occurred_at: time.parse().unwrap(), ..tokens(id, quantity, Subject::default()) }
}

async fn statements(world: &World) -> Vec<Value> {
    let mut statements = world.documents("statement").await;
    statements.sort_by_key(|one| one["month"].to_string());
    statements
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_final_from_the_third_day_on() {
    let world = priced().await;
    world.count(vec![at(1, 101, "2026-01-05T12:00:00Z")]).await;
    // The second of February: late events still come in.
    world.clock.advance(SignedDuration::from_hours(24 * 28));
    world.every("close").await;
    assert!(statements(&world).await.is_empty());
    world.count(vec![at(2, 100, "2026-01-31T12:00:00Z")]).await;
    world.clock.advance(SignedDuration::from_hours(24));
    for _ in 0..2 {
        world.every("close").await;
    }
    let closed = statements(&world).await.remove(0);
    // 100.5 minor units are rounded to the even neighbour.
    assert_eq!(
        (&closed["month"], &closed["totalMinor"], &closed["provisional"]),
        (&json!("2026-01"), &json!(100), &json!(false))
    );
    assert_eq!(closed["lines"][0]["quantity"], 201);
    let told = world.told("statement.closed").await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["month"], &told[0]["totalMinor"], &told[0]["currency"]),
        (&json!("2026-01"), &json!(100), &json!("EUR"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_the_close_is_a_line_of_the_open_month() {
    let world = priced().await;
    world.count(vec![at(1, 10, "2026-01-05T12:00:00Z")]).await;
    world.clock.advance(SignedDuration::from_hours(24 * 29));
    world.every("close").await;
    world.count(vec![at(2, 6, "2026-01-20T12:00:00Z"), at(3, 4, "2026-02-02T12:00:00Z")]).await;
    // The figures of January have it, the statement does not.
    assert_eq!(world.sum("month:organization", "inputTokens_units").await, 20);
    world.clock.advance(SignedDuration::from_hours(24 * 30));
    world.every("close").await;
    let statements = statements(&world).await;
    assert_eq!((statements.len(), &statements[0]["totalMinor"]), (2, &json!(5)));
    let lines = statements[1]["lines"].as_array().unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line["adjustmentOf"].clone(), line["amountMinor"].clone())).collect();
    assert_eq!(told, [(Value::Null, json!(2)), (json!("2026-01"), json!(3))]);
    assert_eq!(statements[1]["totalMinor"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_was_stopped_half_way_goes_on() {
    let world = priced().await;
    world.count(vec![at(1, 10, "2026-01-05T12:00:00Z")]).await;
    world.clock.advance(SignedDuration::from_hours(24 * 29));
    let run = world.invocation();
    let month = "2026-01".parse().unwrap();
    let mut unit = run.begin("usage", coder_usage::model::month(world.organization, month));
    let state = coder_usage::model::MonthState { closed: true, late_writes: 0 };
    unit.create(coder_usage::model::MonthState::ID, state).unwrap();
    run.commit(unit).await.unwrap();
    world.every("close").await;
    assert_eq!(statements(&world).await[0]["totalMinor"], 5);
}
