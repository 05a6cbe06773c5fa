//! What the scenarios share: events as other groups publish them, and a stream whose events must come soon.

use std::time::Duration;

use coder_core::{Actor, ActorKind};
use coder_database::transaction::Act;
use coder_database::{Partition, Transaction};
use coder_handler::functions::Outcome;
use coder_notifications::service::Notifications;
use coder_testkit::{Client, LiveStream, SentEvent, Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// The group's service in the platform.
pub(crate) fn service(platform: &TestPlatform) -> Notifications {
    platform.platform.service::<Notifications>("notifications").unwrap()
}

/// `user:<id>`.
pub(crate) fn user(client: &Client) -> String {
    format!("user:{}", client.user_id.unwrap())
}

/// Publishes an event of another group in the team's organization, caused by `actor`.
pub(crate) async fn publish(
    platform: &TestPlatform,
    team: &Team,
    actor: &Client,
    (group, name): (&'static str, &str),
    subject: &str,
    data: Value,
) {
    let runtime = service(platform).runtime;
    let act = Act {
        actor: Actor::new(ActorKind::User, actor.user_id.unwrap().to_string()),
        action: "test".to_owned(),
        request_id: "test".to_owned(),
        group,
        traceparent: None,
    };
    let partition = Partition::organization(team.organization_id).bucket("test");
    let (store, ambient) = (runtime.store.clone(), runtime.ambient.clone());
    let mut unit = Transaction::new(store, ambient, "notifications", partition, act).without_audit();
    unit.emit(name, subject, data);
    runtime.outbox.committed(unit.commit().await.unwrap().outbox);
    platform.settle().await;
}

/// Lets time pass and signs the team in again, since access tokens last a quarter of an hour.
pub(crate) async fn later(platform: &TestPlatform, team: &mut Team, by: SignedDuration) {
    platform.advance(by).await;
    for client in [&mut team.admin, &mut team.owner, &mut team.member, &mut team.viewer] {
        *client = platform.login(&client.email).await;
    }
}

/// Assigns a task to somebody, as the planning group tells it.
pub(crate) async fn assign(platform: &TestPlatform, team: &Team, by: &Client, to: &[&Client], key: &str) {
    let added: Vec<_> = to.iter().map(|client| client.user_id.unwrap()).collect();
    let data =
        json!({"taskId": key, "key": key, "title": "Speed the parser up", "added": added, "removed": []});
    publish(platform, team, by, ("planning", "task.assigned"), key, data).await;
}

/// Hands an event to a consumer of the group, past the marks by which the runtime drops repeats.
pub(crate) async fn deliver(platform: &TestPlatform, consumer: &str, event: &Value) {
    let groups = &platform.platform.assembly.groups;
    let group = groups.iter().find(|group| group.name == "notifications").unwrap();
    let id = event["id"].as_str().unwrap();
    let outcome = group.functions.consume(consumer, event, id).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

/// The items of somebody's inbox, newest first.
pub(crate) async fn inbox(client: &Client, query: &str) -> Vec<Value> {
    let page = client.get(&format!("/api/notifications/inbox{query}")).await.expect(200);
    page.body["items"].as_array().unwrap().clone()
}

/// How many items somebody has not read.
pub(crate) async fn unread(client: &Client) -> u64 {
    client.get("/api/notifications/inbox/counts").await.expect(200).body["unread"].as_u64().unwrap()
}

/// The mails to an address on a topic, as an admin sees them.
pub(crate) async fn mails(team: &Team, to: &Client, topic: &str) -> Vec<Value> {
    let page = team.admin.get(&format!("/api/notifications/outbox?topic={topic}")).await.expect(200);
    let all = page.body["items"].as_array().unwrap().clone();
    all.into_iter().filter(|mail| mail["to"] == to.email).collect()
}

/// The state of somebody's mail on the newest message of a topic.
pub(crate) async fn mail_delivery(team: &Team, to: &Client, topic: &str) -> Value {
    let messages = team.admin.get(&format!("/api/notifications/messages?topic={topic}")).await.expect(200);
    let id = messages.text("/items/0/id");
    let path = format!("/api/notifications/messages/{id}/deliveries?channel=email");
    let deliveries = team.admin.get(&path).await.expect(200);
    let items = deliveries.body["items"].as_array().unwrap();
    items.iter().find(|one| one["userId"] == json!(to.user_id)).unwrap().clone()
}

/// An open stream.
pub(crate) struct Listener(LiveStream);

impl Listener {
    /// Opens the stream of somebody.
    pub(crate) async fn open(client: &Client, query: &str, last: Option<&str>) -> Self {
        Self(client.stream(&format!("/api/notifications/stream{query}"), last).await)
    }

    /// The next event; the test fails if none comes within two seconds.
    pub(crate) async fn next(&mut self) -> SentEvent {
        tokio::time::timeout(Duration::from_secs(2), self.0.next()).await.unwrap().unwrap()
    }

    /// Whether the server ends the stream within ten seconds.
    pub(crate) async fn ends(&mut self) -> bool {
        let end = async { while self.0.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(10), end).await.is_ok()
    }
}
