//! Teams, their hierarchy and who is in them.

use http::Method;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn a_hierarchy_is_made_listed_and_taken_down() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let stranger = world.founder("Eve").await;
    let top = world.make(&owner, "/teams", json!({"name": "Top"})).await;
    let below = world.make(&owner, "/teams", json!({"name": " Below ", "parentTeamId": top})).await;
    let tree = world.get(&owner, "/teams?tree=true").await.expect(200);
    assert_eq!(tree["items"][0]["children"][0]["name"], "Below");
    assert_eq!(tree["items"][0]["children"][0]["children"], json!([]));
    let flat = world.get(&owner, "/teams").await.expect(200);
    assert_eq!(flat["items"].as_array().unwrap().len(), 2);
    assert!(flat["items"][0].get("children").is_none());

    world.post(&owner, "/teams", json!({"name": "tOP"})).await.refused(409, "already_exists");
    let unknown = json!({"name": "Lost", "parentTeamId": stranger.organization});
    world.post(&owner, "/teams", unknown).await.refused(422, "validation_failed");
    let cycle = json!({"parentTeamId": below});
    world.patch(&owner, &format!("/teams/{top}"), cycle).await.refused(422, "validation_failed");
    world.patch(&owner, &format!("/teams/{top}"), json!({"name": "TOP"})).await.expect(200);
    world
        .patch(&owner, &format!("/teams/{below}"), json!({"name": "top"}))
        .await
        .refused(409, "already_exists");
    let archived =
        world.patch(&owner, &format!("/teams/{below}"), json!({"archived": true})).await.expect(200);
    assert!(archived["archivedAt"].is_string());

    world.delete(&owner, &format!("/teams/{top}")).await.refused(409, "not_empty");
    for path in [format!("/teams/{top}"), format!("/teams/{top}/members")] {
        world.get(&stranger, &path).await.refused(404, "not_found");
    }
    world.delete(&owner, &format!("/teams/{below}")).await.expect(204);
    world.make(&owner, "/teams", json!({"name": "Below"})).await;
    assert_eq!(world.organization_events(&owner, "team.deleted").await[0]["teamId"], json!(below));
}

#[tokio::test]
async fn only_members_are_put_into_teams_and_again_changes_nothing() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let member = world.member("Max", &owner, &["member"]).await;
    let stranger = world.person("Eve").await;
    let team = world.make(&owner, "/teams", json!({"name": "Core"})).await;
    world.place(&owner, &team, &stranger, "member").await.refused(422, "validation_failed");
    let missing = coder_core::id::EXAMPLE.to_string();
    world.place(&owner, &missing, &member, "member").await.refused(404, "not_found");
    let (one, other) = tokio::join!(
        world.place(&owner, &team, &member, "member"),
        world.place(&owner, &team, &member, "member")
    );
    let first = one.expect(200);
    other.expect(200);
    let again = world.place(&owner, &team, &member, "member").await.expect(200);
    assert_eq!(first["etag"], again["etag"]);
    let lead = world.place(&owner, &team, &member, "lead").await.expect(200);
    assert_eq!(lead["role"], "lead");
    let listed = world.get(&owner, &format!("/teams/{team}/members?role=lead")).await.expect(200);
    assert_eq!(listed["items"][0]["userId"], json!(member.id));
    world.delete(&owner, &format!("/teams/{team}/members/{}", member.id)).await.expect(204);
    world.delete(&owner, &format!("/teams/{team}/members/{}", member.id)).await.refused(404, "not_found");
    let roles: Vec<_> = world.organization_events(&owner, "team-member.added").await;
    assert_eq!(
        roles.iter().map(|event| event["role"].as_str().unwrap()).collect::<Vec<_>>(),
        ["member", "lead"]
    );
}

