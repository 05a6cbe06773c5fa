//! What is sensitive: never held back, never in a digest, in no inbox, and in the clear nowhere but in the mail.

use std::path::Path;

use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::mail::{self, internal, provider};
use crate::servers::smtp::{Does, SmtpServer};
use crate::servers::target::Target;
use crate::support::{inbox, later, mails, service, user};

const TOPIC: &str = "auth.reset";

/// Words of title, body, link and data; each is found nowhere by chance.
const WORDS: [&str; 4] = ["zq-title-4711", "zq-body-0815", "zq-link-1337", "zq-data-2342"];

/// A message that has a secret in every field that holds text.
fn secret(team: &Team, more: Value) -> Value {
    let [title, body, link, data] = WORDS;
    let mut message = json!({
        "organizationId": team.organization_id, "topic": TOPIC, "sensitive": true,
        "title": format!("Your code is {title}"), "body": format!("Open it: {body}"),
        "actionUrl": format!("https://app.example.com/reset#{link}"), "data": {"token": data},
        "recipients": [user(&team.member), "email:outsider@example.com"],
    });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

/// Files below a directory that hold one of the words, but for the file in which those who develop follow links.
fn holding(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path));
            continue;
        }
        if path.file_name().is_some_and(|name| name == "mail-outbox.jsonl") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let holds = |word: &&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
        found.extend(
            WORDS.iter().filter(|word| holds(word)).map(|word| format!("{word} in {}", path.display())),
        );
    }
    found
}

/// Looks for the words wherever they must not be.
async fn nowhere(platform: &TestPlatform, team: &Team, stage: &str) {
    assert_eq!(holding(platform.data_dir()), Vec::<String>::new(), "{stage}");
    let mut shown = Vec::new();
    for path in ["notifications/messages", "logging/entries", "notifications/inbox?state=all"] {
        shown.push(team.admin.get(&format!("/api/{path}")).await.expect(200).body);
    }
    shown.push(team.member.get("/api/notifications/inbox?state=all").await.expect(200).body);
    let shown = json!(shown).to_string();
    assert!(shown.contains(TOPIC), "{stage}: nothing was looked at");
    assert!(!WORDS.iter().any(|word| shown.contains(word)), "{stage}");
}

/// Every hour is quiet, and mail comes once a day.
async fn wants_peace(team: &Team) {
    let quiet =
        json!({"timeZone": "UTC", "windows": [{"days": ["mon", "tue"], "start": "00:00", "end": "23:59"}]});
    let email = json!({"enabled": true, "digest": "daily"});
    let wishes = json!({"quietHours": quiet, "channels": {"email": email}});
    team.member.patch("/api/notifications/preferences/me", wishes).await.expect(200);
}

/// State of the mails to the member and to the outsider.
async fn states(team: &Team) -> Vec<String> {
    let page = team.admin.get(&format!("/api/notifications/outbox?topic={TOPIC}")).await.expect(200);
    let items = page.body["items"].as_array().unwrap();
    items.iter().map(|mail| mail["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_secret_is_sealed_at_every_stage_and_waits_for_nobody() {
    let platform = TestPlatform::start().await;
    let mut team = mail::team(&platform).await;
    wants_peace(&team).await;
    let server = SmtpServer::start().await;
    server.will([Does::AnswersRecipient("451 4.2.0 later"), Does::AnswersRecipient("451 4.2.0 later")]);
    provider(&team.admin, &server, 0).await;
    let target = Target::start().await;
    let hook = json!({"name": "Chat", "url": target.url(), "topics": [TOPIC]});
    team.owner.post("/api/notifications/webhooks", hook).await.expect(201);

    let at = "2026-01-05T12:30:00Z";
    internal(&platform, secret(&team, json!({"scheduledFor": at, "criticality": "high"}))).await;
    assert_eq!(states(&team).await, Vec::<String>::new());
    nowhere(&platform, &team, "scheduled").await;

    // Its time comes, and the mail server is busy: neither the quiet hours nor the digest hold it back.
    later(&platform, &mut team, SignedDuration::from_mins(29)).await;
    assert_eq!(states(&team).await, ["queued", "queued"]);
    assert!(inbox(&team.member, &format!("?state=all&topic={TOPIC}")).await.is_empty());
    nowhere(&platform, &team, "queued").await;

    later(&platform, &mut team, SignedDuration::from_mins(20)).await;
    assert_eq!(states(&team).await, ["sent", "sent"]);
    for mail in server.taken() {
        assert!(WORDS[..3].iter().all(|word| mail.data.contains(word)), "{}", mail.data);
    }
    assert_eq!(server.taken().len(), 2);
    let sent = &mails(&team, &team.member, TOPIC).await[0];
    assert_eq!((&sent["text"], &sent["html"]), (&json!(null), &json!(null)));
    assert_eq!(sent["subject"], "(hidden)");
    assert_eq!(target.requests().len(), 0);
    nowhere(&platform, &team, "sent").await;
}

#[tokio::test]
async fn what_could_not_be_told_in_a_day_is_forgotten() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    internal(&platform, secret(&team, json!({}))).await;
    let kept = &mails(&team, &team.member, TOPIC).await[0];
    // In development links can be followed.
    assert!(WORDS[..3].iter().all(|word| kept.to_string().contains(word)), "{kept}");
    nowhere(&platform, &team, "kept").await;
    // A message that nobody got to: its telling was lost.
    let store = &service(&platform).runtime.store;
    let id =
        team.admin.get("/api/notifications/messages?topic=auth.reset").await.expect(200).text("/items/0/id");
    let key = coder_notifications::accept::partition(Some(team.organization_id), &id).key();
    let told = store.read("notifications", &key, &id).await.unwrap().unwrap();
    assert_eq!(told.body["sealed"], json!(null), "what is told is forgotten");
    let other = json!({"scheduledFor": "2026-01-05T12:30:00Z", "dedupKey": "other"});
    internal(&platform, secret(&team, other)).await;
    let scheduled = "/api/notifications/messages?topic=auth.reset&status=scheduled";
    let id = team.admin.get(scheduled).await.expect(200).text("/items/0/id");
    let mut lost = store.read("notifications", &key, &id).await.unwrap().unwrap().body;
    assert!(lost["sealed"].is_string());
    lost["status"] = json!("processing");
    let lost = coder_database::Operation::Upsert { id: id.clone(), body: lost, expires_at: None };
    store.write("notifications", &key, vec![lost]).await.unwrap();

    later(&platform, &mut team, SignedDuration::from_hours(25)).await;
    let forgotten = store.read("notifications", &key, &id).await.unwrap().unwrap().body;
    assert_eq!((&forgotten["sealed"], &forgotten["status"]), (&json!(null), &json!("expired")));
    assert!(mails(&team, &team.member, TOPIC).await.iter().all(|mail| mail["text"].is_null()));
    nowhere(&platform, &team, "a day later").await;
}
