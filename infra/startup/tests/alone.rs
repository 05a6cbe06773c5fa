//! A handler that runs alone publishes for others, and takes what the host of another process delivers.

use std::sync::Arc;

use base64::Engine as _;
use coder_config::Settings;
use coder_core::{Actor, ActorKind, Ambient};
use coder_database::transaction::Act;
use coder_database::{Container, DocumentStore, Partition, Transaction};
use coder_embedded::broker::{Delivery, Source, Subscription};
use coder_embedded::{Options, SqliteBroker, SqliteStore};
use coder_handler::{ConsumerFault, Event, Group, Invocation, RouteGroup};
use coder_queue::{Entity, Message, Publisher as _};
use coder_startup::handler::serve_alone;
use serde_json::json;
use tokio::net::TcpListener;

/// A group that answers every event with one of its own.
fn echo() -> Group {
    async fn answer((): (), invocation: Invocation, event: Event) -> Result<(), ConsumerFault> {
        let mut transaction = invocation.begin("usage", Partition::platform());
        transaction.emit("echo.made", &event.id, json!({}));
        Ok(invocation.commit(transaction).await?)
    }
    RouteGroup::new("usage", "Answers.")
        .container(Container::new("usage"))
        .on_event("echo", "coder.notes.*", answer)
        .service(|_, _| ())
}

/// A change of the group by another process, which dies before it publishes anything.
fn transaction(store: Arc<dyn DocumentStore>) -> Transaction {
    let act = Act {
        actor: Actor::new(ActorKind::Service, "test"),
        action: "test".into(),
        request_id: "r".into(),
        group: "usage",
        traceparent: None,
    };
    Transaction::new(store, Ambient::system(), "usage", Partition::platform(), act)
}

async fn next(broker: &SqliteBroker, source: &Source) -> Delivery {
    let wait = async {
        loop {
            match broker.receive(source, 1).await.unwrap().pop() {
                Some(delivery) => return delivery,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handler_alone_records_is_published_and_it_has_a_subscription() {
    let directory = tempfile::tempdir().unwrap();
    let ambient = Ambient::system();
    // Another process on the same data directory.
    let elsewhere = SqliteBroker::open(directory.path(), &Options::default(), ambient.clone()).unwrap();
    elsewhere.subscribe(&[Subscription::new("watcher", ["coder.*"])]).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let settings = Settings::for_tests(directory.path());
    let stopped = async {
        stopped.await.unwrap();
    };
    let handler = tokio::spawn(serve_alone(echo(), settings, ambient, listener, stopped));

    let event = json!({
        "specversion": "1.0", "id": "e-1", "source": "/functions/notes", "type": "coder.notes.note.made",
        "subject": "s", "time": "2026-01-05T12:00:00Z", "organizationid": "platform", "data": {},
    });
    let message = base64::engine::general_purpose::STANDARD.encode(event.to_string());
    let envelope =
        json!({"Data": {"message": message}, "Metadata": {"DeliveryCount": "1", "MessageId": "\"e-1\""}});
    let answer =
        reqwest::Client::new().post(format!("{url}/on-event")).body(envelope.to_string()).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let published = next(&elsewhere, &Source::subscription("watcher")).await;
    assert_eq!(published.message.event_type(), "coder.usage.echo.made");
    assert_eq!(published.message.subject.as_deref(), Some("e-1"));

    // What nobody is told of waits for the host's timer.
    let store = SqliteStore::open(directory.path(), &Options::default(), Ambient::system()).unwrap();
    store.prepare(&[Container::new("usage")]).await.unwrap();
    let mut left = transaction(Arc::new(store));
    left.emit("echo.left", "e-3", json!({}));
    let _told_to_nobody = left.commit().await.unwrap();
    let timer = json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}});
    let answer =
        reqwest::Client::new().post(format!("{url}/every-sweep-outbox")).body(timer.to_string()).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let swept = next(&elsewhere, &Source::subscription("watcher")).await;
    assert_eq!(swept.message.event_type(), "coder.usage.echo.left");

    let waiting = Message::of_event("e-2", Entity::Events, &event);
    elsewhere.publish(std::slice::from_ref(&waiting)).await.unwrap();
    let own = next(&elsewhere, &Source::subscription("usage")).await;
    assert_eq!(own.message, waiting, "it waits for whoever delivers to the group");
    stop.send(()).unwrap();
    handler.await.unwrap().unwrap();
}
