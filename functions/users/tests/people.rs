//! People, as colleagues see them.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn only_holders_of_member_read_see_and_find_addresses() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let role = json!({"name": "shy", "permissions": ["users.person.read"]});
    world.post(&ada, "/roles", role).await.expect(201);
    let shy = world.member("Ben", &ada, &["shy"]).await;
    let path = format!("/people/{}", ada.id);
    assert_eq!(world.get(&ada, &path).await.expect(200)["email"], "ada@example.com");
    let seen = world.get(&shy, &path).await.expect(200);
    assert_eq!((seen.get("email"), &seen["displayName"]), (None, &json!("Ada")));
    let found = async |who: &crate::harness::Person, q: &str| {
        let page = world.get(who, &format!("/people?q={q}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.iter().all(|one| (who.id == shy.id) != one.get("email").is_some()));
        items.len()
    };
    assert_eq!((found(&ada, "ADA@").await, found(&shy, "ADA@").await), (1, 0), "no probing for addresses");
    assert_eq!((found(&ada, "ad").await, found(&shy, "ad").await), (1, 1));
    world.get(&shy, "/members").await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_person_of_another_organization_is_not_found() {
    let world = World::start().await;
    let (ada, eve) = (world.founder("Ada").await, world.founder("Eve").await);
    for path in ["/people/{}", "/members/{}", "/people/{}/permissions"] {
        let path = path.replace("{}", &ada.id.to_string());
        world.get(&eve, &path).await.refused(404, "not_found");
    }
    world.get(&eve, "/people/not-an-id").await.refused(404, "not_found");
    let own = world.get(&eve, "/people").await.expect(200);
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn filters_cut_the_list() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let ben = world.member("Ben", &ada, &["member"]).await;
    let team = world.post(&ada, "/teams", json!({"name": "Core"})).await.expect(201);
    let team = team["id"].as_str().unwrap().to_owned();
    let place = format!("/teams/{team}/members/{}", ben.id);
    world.call(&ada, http::Method::PUT, &place, Some(json!({"role": "member"}))).await.expect(200);
    let ids = async |query: &str| {
        let page = world.get(&ada, &format!("/people{query}")).await.expect(200);
        page["items"].as_array().unwrap().iter().map(|one| one["userId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&format!("?teamId={team}")).await, [json!(ben.id)]);
    assert!(ids(&format!("?teamId={}", coder_core::id::EXAMPLE)).await.is_empty());
    assert_eq!(ids("?kind=human&status=active&sort=-displayName").await, [json!(ben.id), json!(ada.id)]);
    assert!(ids("?kind=agent").await.is_empty());
}

#[tokio::test]
async fn permissions_are_explained_to_the_person_and_to_those_who_may_see_grants() {
    let world = World::start().await;
    let ada = world.founder("Ada").await;
    let guest_role = json!({"name": "guest"});
    world.post(&ada, "/roles", guest_role).await.expect(201);
    let guest = world.member("Ben", &ada, &["guest"]).await;
    let path = format!("/people/{}/permissions", guest.id);
    let nothing = world.get(&guest, &path).await.expect(200);
    assert_eq!((&nothing["permissions"], &nothing["patterns"]), (&json!([]), &json!([])));
    world.get(&guest, &format!("/people/{}/permissions", ada.id)).await.refused(403, "forbidden");
    let of_ada = world.get(&ada.with_key(&["users.team.read"]), &path).await;
    assert!(of_ada.refused(403, "forbidden").contains("users.grant.read"), "the key cuts");
    world
        .get(&ada, &format!("{path}?scopeType=team&scopeId={}", coder_core::id::EXAMPLE))
        .await
        .refused(404, "not_found");
    world.get(&ada, &format!("{path}?scopeType=planet")).await.refused(400, "invalid_query");
}
