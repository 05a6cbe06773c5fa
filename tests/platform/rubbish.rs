//! Random and slightly wrong requests at every operation: a refusal is fine, a fault of ours is not.

use coder_testkit::{Client, Reply, Team, TestPlatform};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::operations::{self, Operation};

/// Requests for each operation.
const ROUNDS: usize = 12;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,40}".prop_map(Value::from),
        Just(json!("x".repeat(3000))),
        Just(json!("\u{202e}\u{0}\u{1F600}e\u{301}")),
        Just(json!("https://127.0.0.1/latest/meta-data")),
        Just(json!("0190a0c0-0000-7000-8000-000000000000")),
    ]
}

fn rubbish() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z/~]{0,12}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The example with one field replaced, dropped or added.
fn bent(example: &Value) -> BoxedStrategy<Value> {
    let Value::Object(fields) = example.clone() else { return rubbish().boxed() };
    let names: Vec<String> = fields.keys().cloned().chain(["unknown".to_owned()]).collect();
    (prop::sample::select(names), prop::option::of(rubbish()))
        .prop_map(move |(name, value)| {
            let mut fields = fields.clone();
            match value {
                Some(value) => fields.insert(name, value),
                None => fields.remove(&name),
            };
            Value::Object(fields)
        })
        .boxed()
}

async fn send(
    client: &Client,
    team: &Team,
    operation: &Operation,
    body: Option<&Value>,
    tail: &str,
) -> Reply {
    client.send(operation.method.clone(), &format!("{}{tail}", operation.address(team)), body, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_refused_without_a_fault_of_ours() {
    let platform = TestPlatform::start().await;
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut team = Team::with_login_provider(&platform).await;
    for operation in operations::all() {
        for round in 0..ROUNDS {
            let strategy = match &operation.body {
                Some(example) if round % 2 == 0 => bent(example),
                _ => rubbish().boxed(),
            };
            let body = strategy.new_tree(&mut runner).unwrap().current();
            let tail = ["", "", "?limit=0", "?cursor=%00", "?limit=1&limit=2", "?q=%ff"][round % 6];
            let tail = if operation.address(&team).contains('?') { "" } else { tail };
            let reply = send(&team.owner, &team, &operation, Some(&body), tail).await;
            let status = reply.status.as_u16();
            assert!(status < 500, "{} {tail} {body}: {status} {:?}", operation.id, reply.body);
            if (400..500).contains(&status) {
                assert!(
                    !reply.code().is_empty(),
                    "{}: {status} is no problem: {:?}",
                    operation.id,
                    reply.body
                );
                assert_eq!(reply.header("content-type"), "application/problem+json", "{}", operation.id);
            }
            if status == 401 && operation.group != "auth" {
                // An earlier request ended the session; the next ones need a living one.
                team = Team::with_login_provider(&platform).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_json_are_refused() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let deep = "[".repeat(100_000);
    let bodies: [(&[u8], u16); 7] = [
        (b"", 400),
        (b"{", 400),
        (b"{\"a\": 1, \"a\": 2}", 400),
        (b"\xff\xfe", 400),
        (b"nul", 400),
        (b"{\"a\": NaN}", 400),
        (deep.as_bytes(), 400),
    ];
    for operation in operations::all().iter().filter(|one| one.body.is_some() && one.group == "users") {
        for (bytes, status) in bodies {
            if bytes.is_empty() && operation.optional_body {
                continue;
            }
            let address = operation.address(&team);
            let reply =
                team.owner.send_bytes(operation.method.clone(), &address, Some(bytes.to_vec()), &[]).await;
            let other = matches!(reply.status.as_u16(), 400 | 401 | 403 | 404 | 422);
            assert!(reply.status.as_u16() == status || other, "{}: {:?}", operation.id, reply);
        }
    }
    let large = vec![b' '; 1024 * 1024 + 1];
    let reply = team.owner.send_bytes(http::Method::POST, "/api/users/teams", Some(large), &[]).await;
    reply.expect_problem(413, "body_too_large");
}
