//! Roles and the catalogue.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn an_admin_cannot_make_a_role_with_more_than_they_hold() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let admin = world.member("Ben", &ada, &["admin"]).await;
    for permissions in [json!(["users.organization.delete"]), json!(["users.*"]), json!(["*"])] {
        let refused = world.post(&admin, "/roles", json!({"name": "boss", "permissions": permissions})).await;
        let detail = refused.refused(403, "forbidden");
        assert!(world.names_an_owners_permission(&detail), "{detail}");
    }
    let heir = world.post(&admin, "/roles", json!({"name": "boss", "inherits": ["owner"]})).await;
    let detail = heir.refused(403, "forbidden");
    assert!(world.names_an_owners_permission(&detail), "{detail}");
    world.post(&ada, "/roles", json!({"name": "boss", "inherits": ["owner"]})).await.expect(201);
    // What an owner made, an admin neither changes nor gives.
    world.patch(&admin, "/roles/boss", json!({"description": "x"})).await.refused(403, "forbidden");
    let path = format!("/members/{}", admin.id);
    world.patch(&admin, &path, json!({"roles": ["admin", "boss"]})).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_role_never_inherits_itself() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    world.post(&ada, "/roles", json!({"name": "bb"})).await.expect(201);
    world.post(&ada, "/roles", json!({"name": "aa", "inherits": ["bb"]})).await.expect(201);
    world.patch(&ada, "/roles/bb", json!({"inherits": ["aa"]})).await.refused(422, "role_cycle");
    world.patch(&ada, "/roles/bb", json!({"inherits": ["ghost"]})).await.refused(422, "validation_failed");
    world
        .patch(&ada, "/roles/bb", json!({"permissions": ["users.team.fly"]}))
        .await
        .refused(422, "unknown_permission");
    world.post(&ada, "/roles", json!({"name": "aa"})).await.refused(409, "already_exists");
    world
        .post(&ada, "/roles", json!({"name": "cc", "permissions": ["platform.*"]}))
        .await
        .refused(422, "unknown_permission");
}

#[tokio::test]
async fn built_in_roles_are_shown_and_stay() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let viewer = world.get(&ada, "/roles/viewer").await.expect(200);
    assert_eq!((&viewer["permissions"], &viewer["builtIn"]), (&json!(["*.*.read"]), &json!(true)));
    world.patch(&ada, "/roles/viewer", json!({"permissions": []})).await.refused(409, "immutable");
    world.delete(&ada, "/roles/owner").await.refused(409, "immutable");
    world.post(&ada, "/roles", json!({"name": "owner"})).await.refused(409, "already_exists");
    let all = world.get(&ada, "/roles").await.expect(200);
    let names: Vec<_> = all["items"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["admin", "member", "owner", "viewer"]);
    for name in ["ghost", "a%2Fb", "%00"] {
        world.get(&ada, &format!("/roles/{name}")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_role_in_use_stays_and_says_where() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    world.post(&ada, "/roles", json!({"name": "clerk", "permissions": ["users.team.*"]})).await.expect(201);
    world.post(&ada, "/roles", json!({"name": "head", "inherits": ["clerk"]})).await.expect(201);
    let clerk = world.member("Ben", &ada, &["clerk"]).await;
    let detail = world.delete(&ada, "/roles/clerk").await.refused(409, "in_use");
    assert!(detail.contains("1 members, 1 roles, 0 grants"), "{detail}");
    world.patch(&ada, &format!("/members/{}", clerk.id), json!({"roles": ["viewer"]})).await.expect(200);
    world.delete(&ada, "/roles/head").await.expect(204);
    world.delete(&ada, "/roles/clerk").await.expect(204);
    let deleted = world.organization_events(&ada, "role.deleted").await;
    assert_eq!(deleted[1]["permissionsBefore"], json!(["users.team.*"]));
}

#[tokio::test]
async fn a_changed_role_takes_hold_at_once() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    world.post(&ada, "/roles", json!({"name": "clerk"})).await.expect(201);
    let clerk = world.member("Ben", &ada, &["clerk"]).await;
    world.get(&clerk, "/people").await.refused(403, "forbidden");
    world.patch(&ada, "/roles/clerk", json!({"permissions": ["users.person.read"]})).await.expect(200);
    world.get(&clerk, "/people").await.expect(200);
    let updated = world.organization_events(&ada, "role.updated").await;
    assert_eq!(
        (&updated[0]["permissionsBefore"], &updated[0]["permissionsAfter"]),
        (&json!([]), &json!(["users.person.read"]))
    );
}

#[tokio::test]
async fn the_catalogue_names_who_holds_what() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let page = world.get(&ada, "/permissions?group=users&limit=200").await.expect(200);
    let items = page["items"].as_array().unwrap();
    let delete = items.iter().find(|one| one["name"] == "users.organization.delete").unwrap();
    assert_eq!(delete["heldBy"], json!(["owner"]));
    assert!(items.iter().all(|one| one["group"] == "users" && one["meaning"] != ""));
    assert_eq!(world.get(&ada, "/permissions?group=none").await.expect(200)["items"], json!([]));
}
