//! Mail, from the message to a mail server on loopback.

use coder_config::Environment;
use coder_core::{Actor, ActorKind};
use coder_database::transaction::Act;
use coder_database::{Partition, Transaction};
use coder_notifications::service::Notifications;
use coder_testkit::{Client, Reply, Team, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::servers::smtp::{Does, SmtpServer};

const OUTBOX: &str = "/api/notifications/outbox";
pub(crate) const PROVIDERS: &str = "/api/notifications/providers";

/// A team in which only the member gets mail that nobody asked for: what happens in a test raises alerts to owners and
/// administrators, and their mail would be in the way.
pub(crate) async fn team(platform: &TestPlatform) -> Team {
    let team = Team::of(platform).await;
    // What accounts and invitations brought about goes before there is a mail server.
    platform.settle().await;
    let no_mail = json!({"channels": {"email": {"enabled": false}}});
    for person in [&team.owner, &team.admin] {
        person.patch("/api/notifications/preferences/me", no_mail.clone()).await.expect(200);
    }
    team
}

pub(crate) async fn provider(admin: &Client, server: &SmtpServer, priority: i32) -> String {
    let provider = json!({
        "kind": "smtp", "priority": priority,
        "config": {
            "host": "127.0.0.1", "port": server.address.port(), "protection": "plain",
            "from": "Acme <no-reply@acme.example>",
        },
    });
    admin.post(PROVIDERS, provider).await.expect(201).text("/id")
}

/// A message to the team's member, which mail carries too.
pub(crate) async fn say(team: &Team, title: &str, criticality: &str) {
    let message = json!({
        "topic": "announcement", "title": title, "body": "First line.\n\nSecond <line>.", "criticality": criticality,
        "actionUrl": "/builds", "actionLabel": "Open", "resource": {"type": "build", "id": "42"},
        "recipients": [format!("user:{}", team.member.user_id.unwrap())],
    });
    team.admin.post("/api/notifications/messages", message).await.expect(202);
}

/// The mails in the outbox on our topic, newest first.
pub(crate) async fn outbox(team: &Team) -> Vec<Value> {
    let page = team.admin.get(&format!("{OUTBOX}?topic=announcement")).await.expect(200);
    page.body["items"].as_array().unwrap().clone()
}

async fn delivery_status(team: &Team) -> (String, String) {
    let messages = team.admin.get("/api/notifications/messages?topic=announcement").await.expect(200);
    let id = messages.text("/items/0/id");
    let deliveries =
        team.admin.get(&format!("/api/notifications/messages/{id}/deliveries")).await.expect(200);
    let items = deliveries.body["items"].as_array().unwrap();
    let mail = items.iter().find(|one| one["channel"] == "email").unwrap();
    let text = |name: &str| mail[name].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

/// Sends what other groups send.
pub(crate) async fn internal(platform: &TestPlatform, message: Value) {
    let service = platform.platform.service::<Notifications>("notifications").unwrap();
    let peers = service.peers.seen_by("auth");
    let answer =
        peers.call("notifications", Method::POST, "/internal/messages", Some(&message)).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    platform.settle().await;
}

#[tokio::test]
async fn without_a_provider_mail_is_kept_and_escaped() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    say(&team, "About <script>alert(1)</script>\u{202e}", "high").await;
    platform.settle().await;
    let mails = outbox(&team).await;
    assert_eq!(mails.len(), 1, "{mails:#?}");
    let mail = &mails[0];
    assert_eq!((&mail["state"], &mail["to"]), (&json!("kept"), &json!(team.member.email)));
    let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
    assert!(text.contains("Second <line>.") && text.contains("Open: http://localhost:3000/builds"), "{text}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
    assert!(!html.contains("<script>") && html.contains("Second &lt;line&gt;."), "{html}");
    assert_eq!(delivery_status(&team).await.0, "suppressed");
    team.member.get(OUTBOX).await.expect_problem(403, "forbidden");
    let retry = format!("{OUTBOX}/{}/retry", mail["id"].as_str().unwrap());
    team.stranger.post(&retry, json!({})).await.expect_problem(404, "not_found");
    team.admin.post(&retry, json!({})).await.expect_problem(409, "invalid_state");

    let server = SmtpServer::start().await;
    provider(&team.admin, &server, 0).await;
    assert_eq!(team.admin.post(&retry, json!({})).await.expect(200).text("/state"), "queued");
    platform.settle().await;
    assert_eq!((server.taken().len(), &outbox(&team).await[0]["state"]), (1, &json!("sent")));
    assert_eq!(delivery_status(&team).await.0, "sent");
    team.admin.post(&retry, json!({})).await.expect_problem(409, "invalid_state");
}

#[tokio::test]
async fn a_mail_server_gets_the_whole_mail() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let server = SmtpServer::start().await;
    let id = provider(&team.admin, &server, 0).await;
    say(&team, "Nächtlicher Bau", "medium").await;
    platform.settle().await;
    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    let mail = &taken[0];
    assert_eq!((mail.from.as_str(), &mail.to), ("no-reply@acme.example", &team.member.email));
    let header = |name: &str| mail.header(name).unwrap_or_default();
    assert!(header("Content-Type").starts_with("multipart/alternative"), "{}", mail.data);
    assert!(mail.data.contains("Content-Type: text/plain") && mail.data.contains("Content-Type: text/html"));
    let stored = &outbox(&team).await[0];
    assert_eq!(header("Message-ID"), format!("<{}@127.0.0.1>", stored["id"].as_str().unwrap()));
    assert!(header("References").starts_with("<thread."), "{}", mail.data);
    assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert!(header("List-Unsubscribe").contains("/api/notifications/unsubscribe/"));
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!((&stored["state"], &stored["providerId"]), (&json!("sent"), &json!(id)));
    assert_eq!(delivery_status(&team).await.0, "sent");
    let shown = team.admin.get(&format!("{PROVIDERS}/{id}")).await.expect(200);
    assert_eq!(shown.text("/health"), "healthy");

    say(&team, "Another on the same build", "medium").await;
    platform.settle().await;
    let second = &server.taken()[1];
    assert_eq!(second.header("References"), mail.header("References"));
    assert_ne!(second.header("Message-ID"), mail.header("Message-ID"));
}

#[tokio::test]
async fn a_server_that_refuses_for_now_or_hangs_up_is_asked_again() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let server = SmtpServer::start().await;
    server.will([Does::AnswersRecipient("451 4.2.0 later"), Does::Drops]);
    provider(&team.admin, &server, 0).await;
    say(&team, "Patience", "high").await;
    platform.settle().await;
    let waiting = &outbox(&team).await[0];
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("queued"), &json!(1)));
    assert!(waiting["lastError"].as_str().unwrap().contains("451"), "{waiting}");
    for _ in 0..3 {
        platform.advance(SignedDuration::from_mins(1)).await;
    }
    let sent = &outbox(&team).await[0];
    assert_eq!(
        (&sent["state"], &sent["attempts"], &sent["lastError"]),
        (&json!("sent"), &json!(3), &json!(null))
    );
    assert_eq!((server.taken().len(), server.conversations()), (1, 3));
}

