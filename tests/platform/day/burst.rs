//! Many requests at once, each with a key under which it can be sent again.

use coder_core::Clock as _;
use coder_testkit::{Client, KillablePlatform, MovedClock, Reply};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::MARK;
use super::books::Books;
use super::people::{People, Who};

/// Events of a batch.
pub(super) const BATCH: usize = 10;
/// Batches of the burst; each repeats half of the one before.
const BATCHES: usize = 12;
/// Reservations that Max asks for.
pub(super) const RESERVATIONS: usize = 20;
/// How much of everything else is done.
const EACH: usize = 12;

/// A request that may be sent again.
#[derive(Debug)]
pub(super) struct Act {
    pub(super) who: Who,
    pub(super) path: &'static str,
    pub(super) body: Value,
    key: String,
}

impl Act {
    fn new(who: Who, path: &'static str, number: usize, body: Value) -> Self {
        Self { who, path, body, key: format!("{path}-{number}") }
    }

    /// The answer, if a whole one came.
    async fn send(&self, client: &Client) -> Option<Reply> {
        let body = Some(self.body.to_string().into_bytes());
        client.try_send(Method::POST, self.path, body, &[("idempotency-key", &self.key)]).await.ok()
    }
}

/// A batch of builds, of which the first half is the second half of the batch before.
pub(super) fn usage(clock: &MovedClock, number: usize) -> Act {
    let first = number * BATCH / 2;
    let event = |build: usize| {
        json!({
            "source": "build-server", "eventId": format!("build-{build}"), "categoryCode": "compute.build",
            "metrics": {"seconds": build + 1, "jobs": 1}, "occurredAt": clock.now(),
        })
    };
    let events: Vec<Value> = (first..first + BATCH).map(event).collect();
    Act::new(Who::Meter, "/api/usage/events", number, json!({"events": events}))
}

/// A run of a tool that was reserved.
pub(super) fn tool_run(clock: &MovedClock, number: usize) -> Value {
    json!({
        "source": "desk", "eventId": format!("run-{number}"), "categoryCode": "mcp.execution",
        "metrics": {"executions": 1}, "occurredAt": clock.now(),
    })
}

/// A message of Olga's to Max; to whom, is filled in when it is sent.
pub(super) fn message(number: usize) -> Act {
    let body =
        json!({"title": format!("Note {number}"), "body": "Please look.", "recipients": ["role:member"]});
    Act::new(Who::Olga, "/api/notifications/messages", number, body)
}

/// A custom audit entry with something in it that must not be kept.
pub(super) fn entry(number: usize) -> Act {
    let body = json!({
        "action": "release.approved", "message": format!("Release {number} approved"),
        "eventId": format!("release-{number}"), "metadata": {"apiKey": format!("{MARK}-{number}"), "stage": "live"},
    });
    Act::new(Who::Olga, "/api/logging/entries", number, body)
}

/// A secret.
pub(super) fn secret(number: usize) -> Act {
    let body = json!({
        "name": format!("KEY_{number}"), "kind": "api_key", "value": {"key": format!("{MARK} {number}")},
    });
    Act::new(Who::Olga, "/api/secrets", number, body)
}

fn team(number: usize) -> Act {
    Act::new(Who::Olga, "/api/users/teams", number, json!({"name": format!("Team {number}")}))
}

fn reservation(number: usize) -> Act {
    let body = json!({
        "categoryCode": "mcp.execution", "estimate": {"executions": 1}, "expiresInSeconds": 900,
    });
    Act::new(Who::Max, "/api/usage/reservations", number, body)
}

/// All of it, mixed.
pub(super) fn acts(clock: &MovedClock) -> Vec<Act> {
    let mut kinds: Vec<Vec<Act>> = vec![
        (1..=BATCHES).map(|number| usage(clock, number)).collect(),
        (1..=RESERVATIONS).map(reservation).collect(),
    ];
    kinds.extend([team, secret, message, entry].map(|make| (1..=EACH).map(make).collect()));
    let mut mixed = Vec::new();
    while kinds.iter().any(|kind| !kind.is_empty()) {
        mixed.extend(kinds.iter_mut().filter_map(Vec::pop));
    }
    mixed
}

/// Sends all, one after the other, and notes the answers.
pub(super) async fn send(people: &People, acts: Vec<Act>, books: &mut Books) {
    for act in acts {
        let reply = act.send(people.client(act.who)).await.unwrap();
        books.note(&act, &reply);
    }
}

/// Sends all at once and kills the process after so many answers; what had none comes back.
pub(super) async fn interrupted(
    process: &mut KillablePlatform,
    people: &People,
    acts: Vec<Act>,
    answers: usize,
    books: &mut Books,
) -> Vec<Act> {
    let mut running = JoinSet::new();
    for act in acts {
        let client = people.client(act.who).clone();
        running.spawn(async move {
            let reply = act.send(&client).await;
            (act, reply)
        });
    }
    let (mut lost, mut answered) = (Vec::new(), 0);
    while let Some(ended) = running.join_next().await {
        let (act, reply) = ended.unwrap();
        match reply {
            Some(reply) => {
                books.note(&act, &reply);
                answered += 1;
            }
            None => lost.push(act),
        }
        if answered == answers {
            process.kill();
        }
    }
    lost
}
