//! The store on a service that is busy, fails, is silent, or loses its answers: the right outcome or an honest error,
//! never a wrong one.

use std::sync::Arc;
use std::time::Duration;

use azure_data_cosmos::fault_injection::{
    FaultInjectionConditionBuilder, FaultInjectionErrorType as Fault, FaultInjectionResultBuilder,
    FaultInjectionRule, FaultInjectionRuleBuilder, FaultOperationType as On,
};
use coder_azure::cosmos::{CosmosStore, Limits};
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::contract::{self, PLAIN};
use coder_database::{DocumentStore as _, Operation, PartitionKey, Patch, Query, StoreError, Written};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::doubles::cosmos::Emulator;

/// Faults after which the service has done nothing.
const HARMLESS: [Fault; 8] = [
    Fault::TooManyRequests,
    Fault::RetryWith,
    Fault::ServiceUnavailable,
    Fault::InternalServerError,
    Fault::Timeout,
    Fault::PartitionIsGone,
    Fault::ConnectionError,
    Fault::ResponseTimeout,
];

/// Limits that end a test soon.
const SHORT: Limits = Limits {
    deadline: Duration::from_secs(2),
    throttle_retries: 2,
    throttle_wait: Duration::from_millis(500),
};

/// A store without faults, to prepare and to look, and as many with faults as are asked for.
struct World {
    emulator: Emulator,
    ambient: Ambient,
    calm: CosmosStore,
}

fn rule(on: On, fault: Fault, hits: Option<u32>) -> Arc<FaultInjectionRule> {
    let condition = FaultInjectionConditionBuilder::new().with_operation_type(on).build();
    let result = FaultInjectionResultBuilder::new().with_error(fault).build();
    let rule = FaultInjectionRuleBuilder::new("fault", result).with_condition(condition);
    Arc::new(hits.into_iter().fold(rule, FaultInjectionRuleBuilder::with_hit_limit).build())
}

impl World {
    async fn new() -> Self {
        let ambient = Ambient::new(ManualClock::at(contract::start()), OsEntropy);
        let emulator = Emulator::with(&contract::containers());
        let calm =
            emulator.store(&contract::containers(), Limits::default(), Vec::new(), ambient.clone()).await;
        Self { emulator, ambient, calm }
    }

    async fn stormy(&self, rule: &Arc<FaultInjectionRule>) -> CosmosStore {
        let rules = vec![rule.clone()];
        self.emulator.store(&contract::containers(), SHORT, rules, self.ambient.clone()).await
    }

    /// A document `{x: 1}`; gives its tag.
    async fn put(&self, id: &str) -> String {
        let operation = Operation::Create { id: id.into(), body: body(id, 1), expires_at: None };
        write(&self.calm, vec![operation]).await.unwrap().remove(0).etag.unwrap()
    }

    async fn x(&self, id: &str) -> Option<Value> {
        let found = self.calm.read(PLAIN, &key(), id).await.unwrap()?;
        Some(found.body["x"].clone())
    }
}

fn key() -> PartitionKey {
    PartitionKey::single("p")
}

fn body(id: &str, x: i64) -> Value {
    json!({ "id": id, "partitionKey": "p", "x": x })
}

async fn write(store: &CosmosStore, operations: Vec<Operation>) -> Result<Vec<Written>, StoreError> {
    store.write(PLAIN, &key(), operations).await
}

/// What is done under faults, and to which of the service's operations it comes down.
#[derive(Debug, Clone, Copy)]
enum Act {
    Create,
    Replace,
    Upsert,
    Increment,
    Delete,
    Batch,
}

impl Act {
    const ALL: [Self; 6] =
        [Self::Create, Self::Replace, Self::Upsert, Self::Increment, Self::Delete, Self::Batch];

    fn on(self) -> On {
        match self {
            Self::Create => On::CreateItem,
            Self::Replace | Self::Upsert | Self::Increment => On::ReplaceItem,
            Self::Delete => On::DeleteItem,
            Self::Batch => On::BatchItem,
        }
    }

