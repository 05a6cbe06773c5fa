//! Every row of the topics table whose events some group publishes today, from that event as it is published to the
//! inboxes of those who are told.

use std::collections::BTreeMap;

use coder_core::{Actor, ActorKind};
use coder_database::transaction::Act;
use coder_database::{Partition, Transaction};
use coder_notifications::topics::TOPICS;
use coder_testkit::{Client, Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{inbox, service};

/// An event as its group publishes it, and who is told of it on which topic.
struct Row {
    topic: &'static str,
    event: &'static str,
    data: Value,
    told: &'static [&'static str],
    /// What the title says.
    title: &'static str,
}

fn row(
    topic: &'static str,
    event: &'static str,
    data: Value,
    told: &'static [&'static str],
    title: &'static str,
) -> Row {
    Row { topic, event, data, told, title }
}

const ADMINS: &[&str] = &["admin", "owner"];

fn rows(team: &Team) -> Vec<Row> {
    let (member, viewer) = (team.member.user_id.unwrap(), team.viewer.user_id.unwrap());
    let secret = "0199a000-7e3a-7c11-9d2f-5b6a7c8d9e0f";
    let quota = json!({
        "quotaId": secret, "scope": "organization", "scopeId": null, "categoryPattern": "ai.*", "metric": "cost",
        "used": 80, "limit": 100, "action": "warn", "resetsAt": "2026-02-01T00:00:00Z",
    });
    let budget = json!({
        "budgetId": secret, "percent": 80.1, "spentMinor": 801, "currency": "EUR", "action": "warn",
    });
    let anomaly = json!({"categoryCode": "ai.completion", "metric": "cost", "value": 9, "expected": 2, "day": "2026-01-04T00:00:00Z"});
    let alert = |notify: Value| {
        json!({"alertId": secret, "ruleId": secret, "name": "Deploys", "severity": "warn", "groupKey": "", "count": 5,
               "firstEntryId": secret, "notify": notify})
    };
    let login = |new_device: bool| {
        json!({"userId": member, "sessionId": secret, "method": "password", "amr": ["pwd"], "newDevice": new_device,
               "ipAddress": "203.0.113.9", "userAgent": "Test"})
    };
    let person = || json!({"userId": member});
    let only = &["member"];
    vec![
        row("security.new-device", "auth.login.succeeded", login(true), only, "A sign-in from a new device"),
        row("security.new-device", "auth.login.succeeded", login(false), &[], ""),
        row(
            "security.password-changed",
            "auth.password.changed",
            json!({"userId": member, "by": "self"}),
            only,
            "Your password was changed",
        ),
        row("security.password-changed", "auth.password.reset", person(), only, "Your password was changed"),
        row("security.mfa-changed", "auth.mfa.enabled", person(), only, "Your second factor has changed"),
        row("security.mfa-changed", "auth.mfa.disabled", person(), only, "Your second factor has changed"),
        row(
            "security.mfa-changed",
            "auth.mfa.recovery-code-used",
            person(),
            only,
            "Your second factor has changed",
        ),
        row(
            "security.session-reuse",
            "auth.session.reuse-detected",
            json!({"userId": member, "sessionId": secret, "ipAddress": "203.0.113.9"}),
            &["admin", "member", "owner"],
            "A stolen session was stopped",
        ),
        row(
            "api-key.expiring",
            "auth.api-key.expiring",
            json!({"keyId": "abcdefghijklmnop", "userId": member, "name": "Build", "expiresAt": "2026-01-12T00:00:00Z"}),
            only,
            "The API key Build ends soon",
        ),
        row(
            "audit.alert",
            "logging.alert.raised",
            alert(json!([{"type": "user", "id": viewer}, {"type": "role", "id": "member"}])),
            &["member", "viewer"],
            "Audit alert: Deploys",
        ),
        row("audit.alert", "logging.alert.raised", alert(json!([])), ADMINS, "Audit alert: Deploys"),
        row("quota.warned", "usage.quota.warned", quota.clone(), ADMINS, "A quota is nearly used up"),
        row("quota.exceeded", "usage.quota.exceeded", quota, ADMINS, "A quota is used up"),
        row("budget.warned", "usage.budget.warned", budget.clone(), ADMINS, "A budget is at 80.1 %"),
        row("budget.exceeded", "usage.budget.exceeded", budget, ADMINS, "A budget is exceeded"),
        row("usage.anomaly", "usage.anomaly.detected", anomaly, ADMINS, "Unusual use of ai.completion"),
        row(
            "secret.expiry-warned",
            "secrets.expiry.warned",
            json!({"secretId": secret, "daysLeft": 7, "ownerId": member}),
            only,
            "A secret ends in 7 days",
        ),
        row(
            "secret.expiry-warned",
            "secrets.expiry.warned",
            json!({"secretId": secret, "daysLeft": 0, "cause": "rotation", "ownerId": null}),
            ADMINS,
            "A secret should be rotated",
        ),
        // An owner who is not here any more.
        row(
            "secret.rotation-failed",
            "secrets.rotation.failed",
            json!({"secretId": secret, "attempt": 2, "code": "no_new_version", "givenUp": false,
                   "ownerId": team.stranger.user_id}),
            ADMINS,
            "A secret could not be rotated",
        ),
        row(
            "webhook.disabled",
            "notifications.webhook.disabled",
            json!({"webhookId": secret, "name": "Chat", "reason": "it is gone", "createdBy": member}),
            only,
            "The webhook \"Chat\" was switched off",
        ),
    ]
}

