//! Organizations.

use http::Method;
use jiff::SignedDuration;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn the_creator_owns_it_and_slugs_are_unique() {
    let world = World::start().await;
    let ada = world.person("Ada").await;
    let created =
        world.post(&ada, "/organizations", json!({"name": "Acme", "slug": "acme"})).await.expect(201);
    let acme = ada.at(created["id"].as_str().unwrap().parse().unwrap());
    assert_eq!((&created["kind"], &created["slug"]), (&json!("company"), &json!("acme")));
    let members = world.get(&acme, "/members").await.expect(200);
    assert_eq!(members["items"][0]["roles"], json!(["owner"]));
    assert_eq!(world.organization_events(&acme, "organization.created").await.len(), 1);
    let again = world.post(&ada, "/organizations", json!({"name": "Acme", "slug": "acme"})).await;
    assert!(again.refused(409, "already_exists").contains("acme"));
    let other = world.post(&ada, "/organizations", json!({"name": "Acme"})).await.expect(201);
    assert_ne!(other["slug"], created["slug"]);
    world
        .post(&ada, "/organizations", json!({"name": "A", "slug": "No"}))
        .await
        .refused(422, "validation_failed");
    assert_eq!(world.get(&ada, "/organizations").await.expect(200)["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn another_tenants_organization_is_not_found() {
    let world = World::start().await;
    let (ada, eve) = (world.founder("Ada").await, world.founder("Eve").await);
    let path = format!("/organizations/{}", ada.organization);
    world.get(&eve, &path).await.refused(404, "not_found");
    world.patch(&eve, &path, json!({"name": "Mine"})).await.refused(404, "not_found");
    let confirm = Some(json!({"confirm": "ada-inc"}));
    world.call(&eve, Method::DELETE, &path, confirm).await.refused(404, "not_found");
    world.post(&eve, &format!("{path}/restore"), json!({})).await.refused(404, "not_found");
    let own = world.get(&ada, &path).await.expect(200);
    assert_eq!(own, world.get(&ada, "/organizations/current").await.expect(200));
    // A credential for an organization that the person does not belong to opens nothing.
    world.get(&eve.at(ada.organization), &path).await.refused(403, "forbidden");
}

#[tokio::test]
async fn settings_give_nothing_that_the_caller_does_not_hold() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let admin = world.member("Ben", &ada, &["admin"]).await;
    let path = "/organizations/current";
    let settings = |value: serde_json::Value| json!({"settings": value});
    let before = world.get(&ada, path).await.expect(200)["permissionVersion"].as_u64().unwrap();
    world.patch(&admin, path, settings(json!({"defaultRole": "owner"}))).await.refused(403, "forbidden");
    world
        .patch(&admin, path, settings(json!({"defaultRole": "nobody"})))
        .await
        .refused(422, "validation_failed");
    world
        .patch(&admin, path, settings(json!({"invitationDays": 31})))
        .await
        .refused(422, "validation_failed");
    world.patch(&admin, path, settings(json!({"surprise": 1}))).await.refused(422, "unknown_field");
    let changed = world.patch(&admin, path, settings(json!({"membersMayInvite": true}))).await.expect(200);
    assert_eq!(changed["settings"]["defaultRole"], "member", "what the patch leaves out stays");
    assert_eq!(changed["permissionVersion"], json!(before + 1));
    let member = world.member("Cy", &ada, &["member"]).await;
    let check = json!({"checks": [{"permission": "users.invitation.create"}]});
    assert_eq!(world.post(&member, "/authorize", check).await.expect(200)["results"][0]["allowed"], true);
}

#[tokio::test]
async fn deletion_is_confirmed_fresh_for_owners_and_can_be_undone() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let admin = world.member("Ben", &ada, &["admin"]).await;
    let path = "/organizations/current";
    let delete = async |who: &crate::harness::Person, confirm: &str| {
        world.call(who, Method::DELETE, path, Some(json!({"confirm": confirm}))).await
    };
    assert!(delete(&admin, "ada-inc").await.refused(403, "forbidden").contains("users.organization.delete"));
    delete(&ada.signed_in_long_ago(), "ada-inc").await.refused(401, "reauthentication_required");
    delete(&ada, "ada").await.refused(422, "validation_failed");
    let deleted = delete(&ada, "ada-inc").await.expect(202);
    assert_eq!(
        (&deleted["status"], &deleted["deleteAfter"]),
        (&json!("pending_deletion"), &json!("2026-02-04T12:01:00Z"))
    );
    delete(&ada, "ada-inc").await.refused(409, "invalid_state");
    let memberships =
        world.service(Method::GET, &format!("/internal/memberships?userId={}", ada.id), None).await;
    assert_eq!(memberships.expect(200)["memberships"], json!([]), "no token is issued for it any more");
    world.post(&admin, "/organizations/current/restore", json!({})).await.refused(403, "forbidden");
    world.clock.advance(SignedDuration::from_hours(24 * 29));
    let path = format!("/organizations/{}/restore", ada.organization);
    assert_eq!(world.post(&ada, &path, json!({})).await.expect(200)["status"], "active");
    assert_eq!(world.organization_events(&ada, "organization.deletion-requested").await.len(), 1);
}

#[tokio::test]
async fn a_repeated_creation_gets_the_first_answer() {
    let world = World::start().await;
    let ada = world.person("Ada").await;
    let body = json!({"name": "Acme", "slug": "acme"});
    let first = world.post_once(&ada, "/organizations", body.clone(), "k1").await.expect(201);
    let again = world.post_once(&ada, "/organizations", body, "k1").await.expect(201);
    assert_eq!(first, again);
    let other = world.post_once(&ada, "/organizations", json!({"name": "Other"}), "k1").await;
    other.refused(409, "idempotency_conflict");
    assert_eq!(world.get(&ada, "/organizations").await.expect(200)["items"].as_array().unwrap().len(), 2);
}
