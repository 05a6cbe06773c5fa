//! What is left of people and organizations that were purged.

use coder_core::UserId;
use coder_database::Partition;
use coder_handler::{Cause, functions::Outcome};
use coder_usage::model::{Quota, Subject, config};
use coder_usage::period::Month;
use coder_usage::service::Incoming;
use serde_json::{Value, json};

use crate::world::{START, World, quota, tokens, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_person_leaves_totals_and_no_name() {
    let world = World::start().await;
    let people: [UserId; 2] = [world.usage.runtime.ambient.new_id(), world.usage.runtime.ambient.new_id()];
    let by = |id: usize, person: usize| {
        tokens(id, 10, Subject { user_id: Some(people[person]), ..Subject::default() })
    };
    let each = json!({"scope": "each_user", "categoryPattern": "*", "metric": "inputTokens", "dimensionFilters": {"a": "b"}});
    world.configure::<Quota>(with(quota(5, "warn"), each)).await;
    let own = json!({"scope": "user", "scopeId": people[0]});
    world.configure::<Quota>(with(quota(5, "warn"), own)).await;
    let mut events: Vec<Incoming> = (0..120).map(|id| by(id, id % 2)).collect();
    events[0].dimensions = [("a".to_owned(), "b".to_owned())].into();
    let seat = Incoming {
        category_code: "collaboration.seat".to_owned(),
        metrics: [("users".to_owned(), Some(coder_usage::decimal::Decimal::from_units(1)))].into(),
        ..by(500, 0)
    };
    events.push(seat);
    world.count(events).await;
    assert!(!world.documents("alert").await.is_empty());
    let mut event = world.bus("coder.users.user.purged", json!({"userId": people[0]}));
    event["organizationid"] = json!("platform");
    for _ in 0..2 {
        assert_eq!(world.tell("purge-user", &event).await, Outcome::Done(Value::Null));
    }
    let gone = people[0].to_string();
    for kind in ["event", "counter", "seen", "quota", "alert"] {
        for document in world.documents(kind).await {
            assert!(!document.to_string().contains(&gone), "{document}");
        }
    }
    assert_eq!(world.sum("month:organization", "inputTokens_units").await, 1200);
    assert_eq!(world.sum(&format!("month:user:{}", people[1]), "inputTokens_units").await, 600);
    let counters = world.documents("counter").await;
    let of_people = counters.iter().filter(|one| one["series"].as_str().unwrap().starts_with("month:user:"));
    let tokens: i64 = of_people.map(|one| one["values"]["inputTokens_units"].as_i64().unwrap_or(0)).sum();
    assert_eq!(tokens, 1200);
    // What was counted of the stand-in agrees with its events.
    world.clock.advance(jiff::SignedDuration::from_hours(24));
    let before = world.documents("counter").await;
    world.every("reconcile").await;
    assert_eq!(world.documents("counter").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_organization_leaves_its_closed_statements() {
    let world = World::start().await;
    world.configure::<Quota>(quota(5, "warn")).await;
    world.count((0..200).map(|id| tokens(id, 1, Subject::default())).collect()).await;
    world.clock.advance(jiff::SignedDuration::from_hours(24 * 30));
    let month = Month::of(START.parse().unwrap());
    world.usage.close(Cause::Job(&world.invocation()), world.organization, month).await.unwrap();
    let event = world.bus("coder.users.organization.purged", json!({}));
    for _ in 0..2 {
        assert_eq!(world.tell("purge-organization", &event).await, Outcome::Done(Value::Null));
    }
    for kind in ["event", "counter", "quota", "month-state", "audit", "alert"] {
        assert!(world.documents(kind).await.is_empty(), "{kind}");
    }
    assert_eq!(world.documents("statement").await.len(), 1);
    assert_eq!(
        config(world.organization).organization_id(),
        Partition::organization(world.organization).organization_id()
    );
}