    /// The operations on the document `a`, which is there with this tag, and on `b`, which is not.
    fn operations(self, etag: &str) -> Vec<Operation> {
        let (a, b, expires_at) = ("a".to_owned(), "b".to_owned(), None);
        let if_match = Some(etag.to_owned());
        let add = vec![Patch::Increment { field: "x".into(), by: 1 }];
        match self {
            Self::Create => vec![Operation::Create { id: b, body: body("b", 2), expires_at }],
            Self::Replace => vec![Operation::Replace { id: a, body: body("a", 2), expires_at, if_match }],
            Self::Upsert => vec![Operation::Upsert { id: a, body: body("a", 2), expires_at }],
            Self::Increment => vec![Operation::Patch { id: a, patches: add, if_match: None }],
            Self::Delete => vec![Operation::Delete { id: a, if_match }],
            Self::Batch => vec![
                Operation::Patch { id: a, patches: add, if_match },
                Operation::Create { id: b, body: body("b", 2), expires_at },
            ],
        }
    }

    /// `x` of both documents once it took effect.
    fn after(self) -> [Option<Value>; 2] {
        let (one, two) = (Some(json!(1)), Some(json!(2)));
        match self {
            Self::Create => [one, two],
            Self::Replace | Self::Upsert | Self::Increment => [two, None],
            Self::Delete => [None, None],
            Self::Batch => [two.clone(), two],
        }
    }
}

/// Does it under a fault; gives the outcome, and `x` of both documents.
async fn perform(
    act: Act,
    fault: Fault,
    hits: Option<u32>,
) -> (Result<Vec<Written>, StoreError>, [Option<Value>; 2]) {
    let world = World::new().await;
    let etag = world.put("a").await;
    let rule = rule(act.on(), fault, hits);
    let store = world.stormy(&rule).await;
    let outcome = write(&store, act.operations(&etag)).await;
    assert!(rule.hit_count() > 0, "{act:?} met no {fault:?}");
    if let Ok(written) = &outcome {
        // The tags that were given are those of the documents.
        for (written, operation) in written.iter().zip(act.operations(&etag)) {
            let found = world.calm.read(PLAIN, &key(), operation.id()).await.unwrap();
            assert_eq!(written.etag, found.map(|found| found.etag), "{act:?} {fault:?}");
        }
    }
    (outcome, [world.x("a").await, world.x("b").await])
}