/// Publishes an event as a job of its group would; without an organization if `above`.
async fn publish(platform: &TestPlatform, team: &Team, event: &str, above: bool, data: Value) {
    let (group, name) = event.split_once('.').unwrap();
    let group = *["auth", "users", "usage", "logging", "secrets", "notifications"]
        .iter()
        .find(|known| **known == group)
        .unwrap();
    let runtime = service(platform).runtime;
    let act = Act {
        actor: Actor::new(ActorKind::Job, group),
        action: "test".to_owned(),
        request_id: "test".to_owned(),
        group,
        traceparent: None,
    };
    let organization = Partition::organization(team.organization_id).bucket("test");
    let partition = if above { Partition::platform().bucket("test") } else { organization };
    let (store, ambient) = (runtime.store.clone(), runtime.ambient.clone());
    let mut unit = Transaction::new(store, ambient, "notifications", partition, act).without_audit();
    unit.emit(name, "the-subject", data);
    runtime.outbox.committed(unit.commit().await.unwrap().outbox);
    platform.settle().await;
}

/// The titles of the topic in everybody's inbox.
async fn titles(team: &Team, topic: &str) -> BTreeMap<&'static str, Vec<String>> {
    let people = [
        ("owner", &team.owner),
        ("admin", &team.admin),
        ("member", &team.member),
        ("viewer", &team.viewer),
        ("stranger", &team.stranger),
    ];
    let mut found = BTreeMap::new();
    for (role, client) in people {
        let items = inbox(client, &format!("?state=all&topic={topic}")).await;
        let titles = items.iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect();
        found.insert(role, titles);
    }
    found
}

#[tokio::test]
async fn events_as_they_are_published_reach_those_whom_the_table_names() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.settle().await;
    for row in rows(&team) {
        // A person's own account is above organizations.
        let above = row.event.starts_with("auth.password.") || row.event.ends_with("recovery-code-used");
        let before = titles(&team, row.topic).await;
        publish(&platform, &team, row.event, above, row.data).await;
        for (role, titles) in titles(&team, row.topic).await {
            let new = titles.len() - before[role].len();
            assert_eq!(new == 1, row.told.contains(&role), "{} to {role}: {new}", row.event);
            assert!(new == 0 || titles[0] == row.title, "{}: {titles:?}", row.event);
        }
        // The next is no repeat of it.
        platform.clock.advance(SignedDuration::from_secs(1));
    }
}

#[tokio::test]
async fn every_topic_of_a_group_that_is_there_has_a_row() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let rows: Vec<String> = rows(&team).iter().map(|row| format!("coder.{}", row.event)).collect();
    for topic in TOPICS {
        for event in topic.events {
            let group = event.split('.').nth(1).unwrap();
            let is_here = platform.platform.assembly.groups.iter().any(|one| one.name == group);
            // Invitations have a test of their own.
            let expected = is_here && *event != "coder.users.invitation.sent";
            assert_eq!(rows.iter().any(|row| row == event), expected, "{event}");
        }
    }
}

#[tokio::test]
async fn an_invited_person_is_told_at_home_and_no_webhook_is() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let sent = json!({
        "invitationId": "0199a000-7e3a-7c11-9d2f-5b6a7c8d9e0f", "email": team.stranger.email, "roles": ["member"],
        "invitedUserId": team.stranger.user_id,
    });
    publish(&platform, &team, "users.invitation.sent", false, sent).await;
    let told = inbox(&team.stranger, "?topic=invitation.received").await;
    assert_eq!((told.len(), &told[0]["title"]), (1, &json!("You are invited to an organization")));
    let messages =
        team.stranger.get("/api/notifications/messages?topic=invitation.received").await.expect(200);
    assert_eq!(messages.body["items"][0]["channels"], json!(["inbox"]));
    // The mail with the link is the invitation's own; a second one would only be in its way.
    assert_eq!(mails_of(&team.stranger, "invitation.received").await, 0);
    let here = team.admin.get("/api/notifications/messages?topic=invitation.received").await.expect(200);
    assert_eq!(here.body["items"], json!([]));
}

/// How many mails there are on a topic in the organization where somebody is an owner.
async fn mails_of(owner: &Client, topic: &str) -> usize {
    let page = owner.get(&format!("/api/notifications/outbox?topic={topic}")).await.expect(200);
    page.body["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_platforms_own_alerts_reach_its_operators_and_nobody_else() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let (owner, stranger) = (team.owner.user_id.unwrap(), team.stranger.user_id.unwrap());
    let platform = platform.restart_with(|settings| settings.operators.extend([owner, stranger])).await;
    let alert = json!({
        "alertId": "0199a000-7e3a-7c11-9d2f-5b6a7c8d9e0f", "ruleId": "r", "name": "Sign-ins fail", "severity": "warn",
        "groupKey": "somebody@example.com", "count": 5, "firstEntryId": "e", "notify": [],
    });
    publish(&platform, &team, "logging.alert.raised", true, alert).await;
    let path = "/api/notifications/inbox?topic=audit.alert";
    for email in [&team.owner.email, &team.stranger.email] {
        let operator = platform.login(email).await;
        let told = operator.get(path).await.expect(200).body["items"].clone();
        assert_eq!(told[0]["title"], "Audit alert: Sign-ins fail", "{email}");
        assert_eq!(mails_of(&operator, "audit.alert").await, 1);
    }
    let admin = platform.login(&team.admin.email).await;
    assert_eq!(inbox(&admin, "?topic=audit.alert").await, Vec::<Value>::new());
    // The admins of an operator's organization see a line of it, not whom it is about.
    let sent = admin.get("/api/notifications/messages?topic=audit.alert").await.expect(200).body;
    assert!(!sent.to_string().contains("somebody@example.com"), "{sent:#}");
}
