//! Projects and their profiles.

use http::Method;
use serde_json::{Value, json};

use crate::harness::World;

#[tokio::test]
async fn a_project_lives_is_put_away_and_goes() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let stranger = world.founder("Eve").await;
    let id = world.make(&owner, "/projects", json!({"name": "Web shop", "key": "SHOP"})).await;
    let path = format!("/projects/{id}");
    world
        .post(&owner, "/projects", json!({"name": "Other", "key": "SHOP"}))
        .await
        .refused(409, "already_exists");
    let bad = json!({
        "name": " ", "key": "OK2", "teamId": id, "leadUserId": stranger.id,
        "repositories": [{"url": "http://example.com", "provider": "other"}],
    });
    let faults = world.post(&owner, "/projects", bad).await.expect(422);
    let pointers: Vec<_> =
        faults["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].clone()).collect();
    assert_eq!(pointers, ["/name", "/repositories/0/url", "/teamId", "/leadUserId"]);

    let changed = json!({"leadUserId": owner.id, "environments": [{"name": "live", "kind": "production"}]});
    let changed = world.patch(&owner, &path, changed).await.expect(200);
    assert_eq!(changed["environments"][0]["requiresApproval"], true);
    let stale = world.call_if(&owner, Method::PATCH, &path, Some(json!({"name": "X"})), Some("stale")).await;
    stale.refused(412, "etag_mismatch");

    let confirm = |key: &str| Some(json!({"confirm": key}));
    world.call(&owner, Method::DELETE, &path, confirm("SHOP")).await.refused(409, "invalid_state");
    world.post(&owner, &format!("{path}/restore"), json!({})).await.refused(409, "invalid_state");
    world.post(&owner, &format!("{path}/archive"), json!({})).await.expect(200);
    world.post(&owner, &format!("{path}/archive"), json!({})).await.refused(409, "invalid_state");
    world.post(&owner, &format!("{path}/restore"), json!({})).await.expect(200);
    world.post(&owner, &format!("{path}/archive"), json!({})).await.expect(200);
    world.call(&owner, Method::DELETE, &path, confirm("SHOPS")).await.refused(422, "validation_failed");
    world.get(&stranger, &path).await.refused(404, "not_found");
    world.call(&stranger, Method::DELETE, &path, confirm("SHOP")).await.refused(404, "not_found");
    world.call(&owner, Method::DELETE, &path, confirm("SHOP")).await.expect(204);
    world.get(&owner, &path).await.refused(404, "not_found");
    world.make(&owner, "/projects", json!({"name": "Again", "key": "SHOP"})).await;
    let deleted = &world.organization_events(&owner, "project.deleted").await[0];
    assert_eq!((deleted["key"].as_str(), &deleted["projectId"]), (Some("SHOP"), &json!(id)));
}

#[tokio::test]
async fn the_list_is_filtered_and_sorted() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let team = world.make(&owner, "/teams", json!({"name": "Core"})).await;
    for (name, key, of) in
        [("Zebra", "ZEB", Value::Null), ("Web shop", "SHOP", json!(team)), ("Atlas", "ATL", json!(team))]
    {
        world.make(&owner, "/projects", json!({"name": name, "key": key, "teamId": of})).await;
    }
    let names = async |query: &str| {
        let page = world.get(&owner, &format!("/projects?{query}")).await.expect(200);
        let items =
            page["items"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap().to_owned());
        items.collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["ATL", "SHOP", "ZEB"]);
    assert_eq!(names("sort=-updatedAt").await, ["ATL", "SHOP", "ZEB"]);
    assert_eq!(names(&format!("teamId={team}&sort=-name")).await, ["SHOP", "ATL"]);
    assert_eq!(names("q=shop").await, ["SHOP"]);
    assert_eq!(names("q=zeb&status=active").await, ["ZEB"]);
    assert!(names("status=archived").await.is_empty());
    world.get(&owner, "/projects?status=lost").await.refused(400, "invalid_query");
}

#[tokio::test]
async fn a_profile_is_patched_by_parts() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let id = world.make(&owner, "/projects", json!({"name": "Web shop", "key": "SHOP"})).await;
    let path = format!("/projects/{id}/profile");
    let first = json!({"technical": {"language": "Rust", "age": 1}, "scale": {"users": 5}});
    world.patch(&owner, &path, first).await.expect(200);
    let patched = world.patch(&owner, &path, json!({"technical": {"age": null}})).await;
    let etag = patched.etag.clone().unwrap();
    let profile = patched.expect(200);
    assert_eq!(
        (&profile["technical"], &profile["scale"]),
        (&json!({"language": "Rust"}), &json!({"users": 5}))
    );
    let stale = world.call_if(&owner, Method::PATCH, &path, Some(json!({})), Some("stale")).await;
    stale.refused(412, "etag_mismatch");
    let large = json!({"business": {"note": "x".repeat(21 * 1024)}});
    world.patch(&owner, &path, large).await.refused(422, "validation_failed");
    world.patch(&owner, &path, json!({"busyness": {}})).await.refused(422, "unknown_field");
    assert_eq!(world.get(&owner, &path).await.etag, Some(etag));
    let told = world.organization_events(&owner, "project.updated").await;
    assert_eq!(told[1]["changes"][0]["path"], "/profile/technical");
}

#[tokio::test]
async fn nobody_moves_a_project_to_where_others_may_do_more_than_the_mover() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let member = world.member("Max", &owner, &["member"]).await;
    let team = world.make(&owner, "/teams", json!({"name": "Core"})).await;
    let id = world.make(&owner, "/projects", json!({"name": "Shop", "key": "SHOP"})).await;
    let scope = json!({"type": "team", "id": team});
    let grant = json!({"subject": {"type": "user", "id": member.id}, "scope": scope, "permissions": ["users.project.delete"]});
    world.make(&owner, "/grants", grant).await;
    let move_there = json!({"teamId": team});
    let detail =
        world.patch(&member, &format!("/projects/{id}"), move_there.clone()).await.refused(403, "forbidden");
    assert!(detail.contains("users.project.delete"), "{detail}");
    world.patch(&member, &format!("/projects/{id}"), json!({"name": "Shop 2"})).await.expect(200);
    world.patch(&owner, &format!("/projects/{id}"), move_there).await.expect(200);
}