#[tokio::test]
async fn attempts_end_with_the_criticality() {
    let platform = TestPlatform::start().await;
    let mut team = team(&platform).await;
    let server = SmtpServer::start().await;
    server.will([Does::AnswersMail("452 4.3.1 full"); 20]);
    provider(&team.admin, &server, 0).await;
    say(&team, "In vain", "medium").await;
    platform.settle().await;
    for _ in 0..5 {
        platform.advance(SignedDuration::from_hours(1)).await;
    }
    team.admin = platform.login(&team.admin.email).await;
    let given_up = &outbox(&team).await[0];
    assert_eq!((&given_up["state"], &given_up["attempts"]), (&json!("undeliverable"), &json!(3)));
    assert_eq!(server.conversations(), 3);
    assert_eq!(delivery_status(&team).await.0, "failed");
}

#[tokio::test]
async fn a_dead_address_is_left_alone_until_it_changes() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let (server, unused) = (SmtpServer::start().await, SmtpServer::start().await);
    server.will([Does::AnswersRecipient("550 5.1.1 nobody here")]);
    provider(&team.admin, &server, 1).await;
    provider(&team.admin, &unused, 2).await;
    say(&team, "Anybody there?", "medium").await;
    platform.settle().await;
    assert_eq!(outbox(&team).await[0]["state"], "undeliverable");
    assert_eq!(delivery_status(&team).await.0, "bounced");
    say(&team, "Once more", "medium").await;
    platform.settle().await;
    let (status, reason) = delivery_status(&team).await;
    assert!(status == "suppressed" && reason.contains("bounced"), "{status}: {reason}");
    assert_eq!((server.conversations(), unused.conversations()), (1, 0));

    let service = platform.platform.service::<Notifications>("notifications").unwrap();
    let (runtime, user_id) = (&service.runtime, team.member.user_id.unwrap());
    let act = Act {
        actor: Actor::new(ActorKind::User, user_id.to_string()),
        action: "confirm_email".to_owned(),
        request_id: "test".to_owned(),
        group: "auth",
        traceparent: None,
    };
    let partition = Partition::user(user_id);
    let mut unit = Transaction::new(runtime.store.clone(), runtime.ambient.clone(), "auth", partition, act)
        .without_audit();
    unit.emit("identity.email-changed", &user_id.to_string(), json!({"userId": user_id}));
    runtime.outbox.committed(unit.commit().await.unwrap().outbox);
    platform.settle().await;
    say(&team, "Back again", "medium").await;
    platform.settle().await;
    assert_eq!((server.taken().len(), delivery_status(&team).await.0.as_str()), (1, "sent"));
}

