//! A message arrives as it was sent, when it was to arrive.

use coder_core::Timestamp;
use serde_json::json;

use super::{Subject, plain};

/// The finest step of a schedule that every broker keeps.
const SECOND: i64 = 1;

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(super::start().as_second() + seconds).unwrap()
}

pub async fn keeps_bodies_byte_for_byte(subject: &Subject) {
    let bodies = [
        "{}",
        "{ \"b\" : 1.0e2 ,\r\n\t\"a\" : \"\\u00e9\\/\" }\n",
        "{\"text\":\"quote \\\" backslash \\\\ é 漢字 \u{1F600} <&>\"}",
        "",
    ];
    for (n, body) in bodies.into_iter().enumerate() {
        let mut message = plain(&format!("m-{n}"));
        message.body = body.as_bytes().to_vec();
        subject.publish(&[message]).await;
    }
    let taken = subject.take("all").await;
    let texts: Vec<&str> = taken.iter().map(|message| std::str::from_utf8(&message.body).unwrap()).collect();
    assert_eq!(texts, bodies);
}

pub async fn keeps_properties_and_their_types(subject: &Subject) {
    let mut message = plain("m");
    message.subject = Some("a \"subject\" é".into());
    message.session_id = Some("session 漢".into());
    let more = [
        ("text", json!("quote \" backslash \\ é 漢字")),
        ("looks-like-a-number", json!("7")),
        ("number", json!(7)),
        ("fraction", json!(0.5)),
        ("yes", json!(true)),
        ("empty", json!("")),
    ];
    message.properties.extend(more.map(|(name, value)| (name.to_owned(), value)));
    subject.publish(std::slice::from_ref(&message)).await;
    let taken = subject.take("all").await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].properties, message.properties);
    assert_eq!((&taken[0].subject, &taken[0].session_id), (&message.subject, &message.session_id));
}

pub async fn holds_back_what_is_scheduled(subject: &Subject) {
    let mut later = plain("later");
    later.scheduled_at = Some(after(60));
    subject.publish(&[later, plain("now")]).await;
    assert_eq!(subject.ids("all").await, ["now"]);
    subject.clock.advance(jiff::SignedDuration::from_secs(60 - SECOND));
    assert!(subject.ids("all").await.is_empty());
    subject.clock.advance(jiff::SignedDuration::from_secs(2 * SECOND));
    assert_eq!(subject.ids("all").await, ["later"]);
}

pub async fn delivers_at_once_what_was_scheduled_for_the_past(subject: &Subject) {
    let mut late = plain("late");
    late.scheduled_at = Some(after(-3600));
    subject.publish(&[late]).await;
    assert_eq!(subject.ids("all").await, ["late"]);
}
