//! Grants at scopes, and what they allow.

use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{Person, World};

async fn create(world: &World, who: &Person, path: &str, body: Value) -> String {
    world.post(who, path, body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_viewer_of_the_parent_team_reads_in_the_project_and_no_more() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    world.post(&ada, "/roles", json!({"name": "guest"})).await.expect(201);
    let guest = world.member("Ben", &ada, &["guest"]).await;
    let parent = create(&world, &ada, "/teams", json!({"name": "Parent"})).await;
    let child = create(&world, &ada, "/teams", json!({"name": "Child", "parentTeamId": parent})).await;
    let project =
        create(&world, &ada, "/projects", json!({"name": "One", "key": "ONE", "teamId": child})).await;
    let scope = json!({"type": "team", "id": parent});
    let grant = json!({"subject": {"type": "user", "id": guest.id}, "scope": scope, "role": "viewer"});
    let grant = create(&world, &ada, "/grants", grant).await;

    let at = json!({"type": "project", "id": project});
    let checks = ["planning.task.read", "planning.task.create", "platform.audit.read"]
        .map(|permission| json!({"permission": permission, "scope": at}));
    let answer = world.post(&guest, "/authorize", json!({"checks": checks})).await.expect(200);
    let allowed: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|one| one["allowed"].clone()).collect();
    assert_eq!(allowed, [true, false, false]);
    let path = format!("/people/{}/permissions?scopeType=project&scopeId={project}", guest.id);
    let explained = world.get(&guest, &path).await.expect(200);
    let read = explained["permissions"].as_array().unwrap().iter();
    let read = read.clone().find(|one| one["permission"] == "users.project.read").unwrap();
    assert_eq!(read["sources"][0]["grantId"], json!(grant));
    // The project can be read with a permission that holds only there.
    world.get(&guest, &format!("/projects/{project}")).await.expect(200);
    world.get(&guest, "/projects").await.refused(403, "forbidden");

    world.delete(&ada, &format!("/grants/{grant}")).await.expect(204);
    let answer = world.post(&guest, "/authorize", json!({"checks": checks})).await.expect(200);
    assert_eq!(answer["results"][0]["allowed"], false);
    let (added, removed) = ("grant.added", "grant.removed");
    for name in [added, removed] {
        assert_eq!(world.organization_events(&ada, name).await[0]["scope"], scope, "{name}");
    }
}

#[tokio::test]
async fn operators_permissions_are_no_owners() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let checks =
        json!({"checks": [{"permission": "platform.audit.inspect"}, {"permission": "gone.thing.act"}]});
    let answer = world.post(&ada, "/authorize", checks).await.expect(200);
    assert_eq!(
        (&answer["results"][0]["allowed"], &answer["results"][1]["allowed"]),
        (&json!(false), &json!(true))
    );
}

#[tokio::test]
async fn every_fault_of_a_grant_is_named() {
    let world = World::start().await;
    let (ada, eve) = (world.founder("Ada").await, world.founder("Eve").await);
    let foreign = json!({
        "subject": {"type": "user", "id": eve.id}, "scope": {"type": "organization", "id": eve.organization},
        "permissions": ["users.team.fly"], "expiresAt": "2020-01-01T00:00:00Z",
    });
    let refused = world.post(&ada, "/grants", foreign).await;
    assert_eq!(refused.body["errors"].as_array().unwrap().len(), 4, "{}", refused.body);
    refused.refused(422, "validation_failed");
    let scope = json!({"type": "organization", "id": ada.organization});
    let own = |more: Value| {
        let mut body = json!({"subject": {"type": "user", "id": ada.id}, "scope": scope});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    };
    world.post(&ada, "/grants", own(json!({}))).await.refused(422, "validation_failed");
    world
        .post(&ada, "/grants", own(json!({"role": "viewer", "permissions": ["users.*"]})))
        .await
        .refused(422, "validation_failed");
    world
        .post(&ada, "/grants", own(json!({"permissions": ["users.team.fly"]})))
        .await
        .refused(422, "unknown_permission");
    world.post(&ada, "/grants", own(json!({"role": "ghost"}))).await.refused(422, "validation_failed");
    let agent = json!({"subject": {"type": "agent", "id": ada.id}, "scope": scope, "role": "viewer"});
    world.post(&ada, "/grants", agent).await.refused(422, "validation_failed");
}