#[tokio::test]
async fn a_secret_is_sealed_and_erased() {
    let platform = TestPlatform::start().await;
    let mut team = team(&platform).await;
    let message = json!({
        "organizationId": team.organization_id, "topic": "announcement", "title": "Your link", "sensitive": true,
        "body": "Open https://app.example.com/reset#token=t0k3n", "recipients": ["email:ada@example.com"],
    });
    internal(&platform, message.clone()).await;
    let kept = &outbox(&team).await[0];
    assert!(kept["text"].as_str().unwrap().contains("t0k3n"), "{kept}");
    assert!(!kept.to_string().contains("List-Unsubscribe"), "{kept}");
    platform.advance(SignedDuration::from_hours(25)).await;
    team.admin = platform.login(&team.admin.email).await;
    let erased = &outbox(&team).await[0];
    assert_eq!(
        (&erased["text"], &erased["html"], &erased["masked"]),
        (&json!(null), &json!(null), &json!(false))
    );

    let server = SmtpServer::start().await;
    provider(&team.admin, &server, 0).await;
    internal(&platform, message).await;
    assert!(server.taken()[0].data.contains("t0k3n"));
    assert!(outbox(&team).await.iter().all(|mail| mail["text"].is_null()));
}

#[tokio::test]
async fn production_masks_a_secret() {
    let platform = TestPlatform::start_with(|settings| settings.environment = Environment::Production).await;
    let team = team(&platform).await;
    let message = json!({
        "organizationId": team.organization_id, "topic": "announcement", "title": "Your link", "sensitive": true,
        "body": "The token is t0k3n.", "recipients": ["email:ada@example.com"],
    });
    internal(&platform, message).await;
    let kept = &outbox(&team).await[0];
    assert_eq!((&kept["masked"], &kept["text"], &kept["html"]), (&json!(true), &json!(null), &json!(null)));
    assert_eq!(kept["subject"], "(hidden)");
    assert!(!platform.data_dir().join("mail-outbox.jsonl").exists());
}

#[tokio::test]
async fn own_words_are_used_in_mail() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let template = json!({
        "channel": "email", "subject": "[Acme] {{title}}", "body": "Dear {{user.name}}: {{body}}",
        "html": "<p>{{title}}</p><a href=\"{{actionUrl}}\">{{actionLabel}}</a>",
    });
    team.admin.put("/api/notifications/templates/announcement/en", template).await.expect(200);
    say(&team, "<b>New</b>", "medium").await;
    platform.settle().await;
    let mail = &outbox(&team).await[0];
    assert_eq!(mail["subject"], "[Acme] <b>New</b>");
    assert!(mail["text"].as_str().unwrap().starts_with("Dear Member: First line."), "{mail}");
    let html = mail["html"].as_str().unwrap();
    assert_eq!(html, "<p>&lt;b&gt;New&lt;/b&gt;</p><a href=\"http://localhost:3000/builds\">Open</a>");
}

#[tokio::test]
async fn one_click_stops_the_mail_of_a_topic() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    say(&team, "Too much", "medium").await;
    platform.settle().await;
    let mails = outbox(&team).await;
    let headers = mails[0]["headers"].as_array().unwrap();
    let link = headers.iter().find(|header| header["name"] == "List-Unsubscribe").unwrap()["value"]
        .as_str()
        .unwrap();
    let path = &link[link.find("/api/").unwrap()..link.len() - 1];
    let shown = platform.nobody().get(path).await.expect(200);
    assert!(shown.header("content-type").starts_with("text/html"));
    assert!(shown.header("content-security-policy").contains("default-src 'none'"));
    assert!(shown.body.as_str().unwrap().contains("<form method=\"post\">"));
    say(&team, "Looking does nothing", "medium").await;
    platform.settle().await;
    assert_eq!(outbox(&team).await.len(), 2);

    let click = Some(b"List-Unsubscribe=One-Click".to_vec());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for _ in 0..2 {
        let done: Reply = platform.nobody().send_bytes(Method::POST, path, click.clone(), &form).await;
        assert!(done.expect(200).body.as_str().unwrap().contains("no more mail"));
    }
    say(&team, "Clicked", "medium").await;
    platform.settle().await;
    assert_eq!(outbox(&team).await.len(), 2);
    let inbox = team.member.get("/api/notifications/inbox").await.expect(200);
    let items = inbox.body["items"].as_array().unwrap();
    assert_eq!(items.iter().filter(|item| item["topic"] == "announcement").count(), 3);
    let forged = format!("{}0", &path[..path.len() - 1]);
    let forged = if forged == path { format!("{}1", &path[..path.len() - 1]) } else { forged };
    platform.nobody().get(&forged).await.expect_problem(404, "not_found");
    platform.nobody().post(&forged, json!({})).await.expect_problem(404, "not_found");
}
