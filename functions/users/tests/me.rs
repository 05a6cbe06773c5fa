//! The caller's own profile.

use http::Method;
use jiff::SignedDuration;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn a_profile_is_changed_in_its_stored_form_and_colleagues_see_it() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let patch = json!({
        "displayName": "  Augusta Ada ", "bio": "Mathematician", "timeZone": "europe/london",
        "competencies": [{"name": "Analysis", "level": 5}],
    });
    let changed = world.patch(&ada, "/me", patch).await.expect(200);
    assert_eq!(
        (&changed["displayName"], &changed["timeZone"]),
        (&json!("Augusta Ada"), &json!("Europe/London"))
    );
    let people = world.get(&ada, "/people?q=augusta&competency=analysis").await.expect(200);
    assert_eq!(people["items"][0]["userId"], json!(ada.id), "the mirror is in step");
    let events = world.events(format!("user:{}", ada.id), "user.updated").await;
    let noted = events[0]["changes"].as_array().unwrap();
    assert!(noted.iter().any(|change| change["path"].as_str().unwrap().contains("displayName")), "{noted:?}");
    let emptied = world.patch(&ada, "/me", json!({"bio": null})).await.expect(200);
    assert_eq!(emptied["bio"], json!(null));
}

#[tokio::test]
async fn every_fault_of_a_profile_is_named_and_nothing_changes() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let before = world.get(&ada, "/me").await;
    let patch =
        json!({"displayName": "a\u{202e}b", "timeZone": "Mars/Olympus", "avatarUrl": "http://example.com"});
    let refused = world.patch(&ada, "/me", patch).await;
    assert_eq!(refused.body["errors"].as_array().unwrap().len(), 3, "{}", refused.body);
    refused.refused(422, "validation_failed");
    world.patch(&ada, "/me", json!({"email": "eve@example.com"})).await.refused(422, "unknown_field");
    let stale = world.call_if(&ada, Method::PATCH, "/me", Some(json!({"bio": "x"})), Some("0000")).await;
    stale.refused(412, "etag_mismatch");
    assert_eq!(world.get(&ada, "/me").await.etag, before.etag);
    world.patch(&ada.with_key(&["*"]), "/me", json!({"bio": "x"})).await.refused(403, "forbidden");
    world.nobody(Method::GET, "/me").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn preferences_are_merged_by_client() {
    let world = World::start().await;
    let ada = world.person("Ada").await;
    world
        .patch(&ada, "/me/preferences", json!({"editor": {"theme": "dark", "size": 12}, "cli": {"a": 1}}))
        .await
        .expect(200);
    let merged = world
        .patch(&ada, "/me/preferences", json!({"editor": {"size": null}, "cli": null}))
        .await
        .expect(200);
    assert_eq!(merged, json!({"editor": {"theme": "dark"}}));
    assert_eq!(world.get(&ada, "/me/preferences").await.expect(200), merged);
    world.patch(&ada, "/me/preferences", json!({"editor": "x"})).await.refused(422, "validation_failed");
    let large = json!({"editor": {"text": "x".repeat(33 * 1024)}});
    world.patch(&ada, "/me/preferences", large).await.refused(422, "validation_failed");
}

#[tokio::test]
async fn deletion_needs_a_fresh_session_and_another_owner_and_can_be_undone() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    world.delete(&ada.signed_in_long_ago(), "/me").await.refused(401, "reauthentication_required");
    world.delete(&ada, "/me").await.refused(409, "last_owner");
    world.post(&ada, "/me/deactivate", json!({})).await.refused(409, "last_owner");
    assert_eq!(world.get(&ada, "/me").await.expect(200)["status"], "active", "nothing changed");

    let ben = world.member("Ben", &ada, &["owner"]).await;
    let before = world.get(&ada, "/me").await.expect(200);
    let deleted = world.delete(&ada, "/me").await.expect(202);
    assert_eq!(deleted["status"], "pending_deletion");
    assert_eq!(deleted["deleteAfter"], "2026-02-04T12:01:00Z");
    world.delete(&ben, "/me").await.refused(409, "last_owner");
    world.delete(&ben, &format!("/members/{}", ben.id)).await.refused(409, "last_owner");

    world.clock.advance(SignedDuration::from_hours(24 * 29));
    let restored = world.post(&ada, "/me/restore", json!({})).await.expect(200);
    for field in ["status", "displayName", "email", "deleteAfter"] {
        assert_eq!(restored[field], before[field], "{field}");
    }
    world.post(&ada, "/me/restore", json!({})).await.refused(409, "invalid_state");
    world.delete(&ben, "/me").await.expect(202);
    assert_eq!(world.events(format!("user:{}", ada.id), "user.deletion-requested").await.len(), 1);
}

#[tokio::test]
async fn after_the_grace_nothing_is_restored() {
    let world = World::start().await;
    let ada = world.person("Ada").await;
    world.delete(&ada, "/me").await.expect(202);
    world.clock.advance(SignedDuration::from_hours(24 * 31));
    world.post(&ada, "/me/restore", json!({})).await.refused(409, "invalid_state");
}

#[tokio::test]
async fn own_organizations_are_listed_page_by_page() {
    let world = World::start().await;
    let ada = world.person("Ada").await;
    for name in ["Beta", "Gamma"] {
        // Memberships are listed in the order they were made.
        world.clock.advance(SignedDuration::from_secs(1));
        world.post(&ada, "/organizations", json!({"name": name})).await.expect(201);
    }
    let first = world.get(&ada, "/me/organizations?limit=2").await.expect(200);
    let names = |page: &serde_json::Value| {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["Ada", "Beta"]);
    let next = format!("/me/organizations?limit=2&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = world.get(&ada, &next).await.expect(200);
    assert_eq!((names(&second), &second["nextCursor"]), (vec!["Gamma".to_owned()], &json!(null)));
}
