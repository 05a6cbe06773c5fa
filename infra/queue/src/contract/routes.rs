//! Each group gets what it asked for, and what is for it alone.

use serde_json::json;

use super::{Subject, job, message, plain};
use crate::Entity;
use crate::message::property;

pub async fn gives_each_group_what_it_asked_for(subject: &Subject) {
    let kinds = ["coder.users.team.made", "coder.users.team.member.added", "coder.auth.key.made"];
    let others = ["coder.users.teams.made", "coder.auth.key.made.twice", "other.users.team.made"];
    for kind in kinds.into_iter().chain(others) {
        subject.publish(&[message(kind, kind)]).await;
    }
    assert_eq!(subject.ids("teams").await, kinds);
    assert_eq!(subject.ids("all").await, [&kinds[..], &others[..2]].concat());
    assert!(subject.ids("none").await.is_empty());
}

pub async fn gives_a_target_what_nobody_else_gets(subject: &Subject) {
    let mut targeted = plain("m");
    targeted.properties.insert(property::TARGET.into(), json!("none"));
    targeted.properties.insert(property::CONSUMER.into(), json!("look"));
    targeted.properties.insert(property::ATTEMPT.into(), json!(3));
    subject.publish(std::slice::from_ref(&targeted)).await;
    assert!(subject.ids("all").await.is_empty() && subject.ids("teams").await.is_empty());
    let taken = subject.take("none").await;
    assert_eq!(taken.len(), 1);
    assert_eq!(
        (taken[0].text(property::CONSUMER), &taken[0].properties["attempt"]),
        (Some("look"), &json!(3))
    );
}

pub async fn gives_a_job_to_its_group(subject: &Subject) {
    subject.publish(&[job("one", "teams"), job("two", "all"), job("three", "teams")]).await;
    let taken = subject.inspect.take(Entity::Jobs, "teams").await;
    assert_eq!(taken.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["one", "three"]);
    assert!(subject.ids("teams").await.is_empty(), "a job is no event");
}
