//! The envelope against the one that the Functions host sends.

use coder_embedded::broker::{Lock, Reason, Source};
use coder_queue::{Entity, Message};

use super::*;

const CALL: &str = "6f0c0c0e-0f52-4f3c-9f4e-0a3b7d1f2c11";

fn delivery() -> Delivery {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    Delivery {
        lock: Lock { source: Source::subscription("orders"), sequence_number: 42, token: "2f1d".into() },
        message: Message {
            id: "m-1".into(),
            entity: Entity::Events,
            body: br#"{"orderId":7}"#.to_vec(),
            content_type: "application/json".into(),
            subject: Some("created".into()),
            session_id: None,
            properties: [("attempt".to_owned(), json!(2)), ("tenant".to_owned(), json!("t1"))].into(),
            scheduled_at: None,
            ttl_seconds: None,
        },
        delivery_count: 1,
        enqueued_at: time("2026-11-20T10:00:00.789Z"),
        expires_at: Some(time("2026-12-04T10:00:00.789Z")),
        locked_until: time("2026-11-20T10:01:00Z"),
        dead_letter: None,
    }
}

fn envelope(delivery: &Delivery) -> Envelope {
    let now = "2026-11-20T10:00:00.12Z".parse().unwrap();
    Envelope::new(delivery, "on-event", now, CALL)
}

#[test]
fn a_delivery_is_written_byte_for_byte_as_the_host_writes_it() {
    let wanted = [
        r#"{"Data":{"message":"eyJvcmRlcklkIjo3fQ=="},"#,
        r#""Metadata":{"DeliveryCount":"1","MessageId":"\"m-1\"","LockToken":"\"2f1d\"","SequenceNumber":"42","#,
        r#""EnqueuedTimeUtc":"2026-11-20T10:00:00","EnqueuedTime":"2026-11-20T10:00:00+00:00","#,
        r#""ExpiresAtUtc":"2026-12-04T10:00:00","ExpiresAt":"2026-12-04T10:00:00+00:00","#,
        r#""ContentType":"\"application/json\"","Subject":"\"created\"","Label":"\"created\"","#,
        r#""ApplicationProperties":{"attempt":2,"tenant":"t1"},"UserProperties":{"attempt":2,"tenant":"t1"},"#,
        r#""MessageReceiver":{},"MessageSession":{},"MessageActions":{},"SessionActions":{},"ReceiveActions":{},"#,
        r#""Client":{"FullyQualifiedNamespace":"localhost","IsClosed":false,"TransportType":0,"#,
        r#""Identifier":"localhost-6f0c0c0e-0f52-4f3c-9f4e-0a3b7d1f2c11"},"#,
        r#""sys":{"MethodName":"on-event","UtcNow":"2026-11-20T10:00:00.12Z","#,
        r#""RandGuid":"6f0c0c0e-0f52-4f3c-9f4e-0a3b7d1f2c11"}}}"#,
    ];
    assert_eq!(serde_json::to_string(&envelope(&delivery())).unwrap(), wanted.concat());
}

#[test]
fn a_dead_letter_says_where_it_comes_from_and_why() {
    let mut dead = delivery();
    dead.lock.source = dead.lock.source.dead_letters();
    dead.dead_letter = Some(Reason::new("MaxDeliveryCountExceeded", "It \"failed\"."));
    (dead.expires_at, dead.message.subject, dead.message.session_id) = (None, None, Some("s".into()));
    let value = serde_json::to_value(envelope(&dead)).unwrap();
    let metadata = &value["Metadata"];
    assert_eq!(metadata["DeadLetterSource"], "\"coder-events/Subscriptions/orders\"");
    assert_eq!(metadata["ApplicationProperties"]["DeadLetterReason"], "MaxDeliveryCountExceeded");
    assert_eq!(metadata["UserProperties"]["DeadLetterErrorDescription"], "It \"failed\".");
    assert_eq!(metadata["SessionId"], "\"s\"");
    for unset in ["ExpiresAt", "ExpiresAtUtc", "Subject", "Label", "CorrelationId"] {
        assert!(metadata.get(unset).is_none(), "{unset}");
    }
}
