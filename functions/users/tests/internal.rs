//! What other groups are answered.

use http::Method;
use serde_json::{Value, json};

use crate::harness::World;

#[tokio::test]
async fn provisioning_twice_makes_one_person_and_one_organization() {
    let world = World::start().await;
    let id = coder_core::id::EXAMPLE;
    let body =
        json!({"userId": id, "email": " Ada@Example.com", "displayName": "Ada", "emailVerified": true});
    let first = world.service(Method::POST, "/internal/provision", Some(body.clone())).await.expect(200);
    let again = world.service(Method::POST, "/internal/provision", Some(body)).await.expect(200);
    assert_eq!((&first["created"], &again["created"]), (&json!(true), &json!(false)));
    assert_eq!(first["memberships"], again["memberships"]);
    assert_eq!(first["organizationId"], again["organizationId"]);
    assert_eq!(first["email"], "ada@example.com");
    let membership = &first["memberships"][0];
    assert_eq!((&membership["roles"], &membership["rank"]), (&json!(["owner"]), &json!("owner")));
    assert_eq!((&membership["kind"], &membership["isDefault"]), (&json!("personal"), &json!(true)));
    let created = world.events(format!("user:{id}"), "user.created").await;
    assert_eq!((created.len(), &created[0]["userId"]), (1, &json!(id.to_string())));
    assert_eq!(world.events(format!("org:{id}"), "membership.added").await.len(), 1);
}

#[tokio::test]
async fn names_that_collide_get_different_slugs() {
    let world = World::start().await;
    let (one, two) = (world.person("Ada Lovelace").await, world.person("Ada Lovelace").await);
    let slug = async |of: &crate::harness::Person| {
        world.get(of, "/organizations/current").await.expect(200)["slug"].as_str().unwrap().to_owned()
    };
    let (one, two) = (slug(&one).await, slug(&two).await);
    assert_eq!(one, "ada-lovelace");
    assert!(two.starts_with("ada-lovelace-"), "{two}");
}

