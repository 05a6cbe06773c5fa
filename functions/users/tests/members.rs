//! Memberships: who may change whose, and that an owner remains.

use http::Method;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn of_two_owners_who_leave_at_once_exactly_one_does() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let ben = world.member("Ben", &ada, &["owner"]).await;
    let (one_path, two_path) = (format!("/members/{}", ada.id), format!("/members/{}", ben.id));
    let (one, two) = tokio::join!(world.delete(&ada, &one_path), world.delete(&ben, &two_path));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{} {}", one.body, two.body);
    let stayed = if one.status == 409 { &ada } else { &ben };
    let members = world.get(stayed, "/members").await.expect(200);
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    let removed = world.organization_events(&ada, "membership.removed").await;
    assert_eq!((removed.len(), &removed[0]["reason"]), (1, &json!("left")));
}

#[tokio::test]
async fn nobody_reaches_above_their_rank_or_gives_what_they_lack() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let admin = world.member("Ben", &ada, &["admin"]).await;
    let member = world.member("Cy", &ada, &["member"]).await;
    let of = |who: &crate::harness::Person| format!("/members/{}", who.id);
    world.patch(&admin, &of(&ada), json!({"roles": ["member"]})).await.refused(403, "forbidden");
    world.patch(&admin, &of(&ada), json!({"status": "suspended"})).await.refused(403, "forbidden");
    world.delete(&admin, &of(&ada)).await.refused(403, "forbidden");
    world.patch(&admin, &of(&admin), json!({"roles": ["owner"]})).await.refused(403, "forbidden");
    world.delete(&member, &of(&admin)).await.refused(403, "forbidden");
    let refused = world.patch(&member, &of(&member), json!({"roles": ["admin"]})).await;
    assert!(refused.refused(403, "forbidden").contains("users.member.update"));
    // The key of an owner gives no more than the key holds.
    let key = ada.with_key(&["users.member.update", "*.*.read"]);
    world.patch(&key, &of(&member), json!({"roles": ["admin"]})).await.refused(403, "forbidden");
    world.patch(&key, &of(&member), json!({"roles": ["viewer"]})).await.expect(200);
    world.patch(&ada, &of(&ada), json!({"roles": ["admin"]})).await.refused(409, "last_owner");
    world.patch(&ada, &of(&ada), json!({"status": "suspended"})).await.refused(409, "last_owner");
    let updated = world.organization_events(&ada, "membership.updated").await;
    assert_eq!(updated.len(), 1, "what was refused left nothing behind");
    assert_eq!(
        (&updated[0]["rolesBefore"], &updated[0]["rolesAfter"]),
        (&json!(["member"]), &json!(["viewer"]))
    );
}

#[tokio::test]
async fn a_change_is_checked_whole_and_takes_hold_at_once() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let member = world.member("Cy", &ada, &["member"]).await;
    let path = format!("/members/{}", member.id);
    let bad = json!({"roles": ["ghost", "member", "member"], "expiresAt": "2020-01-01T00:00:00Z"});
    let refused = world.patch(&ada, &path, bad).await;
    assert_eq!(refused.body["errors"].as_array().unwrap().len(), 3, "{}", refused.body);
    world.patch(&ada, &path, json!({"roles": []})).await.refused(422, "validation_failed");
    let stale =
        world.call_if(&ada, Method::PATCH, &path, Some(json!({"roles": ["viewer"]})), Some("0000")).await;
    stale.refused(412, "etag_mismatch");

    world.get(&member, "/people").await.expect(200);
    let version = |body: &serde_json::Value| body["permissionVersion"].as_u64().unwrap();
    let before = version(&world.get(&ada, "/organizations/current").await.expect(200));
    world.patch(&ada, &path, json!({"status": "suspended"})).await.expect(200);
    world.get(&member, "/people").await.refused(403, "forbidden");
    assert_eq!(version(&world.get(&ada, "/organizations/current").await.expect(200)), before + 1);
    assert_eq!(world.organization_events(&ada, "membership.suspended").await.len(), 1);
    world.patch(&ada, &path, json!({"status": "active"})).await.expect(200);
    world.get(&member, "/people").await.expect(200);
    world.delete(&ada, &path).await.expect(204);
    world.get(&member, "/people").await.refused(403, "forbidden");
    world.delete(&ada, &path).await.refused(404, "not_found");
    let own = world.get(&member, "/me/organizations").await.expect(200);
    assert_eq!(own["items"].as_array().unwrap().len(), 1, "the personal one is left");
}

#[tokio::test]
async fn what_hangs_on_a_member_goes_with_them() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let member = world.member("Cy", &ada, &["viewer"]).await;
    let scope = json!({"type": "organization", "id": ada.organization});
    let grant = json!({"subject": {"type": "user", "id": member.id}, "scope": scope, "role": "member"});
    world.post(&ada, "/grants", grant).await.expect(201);
    world.delete(&ada, &format!("/members/{}", member.id)).await.expect(204);
    assert_eq!(world.get(&ada, "/grants").await.expect(200)["items"], json!([]));
    assert_eq!(world.organization_events(&ada, "grant.removed").await.len(), 1);
    assert_eq!(world.organization_events(&ada, "membership.removed").await[0]["reason"], "removed");
}

#[tokio::test]
async fn the_limit_of_members_holds_and_is_named() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let organization = world.users.organization(ada.organization).await.unwrap();
    let mut full = organization.clone();
    full.data.limits.members = 1;
    let mut unit = world.begin(coder_database::Partition::organization(ada.organization));
    let newcomer = coder_users::model::Membership::new(
        world.ambient.new_id(),
        vec!["viewer".into()],
        world.ambient.now(),
    );
    let failure = world.users.add_member(&mut unit, &full, newcomer, "test").await.unwrap_err();
    assert_eq!(failure.code(), Some(coder_core::Code::LimitReached));
    assert!(failure.to_string().contains("`members` is 1"), "{failure}");
}

#[tokio::test]
async fn lists_filter_and_sort() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    for (name, role) in [("zoe", "viewer"), ("Ben", "member"), ("Bea", "viewer")] {
        world.member(name, &ada, &[role]).await;
    }
    let names = async |query: &str| {
        let page = world.get(&ada, &format!("/members{query}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        items.iter().map(|one| one["displayName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("?sort=displayName").await, ["Ada", "Bea", "Ben", "zoe"]);
    assert_eq!(names("?sort=-displayName&limit=2").await, ["zoe", "Ben"]);
    assert_eq!(names("?role=viewer&sort=displayName").await, ["Bea", "zoe"]);
    assert_eq!(names("?q=BE&sort=displayName").await, ["Bea", "Ben"]);
    assert_eq!(names("?q=zoe@example").await, ["zoe"]);
    assert!(names("?status=suspended").await.is_empty());
    world.get(&ada, "/members?sort=email").await.refused(400, "invalid_query");
    world.get(&ada, "/members?colour=red").await.refused(400, "invalid_query");
}
