//! A message with an id that was published within the last hour is a repeat.

use jiff::SignedDuration;

use super::{Subject, job, plain};
use crate::Entity;

pub async fn drops_a_repeat_within_the_window(subject: &Subject) {
    subject.publish(&[plain("m"), plain("m")]).await;
    subject.publish(&[plain("m")]).await;
    assert_eq!(subject.ids("all").await, ["m"]);
    // Also after it was consumed.
    subject.clock.advance(SignedDuration::from_mins(59));
    subject.publish(&[plain("m")]).await;
    assert!(subject.ids("all").await.is_empty());
}

pub async fn takes_an_id_again_after_the_window(subject: &Subject) {
    subject.publish(&[plain("m")]).await;
    assert_eq!(subject.ids("all").await, ["m"]);
    subject.clock.advance(SignedDuration::from_mins(61));
    subject.publish(&[plain("m")]).await;
    assert_eq!(subject.ids("all").await, ["m"]);
}

pub async fn tells_entities_apart(subject: &Subject) {
    subject.publish(&[plain("m")]).await;
    subject.publish(&[job("m", "all")]).await;
    assert_eq!(subject.ids("all").await, ["m"]);
    assert_eq!(subject.inspect.take(Entity::Jobs, "all").await.len(), 1);
}

pub async fn takes_what_is_new_of_a_repeated_call(subject: &Subject) {
    subject.publish(&[plain("a"), plain("b")]).await;
    subject.publish(&[plain("b"), plain("c")]).await;
    assert_eq!(subject.ids("all").await, ["a", "b", "c"]);
}
