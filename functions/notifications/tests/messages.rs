//! Messages and the inbox: who is told, what others see, and what is counted.

use coder_testkit::{Team, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{assign, deliver, inbox, later, mail_delivery, mails, service, unread, user};

const MESSAGES: &str = "/api/notifications/messages";

fn message(recipients: &[String], more: Value) -> Value {
    let mut message =
        json!({"title": "The build is frozen", "body": "Until noon.", "recipients": recipients});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

#[tokio::test]
async fn the_same_event_twice_is_one_item() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    let event = json!({
        "specversion": "1.0", "id": "0199a000-7e3a-7c11-9d2f-5b6a7c8d9e0f", "source": "/functions/planning",
        "type": "coder.planning.task.assigned", "subject": "ENG-1", "time": "2026-01-05T12:00:30Z",
        "organizationid": team.organization_id,
        "data": {"key": "ENG-1", "title": "T", "added": [team.member.user_id],
                 "actor": {"kind": "user", "id": team.admin.user_id}},
    });
    for _ in 0..2 {
        deliver(&platform, "notify", &event).await;
        platform.settle().await;
    }
    assert_eq!(inbox(&team.member, "?topic=task.assigned").await.len(), 1);
    assert_eq!(mails(&team, &team.member, "task.assigned").await.len(), 1);
    let listed = team.admin.get(&format!("{MESSAGES}?topic=task.assigned")).await.expect(200);
    assert_eq!(
        (listed.body["items"].as_array().unwrap().len(), &listed.body["items"][0]["repeats"]),
        (1, &json!(0))
    );
    // The telling itself is delivered again, too.
    let id = listed.text("/items/0/id");
    let accepted = json!({
        "specversion": "1.0", "id": "again", "source": "/functions/notifications", "subject": id,
        "type": "coder.notifications.message.accepted", "time": "2026-01-05T12:01:00Z",
        "organizationid": team.organization_id, "data": {"messageId": id},
    });
    deliver(&platform, "tell", &accepted).await;
    assert_eq!(inbox(&team.member, "?topic=task.assigned").await.len(), 1);

    // Another event with the same content within the hour is dropped and counted.
    let mut same = event.clone();
    same["id"] = json!("0199a000-7e3a-7c11-9d2f-5b6a7c8d9e10");
    deliver(&platform, "notify", &same).await;
    platform.settle().await;
    assert_eq!(inbox(&team.member, "?topic=task.assigned").await.len(), 1);
    let first = team.admin.get(&format!("{MESSAGES}/{id}")).await.expect(200);
    assert_eq!(first.body["repeats"], json!(1));
    later(&platform, &mut team, SignedDuration::from_mins(61)).await;
    same["id"] = json!("0199a000-7e3a-7c11-9d2f-5b6a7c8d9e11");
    same["time"] = json!("2026-01-05T13:02:00Z");
    deliver(&platform, "notify", &same).await;
    platform.settle().await;
    assert_eq!(inbox(&team.member, "?topic=task.assigned").await.len(), 2);
}

#[tokio::test]
async fn strangers_are_unknown_and_inboxes_are_ones_own() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let theirs = inbox(&team.stranger, "?state=all").await.len();
    let to = [user(&team.viewer), user(&team.stranger), "role:nobodys".to_owned()];
    let accepted = team.member.post(MESSAGES, message(&to, json!({}))).await.expect(202);
    assert_eq!((&accepted.body["accepted"], &accepted.body["unknown"]), (&json!(1), &json!(to[1..])));
    platform.settle().await;
    assert_eq!(inbox(&team.stranger, "?state=all").await.len(), theirs);
    let item = inbox(&team.viewer, "").await[0]["id"].as_str().unwrap().to_owned();
    for action in ["read", "unread", "archive", "acknowledge"] {
        let path = format!("/api/notifications/inbox/{item}/{action}");
        team.member.post(&path, json!({})).await.expect_problem(404, "not_found");
        team.stranger.post(&path, json!({})).await.expect_problem(404, "not_found");
    }
    let path = format!("{MESSAGES}/{}", accepted.text("/id"));
    let seen = team.member.get(&path).await.expect(200);
    assert_eq!(seen.body["recipients"], json!([to[0]]));
    assert_eq!(seen.body["counts"]["delivered"], json!(1));
    team.admin.get(&path).await.expect(200);
    team.viewer.get(&path).await.expect_problem(404, "not_found");
    team.stranger.get(&path).await.expect_problem(404, "not_found");
    team.viewer.post(MESSAGES, message(&to[..1], json!({}))).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn people_send_within_their_limits() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let to = [user(&team.viewer)];
    for (more, pointer) in [
        (json!({"criticality": "critical"}), "/criticality"),
        (json!({"topic": "security.new-device"}), "/topic"),
        (json!({"topic": "account.reset-password"}), "/topic"),
        (json!({"category": "security"}), "/category"),
        (json!({"topic": "task.assigned"}), "/topic"),
        (json!({"actionUrl": "//evil.example"}), "/actionUrl"),
        (json!({"actionUrl": "https://evil.example/x"}), "/actionUrl"),
        (json!({"actionUrl": "javascript:alert(1)"}), "/actionUrl"),
        (json!({"data": {"long": "x".repeat(20_000)}}), "/data"),
        (json!({"expiresAt": "2026-01-01T00:00:00Z"}), "/expiresAt"),
        (json!({"recipients": ["email:somebody@example.com"]}), "/recipients/0"),
        (json!({"recipients": vec![user(&team.viewer); 51]}), "/recipients"),
        (json!({"projectId": team.organization_id}), "/projectId"),
    ] {
        let refused = team.member.post(MESSAGES, message(&to, more.clone())).await;
        assert_eq!(
            (refused.status.as_u16(), refused.body["errors"][0]["pointer"].as_str()),
            (422, Some(pointer)),
            "{more}"
        );
    }
    let keyed = message(&to, json!({"dedupKey": "one"}));
    let first = team.member.post(MESSAGES, keyed.clone()).await.expect(202).text("/id");
    assert_eq!(team.member.post(MESSAGES, keyed.clone()).await.expect(202).text("/id"), first);
    // The key is the sender's own.
    assert_ne!(team.admin.post(MESSAGES, keyed).await.expect(202).text("/id"), first);
    platform.settle().await;
    assert_eq!(inbox(&team.viewer, "?topic=announcement").await.len(), 2);
}

