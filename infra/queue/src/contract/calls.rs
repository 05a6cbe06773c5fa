//! A call publishes all of its messages in order, or none.

use super::{Subject, job, plain, sized};
use crate::Message;
use crate::message::SIZE_LIMIT;
use crate::publisher::MESSAGES_A_CALL;

pub async fn keeps_the_order(subject: &Subject) {
    let messages: Vec<Message> = (0..30).map(|n| plain(&format!("m-{n}"))).collect();
    for call in messages.chunks(7) {
        subject.publish(call).await;
    }
    let wanted: Vec<String> = messages.into_iter().map(|message| message.id).collect();
    assert_eq!(subject.ids("all").await, wanted);
}

pub async fn takes_a_call_of_the_largest_size(subject: &Subject) {
    subject.publish(&[sized("largest", SIZE_LIMIT)]).await;
    subject.publish(&[sized("one", SIZE_LIMIT / 2), sized("other", SIZE_LIMIT / 2)]).await;
    let many: Vec<Message> = (0..MESSAGES_A_CALL).map(|n| plain(&format!("m-{n}"))).collect();
    subject.publish(&many).await;
    assert_eq!(subject.ids("all").await.len(), 3 + MESSAGES_A_CALL);
}

pub async fn publishes_none_if_one_is_too_large(subject: &Subject) {
    let mut messages = [plain("before"), plain("large"), plain("after")];
    messages[1].body = vec![b'x'; SIZE_LIMIT];
    assert_eq!(subject.refused(&messages).await, 1);
    assert!(subject.ids("all").await.is_empty());
    // Nothing of the refused call is taken for published.
    subject.publish(&[plain("before"), plain("after")]).await;
    assert_eq!(subject.ids("all").await, ["before", "after"]);
}

pub async fn refuses_several_entities_in_one_call(subject: &Subject) {
    assert_eq!(subject.refused(&[plain("event"), job("job", "all")]).await, 1);
    assert!(subject.ids("all").await.is_empty());
}

pub async fn refuses_too_much_in_one_call(subject: &Subject) {
    let half = SIZE_LIMIT / 2 + 1;
    assert_eq!(subject.refused(&[sized("one", half), sized("other", half)]).await, 1);
    let many: Vec<Message> = (0..=MESSAGES_A_CALL).map(|n| plain(&format!("m-{n}"))).collect();
    assert_eq!(subject.refused(&many).await, MESSAGES_A_CALL);
    assert!(subject.ids("all").await.is_empty());
}

pub async fn takes_an_empty_call(subject: &Subject) {
    subject.publish(&[]).await;
    assert!(subject.ids("all").await.is_empty());
}
