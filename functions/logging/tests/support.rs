//! What several tests need: entries as the store has them, and ways to bend them.

use coder_core::OrganizationId;
use coder_database::{Document, Filter, Operation, PartitionKey, Query};
use coder_testkit::{Client, TestPlatform};
use serde_json::{Value, json};

/// The bucket of the month in which every test begins.
pub(crate) const MONTH: &str = "2026-01";

/// The key of a bucket of an organization.
pub(crate) fn bucket(organization: OrganizationId, bucket: &str) -> PartitionKey {
    PartitionKey(vec![format!("org:{organization}"), bucket.to_owned()])
}

/// Every document of a type in a bucket, as it is stored.
pub(crate) async fn stored(platform: &TestPlatform, key: &PartitionKey, kind: &str) -> Vec<Document> {
    let query = Query::new(Filter::of_type(kind)).limit(1000);
    platform.platform.assembly.providers.store.query("logging", key, &query).await.unwrap().items
}

/// The entries of an organization's first month, by number.
pub(crate) async fn entries(platform: &TestPlatform, organization: OrganizationId) -> Vec<Value> {
    let found = stored(platform, &bucket(organization, MONTH), "entry").await;
    let mut entries: Vec<Value> = found.into_iter().map(|document| document.body).collect();
    entries.sort_by_key(|entry| entry["seq"].as_u64());
    entries
}

/// Writes a document behind the group's back.
pub(crate) async fn overwrite(platform: &TestPlatform, key: &PartitionKey, body: Value) {
    let id = body["id"].as_str().unwrap().to_owned();
    let operation = Operation::Upsert { id, body, expires_at: None };
    platform.platform.assembly.providers.store.write("logging", key, vec![operation]).await.unwrap();
}

/// Takes a document away behind the group's back.
pub(crate) async fn remove(platform: &TestPlatform, key: &PartitionKey, id: &str) {
    let operation = Operation::Delete { id: id.to_owned(), if_match: None };
    platform.platform.assembly.providers.store.write("logging", key, vec![operation]).await.unwrap();
}

/// Adds a custom entry; answers its id.
pub(crate) async fn post(client: &Client, message: &str) -> String {
    let body = json!({"action": "test.act.done", "message": message});
    client.post("/api/logging/entries", body).await.expect(202).text("/entryId")
}

/// The entries that a list finds, oldest first.
pub(crate) async fn listed(client: &Client, query: &str) -> Vec<Value> {
    let reply = client.get(&format!("/api/logging/entries?sort=seq&limit=200&{query}")).await.expect(200);
    reply.body["items"].as_array().unwrap().clone()
}

/// The actions of entries.
pub(crate) fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}
