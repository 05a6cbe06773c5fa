//! What the tests here share.

use coder_database::PartitionKey;
use coder_handler::{Peer, server};
use coder_testkit::{Client, Reply, TestPlatform};
use serde_json::{Value, json};

pub(crate) use coder_testkit::team::PASSWORD;

/// A person's address.
pub(crate) const ADA: &str = "ada@example.com";

/// A document of the group as it is stored; null if there is none.
pub(crate) async fn stored(platform: &TestPlatform, partition: &str, id: &str) -> Value {
    let store = &platform.platform.assembly.providers.store;
    let document = store.read("auth", &PartitionKey::single(partition), id).await.unwrap();
    document.map(|document| document.body).unwrap_or_default()
}

/// Everything of one type in a partition.
pub(crate) async fn all_stored(platform: &TestPlatform, partition: &str, kind: &str) -> Vec<Value> {
    let store = &platform.platform.assembly.providers.store;
    let query = coder_database::Query::new(coder_database::Filter::of_type(kind)).limit(1000);
    let page = store.query("auth", &PartitionKey::single(partition), &query).await.unwrap();
    page.items.into_iter().map(|document| document.body).collect()
}

/// The mails with links that were kept so far, oldest first.
pub(crate) async fn mails(platform: &TestPlatform) -> Vec<Value> {
    platform.settle().await;
    let text = std::fs::read_to_string(platform.data_dir().join("mail-outbox.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The token in the newest mail on a topic to an address.
#[track_caller]
pub(crate) fn link_token(mails: &[Value], topic: &str, to: &str) -> String {
    let mail = mails.iter().rev().find(|mail| mail["topic"] == topic && mail["to"] == to);
    let Some(mail) = mail else { panic!("no mail `{topic}` to {to}: {mails:?}") };
    let text = mail["text"].as_str().unwrap();
    let rest = text.split("#token=").nth(1).unwrap_or_else(|| panic!("no link in {text}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Takes a group away from the others.
pub(crate) fn take_away(platform: &TestPlatform, group: &str) {
    // Nobody listens on the first port.
    platform.platform.assembly.peers.register(group, Peer::Remote("http://127.0.0.1:1".into()));
}

/// Brings it back.
pub(crate) fn bring_back(platform: &TestPlatform, name: &str) {
    let assembly = &platform.platform.assembly;
    let group = assembly.groups.iter().find(|group| group.name == name).unwrap();
    assembly.peers.register(name, Peer::InProcess(server::api(group)));
}

/// A login by password.
pub(crate) async fn login(platform: &TestPlatform, email: &str, password: &str) -> Reply {
    platform.nobody().post("/api/auth/login", json!({"email": email, "password": password})).await
}

/// A use of a refresh token.
pub(crate) async fn refresh(platform: &TestPlatform, token: &str) -> Reply {
    platform.nobody().post("/api/auth/refresh", json!({"refreshToken": token})).await
}

/// A body that registers.
pub(crate) fn registration(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "displayName": "Ada Lovelace"})
}

/// A person with an organization of their own.
pub(crate) async fn ada(platform: &TestPlatform) -> Client {
    platform.register(ADA, Some("Analytical Engines")).await
}

/// A problem without what differs from request to request.
pub(crate) fn without_request_id(reply: &Reply) -> Value {
    let mut body = reply.body.clone();
    body.as_object_mut().unwrap().remove("requestId");
    body
}
