//! Values by reference and by name, for people and for the platform's services.

use coder_handler::Peers;
use coder_middleware::token::Acting;
use coder_secrets::service::Secrets;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{World, accesses, api_key, at, made};

const RESOLVE: &str = "/api/secrets/resolve";

async fn env_set(
    world: &World,
    scope: &str,
    scope_id: Option<String>,
    environment: &str,
    url: &str,
) -> String {
    let body = json!({
        "name": "APP", "kind": "env_set", "value": {"variables": {"URL": url, "MODE": "x"}},
        "scope": scope, "scopeId": scope_id, "environment": environment,
    });
    made(&world.team.owner, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn references_name_versions_and_fields() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = env_set(&world, "organization", None, "default", "first").await;
    let second = json!({"value": {"variables": {"URL": "second"}}});
    owner.post(&format!("{}/versions", at(&id)), second).await.expect(201);
    let absent = coder_core::id::EXAMPLE;
    let body = json!({"references": [
        format!("secret:{id}"), format!("secret:{id}#URL"), format!("secret:{id}@1#URL"),
        format!("secret:{id}@9"), format!("secret:{id}#NONE"), format!("secret:{absent}"),
    ]});
    let resolved = owner.post(RESOLVE, body).await.expect(200);
    assert_eq!(resolved.header("cache-control"), "no-store");
    let results = resolved.body["results"].as_array().unwrap();
    assert_eq!(results[0]["value"], json!({"variables": {"URL": "second"}}));
    assert_eq!((&results[1]["value"], &results[1]["version"]), (&json!("second"), &json!(2)));
    assert_eq!((&results[2]["value"], &results[2]["version"]), (&json!("first"), &json!(1)));
    assert_eq!(results[3]["error"]["code"], "not_found");
    assert_eq!(results[4]["error"]["code"], "validation_failed");
    assert_eq!(results[5]["error"]["code"], "not_found");
    let records = accesses(owner, &id).await;
    assert_eq!(records.iter().filter(|one| one["action"] == "resolve").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_narrowest_scope_and_the_exact_environment_win() {
    let world = World::start().await;
    let (owner, project, team) = (&world.team.owner, world.project(), world.team_id());
    let ask = async |environment: &str| {
        let named = json!({
            "name": "app", "environment": environment, "projectId": project, "teamId": team, "field": "URL",
        });
        let reply = owner.post(RESOLVE, json!({"references": [named]})).await.expect(200);
        reply.body["results"][0].clone()
    };
    assert_eq!(ask("production").await["error"]["code"], "not_found");
    let everywhere = env_set(&world, "organization", None, "default", "organization/default").await;
    assert_eq!(ask("production").await["value"], "organization/default");
    env_set(&world, "organization", None, "production", "organization/production").await;
    assert_eq!(ask("production").await["value"], "organization/production");
    env_set(&world, "team", Some(team.clone()), "default", "team/default").await;
    assert_eq!(ask("production").await["value"], "team/default");
    env_set(&world, "project", Some(project.clone()), "production", "project/production").await;
    assert_eq!(ask("production").await["value"], "project/production");
    assert_eq!(ask("staging").await["value"], "team/default");
    let own = env_set(&world, "user", None, "default", "user/default").await;
    assert_eq!(ask("production").await["value"], "user/default");
    owner.delete(&at(&own)).await.expect(204);
    assert_eq!(ask("production").await["value"], "project/production");
    owner.delete(&at(&everywhere)).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_reference_is_named_and_fifty_are_enough() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let body = json!({"references": ["secret:x", format!("secret:{}", coder_core::id::EXAMPLE), "plain"]});
    let refused = owner.post(RESOLVE, body).await.expect_problem(422, "validation_failed");
    let pointers: Vec<_> =
        refused.body["errors"].as_array().unwrap().iter().map(|one| &one["pointer"]).collect();
    assert_eq!(pointers, [&json!("/references/0"), &json!("/references/2")]);
    let many: Vec<String> = (0..51).map(|_| format!("secret:{}", coder_core::id::EXAMPLE)).collect();
    owner.post(RESOLVE, json!({"references": many})).await.expect_problem(422, "validation_failed");
    owner.post(RESOLVE, json!({"references": []})).await.expect_problem(422, "validation_failed");
    world
        .team
        .viewer
        .post(RESOLVE, json!({"references": ["secret:x"]}))
        .await
        .expect_problem(403, "forbidden");
    // Fifty at once are all recorded, though one transaction cannot hold them.
    let id = api_key(owner, "MANY", "value").await;
    let fifty: Vec<String> = (0..50).map(|_| format!("secret:{id}")).collect();
    let resolved = owner.post(RESOLVE, json!({"references": fifty})).await.expect(200);
    assert_eq!(resolved.body["results"].as_array().unwrap().len(), 50);
    assert_eq!(accesses(owner, &id).await.len(), 51);
}

/// The group `ai`, calling.
async fn call(world: &World, acting: Option<Acting>, id: &str) -> Value {
    let secrets: Secrets = world.platform.platform.service("secrets").unwrap();
    let peers: Peers = secrets.peers.seen_by("ai");
    let body = json!({"references": [format!("secret:{id}#key")]});
    let answer = peers.call_for(acting, "secrets", Method::POST, "/resolve", Some(&body)).await.unwrap();
    answer.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_has_the_rights_of_whom_it_acts_for() {
    let world = World::start().await;
    let team = &world.team;
    let id = api_key(&team.owner, "MODEL", "model-key").await;
    let acting =
        |who: Option<coder_core::UserId>| Acting { organization_id: team.organization_id, user_id: who };
    let of =
        |body: &Value| (body["results"][0]["value"].clone(), body["results"][0]["error"]["code"].clone());
    let for_owner = call(&world, Some(acting(team.owner.user_id)), &id).await;
    assert_eq!(of(&for_owner), (json!("model-key"), Value::Null));
    let record = &accesses(&team.owner, &id).await[0];
    assert_eq!((&record["consumer"], &record["actorKind"]), (&json!("ai"), &json!("service")));
    assert_eq!((&record["userId"], &record["action"]), (&json!(team.owner.user_id), &json!("resolve")));
    let for_member = call(&world, Some(acting(team.member.user_id)), &id).await;
    assert_eq!(of(&for_member), (Value::Null, json!("forbidden")));
    let for_stranger = call(&world, Some(acting(team.stranger.user_id)), &id).await;
    assert_eq!(of(&for_stranger), (Value::Null, json!("not_found")));
    assert_eq!(of(&call(&world, Some(acting(None)), &id).await), (Value::Null, json!("not_found")));
    assert_eq!(call(&world, None, &id).await["code"], "forbidden");
    // A grant that was left behind for somebody who is not here counts for nothing.
    let grant =
        json!({"principal": {"kind": "user", "id": team.member.user_id}, "actions": ["read", "reveal"]});
    let grant = team.owner.post(&format!("{}/grants", at(&id)), grant).await.expect(201).text("/id");
    let mut left = world.stored(&grant).await;
    left["principal"]["id"] = json!(team.stranger.user_id);
    world.overwrite(&grant, left).await;
    let for_stranger = call(&world, Some(acting(team.stranger.user_id)), &id).await;
    assert_eq!(of(&for_stranger), (Value::Null, json!("not_found")));
    let flagged = json!({"name": "F", "kind": "api_key", "value": {"key": "f"}, "systemUse": true});
    let refused = team.member.post("/api/secrets", flagged).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("secrets.system-use.update"));
    // Flagged by an admin, it is the service's own.
    team.admin.patch(&at(&id), json!({"systemUse": true})).await.expect(200);
    for who in [None, team.member.user_id] {
        assert_eq!(of(&call(&world, Some(acting(who)), &id).await), (json!("model-key"), Value::Null));
    }
    // For people nothing changes.
    let asked = json!({"references": [format!("secret:{id}")]});
    let refused = team.member.post(RESOLVE, asked).await.expect(200);
    assert_eq!(refused.body["results"][0]["error"]["code"], "forbidden");
}