#[tokio::test]
async fn a_scheduled_message_waits_and_can_be_taken_back() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    let to = [user(&team.viewer)];
    let at = |time: &str, title: &str| message(&to, json!({"scheduledFor": time, "title": title}));
    let stays = team.member.post(MESSAGES, at("2026-01-05T12:30:00Z", "Stays")).await.expect(202).text("/id");
    let goes = team.member.post(MESSAGES, at("2026-01-05T12:30:00Z", "Goes")).await.expect(202).text("/id");
    let late =
        json!({"scheduledFor": "2026-01-05T12:20:00Z", "expiresAt": "2026-01-05T12:21:00Z", "title": "Late"});
    let late = team.member.post(MESSAGES, message(&to, late)).await.expect(202).text("/id");
    let cancelled = team.member.post(&format!("{MESSAGES}/{goes}/cancel"), json!({})).await.expect(200);
    assert_eq!(cancelled.body["status"], "cancelled");
    team.viewer.post(&format!("{MESSAGES}/{stays}/cancel"), json!({})).await.expect_problem(404, "not_found");
    platform.settle().await;
    assert!(inbox(&team.viewer, "?topic=announcement").await.is_empty());
    later(&platform, &mut team, SignedDuration::from_mins(30)).await;
    let items = inbox(&team.viewer, "?topic=announcement").await;
    assert_eq!((items.len(), &items[0]["title"]), (1, &json!("Stays")));
    let status =
        async |id: &str| team.member.get(&format!("{MESSAGES}/{id}")).await.expect(200).text("/status");
    assert_eq!(
        [status(&stays).await, status(&goes).await, status(&late).await],
        ["done", "cancelled", "expired"]
    );
    team.member
        .post(&format!("{MESSAGES}/{stays}/cancel"), json!({}))
        .await
        .expect_problem(409, "invalid_state");
}