#[tokio::test]
async fn a_bad_token_refuses_and_leaves_a_person_who_can_come_again() {
    let world = World::start().await;
    let id = coder_core::id::EXAMPLE;
    let mut body =
        json!({"userId": id, "email": "a@example.com", "displayName": "Ada", "invitationToken": "nope"});
    let refused = world.service(Method::POST, "/internal/provision", Some(body.clone())).await;
    assert!(refused.status.is_client_error(), "{}", refused.body);
    body["invitationToken"] = Value::Null;
    body.as_object_mut().unwrap().remove("invitationToken");
    let answer = world.service(Method::POST, "/internal/provision", Some(body)).await.expect(200);
    assert_eq!(answer["memberships"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn permissions_follow_membership_and_nothing_else() {
    let world = World::start().await;
    let owner = world.founder("Ada").await;
    let stranger = world.person("Eve").await;
    let ask = async |user: &crate::harness::Person, scope: Value| {
        let body = json!({"organizationId": owner.organization, "userId": user.id, "scope": scope});
        world.service(Method::POST, "/internal/permissions", Some(body)).await.expect(200)
    };
    let organization = json!({"type": "organization", "id": owner.organization});
    assert_eq!(ask(&owner, organization.clone()).await["permissions"], json!(["*"]));
    assert_eq!(ask(&stranger, organization).await["permissions"], json!([]));
    let elsewhere = json!({"type": "project", "id": coder_core::id::EXAMPLE});
    assert_eq!(
        ask(&owner, elsewhere.clone()).await["permissions"],
        json!(["*"]),
        "the look-up then finds nothing"
    );
    let body = json!({"organizationId": coder_core::id::EXAMPLE, "userId": owner.id, "scope": elsewhere});
    let nowhere = world.service(Method::POST, "/internal/permissions", Some(body)).await.expect(200);
    assert_eq!(nowhere, json!({"permissions": [], "permissionVersion": 0, "scopeKnown": false}));
    let seen = world.get(&owner, &format!("/members/{}", owner.id)).await.expect(200);
    assert_eq!(seen["lastAccessAt"], "2026-01-05T12:01:00Z", "the first question noted the access");
}

#[tokio::test]
async fn the_same_registration_at_once_makes_one_of_each() {
    let world = World::start().await;
    let id = coder_core::id::EXAMPLE;
    let body = json!({"userId": id, "email": "a@example.com", "displayName": "Ada", "emailVerified": true});
    let call = || world.service(Method::POST, "/internal/provision", Some(body.clone()));
    let (one, two) = tokio::join!(call(), call());
    assert_eq!(one.expect(200)["memberships"], two.expect(200)["memberships"]);
    assert_eq!(world.events(format!("org:{id}"), "organization.created").await.len(), 1);
}

#[tokio::test]
async fn in_a_suspended_organization_nobody_may_do_anything() {
    let world = World::start().await;
    let owner = world.founder("Ada").await;
    world.get(&owner, "/organizations/current").await.expect(200);
    world.suspend(&owner).await;
    world.get(&owner, "/organizations/current").await.refused(403, "forbidden");
    let known = world.service(Method::GET, &format!("/internal/memberships?userId={}", owner.id), None).await;
    assert_eq!(known.expect(200)["memberships"], json!([]));
    world.get(&owner, "/me").await.expect(200);
}

#[tokio::test]
async fn people_may_not_ask_as_services() {
    let world = World::start().await;
    let owner = world.founder("Ada").await;
    let path = format!("/internal/memberships?userId={}", owner.id);
    world.get(&owner, &path).await.refused(403, "forbidden");
    let known = world.service(Method::GET, &path, None).await.expect(200);
    assert_eq!(known["memberships"][0]["kind"], "company");
    let unknown = format!("/internal/memberships?userId={}", coder_core::id::EXAMPLE);
    world.service(Method::GET, &unknown, None).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_provider_brings_members_with_its_role_and_never_owners() {
    let world = World::start().await;
    let owner = world.founder("Ada").await;
    world
        .post(&owner, "/roles", json!({"name": "auditor", "permissions": ["users.team.read"]}))
        .await
        .expect(201);
    let bring = async |name: &str, role: &str| {
        let membership = json!({"organizationId": owner.organization, "role": role});
        let id: coder_core::UserId = world.ambient.new_id();
        let email = format!("{name}@example.com");
        let body = json!({"userId": id, "email": email, "displayName": name, "membership": membership});
        let first = world.service(Method::POST, "/internal/provision", Some(body.clone())).await.expect(200);
        let again = world.service(Method::POST, "/internal/provision", Some(body)).await.expect(200);
        assert_eq!(first["memberships"], again["memberships"]);
        assert_eq!(first["organizationId"], json!(owner.organization));
        let memberships = first["memberships"].as_array().unwrap();
        assert_eq!(memberships.len(), 1, "there is no personal organization beside it");
        memberships[0]["roles"].clone()
    };
    assert_eq!(bring("auditor", "auditor").await, json!(["auditor"]));
    assert_eq!(bring("admin", "admin").await, json!(["admin"]));
    assert_eq!(bring("gone", "unicorn").await, json!(["member"]));
    assert_eq!(bring("owner", "owner").await, json!(["member"]));
    let added = world.organization_events(&owner, "membership.added").await;
    let by_provider = added.iter().filter(|event| event["via"] == "provider").count();
    assert_eq!(by_provider, 4, "a repeat adds nothing");
}

#[tokio::test]
async fn a_provider_brings_nobody_beyond_the_limit_or_into_an_organization_out_of_use() {
    let world = World::start().await;
    let owner = world.founder("Ada").await;
    let bring = async |organization: Value| {
        let id: coder_core::UserId = world.ambient.new_id();
        let membership = json!({"organizationId": organization, "role": "member"});
        let body =
            json!({"userId": id, "email": "x@example.com", "displayName": "X", "membership": membership});
        world.service(Method::POST, "/internal/provision", Some(body)).await
    };
    let before = world.users.organization(owner.organization).await.unwrap();
    let mut after = before.data.clone();
    after.limits.members = 1;
    let mut unit = world.begin(coder_database::Partition::organization(owner.organization));
    unit.replace(&before, after).unwrap();
    drop(unit.commit().await.unwrap());
    bring(json!(owner.organization)).await.refused(409, "limit_reached");
    world.suspend(&owner).await;
    bring(json!(owner.organization)).await.refused(409, "invalid_state");
    bring(json!(coder_core::id::EXAMPLE)).await.refused(404, "not_found");
}

#[tokio::test]
async fn roles_are_told_with_what_they_inherit() {
    let world = World::start().await;
    let owner = world.founder("Ada").await;
    world
        .post(&owner, "/roles", json!({"name": "base", "permissions": ["users.team.read"]}))
        .await
        .expect(201);
    let heir = json!({"name": "heir", "permissions": ["users.role.read"], "inherits": ["base"]});
    world.post(&owner, "/roles", heir).await.expect(201);
    let body = json!({"organizationId": owner.organization, "roles": ["heir", "unicorn", "owner"]});
    let told = world.service(Method::POST, "/internal/roles", Some(body.clone())).await.expect(200);
    let expected = json!({"heir": ["users.role.read", "users.team.read"], "owner": ["*"]});
    assert_eq!(told["roles"], expected);
    world.post(&owner, "/internal/roles", body).await.refused(403, "forbidden");
}
