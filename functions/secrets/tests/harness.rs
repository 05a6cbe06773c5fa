//! A platform with a company, and the requests that most tests begin with.

use coder_database::{Operation, Partition};
use coder_testkit::{Client, Reply, Team, TestPlatform};
use serde_json::{Value, json};

/// A platform with a company.
pub(crate) struct World {
    pub(crate) platform: TestPlatform,
    pub(crate) team: Team,
}

impl World {
    pub(crate) async fn start() -> Self {
        let platform = TestPlatform::start().await;
        let team = Team::of(&platform).await;
        Self { platform, team }
    }

    pub(crate) fn project(&self) -> String {
        self.team.parameter("/projects/{projectId}", "projectId")
    }

    pub(crate) fn team_id(&self) -> String {
        self.team.parameter("/teams/{teamId}", "teamId")
    }

    /// The stored document.
    pub(crate) async fn stored(&self, id: &str) -> Value {
        self.stored_if_there(id).await.unwrap()
    }

    /// The stored document, if it is still there.
    pub(crate) async fn stored_if_there(&self, id: &str) -> Option<Value> {
        let store = &self.platform.platform.assembly.providers.store;
        let partition = Partition::organization(self.team.organization_id);
        store.read("secrets", &partition.key(), id).await.unwrap().map(|document| document.body)
    }

    /// Writes a document past the group, as somebody with access to the store could.
    pub(crate) async fn overwrite(&self, id: &str, body: Value) {
        let store = &self.platform.platform.assembly.providers.store;
        let partition = Partition::organization(self.team.organization_id);
        let operation = Operation::Upsert { id: id.to_owned(), body, expires_at: None };
        store.write("secrets", &partition.key(), vec![operation]).await.unwrap();
    }
}

/// The address of a secret.
pub(crate) fn at(id: &str) -> String {
    format!("/api/secrets/{id}")
}

/// A secret of kind `api_key` for the whole organization.
pub(crate) async fn api_key(who: &Client, name: &str, key: &str) -> String {
    made(who, json!({"name": name, "kind": "api_key", "value": {"key": key}})).await
}

/// A secret, which is made.
pub(crate) async fn made(who: &Client, body: Value) -> String {
    who.post("/api/secrets", body).await.expect(201).text("/id")
}

/// Asks for the current value.
pub(crate) async fn reveal(who: &Client, id: &str) -> Reply {
    who.post(&format!("{}/reveal", at(id)), json!({})).await
}

/// The current value's `key`.
pub(crate) async fn key_of(who: &Client, id: &str) -> String {
    reveal(who, id).await.expect(200).text("/value/key")
}

/// The access records of a secret, newest first.
pub(crate) async fn accesses(who: &Client, id: &str) -> Vec<Value> {
    let found = who.get(&format!("/api/secrets/accesses?secretId={id}&limit=200")).await.expect(200);
    found.body["items"].as_array().unwrap().clone()
}