#[tokio::test]
async fn a_lead_changes_the_team_and_gives_nobody_more_than_they_have() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let lead = world.member("Lea", &owner, &["member"]).await;
    let other = world.member("Max", &owner, &["member"]).await;
    let team = world.make(&owner, "/teams", json!({"name": "Core"})).await;
    let rename = json!({"description": "Ours"});
    world.patch(&lead, &format!("/teams/{team}"), rename.clone()).await.refused(403, "forbidden");
    world.place(&owner, &team, &lead, "lead").await.expect(200);
    world.patch(&lead, &format!("/teams/{team}"), rename.clone()).await.expect(200);
    world.patch(&other, &format!("/teams/{team}"), rename.clone()).await.refused(403, "forbidden");
    let key = lead.with_key(&["users.team.read"]);
    world.patch(&key, &format!("/teams/{team}"), rename).await.refused(403, "forbidden");
    world.place(&lead, &team, &other, "member").await.expect(200);
    world.delete(&lead, &format!("/teams/{team}/members/{}", other.id)).await.expect(204);

    // A team that is given much: joining it, or being put below it, gives that.
    let strong = world.make(&owner, "/teams", json!({"name": "Strong"})).await;
    let scope = json!({"type": "organization", "id": owner.organization});
    let grant = json!({"subject": {"type": "team", "id": strong}, "scope": scope, "permissions": ["users.role.delete"]});
    world.make(&owner, "/grants", grant).await;
    let move_below = json!({"parentTeamId": strong});
    let detail =
        world.patch(&lead, &format!("/teams/{team}"), move_below.clone()).await.refused(403, "forbidden");
    assert!(detail.contains("users.role.delete"), "{detail}");
    world.patch(&owner, &format!("/teams/{team}"), move_below).await.expect(200);
    world.deliver().await;
    let detail = world.place(&lead, &team, &other, "member").await;
    assert_eq!(detail.status.as_u16(), 200, "the lead has it now: {}", detail.body);
}

#[tokio::test]
async fn a_deleted_team_takes_its_places_and_grants_with_it() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    let member = world.member("Max", &owner, &["member"]).await;
    let team = world.make(&owner, "/teams", json!({"name": "Core"})).await;
    world.place(&owner, &team, &member, "member").await.expect(200);
    for scope in
        [json!({"type": "team", "id": team}), json!({"type": "organization", "id": owner.organization})]
    {
        let grant = json!({"subject": {"type": "team", "id": team}, "scope": scope, "role": "viewer"});
        world.make(&owner, "/grants", grant).await;
    }
    world.delete(&owner, &format!("/teams/{team}")).await.expect(204);
    world.deliver().await;
    assert_eq!(world.get(&owner, "/grants").await.expect(200)["items"], json!([]));
    assert_eq!(world.organization_events(&owner, "team-member.removed").await.len(), 1);
    assert_eq!(world.organization_events(&owner, "grant.removed").await.len(), 2);
}

#[tokio::test]
async fn what_is_granted_at_a_parent_team_holds_in_the_project_below() {
    let world = World::start().await;
    let owner = world.founder("Olga").await;
    world.post(&owner, "/roles", json!({"name": "guest"})).await.expect(201);
    let guest = world.member("Gus", &owner, &["guest"]).await;
    let parent = world.make(&owner, "/teams", json!({"name": "Parent"})).await;
    let child = world.make(&owner, "/teams", json!({"name": "Child", "parentTeamId": parent})).await;
    let project = json!({"name": "Shop", "key": "SHOP", "teamId": child});
    let project = world.make(&owner, "/projects", project).await;
    let scope = json!({"type": "team", "id": parent});
    let grant = json!({"subject": {"type": "user", "id": guest.id}, "scope": scope, "role": "viewer"});
    let grant = world.make(&owner, "/grants", grant).await;
    let scope = json!({"type": "project", "id": project});
    let checks = json!({"checks": [
        {"permission": "users.project.read", "scope": scope},
        {"permission": "users.project.create", "scope": scope},
        {"permission": "users.project.read"},
    ]});
    let answer = world.post(&guest, "/authorize", checks).await.expect(200);
    let allowed: Vec<_> = (0..3).map(|n| answer["results"][n]["allowed"].as_bool().unwrap()).collect();
    assert_eq!(allowed, [true, false, false]);
    let path = format!("/people/{}/permissions?scopeType=project&scopeId={project}", guest.id);
    let sources = world.call(&guest, Method::GET, &path, None).await.expect(200);
    assert!(sources.to_string().contains(&grant), "{sources}");
    world.get(&guest, &format!("/projects/{project}")).await.expect(200);
    world.get(&guest, "/projects").await.refused(403, "forbidden");
}