#[tokio::test]
async fn counts_stay_exact_through_every_change() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let me = &team.member;
    let before = unread(me).await;
    for key in ["ENG-1", "ENG-2", "ENG-3", "ENG-4"] {
        assign(&platform, &team, &team.admin, &[me], key).await;
    }
    let items = inbox(me, "?topic=task.assigned").await;
    let id = |n: usize| items[n]["id"].as_str().unwrap().to_owned();
    let act = async |n: usize, action: &str, body: Value| {
        me.post(&format!("/api/notifications/inbox/{}/{action}", id(n)), body).await
    };
    assert_eq!(unread(me).await, before + 4);
    act(0, "read", json!({})).await.expect(200);
    act(0, "read", json!({})).await.expect(200);
    act(1, "archive", json!({})).await.expect(200);
    assert_eq!(unread(me).await, before + 2);
    act(0, "unread", json!({})).await.expect(200);
    let acknowledged = act(2, "acknowledge", json!({})).await.expect(200);
    assert!(acknowledged.body["acknowledgedAt"].is_string() && acknowledged.body["readAt"].is_string());
    act(3, "snooze", json!({"until": "2026-01-05T11:00:00Z"})).await.expect_problem(422, "validation_failed");
    act(3, "snooze", json!({"until": "2026-01-05T12:10:00Z"})).await.expect(200);
    assert_eq!(unread(me).await, before + 1);
    assert_eq!(inbox(me, "?topic=task.assigned").await.len(), 2);
    assert_eq!(inbox(me, "?topic=task.assigned&state=archived").await.len(), 1);
    assert_eq!(inbox(me, "?topic=task.assigned&state=unread").await.len(), 1);
    platform.advance(SignedDuration::from_mins(10)).await;
    assert_eq!(unread(me).await, before + 2);

    let seq = items[0]["seq"].as_u64().unwrap();
    let all = json!({"upToSeq": seq - 1, "topic": "task.assigned"});
    let marked = me.post("/api/notifications/inbox/read-all", all.clone()).await.expect(200);
    assert_eq!(marked.body["count"], json!(1));
    assert_eq!(me.post("/api/notifications/inbox/read-all", all).await.expect(200).body["count"], json!(0));
    assert_eq!(unread(me).await, before + 1);

    let counts = me.get("/api/notifications/inbox/counts").await.expect(200);
    let known = [("if-none-match", counts.header("etag"))];
    let same = me.send(Method::GET, "/api/notifications/inbox/counts", None, &known).await;
    assert_eq!((same.status.as_u16(), &same.body), (304, &Value::Null));
    act(0, "read", json!({})).await.expect(200);
    me.send(Method::GET, "/api/notifications/inbox/counts", None, &known).await.expect(200);

    // Ninety days later nothing is left, and nothing is counted.
    platform.advance(SignedDuration::from_hours(24 * 91)).await;
    let me = platform.login(&me.email).await;
    platform.settle().await;
    let left = inbox(&me, "?state=all").await;
    let shown = left.iter().filter(|item| item["readAt"].is_null()).count() as u64;
    assert!(left.iter().all(|item| item["topic"] != "task.assigned"));
    assert_eq!(unread(&me).await, shown);
}

#[tokio::test]
async fn a_grouped_inbox_shows_the_newest_of_each_resource() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    for (key, by) in [("ENG-1", &team.admin), ("ENG-2", &team.admin), ("ENG-1", &team.owner)] {
        assign(&platform, &team, by, &[&team.member], key).await;
    }
    let grouped = inbox(&team.member, "?topic=task.assigned&grouped=true").await;
    let shown: Vec<_> = grouped.iter().map(|item| (&item["resource"]["id"], &item["groupCount"])).collect();
    assert_eq!(shown, [(&json!("ENG-1"), &json!(2)), (&json!("ENG-2"), &json!(1))]);
}

#[tokio::test]
async fn many_writers_at_once_lose_no_number() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let before = unread(&team.member).await;
    let event = |n: usize| {
        json!({
            "specversion": "1.0", "id": format!("0199a000-7e3a-7c11-9d2f-5b6a7c8d{n:04}"),
            "source": "/functions/planning", "type": "coder.planning.task.assigned", "subject": format!("ENG-{n}"),
            "time": "2026-01-05T12:00:30Z", "organizationid": team.organization_id,
            "data": {"key": format!("ENG-{n}"), "added": [team.member.user_id]},
        })
    };
    let events: Vec<Value> = (0..20).map(event).collect();
    let all = events.iter().map(|event| deliver(&platform, "notify", event));
    futures_util::future::join_all(all).await;
    let listed = team.admin.get(&format!("{MESSAGES}?topic=task.assigned&limit=200")).await.expect(200);
    let told: Vec<Value> = listed.body["items"].as_array().unwrap().iter().map(|message| json!({
        "specversion": "1.0", "id": message["id"], "source": "/functions/notifications", "subject": message["id"],
        "type": "coder.notifications.message.accepted", "time": "2026-01-05T12:01:00Z",
        "organizationid": team.organization_id, "data": {"messageId": message["id"]},
    })).collect();
    futures_util::future::join_all(told.iter().map(|event| deliver(&platform, "tell", event))).await;
    platform.settle().await;
    let mut seqs: Vec<u64> = inbox(&team.member, "?state=all&limit=200")
        .await
        .iter()
        .map(|item| item["seq"].as_u64().unwrap())
        .collect();
    seqs.reverse();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!(unread(&team.member).await, before + 20);
}

#[tokio::test]
async fn too_much_in_an_hour_is_folded() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let before = inbox(&team.viewer, "?state=all").await.len() as u64;
    for n in 0..210 {
        let body =
            message(&[user(&team.viewer)], json!({"title": format!("Number {n}"), "channels": ["inbox"]}));
        team.member.post(MESSAGES, body).await.expect(202);
    }
    platform.settle().await;
    let folded = inbox(&team.viewer, "?topic=notifications.overflow").await;
    assert_eq!(folded.len(), 1);
    let count = folded[0]["groupCount"].as_u64().unwrap();
    assert!(count >= before + 10, "{count}");
    assert_eq!(folded[0]["title"], format!("{count} more notifications"));
    // Everything is there, by itself or folded.
    let counts = team.viewer.get("/api/notifications/inbox/counts").await.expect(200);
    assert_eq!(counts.body["seq"].as_u64().unwrap() - 1 + count, before + 210);
}

