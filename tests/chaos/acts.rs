//! What clients send, each with a key under which it can be sent again.

use coder_testkit::Reply;
use serde_json::{Value, json};

use crate::ledger::{Kind, seconds};

/// Events of a report, and by how many a report is ahead of the one before: the rest comes twice.
const REPORT: u64 = 10;
const AHEAD: u64 = 8;

/// One act in so many is an export of the whole audit log.
const EXPORT_EVERY: u64 = 150;

/// An organization has at most 1,000 projects.
const PROJECTS: u64 = 950;

/// When everything is said to have happened: before any clock of the test.
const HAPPENED: &str = "2026-01-04T09:00:00Z";

/// A request that may be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    /// What it asks for.
    pub(crate) kind: Kind,
    /// The things that it makes; an export has its name from the answer.
    pub(crate) names: Vec<String>,
    /// Where it goes.
    pub(crate) path: &'static str,
    /// Its body.
    pub(crate) body: Value,
    /// Its idempotency key.
    pub(crate) key: String,
}

impl Act {
    /// The act with this number.
    pub(crate) fn new(number: u64) -> Self {
        if number % EXPORT_EVERY == EXPORT_EVERY - 1 {
            return Self::of(Kind::Export, number);
        }
        Self::of(
            match number % 20 {
                0..=4 => Kind::Build,
                5..=8 if number / 5 < PROJECTS => Kind::Project,
                5..=12 => Kind::Secret,
                13..=17 => Kind::Entry,
                _ => Kind::Message,
            },
            number,
        )
    }

    /// An act of a kind.
    pub(crate) fn of(kind: Kind, number: u64) -> Self {
        let key = format!("{kind:?}-{number}");
        let (path, body, name) = match kind {
            Kind::Build => return Self::report(number, key),
            Kind::Project => {
                let body = json!({"name": format!("Project {number}"), "key": format!("P{number}")});
                ("/api/users/projects", body, format!("P{number}"))
            }
            Kind::Secret => {
                let name = format!("KEY_{number}");
                let body =
                    json!({"name": name, "kind": "api_key", "value": {"key": format!("value {number}")}});
                ("/api/secrets", body, name)
            }
            Kind::Message => {
                let name = format!("Note {number}");
                let body = json!({"title": name, "body": "Please look.", "recipients": ["role:member"]});
                ("/api/notifications/messages", body, name)
            }
            Kind::Entry => {
                let name = format!("release-{number}");
                let body = json!({"action": "release.approved", "message": name, "eventId": name});
                ("/api/logging/entries", body, name)
            }
            Kind::Export => ("/api/logging/exports", json!({"format": "csv"}), String::new()),
        };
        Self { kind, names: vec![name], path, body, key }
    }

    fn report(number: u64, key: String) -> Self {
        let names: Vec<String> =
            (number * AHEAD..number * AHEAD + REPORT).map(|build| format!("build-{build}")).collect();
        let event = |name: &String| {
            json!({
                "source": "build-server", "eventId": name, "categoryCode": "compute.build",
                "metrics": {"seconds": seconds(name), "jobs": 1}, "occurredAt": HAPPENED,
            })
        };
        let events: Vec<Value> = names.iter().map(event).collect();
        Self { kind: Kind::Build, names, path: "/api/usage/events", body: json!({"events": events}), key }
    }

    /// Name and id of all that an answer acknowledges; nothing if it is no acknowledgement.
    pub(crate) fn acknowledged(&self, reply: &Reply) -> Option<Vec<(String, String)>> {
        let id = || reply.body["id"].as_str().map(str::to_owned);
        let named = |id: String| vec![(self.names[0].clone(), id)];
        match (self.kind, reply.status.as_u16()) {
            (Kind::Build, 202) if reply.body["rejected"] == json!([]) => {
                Some(self.names.iter().map(|name| (name.clone(), name.clone())).collect())
            }
            (Kind::Project | Kind::Secret, 201) | (Kind::Message, 202) => id().map(named),
            (Kind::Entry, 202) => reply.body["eventId"].as_str().map(|id| named(id.to_owned())),
            (Kind::Export, 202) => id().map(|id| vec![(id.clone(), id)]),
            _ => None,
        }
    }
}
