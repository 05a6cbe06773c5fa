//! The live stream: what happens is told within two seconds, and what was missed is told once, in order.

use coder_testkit::{Team, TestPlatform};
use serde_json::json;

use crate::support::{Listener, assign, inbox, publish, unread, user};

#[tokio::test]
async fn an_open_stream_hears_of_an_assignment_and_the_assigner_of_nothing() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let before = (unread(&team.member).await, inbox(&team.admin, "?state=all").await.len());
    let mut stream = Listener::open(&team.member, "", None).await;
    let first = stream.next().await;
    assert_eq!((first.event.as_str(), &first.data["unread"]), ("counts", &json!(before.0)));

    assign(&platform, &team, &team.admin, &[&team.member, &team.admin], "ENG-1").await;
    let created = stream.next().await;
    assert_eq!(created.event, "inbox.created");
    assert_eq!(created.data["title"], "ENG-1 was assigned to you");
    assert_eq!(created.id, created.data["seq"].to_string());
    let counts = stream.next().await;
    assert_eq!((counts.event.as_str(), &counts.data["unread"]), ("counts", &json!(before.0 + 1)));
    assert_eq!(unread(&team.member).await, before.0 + 1);
    assert_eq!(inbox(&team.admin, "?state=all").await.len(), before.1);

    let id = created.data["id"].as_str().unwrap();
    team.member.post(&format!("/api/notifications/inbox/{id}/read"), json!({})).await.expect(200);
    let updated = stream.next().await;
    assert_eq!((updated.event.as_str(), &updated.data["id"]), ("inbox.updated", &json!(id)));
    assert_eq!(stream.next().await.data["unread"], json!(before.0));
}

#[tokio::test]
async fn a_cut_stream_goes_on_where_it_was() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let mut stream = Listener::open(&team.member, "", None).await;
    stream.next().await;
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-1").await;
    let last = stream.next().await;
    drop(stream);
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-2").await;
    assign(&platform, &team, &team.admin, &[&team.member], "ENG-3").await;

    let mut stream = Listener::open(&team.member, "", Some(&last.id)).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = stream.next().await;
        told.push((event.event, event.data["resource"]["id"].clone()));
    }
    let created = |key: &str| ("inbox.created".to_owned(), json!(key));
    assert_eq!(told, [created("ENG-2"), created("ENG-3"), ("counts".to_owned(), json!(null))]);

    // A place that this inbox never had: the client reads the list again.
    let mut stream = Listener::open(&team.member, "", Some("100000")).await;
    assert_eq!(stream.next().await.event, "reset");
}

#[tokio::test]
async fn more_than_can_be_replayed_is_a_reset() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let service = crate::support::service(&platform);
    let partition =
        coder_notifications::model::of_user(Some(team.organization_id), team.member.user_id.unwrap());
    // Written straight, since nobody is told so much within an hour.
    let act = || coder_database::transaction::Act {
        actor: coder_core::Actor::new(coder_core::ActorKind::Job, "test"),
        action: "test".to_owned(),
        request_id: "test".to_owned(),
        group: "notifications",
        traceparent: None,
    };
    let first = inbox(&team.member, "?state=all&limit=1")
        .await
        .first()
        .map_or(0, |item| item["seq"].as_u64().unwrap());
    for n in 0..501 {
        let (store, ambient) = (service.runtime.store.clone(), service.runtime.ambient.clone());
        let mut unit =
            coder_database::Transaction::new(store, ambient, "notifications", partition.clone(), act())
                .without_audit();
        let item = <coder_notifications::model::item::Item as coder_middleware::Example>::example();
        service.add_item(&mut unit, &format!("item-{n}"), item).await.unwrap();
        assert!(unit.commit().await.unwrap().outbox.is_empty());
    }
    let after = |seq: u64| seq.to_string();
    let mut stream = Listener::open(&team.member, "", Some(&after(first))).await;
    assert_eq!(stream.next().await.event, "reset");
    let mut stream = Listener::open(&team.member, "", Some(&after(first + 1))).await;
    for n in 0..500 {
        let event = stream.next().await;
        assert_eq!((event.event.as_str(), event.id), ("inbox.created", after(first + 2 + n)));
    }
    assert_eq!(stream.next().await.event, "counts");
}

