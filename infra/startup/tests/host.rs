//! The contract with the Functions host, on the surface that a handler binary serves.

use axum::body::Body;
use axum::extract::Request;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::notes::{Answer, Fixture, answer};

fn event(note: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": "e-1", "source": "/functions/notes", "type": "coder.notes.note.created",
        "subject": "s", "time": "2026-01-05T12:00:00Z", "organizationid": "platform", "data": {"noteId": note},
    })
}

fn delivery(message: &str) -> Value {
    json!({
        "Data": {"message": base64::engine::general_purpose::STANDARD.encode(message)},
        "Metadata": {"DeliveryCount": "1", "MessageId": "\"e-1\"", "sys": {"MethodName": "on-event"}},
    })
}

async fn post(fixture: &Fixture, path: &str, body: String) -> Answer {
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("content-type", "application/json; charset=utf-8")
        .header("x-azure-functions-invocationid", "0b6e")
        .body(Body::from(body))
        .unwrap();
    answer(fixture.surface(), request).await
}

#[tokio::test]
async fn whoever_watches_the_process_learns_what_it_stands_on() {
    let fixture = Fixture::start().await;
    let request = Request::builder().uri("/health/ready").body(Body::empty()).unwrap();
    let ready = answer(fixture.surface(), request).await;
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("ready")));
    assert_eq!(ready.body["dependencies"][0]["name"], "documents");
    assert_eq!(ready.body["dependencies"][0]["up"], true);
}

#[tokio::test]
async fn the_host_is_answered_with_an_object_always() {
    let fixture = Fixture::start().await;
    let alive = answer(fixture.surface(), Request::builder().uri("/").body(Body::empty()).unwrap()).await;
    assert_eq!((alive.status, alive.body.is_object()), (200, true));
    let good = delivery(&event(&json!("n-1")).to_string()).to_string();
    let cases = [
        ("/on-event", good.clone(), 200),
        // What goes wrong with an event is told to the broker and the dead letters, not to the host.
        ("/on-event", delivery(&event(&json!("retry")).to_string()).to_string(), 200),
        ("/on-event", delivery(&event(&json!("panic")).to_string()).to_string(), 200),
        ("/on-event", delivery(&event(&Value::Null).to_string()).to_string(), 200),
        ("/on-event", delivery("no JSON").to_string(), 200),
        ("/on-event", delivery("{\"id\": 1}").to_string(), 200),
        ("/on-event", json!({"Data": {}}).to_string(), 200),
        ("/on-event", "rubbish".to_owned(), 400),
        ("/on-event", "x".repeat(5 * 1024 * 1024), 413),
        ("/on-dead-letter", good.clone(), 200),
        ("/on-dead-letter", json!({"Data": {}}).to_string(), 200),
        ("/on-look", good, 404),
        ("/every-tidy", json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}}).to_string(), 200),
    ];
    for (path, body, status) in cases {
        let reply = post(&fixture, path, body.clone()).await;
        assert_eq!(reply.status, status, "{path} {body:.80}");
        if status != 413 {
            assert!(reply.body.is_object(), "{path} {body:.80}: {:?}", reply.body);
            assert_eq!(reply.headers["content-type"], "application/json");
        }
    }
}

#[tokio::test]
async fn what_comes_through_the_proxy_goes_through_the_chain() {
    let fixture = Fixture::start().await;
    let request = Request::builder().uri("/api/notes?code=host-key").body(Body::empty()).unwrap();
    let refused = answer(fixture.surface(), request).await.is(401, "unauthenticated");
    assert!(refused.headers.contains_key("x-request-id"));
    let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    assert_eq!(answer(fixture.surface(), request).await.status, 200);
    // No path under `/api` reaches an event function.
    let reply = post(&fixture, "/api/on-event", String::new()).await;
    assert_eq!(reply.status, 404);
}
