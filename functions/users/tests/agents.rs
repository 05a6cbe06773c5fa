//! Agents and services of an organization.

use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn an_agent_is_a_member_with_a_name_of_its_own_until_it_goes() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let (admin, stranger) = (world.member("Abe", &owner, &["admin"]).await, world.founder("Eve").await);
    let body = json!({"kind": "agent", "displayName": "Reviewer", "roles": ["viewer"]});
    let id = world.make(&admin, "/agents", body).await;
    let path = format!("/agents/{id}");
    let listed = world.get(&owner, "/people?kind=agent").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let changed = world.patch(&admin, &path, json!({"displayName": "Second reviewer"})).await.expect(200);
    assert_eq!((&changed["displayName"], &changed["kind"]), (&json!("Second reviewer"), &json!("agent")));
    let listed = world.get(&owner, "/people?kind=agent").await.expect(200).to_string();
    assert!(listed.contains("Second reviewer"), "{listed}");

    let human = format!("/agents/{}", owner.id);
    world.patch(&owner, &human, json!({"title": "Robot"})).await.refused(404, "not_found");
    world.delete(&owner, &human).await.refused(404, "not_found");
    world.patch(&stranger, &path, json!({"title": "Mine"})).await.refused(404, "not_found");
    world.delete(&stranger, &path).await.refused(404, "not_found");

    world.delete(&admin, &path).await.expect(204);
    world.delete(&admin, &path).await.refused(404, "not_found");
    let purged = world.events(format!("user:{id}"), "user.purged").await;
    assert_eq!(purged[0]["userId"], json!(id));
    world.deliver().await;
    assert_eq!(world.get(&owner, "/people?kind=agent").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn an_agent_gets_no_more_than_its_maker_has() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let admin = world.member("Abe", &owner, &["admin"]).await;
    let member = world.member("Max", &owner, &["member"]).await;
    let agent = |roles| json!({"kind": "service", "displayName": "Builder", "roles": roles});
    world.post(&admin, "/agents", agent(["owner"])).await.refused(403, "forbidden");
    world.post(&admin, "/agents", agent(["nonsense"])).await.refused(422, "validation_failed");
    world.post(&member, "/agents", agent(["viewer"])).await.refused(403, "forbidden");
    let strong = world.make(&owner, "/agents", agent(["owner"])).await;
    world.delete(&admin, &format!("/agents/{strong}")).await.refused(403, "forbidden");
    world.delete(&owner, &format!("/agents/{strong}")).await.expect(204);
}