#[tokio::test]
async fn a_fault_that_passes_changes_nothing() {
    for (act, fault) in Act::ALL.into_iter().flat_map(|act| HARMLESS.map(|fault| (act, fault))) {
        let (outcome, found) = perform(act, fault, Some(1)).await;
        assert!(outcome.is_ok(), "{act:?} {fault:?}: {outcome:?}");
        assert_eq!(found, act.after(), "{act:?} {fault:?}");
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_again() {
    for (act, hits) in Act::ALL.into_iter().flat_map(|act| [Some(1), None].map(|hits| (act, hits))) {
        let (outcome, found) = perform(act, Fault::ResponseTimeoutAfterService, hits).await;
        assert_eq!(found, act.after(), "{act:?}");
        // A deletion leaves nothing that could tell who made it. The refusal of a batch's second try is an answer like
        // any other, and is lost as well where all are.
        let may_be_unknown = matches!((act, hits), (Act::Delete, _) | (Act::Batch, None));
        match outcome {
            Err(StoreError::Unavailable { .. }) if may_be_unknown => {}
            outcome => assert!(outcome.is_ok(), "{act:?}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn a_fault_that_stays_is_an_honest_error() {
    for (act, fault) in Act::ALL.into_iter().flat_map(|act| {
        [Fault::TooManyRequests, Fault::ServiceUnavailable, Fault::ConnectionError].map(|fault| (act, fault))
    }) {
        let (outcome, found) = perform(act, fault, None).await;
        let honest = match fault {
            Fault::TooManyRequests => matches!(outcome, Err(StoreError::Throttled { .. })),
            _ => matches!(outcome, Err(StoreError::Unavailable { .. })),
        };
        assert!(honest, "{act:?} {fault:?}: {outcome:?}");
        assert_eq!(found, [Some(json!(1)), None], "{act:?} {fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_stays_one_after_a_fault() {
    for fault in HARMLESS {
        let world = World::new().await;
        world.put("a").await;
        let store = world.stormy(&rule(On::CreateItem, fault, Some(1))).await;
        let again = Operation::Create { id: "a".into(), body: body("a", 2), expires_at: None };
        let outcome = write(&store, vec![again]).await;
        assert_eq!(outcome, Err(StoreError::Conflict { operation: 0 }), "{fault:?}");
        let store = world.stormy(&rule(On::ReplaceItem, fault, Some(1))).await;
        let if_match = Some("0000000000000000".to_owned());
        let stale = Operation::Replace { id: "a".into(), body: body("a", 2), expires_at: None, if_match };
        let outcome = write(&store, vec![stale]).await;
        assert_eq!(outcome, Err(StoreError::PreconditionFailed { operation: 0 }), "{fault:?}");
        assert_eq!(world.x("a").await, Some(json!(1)));
    }
}

#[tokio::test]
async fn reads_are_repeated_or_fail() {
    for fault in HARMLESS {
        let world = World::new().await;
        world.put("a").await;
        let store = world.stormy(&rule(On::ReadItem, fault, Some(1))).await;
        assert!(store.read(PLAIN, &key(), "a").await.unwrap().is_some(), "{fault:?}");
        let store = world.stormy(&rule(On::QueryItem, fault, Some(1))).await;
        let page = store.query(PLAIN, &key(), &Query::new(None)).await.unwrap();
        assert_eq!(page.items.len(), 1, "{fault:?}");
    }
    let world = World::new().await;
    for (on, fault) in [On::ReadItem, On::QueryItem]
        .into_iter()
        .flat_map(|on| [Fault::TooManyRequests, Fault::ServiceUnavailable].map(|fault| (on, fault)))
    {
        let store = world.stormy(&rule(on, fault, None)).await;
        let outcome = match on {
            On::ReadItem => store.read(PLAIN, &key(), "a").await.map(drop),
            _ => store.query(PLAIN, &key(), &Query::new(None)).await.map(drop),
        };
        let honest = matches!(outcome, Err(StoreError::Throttled { .. } | StoreError::Unavailable { .. }));
        assert!(honest, "{on:?} {fault:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_slow_service_is_given_up() {
    let world = World::new().await;
    world.put("a").await;
    let condition = FaultInjectionConditionBuilder::new().with_operation_type(On::ReadItem).build();
    let slow = FaultInjectionResultBuilder::new().with_delay(Duration::from_mins(1)).build();
    let slow = FaultInjectionRuleBuilder::new("slow", slow).with_condition(condition).build();
    let limits = Limits { deadline: Duration::from_millis(200), ..SHORT };
    let containers = contract::containers();
    let store = world.emulator.store(&containers, limits, vec![Arc::new(slow)], world.ambient.clone()).await;
    let outcome = store.read(PLAIN, &key(), "a").await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_is_lost_or_made_twice_where_answers_are_lost() {
    let world = World::new().await;
    world.put("a").await;
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let condition = FaultInjectionConditionBuilder::new().with_operation_type(On::ReplaceItem).build();
        let lost = FaultInjectionResultBuilder::new()
            .with_error(Fault::ResponseTimeoutAfterService)
            .with_probability(0.3)
            .build();
        let lost = FaultInjectionRuleBuilder::new("lost", lost).with_condition(condition).build();
        let store = world.stormy(&Arc::new(lost)).await;
        tasks.spawn(async move {
            let patches = vec![Patch::Increment { field: "x".into(), by: 1 }];
            let add = Operation::Patch { id: "a".into(), patches, if_match: None };
            write(&store, vec![add]).await.map(drop)
        });
    }
    let outcomes = tasks.join_all().await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let honest = |outcome: &Result<(), StoreError>| {
        matches!(outcome, Ok(()) | Err(StoreError::Unavailable { .. } | StoreError::Throttled { .. }))
    };
    assert!(outcomes.iter().all(honest), "{outcomes:?}");
    let x = world.x("a").await.unwrap().as_u64().unwrap();
    let added = usize::try_from(x).unwrap() - 1;
    assert!((done..=outcomes.len()).contains(&added), "{added} of {done} and perhaps more: {outcomes:?}");
}
