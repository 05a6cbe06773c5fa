//! What becomes of events.

use coder_handler::Event;
use serde_json::{Value, json};

use super::{draft, is_plain_read, row};
use crate::mapping::table::TABLE;
use crate::model::{ActorType, Category, Outcome, Severity};

fn event(kind: &str, data: Value) -> Event {
    Event {
        id: "event-1".to_owned(),
        kind: format!("coder.{kind}"),
        source: "/functions/users".to_owned(),
        subject: "subject".to_owned(),
        time: "2026-01-05T12:00:00Z".parse().unwrap(),
        organization_id: None,
        correlation_id: None,
        data,
    }
}

#[test]
fn the_row_that_names_most_wins() {
    for (action, pattern) in [
        ("users.project.created", "*.*.created"),
        ("users.membership.added", "users.membership.*"),
        ("auth.login.failed", "auth.login.failed"),
        ("auth.api-key.created", "auth.*"),
        ("auth.identity.email-changed", "auth.*"),
        ("secrets.secret.read", "secrets.*.read"),
        ("secrets.secret.created", "secrets.*"),
        ("logging.export.failed", "logging.export.failed"),
        ("planning.task.transitioned", "*"),
        ("planning", "*"),
    ] {
        assert_eq!(row(action).pattern, pattern, "{action}");
    }
    assert_eq!(row("planning.task.transitioned").category, Category::System);
    assert_eq!(row("auth.login.failed").outcome, Outcome::Failure);
}

#[test]
fn no_pattern_stands_twice() {
    for (at, row) in TABLE.iter().enumerate() {
        assert!(TABLE[..at].iter().all(|other| other.pattern != row.pattern), "{}", row.pattern);
    }
}

#[test]
fn an_event_gives_actor_changes_and_metadata() {
    let data = json!({
        "projectId": "p", "name": "Engine", "requestId": "r",
        "actor": {"kind": "api_key", "id": "k", "onBehalfOf": coder_core::id::EXAMPLE, "ipAddress": "192.0.2.7"},
        "changes": [{"path": "/name", "from": "Old", "to": "Engine"}, {"path": "/a", "before": 1, "after": null}, 7],
    });
    let draft = draft(&event("users.team.updated", data));
    assert_eq!((draft.actor.kind, draft.actor.id.as_str()), (ActorType::ApiKey, "k"));
    assert_eq!(draft.actor.on_behalf_of, Some(coder_core::id::EXAMPLE.to_string()));
    assert_eq!(draft.actor.ip_address.as_deref(), Some("192.0.2.7"));
    assert_eq!((draft.action.as_str(), draft.source.as_str()), ("users.team.updated", "users"));
    assert_eq!(
        (draft.resource_type.as_deref(), draft.resource_id.as_deref()),
        (Some("team"), Some("subject"))
    );
    assert_eq!((draft.project_id.as_deref(), draft.correlation_id.as_deref()), (Some("p"), Some("r")));
    assert_eq!((draft.event_id.as_str(), draft.message.as_str()), ("event-1", "Team updated"));
    let changes = serde_json::to_value(&draft.changes).unwrap();
    assert_eq!(
        changes,
        json!([{"path": "/name", "before": "Old", "after": "Engine"}, {"path": "/a", "before": 1, "after": null}])
    );
    assert_eq!(Value::from(draft.metadata), json!({"projectId": "p", "name": "Engine", "requestId": "r"}));
}

#[test]
fn whatever_arrives_becomes_an_entry() {
    for (kind, data) in [
        ("auth.login.failed", json!(null)),
        ("x", json!("text")),
        ("users.project.created", json!({"actor": "nobody", "changes": "none"})),
        ("users..", json!({"actor": {"kind": "robot", "id": 7}})),
    ] {
        let draft = draft(&event(kind, data));
        assert_eq!((draft.actor.kind, draft.actor.id.as_str()), (ActorType::System, "system"), "{kind}");
    }
    let anonymous = draft(&event(
        "auth.login.failed",
        json!({
            "reason": "{x}", "actor": {"kind": "service", "id": "anonymous"},
        }),
    ));
    assert_eq!(
        (anonymous.actor.kind, anonymous.message.as_str()),
        (ActorType::Anonymous, "Sign-in failed: x")
    );
}

#[test]
fn a_change_of_owners_and_admins_is_worth_a_look() {
    let severity = |kind: &str, data: Value| draft(&event(kind, data)).severity;
    let updated = "users.membership.updated";
    assert_eq!(
        severity(updated, json!({"rolesBefore": ["member"], "rolesAfter": ["admin"]})),
        Severity::Warn
    );
    assert_eq!(
        severity(updated, json!({"rolesBefore": ["owner"], "rolesAfter": ["member"]})),
        Severity::Warn
    );
    assert_eq!(
        severity(updated, json!({"rolesBefore": ["member"], "rolesAfter": ["viewer"]})),
        Severity::Info
    );
    let added = "users.membership.added";
    assert_eq!(severity(added, json!({"roles": ["owner"], "via": "organization"})), Severity::Info);
    assert_eq!(severity(added, json!({"roles": ["admin"], "via": "invitation"})), Severity::Warn);
}

#[test]
fn reads_count_where_they_are_sensitive() {
    for (action, plain) in [
        ("users.project.read", true),
        ("knowledge.article.viewed", true),
        ("secrets.secret.read", false),
        ("logging.entry.listed", false),
        ("usage.export.downloaded", false),
        ("users.project.created", false),
    ] {
        assert_eq!(is_plain_read(action), plain, "{action}");
    }
}

#[test]
fn an_organization_is_not_told_who_has_an_account() {
    let data = json!({"email": "bob@example.com", "invitedUserId": "somebody"});
    let metadata = draft(&event("users.invitation.sent", data)).metadata;
    assert_eq!(Value::Object(metadata), json!({"email": "bob@example.com"}));
}
