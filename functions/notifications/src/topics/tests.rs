//! The topics table and events as their groups publish them.

use std::collections::BTreeSet;

use coder_handler::Event;
use serde_json::{Value, json};

use super::*;

const USER: &str = "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f";
const OTHER: &str = "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e10";

fn event(kind: &str, organization: &str, data: Value) -> Event {
    Event::parse(&json!({
        "specversion": "1.0", "id": OTHER, "source": "/functions/test", "type": kind, "subject": USER, "time": "2026-01-05T12:00:00Z",
        "organizationid": organization, "data": data,
    }))
    .unwrap()
}

#[test]
fn every_topic_is_named_once_has_words_events_and_a_way_to_recipients() {
    let names: BTreeSet<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    assert_eq!(names.len(), TOPICS.len());
    for topic in TOPICS {
        assert!(!topic.title.is_empty() && !topic.body.is_empty(), "{}", topic.name);
        assert!(!topic.people.is_empty() || !topic.also.is_empty(), "{}", topic.name);
        assert!(topic.events.iter().all(|kind| kind.starts_with("coder.") && !kind.contains('*')));
        assert!(topic.also.iter().chain(topic.otherwise).all(|to| *to == "lead" || to.starts_with("role:")));
    }
    let locked: Vec<_> = TOPICS.iter().filter(|topic| topic.locked).map(|topic| topic.name).collect();
    let expected = ["new-device", "password-changed", "mfa-changed", "session-reuse"];
    assert_eq!(locked, expected.map(|name| format!("security.{name}")));
}

#[test]
fn events_of_today_find_their_topics_and_recipients() {
    let me = format!("user:{USER}");
    let admins = || vec!["role:admin".to_owned(), "role:owner".to_owned()];
    let cases = [
        (
            "coder.auth.login.succeeded",
            json!({"userId": USER, "newDevice": true}),
            Some("security.new-device"),
            vec![me.clone()],
        ),
        ("coder.auth.login.succeeded", json!({"userId": USER, "newDevice": false}), None, vec![]),
        (
            "coder.auth.password.reset",
            json!({"userId": USER}),
            Some("security.password-changed"),
            vec![me.clone()],
        ),
        ("coder.auth.mfa.disabled", json!({"userId": USER}), Some("security.mfa-changed"), vec![me.clone()]),
        (
            "coder.auth.session.reuse-detected",
            json!({"userId": USER}),
            Some("security.session-reuse"),
            [vec![me.clone()], admins()].concat(),
        ),
        (
            "coder.auth.api-key.expiring",
            json!({"userId": USER, "name": "Build"}),
            Some("api-key.expiring"),
            vec![me.clone()],
        ),
        ("coder.logging.alert.raised", json!({"severity": "high"}), Some("audit.alert"), admins()),
        ("coder.usage.quota.exceeded", json!({"used": 5, "limit": 5}), Some("quota.exceeded"), admins()),
        ("coder.usage.anomaly.detected", json!({}), Some("usage.anomaly"), admins()),
        (
            "coder.secrets.expiry.warned",
            json!({"ownerId": USER}),
            Some("secret.expiry-warned"),
            vec![me.clone()],
        ),
        ("coder.secrets.rotation.failed", json!({"secretId": "s"}), Some("secret.rotation-failed"), admins()),
        (
            "coder.planning.task.assigned",
            json!({"added": [USER, 7, "nobody"]}),
            Some("task.assigned"),
            vec![me.clone()],
        ),
        (
            "coder.quality.gate.failed",
            json!({"projectId": OTHER}),
            Some("gate.failed"),
            vec![format!("lead:{OTHER}")],
        ),
        ("coder.quality.gate.failed", json!({}), Some("gate.failed"), vec![]),
        (
            "coder.users.invitation.sent",
            json!({"email": "a@example.com"}),
            Some("invitation.received"),
            vec![],
        ),
        ("coder.users.team.created", json!({}), None, vec![]),
    ];
    for (kind, data, topic, recipients) in cases {
        let event = event(kind, USER, data);
        let found: Vec<_> = of_event(&event).collect();
        assert_eq!(found.first().map(|one| one.name), topic, "{kind}");
        assert!(found.len() <= 1, "{kind}");
        let told: Vec<String> = found.iter().flat_map(|one| one.recipients(&event)).collect();
        assert_eq!(told, recipients, "{kind}");
    }
}

#[test]
fn without_an_organization_only_the_named_person_is_told() {
    let event = event("coder.auth.session.reuse-detected", "platform", json!({"userId": USER}));
    let topic = find("security.session-reuse").unwrap();
    assert_eq!(topic.recipients(&event), [format!("user:{USER}")]);
}

#[test]
fn severity_decides_where_the_table_says_so() {
    let topic = find("audit.alert").unwrap();
    let of = |severity: &str| topic.criticality(&json!({"severity": severity}));
    assert_eq!(
        [of("critical"), of("error"), of("warning"), of("info"), of("")],
        [
            Criticality::Critical,
            Criticality::High,
            Criticality::Medium,
            Criticality::Low,
            Criticality::Medium
        ]
    );
    assert_eq!(find("task.overdue").unwrap().criticality(&json!({"severity": "low"})), Criticality::High);
}

#[test]
fn a_link_is_made_of_plain_subjects_only() {
    let topic = find("task.assigned").unwrap();
    let mut event = event("coder.planning.task.assigned", USER, json!({}));
    assert_eq!(topic.action_url(&event), Some(format!("/planning/tasks/{USER}")));
    assert_eq!(topic.resource(&event).map(|resource| resource.kind).as_deref(), Some("task"));
    event.subject = "../../admin?x".to_owned();
    assert_eq!(topic.action_url(&event), None);
}

#[test]
fn patterns_cover_by_their_beginning() {
    for (pattern, topic, expected) in [
        ("task.*", "task.assigned", true),
        ("task.*", "tasks", false),
        ("task.*", "task", false),
        ("*", "anything", true),
        ("task.assigned", "task.assigned", true),
        ("task.assigned", "task.assigned-x", false),
    ] {
        assert_eq!(covers(pattern, topic), expected, "{pattern} {topic}");
    }
}
