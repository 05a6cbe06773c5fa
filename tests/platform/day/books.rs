//! What the platform has acknowledged, as the test keeps it.

use std::collections::{BTreeMap, BTreeSet};

use coder_testkit::Reply;
use serde_json::Value;

use super::burst::Act;

/// Acknowledged work.
#[derive(Default)]
pub(super) struct Books {
    /// Events of the audit log: action and resource.
    pub(super) written: Vec<(&'static str, String)>,
    /// Seconds of each reported build.
    pub(super) builds: BTreeMap<String, u64>,
    /// Values of secrets.
    pub(super) secrets: BTreeMap<String, Value>,
    /// Event ids of custom audit entries.
    pub(super) entries: BTreeSet<String>,
    /// Messages to Max.
    sent: BTreeSet<String>,
    /// Reservations that the quota let through.
    pub(super) reserved: Vec<String>,
    /// How many it did not.
    pub(super) refused: usize,
    /// The export of the audit log.
    pub(super) export: String,
    /// The job that encrypts with the new data key.
    pub(super) rotation: String,
    /// That key.
    pub(super) data_key: String,
    /// The job that cannot succeed.
    pub(super) hopeless: String,
}

impl Books {
    /// The messages to Max.
    pub(super) fn messages(&self) -> &BTreeSet<String> {
        &self.sent
    }

    /// Notes a resource that was made.
    pub(super) fn wrote(&mut self, action: &'static str, made: &Reply) -> String {
        let id = made.clone().expect(201).text("/id");
        self.written.push((action, id.clone()));
        id
    }

    /// Notes an answer. Whatever is no acknowledgement, but for a quota that is used up, ends the test.
    #[track_caller]
    pub(super) fn note(&mut self, act: &Act, reply: &Reply) {
        let text = |pointer: &str| reply.text(pointer);
        match act.path {
            "/api/usage/events" => {
                let answer = &reply.clone().expect(202).body;
                assert_eq!(answer["rejected"], serde_json::json!([]));
                for event in act.body["events"].as_array().unwrap() {
                    let seconds = event["metrics"]["seconds"].as_u64().unwrap();
                    self.builds.insert(event["eventId"].as_str().unwrap().to_owned(), seconds);
                }
            }
            "/api/usage/reservations" if reply.status.as_u16() == 429 => {
                assert_eq!(reply.code(), "quota_exceeded");
                self.refused += 1;
            }
            "/api/usage/reservations" => self.reserved.push(reply.clone().expect(201).text("/id")),
            "/api/users/teams" => drop(self.wrote("users.team.created", reply)),
            "/api/secrets" => {
                let id = self.wrote("secrets.secret.created", reply);
                self.secrets.insert(id, act.body["value"].clone());
            }
            "/api/notifications/messages" => {
                assert_eq!(reply.status.as_u16(), 202, "{reply:?}");
                self.written.push(("notifications.message.accepted", text("/id")));
                self.sent.insert(text("/id"));
            }
            "/api/logging/entries" => {
                assert_eq!(reply.status.as_u16(), 202, "{reply:?}");
                self.entries.insert(text("/eventId"));
            }
            other => panic!("{other} is in no book"),
        }
    }
}
