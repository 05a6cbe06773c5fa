//! Counting once: in parallel, again, and after a stop half-way.

use coder_core::UserId;
use coder_handler::Cause;
use coder_usage::model::Subject;
use coder_usage::service::{Incoming, Outcome};
use proptest::prelude::*;

use crate::world::{World, tokens};

fn of(user: UserId) -> Subject {
    Subject { user_id: Some(user), ..Subject::default() }
}

fn batch(events: std::ops::Range<usize>, user: UserId) -> Vec<Incoming> {
    events.map(|id| tokens(id, i64::try_from(id).unwrap(), of(user))).collect()
}

/// Every series agrees on what was counted.
async fn counted(world: &World, user: UserId, events: i64, quantity: i64) {
    for whose in
        ["organization".to_owned(), format!("user:{user}"), "team:none".to_owned(), "project:none".to_owned()]
    {
        for granularity in ["hour", "day", "month"] {
            let series = format!("{granularity}:{whose}");
            let sums =
                (world.sum(&series, "events_count").await, world.sum(&series, "inputTokens_units").await);
            assert_eq!(sums, (events, quantity), "{series}");
        }
    }
    assert_eq!(world.sum("month:price:none", "inputTokens_units").await, quantity);
    assert_eq!(world.documents("event").await.len(), usize::try_from(events).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_count_once_each() {
    let world = World::start().await;
    let user = world.usage.runtime.ambient.new_id();
    assert_eq!(world.count(batch(0..1000, user)).await, vec![Outcome::Accepted; 1000]);
    counted(&world, user, 1000, 499_500).await;
    // The same again, and one that is new among them.
    let outcomes = world.count(batch(0..1001, user)).await;
    assert_eq!(outcomes.iter().filter(|one| **one == Outcome::Duplicate).count(), 1000);
    assert_eq!(outcomes[1000], Outcome::Accepted);
    counted(&world, user, 1001, 500_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_twice_in_one_batch_counts_once() {
    let world = World::start().await;
    let user = world.usage.runtime.ambient.new_id();
    let twice = vec![tokens(7, 7, of(user)), tokens(7, 7, of(user))];
    assert_eq!(world.count(twice).await, [Outcome::Accepted, Outcome::Duplicate]);
    counted(&world, user, 1, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_lose_nothing_and_count_nothing_twice() {
    let world = std::sync::Arc::new(World::start().await);
    let user: UserId = world.usage.runtime.ambient.new_id();
    let mut tasks = tokio::task::JoinSet::new();
    // Each event is reported by two of them.
    for writer in 0..8_usize {
        let world = world.clone();
        tasks.spawn(async move { world.count(batch(writer * 25..writer * 25 + 50, user)).await });
    }
    let mut accepted = 0;
    while let Some(outcomes) = tasks.join_next().await {
        accepted += outcomes.unwrap().iter().filter(|one| **one == Outcome::Accepted).count();
    }
    assert_eq!(accepted, 225);
    counted(&world, user, 225, (0..225).sum()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_half_way_and_a_repeat_count_once() {
    let world = std::sync::Arc::new(World::start().await);
    let user: UserId = world.usage.runtime.ambient.new_id();
    for waits in [1, 5, 20, 60, 150, 400, 1000] {
        let (usage, organization, invocation) = (world.usage.clone(), world.organization, world.invocation());
        let work = tokio::spawn(async move {
            usage.ingest(Cause::Job(&invocation), organization, batch(0..300, user)).await
        });
        for _ in 0..waits {
            tokio::task::yield_now().await;
        }
        work.abort();
        drop(work.await);
    }
    let half = world.documents("event").await.len();
    let outcomes = world.count(batch(0..300, user)).await;
    let duplicates = outcomes.iter().filter(|one| **one == Outcome::Duplicate).count();
    assert!(duplicates >= half, "{duplicates} of {half}");
    counted(&world, user, 300, (0..300).sum()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_counted_once_where_different_ones_are() {
    let world = World::start().await;
    let people: [UserId; 2] = [world.usage.runtime.ambient.new_id(), world.usage.runtime.ambient.new_id()];
    let seat = |id: usize, person: usize| Incoming {
        category_code: "collaboration.seat".to_owned(),
        metrics: [("users".to_owned(), Some(coder_usage::decimal::Decimal::from_units(1)))].into(),
        ..tokens(id, 0, of(people[person]))
    };
    world.count(vec![seat(1, 0), seat(2, 0), seat(3, 1)]).await;
    world.count(vec![seat(4, 1), seat(5, 0)]).await;
    assert_eq!(world.sum("month:organization", "users_units").await, 2);
    assert_eq!(world.sum("hour:organization", "events_count").await, 5);
    assert_eq!(world.sum(&format!("day:user:{}", people[0]), "users_units").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_value_stands_whatever_the_order() {
    let world = World::start().await;
    let measured = |id: usize, minute: i64, bytes: i64| Incoming {
        category_code: "storage.knowledge".to_owned(),
        metrics: [("bytes".to_owned(), Some(coder_usage::decimal::Decimal::from_units(bytes)))].into(),
        occurred_at: crate::world::START.parse::<coder_core::Timestamp>().unwrap()
            - jiff::SignedDuration::from_mins(minute),
        ..tokens(id, 0, Subject::default())
    };
    world.count(vec![measured(1, 1, 100), measured(2, 30, 900)]).await;
    world.count(vec![measured(3, 0, 70), measured(4, 50, 800)]).await;
    let gauges = world.documents("counter").await;
    let day =
        gauges.iter().find(|one| one["series"] == "day:organization" && one["gauges"]["bytes"].is_object());
    assert_eq!(day.unwrap()["gauges"]["bytes"]["value"], "70.000000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever is reported how often in whatever batches, the counters are the sum of the different events.
    #[test]
    fn counters_are_the_sum_of_the_different_events(
        batches in prop::collection::vec(prop::collection::vec(0_usize..30, 1..20), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::start().await;
            let user = world.usage.runtime.ambient.new_id();
            let mut different = std::collections::BTreeSet::new();
            for ids in batches {
                let events = ids.iter().map(|id| tokens(*id, i64::try_from(*id).unwrap(), of(user))).collect();
                world.count(events).await;
                different.extend(ids);
            }
            let sum: usize = different.iter().sum();
            let (events, sum) = (i64::try_from(different.len()).unwrap(), i64::try_from(sum).unwrap());
            counted(&world, user, events, sum).await;
        });
    }
}