#[tokio::test]
async fn five_streams_are_enough_and_a_revoked_session_has_none() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(Listener::open(&team.viewer, "", None).await);
    }
    let sixth = team.viewer.get("/api/notifications/stream").await.expect_problem(429, "rate_limited");
    assert!(!sixth.header("retry-after").is_empty());
    team.viewer.post("/api/auth/logout", json!({})).await;
    for stream in &mut streams {
        assert!(stream.ends().await);
    }
    platform.nobody().get("/api/notifications/stream").await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_stream_ends_with_the_api_key_that_opened_it() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let body = json!({"name": "screen", "permissions": ["users.team.read"]});
    let made = team.member.post("/api/auth/api-keys", body).await.expect(201);
    let key = team.member.with_api_key(made.text("/key"));
    let mut stream = Listener::open(&key, "", None).await;
    team.member.delete(&format!("/api/auth/api-keys/{}", made.text("/keyId"))).await.expect(204);
    assert!(stream.ends().await);
}

#[tokio::test]
async fn open_views_are_hinted_at_what_they_follow_and_may_see() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let mut stream = Listener::open(&team.viewer, "?topics=gate.*,run.completed", None).await;
    stream.next().await;
    let project = team.parameter("/api/users/projects/{projectId}", "projectId");
    for (group, name, data) in [
        ("execution", "run.completed", json!({"projectId": user(&team.viewer)})),
        ("execution", "run.started", json!({"projectId": project})),
        ("workflow", "gate.approved", json!({})),
        ("execution", "run.completed", json!({"projectId": project})),
        ("workflow", "gate.rejected", json!({"approvers": [team.viewer.user_id]})),
    ] {
        publish(&platform, &team, &team.admin, (group, name), "subject", data).await;
    }
    let (first, second) = (stream.next().await, stream.next().await);
    assert_eq!((first.event.as_str(), &first.data["projectId"]), ("run.completed", &json!(project)));
    assert_eq!(second.event, "gate.rejected");
}

#[tokio::test]
async fn no_view_is_hinted_at_what_is_elsewhere_or_may_not_be_read() {
    let platform = TestPlatform::start().await;
    let (team, other) = (Team::of(&platform).await, Team::of(&platform).await);
    let role = json!({"name": "deaf", "permissions": ["notifications.message.create"]});
    team.owner.post("/api/users/roles", role).await.expect(201);
    let deaf = platform.join(&team.owner, "deaf@example.com", "deaf").await;
    let mut inside = Listener::open(&deaf, "?topics=gate.*", None).await;
    let mut outside = Listener::open(&other.member, "?topics=gate.*", None).await;
    inside.next().await;
    outside.next().await;
    // A project that the one may not read, in an organization that the other is not of, though it names them.
    let project = team.parameter("/api/users/projects/{projectId}", "projectId");
    let hidden = json!({"projectId": project, "approvers": [other.member.user_id]});
    publish(&platform, &team, &team.admin, ("workflow", "gate.approved"), "subject", hidden).await;
    let theirs = json!({"approvers": [deaf.user_id]});
    publish(&platform, &team, &team.admin, ("workflow", "gate.rejected"), "subject", theirs).await;
    let theirs = json!({"approvers": [other.member.user_id]});
    publish(&platform, &other, &other.admin, ("workflow", "gate.rejected"), "subject", theirs).await;
    for stream in [&mut inside, &mut outside] {
        loop {
            let event = stream.next().await.event;
            assert_ne!(event, "gate.approved");
            if event == "gate.rejected" {
                break;
            }
        }
    }
}
