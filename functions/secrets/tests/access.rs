//! Who may see and do what: roles, granted roles, teams, personal secrets, API keys, other organizations.

use coder_testkit::{Client, Reply};
use http::Method;
use serde_json::{Value, json};

use crate::harness::{World, accesses, api_key, at, key_of, made, reveal};

fn names(reply: &Reply) -> Vec<String> {
    let items = reply.body["items"].as_array().unwrap();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

async fn grant(owner: &Client, who: &Client, scope: (&str, &str), what: Value) {
    let mut body = json!({
        "subject": {"type": "user", "id": who.user_id}, "scope": {"type": scope.0, "id": scope.1},
    });
    body.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    owner.post("/api/users/grants", body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_secret_is_nobody_elses() {
    let world = World::start().await;
    let team = &world.team;
    let body = json!({"name": "MINE", "kind": "generic", "value": {"value": "own-value"}, "scope": "user"});
    let made = team.member.post("/api/secrets", body).await.expect(201);
    assert_eq!(made.body["scopeId"], json!(team.member.user_id));
    let id = made.text("/id");
    assert_eq!(reveal(&team.member, &id).await.expect(200).text("/value/value"), "own-value");
    for other in [&team.owner, &team.admin, &team.viewer, &team.stranger] {
        other.get(&at(&id)).await.expect_problem(404, "not_found");
        reveal(other, &id).await.expect_problem(404, "not_found");
        other.delete(&at(&id)).await.expect_problem(404, "not_found");
        assert_eq!(names(&other.get("/api/secrets?scope=user").await.expect(200)), [""; 0]);
        assert_eq!(accesses(other, &id).await, [] as [Value; 0]);
    }
    assert_eq!(names(&team.member.get("/api/secrets").await.expect(200)), ["MINE"]);
    // The owner learns of the attempts, and cannot share what is personal.
    let attempts = accesses(&team.member, &id).await;
    assert_eq!(attempts.iter().filter(|one| one["outcome"] == "denied").count(), 6);
    let shared = json!({"principal": {"kind": "user", "id": team.admin.user_id}, "actions": ["read"]});
    team.member.post(&format!("{}/grants", at(&id)), shared).await.expect_problem(409, "invalid_state");
    let foreign = json!({
        "name": "X", "kind": "generic", "value": {"value": "v"}, "scope": "user", "scopeId": team.admin.user_id,
    });
    team.member.post("/api/secrets", foreign).await.expect_problem(422, "validation_failed");
    team.member.post(&format!("{}/purge", at(&id)), json!({"confirmName": "MINE"})).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_decide_where_no_grant_does() {
    let world = World::start().await;
    let team = &world.team;
    let id = api_key(&team.member, "SHARED", "value").await;
    assert_eq!(key_of(&team.admin, &id).await, "value");
    // The one who made it may not see it: `member` brings no values everywhere.
    for path in ["reveal", "rotate", "restore"] {
        let reply = team.member.post(&format!("{}/{path}", at(&id)), json!({})).await;
        assert!(reply.expect_problem(403, "forbidden").text("/detail").contains(path));
    }
    let purge = json!({"confirmName": "SHARED"});
    team.member.post(&format!("{}/purge", at(&id)), purge).await.expect_problem(403, "forbidden");
    team.member.patch(&at(&id), json!({"description": "changed"})).await.expect(200);
    team.viewer.patch(&at(&id), json!({"description": "no"})).await.expect_problem(403, "forbidden");
    team.viewer.get(&at(&id)).await.expect(200);
    let body = json!({"name": "V", "kind": "generic", "value": {"value": "v"}});
    team.viewer.post("/api/secrets", body).await.expect_problem(403, "forbidden");
    let flagged = json!({"systemUse": true});
    let refused = team.member.patch(&at(&id), flagged.clone()).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("secrets.system-use.update"));
    team.admin.patch(&at(&id), flagged).await.expect(200);
    // A viewer sees the own uses, an admin everybody's.
    assert_eq!(
        accesses(&team.viewer, &id)
            .await
            .iter()
            .filter(|one| one["actor"] != json!(team.viewer.user_id))
            .count(),
        0
    );
    assert!(accesses(&team.admin, &id).await.iter().any(|one| one["actor"] == json!(team.member.user_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_by_grant_sees_values_there_and_below() {
    let world = World::start().await;
    let team = &world.team;
    let (project, own_team) = (world.project(), world.team_id());
    let body = |name: &str, scope: &str, id: &str| json!({"name": name, "kind": "api_key", "value": {"key": "value"}, "scope": scope, "scopeId": id});
    let of_project = made(&team.owner, body("P", "project", &project)).await;
    let of_team = made(&team.owner, body("T", "team", &own_team)).await;
    let of_all = api_key(&team.owner, "O", "value").await;
    reveal(&team.member, &of_project).await.expect_problem(403, "forbidden");
    grant(&team.owner, &team.member, ("team", &own_team), json!({"role": "member"})).await;
    for id in [&of_project, &of_team] {
        assert_eq!(key_of(&team.member, id).await, "value");
    }
    team.member.post(&format!("{}/rotate", at(&of_project)), json!({})).await.expect(200);
    reveal(&team.member, &of_all).await.expect_problem(403, "forbidden");
    team.member
        .post(&format!("{}/purge", at(&of_team)), json!({"confirmName": "T"}))
        .await
        .expect_problem(403, "forbidden");
    // A single permission at a project does the same.
    reveal(&team.viewer, &of_project).await.expect_problem(403, "forbidden");
    let what = json!({"permissions": ["secrets.secret.reveal"]});
    grant(&team.owner, &team.viewer, ("project", &project), what).await;
    reveal(&team.viewer, &of_project).await.expect(200);
    reveal(&team.viewer, &of_team).await.expect_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_and_roles_share_too_and_nobody_gives_what_they_lack() {
    let world = World::start().await;
    let team = &world.team;
    let id = api_key(&team.owner, "SHARED", "value").await;
    let grants = format!("{}/grants", at(&id));
    let share = |kind: &str, id: &str, actions: &[&str]| json!({"principal": {"kind": kind, "id": id}, "actions": actions});
    let viewer = team.viewer.user_id.unwrap().to_string();
    let refused = team.member.post(&grants, share("user", &viewer, &["reveal"])).await;
    assert!(refused.expect_problem(403, "forbidden").text("/detail").contains("secrets.secret.reveal"));
    team.member.post(&grants, share("user", &viewer, &["update"])).await.expect(201);
    team.viewer.patch(&at(&id), json!({"description": "by grant"})).await.expect(200);
    // The member is in the company's team.
    team.owner.post(&grants, share("team", &world.team_id(), &["reveal"])).await.expect(201);
    assert_eq!(key_of(&team.member, &id).await, "value");
    reveal(&team.viewer, &id).await.expect_problem(403, "forbidden");
    team.owner.post(&grants, share("role", "viewer", &["reveal", "reveal"])).await.expect(201);
    assert_eq!(key_of(&team.viewer, &id).await, "value");
    let agent = team.parameter("/agents/{agentId}", "agentId");
    team.owner.post(&grants, share("service", &agent, &["read"])).await.expect(201);
    let listed = team.viewer.get(&grants).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 4);
    for (kind, id) in [
        ("user", team.stranger.user_id.unwrap().to_string()),
        ("user", "nobody".to_owned()),
        ("team", coder_core::id::EXAMPLE.to_string()),
        ("role", "conductor".to_owned()),
        ("service", viewer.clone()),
    ] {
        let reply = team
            .owner
            .post(&grants, share(kind, &id, &["read"]))
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(reply.body["errors"][0]["pointer"], "/principal/id", "{kind} {id}");
    }
}

/// A person of the company whose role reads nothing of secrets.
async fn outsider(world: &World) -> Client {
    let role = json!({"name": "guest", "permissions": ["users.project.read"]});
    world.team.owner.post("/api/users/roles", role).await.expect(201);
    world.platform.join(&world.team.owner, "guest@example.com", "guest").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_may_not_read_is_hidden_and_pages_stay_full() {
    let world = World::start().await;
    let team = &world.team;
    let guest = outsider(&world).await;
    let (project, own_team) = (world.project(), world.team_id());
    let mut ids = Vec::new();
    for n in 0..4 {
        for (scope, id) in [("organization", None), ("team", Some(&own_team)), ("project", Some(&project))] {
            let name = format!("S{n}_{scope}");
            ids.push((
                scope,
                made(
                    &team.owner,
                    json!({
                        "name": name, "kind": "api_key", "value": {"key": "v"}, "scope": scope, "scopeId": id,
                    }),
                )
                .await,
            ));
        }
    }
    assert_eq!(names(&guest.get("/api/secrets").await.expect(200)), [""; 0]);
    for (_, id) in &ids {
        guest.get(&at(id)).await.expect_problem(404, "not_found");
    }
    grant(&team.owner, &guest, ("project", &project), json!({"permissions": ["secrets.secret.read"]})).await;
    let shared = json!({"principal": {"kind": "user", "id": guest.user_id}, "actions": ["read"]});
    team.owner.post(&format!("{}/grants", at(&ids[0].1)), shared).await.expect(201);
    let mut found = Vec::new();
    let mut path = "/api/secrets?limit=3".to_owned();
    loop {
        let page = guest.get(&path).await.expect(200);
        found.extend(names(&page));
        let Some(next) = page.body["nextCursor"].as_str() else { break };
        assert_eq!(names(&page).len(), 3, "a page before the last is full");
        path = format!("/api/secrets?limit=3&cursor={next}");
    }
    assert_eq!(found, ["S0_organization", "S0_project", "S1_project", "S2_project", "S3_project"]);
    for (scope, id) in &ids[1..] {
        let expected = if *scope == "project" { 200 } else { 404 };
        guest.get(&at(id)).await.expect(expected);
    }
    // What may be read may still not be revealed; what may not be read is not there.
    reveal(&guest, &ids[2].1).await.expect_problem(403, "forbidden");
    reveal(&guest, &ids[1].1).await.expect_problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_cut_to_its_own_permissions() {
    let world = World::start().await;
    let team = &world.team;
    let id = api_key(&team.owner, "SHARED", "value").await;
    let body = json!({
        "name": "P", "kind": "api_key", "value": {"key": "v"}, "scope": "project", "scopeId": world.project(),
    });
    let of_project = made(&team.owner, body).await;
    let key = async |permissions: &[&str], scope: Value| {
        let body = json!({"name": "Key", "permissions": permissions, "scope": scope});
        let made = team.owner.post("/api/auth/api-keys", body).await.expect(201);
        world.platform.nobody().with_api_key(made.text("/key"))
    };
    let whole = json!({"type": "organization", "id": team.organization_id});
    let reader = key(&["secrets.secret.read"], whole.clone()).await;
    reader.get(&at(&id)).await.expect(200);
    assert_eq!(names(&reader.get("/api/secrets").await.expect(200)), ["P", "SHARED"]);
    reveal(&reader, &id).await.expect_problem(403, "forbidden");
    // What is one's own by birth is not its either.
    let own = json!({"name": "OWN", "kind": "api_key", "value": {"key": "o"}, "scope": "user"});
    let own = made(&team.owner, own).await;
    assert_eq!(key_of(&team.owner, &own).await, "o");
    reveal(&reader, &own).await.expect_problem(403, "forbidden");
    team.owner.delete(&at(&own)).await.expect(204);
    let other = key(&["users.project.read"], whole.clone()).await;
    other.get("/api/secrets").await.expect_problem(403, "forbidden");
    other.get(&at(&id)).await.expect_problem(403, "forbidden");
    let revealer =
        key(&["secrets.secret.read", "secrets.secret.reveal", "secrets.secret.resolve"], whole).await;
    assert_eq!(key_of(&revealer, &id).await, "value");
    let record = &accesses(&team.owner, &id).await[0];
    assert_eq!((&record["actorKind"], &record["userId"]), (&json!("api_key"), &json!(team.owner.user_id)));
    let at_project = json!({"type": "project", "id": world.project()});
    let narrow =
        key(&["secrets.secret.read", "secrets.secret.reveal", "secrets.secret.resolve"], at_project).await;
    assert_eq!(names(&narrow.get("/api/secrets").await.expect(200)), ["P"]);
    assert_eq!(key_of(&narrow, &of_project).await, "v");
    reveal(&narrow, &id).await.expect_problem(403, "forbidden");
    let both = json!({"references": [format!("secret:{of_project}"), format!("secret:{id}")]});
    let resolved = narrow.post("/api/secrets/resolve", both).await.expect(200);
    assert_eq!(resolved.body["results"][0]["value"]["key"], "v");
    assert_eq!(resolved.body["results"][1]["error"]["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organization_finds_nothing() {
    let world = World::start().await;
    let (owner, stranger) = (&world.team.owner, &world.team.stranger);
    let id = api_key(owner, "SHARED", "value").await;
    let before = owner.get(&at(&id)).await.expect(200);
    for (method, path) in [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::DELETE, ""),
        (Method::POST, "/reveal"),
        (Method::POST, "/rotate"),
        (Method::POST, "/restore"),
        (Method::GET, "/versions"),
        (Method::POST, "/versions/1/activate"),
        (Method::POST, "/versions/1/destroy"),
        (Method::GET, "/grants"),
    ] {
        let reply = stranger.send(method, &format!("{}{path}", at(&id)), Some(&json!({})), &[]).await;
        reply.expect_problem(404, "not_found");
    }
    assert_eq!(names(&stranger.get("/api/secrets").await.expect(200)), [""; 0]);
    assert_eq!(accesses(stranger, &id).await, [] as [Value; 0]);
    let resolved =
        stranger.post("/api/secrets/resolve", json!({"references": [format!("secret:{id}")]})).await;
    assert_eq!(resolved.expect(200).body["results"][0]["error"]["code"], "not_found");
    assert_eq!(owner.get(&at(&id)).await.expect(200).body, before.body);
}