#[tokio::test]
async fn nobody_grants_what_they_lack_and_grants_end() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let admin = world.member("Ben", &ada, &["admin"]).await;
    let viewer = world.member("Cy", &ada, &["viewer"]).await;
    let scope = json!({"type": "organization", "id": ada.organization});
    let grant = |role: &str| {
        json!({
            "subject": {"type": "user", "id": viewer.id}, "scope": scope, "role": role, "expiresAt": "2026-01-05T13:00:00Z",
        })
    };
    let refused = world.post(&admin, "/grants", grant("owner")).await.refused(403, "forbidden");
    assert!(world.names_an_owners_permission(&refused), "{refused}");
    let key = admin.with_key(&["users.grant.create"]);
    world.post(&key, "/grants", grant("member")).await.refused(403, "forbidden");
    world.post(&viewer, "/grants", grant("viewer")).await.refused(403, "forbidden");
    create(&world, &admin, "/grants", grant("member")).await;
    let may = async || {
        let checks = json!({"checks": [{"permission": "users.team.create"}]});
        world.post(&viewer, "/authorize", checks).await.expect(200)["results"][0]["allowed"].clone()
    };
    assert_eq!(may().await, true);
    world.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(may().await, false, "before any job ran");
    let mine = world.get(&ada, &format!("/grants?subjectId={}", viewer.id)).await.expect(200);
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        world.get(&ada, &format!("/grants?scopeId={}", viewer.id)).await.expect(200)["items"],
        json!([])
    );
}

#[tokio::test]
async fn people_ask_about_themselves_and_services_about_anybody() {
    let world = World::start().await;
    let (ada, eve) = (world.founder("Ada").await, world.founder("Eve").await);
    let check = json!([{"permission": "users.team.read"}]);
    world
        .post(&eve, "/authorize", json!({"checks": check, "userId": ada.id}))
        .await
        .refused(403, "forbidden");
    let elsewhere = json!({"checks": check, "organizationId": ada.organization});
    world.post(&eve, "/authorize", elsewhere).await.refused(404, "not_found");
    world.post(&eve, "/authorize", json!({"checks": []})).await.refused(422, "validation_failed");
    world
        .post(&eve, "/authorize", json!({"checks": [{"permission": "users.*"}]}))
        .await
        .refused(422, "validation_failed");
    let many = vec![json!({"permission": "users.team.read"}); 101];
    world.post(&eve, "/authorize", json!({"checks": many})).await.refused(422, "validation_failed");
    let asked = json!({"checks": check, "userId": ada.id, "organizationId": ada.organization});
    let answer = world.service(Method::POST, "/authorize", Some(asked)).await.expect(200);
    assert_eq!(answer["results"][0]["allowed"], true);
    world
        .service(Method::POST, "/authorize", Some(json!({"checks": check})))
        .await
        .refused(422, "validation_failed");
    let key = ada.with_key(&["users.person.read"]);
    let cut = world.post(&key, "/authorize", json!({"checks": check})).await.expect(200);
    assert_eq!(cut["results"][0]["allowed"], false);
}

#[tokio::test]
async fn grants_and_roles_of_another_tenant_are_not_found() {
    let world = World::start().await;
    let (ada, eve) = (world.founder("Ada").await, world.founder("Eve").await);
    let scope = json!({"type": "organization", "id": ada.organization});
    let grant = json!({"subject": {"type": "user", "id": ada.id}, "scope": scope, "role": "viewer"});
    let grant = create(&world, &ada, "/grants", grant).await;
    world.post(&ada, "/roles", json!({"name": "clerk"})).await.expect(201);
    for path in [format!("/grants/{grant}"), "/roles/clerk".to_owned()] {
        world.get(&eve, &path).await.refused(404, "not_found");
        world.delete(&eve, &path).await.refused(404, "not_found");
        world.get(&ada, &path).await.expect(200);
    }
}