#[tokio::test]
async fn a_message_of_a_project_goes_to_its_readers_only() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let agent = json!({"displayName": "Reader", "kind": "agent"});
    team.owner.post("/api/users/agents", agent).await.expect(201);
    let project = team.parameter("/api/users/projects/{projectId}", "projectId");
    let to = ["role:viewer".to_owned(), "role:member".to_owned()];
    let about = message(&to, json!({"projectId": project}));
    let accepted = team.admin.post(MESSAGES, about).await.expect(202);
    assert_eq!(accepted.body["accepted"], json!(2));
    // A role that reads no projects.
    let role = json!({"name": "blind", "permissions": ["users.person.read"]});
    team.owner.post("/api/users/roles", role).await.expect(201);
    let member = format!("/api/users/members/{}", team.viewer.user_id.unwrap());
    team.owner.patch(&member, json!({"roles": ["blind"]})).await.expect(200);
    let to = [user(&team.viewer), user(&team.member)];
    let about = message(&to, json!({"projectId": project, "title": "Again"}));
    let accepted = team.admin.post(MESSAGES, about).await.expect(202);
    assert_eq!(accepted.body["accepted"], json!(1));
    platform.settle().await;
    assert!(inbox(&team.viewer, "?topic=announcement").await.iter().all(|item| item["title"] != "Again"));
    assert!(inbox(&team.member, "?topic=announcement").await.iter().any(|item| item["title"] == "Again"));
}

#[tokio::test]
async fn services_send_once_for_each_key_and_may_hide_what_they_say() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let peers = service(&platform).peers.seen_by("auth");
    let send = async |body: Value| {
        peers.call("notifications", Method::POST, "/internal/messages", Some(&body)).await.unwrap()
    };
    let secret = json!({
        "organizationId": team.organization_id, "topic": "auth.reset", "title": "Your link", "body": "token-4711",
        "recipients": [user(&team.member), "email:outsider@example.com"], "sensitive": true, "dedupKey": "reset-1",
    });
    let first = send(secret.clone()).await;
    assert_eq!((first.status.as_u16(), &first.body["accepted"]), (202, &json!(2)));
    assert_eq!(send(secret).await.body["id"], first.body["id"]);
    platform.settle().await;
    assert!(inbox(&team.member, "?topic=auth.reset").await.is_empty());
    let path = format!("{MESSAGES}/{}", first.body["id"].as_str().unwrap());
    let seen = team.admin.get(&path).await.expect(200);
    assert_eq!((&seen.body["body"], &seen.body["repeats"]), (&json!(""), &json!(1)));
    assert!(!seen.body.to_string().contains("4711"));
    assert_eq!(mails(&team, &team.member, "auth.reset").await.len(), 1);
    let internal = "/api/notifications/internal/messages";
    let mine = json!({"topic": "x", "title": "t", "recipients": [user(&team.member)]});
    team.owner.post(internal, mine).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn who_leaves_or_is_erased_hears_no_more() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    team.viewer.put("/api/notifications/dnd", json!({"durationSeconds": 1800})).await.expect(200);
    assign(&platform, &team, &team.admin, &[&team.viewer], "ENG-1").await;
    let member = format!("/api/users/members/{}", team.viewer.user_id.unwrap());
    team.owner.delete(&member).await.expect(204);
    platform.settle().await;
    let held = mail_delivery(&team, &team.viewer, "task.assigned").await;
    assert_eq!((&held["status"], &held["reason"]), (&json!("suppressed"), &json!("left")));
    later(&platform, &mut team, SignedDuration::from_mins(31)).await;
    assert!(mails(&team, &team.viewer, "task.assigned").await.is_empty());

    assign(&platform, &team, &team.admin, &[&team.member], "ENG-2").await;
    let purged = json!({
        "specversion": "1.0", "id": "purged", "source": "/functions/users", "type": "coder.users.user.purged",
        "subject": team.member.user_id, "time": "2026-01-05T12:40:00Z", "organizationid": "platform",
        "data": {"userId": team.member.user_id},
    });
    deliver(&platform, "purge-person", &purged).await;
    let me = platform.login(&team.member.email).await;
    assert!(inbox(&me, "?topic=task.assigned").await.is_empty());
    assert!(mails(&team, &team.member, "task.assigned").await.is_empty());
}
