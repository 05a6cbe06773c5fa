//! Attempts to reach another tenant by ids and names in a body: each is a fault of that field, as if there were no such
//! thing.

use coder_testkit::Client;
use coder_testkit::issuer::Issuer;
use http::Method;
use serde_json::{Value, json};

use crate::tenancy::Neighbours;

/// A request of the stranger's, and the field that is at fault.
type Attempt = (Method, String, Value, &'static str);

fn post(path: &str, body: Value, pointer: &'static str) -> Attempt {
    (Method::POST, format!("/api/{path}"), body, pointer)
}

fn patch(path: &str, body: Value, pointer: &'static str) -> Attempt {
    (Method::PATCH, format!("/api/{path}"), body, pointer)
}

fn of(kind: &str, id: impl ToString) -> Value {
    json!({"type": kind, "id": id.to_string()})
}

/// Teams and projects in those of another company, or led by its people.
fn placed(neighbours: &Neighbours) -> Vec<Attempt> {
    let (team, member) = (neighbours.theirs("teams"), neighbours.theirs("members"));
    let own_team = format!("users/teams/{}", neighbours.own.team);
    let own_project = format!("users/projects/{}", neighbours.own.project);
    vec![
        post("users/teams", json!({"name": "x", "parentTeamId": team}), "/parentTeamId"),
        patch(&own_team, json!({"parentTeamId": team}), "/parentTeamId"),
        post("users/projects", json!({"name": "x", "key": "XX", "teamId": team}), "/teamId"),
        patch(&own_project, json!({"teamId": team}), "/teamId"),
        post("users/projects", json!({"name": "x", "key": "XX", "leadUserId": member}), "/leadUserId"),
        patch(&own_project, json!({"leadUserId": member}), "/leadUserId"),
    ]
}

/// Grants to another company's people and teams, and at its scopes.
fn granted(neighbours: &Neighbours) -> Vec<Attempt> {
    let (team, project) = (neighbours.theirs("teams"), neighbours.theirs("projects"));
    let me = of("user", neighbours.team.stranger.user_id.unwrap());
    let here = of("team", &neighbours.own.team);
    let grant = |subject: &Value, scope: &Value, role: &str, pointer| {
        post("users/grants", json!({"subject": subject, "scope": scope, "role": role}), pointer)
    };
    vec![
        grant(&of("user", neighbours.theirs("members")), &here, "viewer", "/subject/id"),
        grant(&of("agent", neighbours.theirs("agents")), &here, "viewer", "/subject/id"),
        grant(&of("team", &team), &here, "viewer", "/subject/id"),
        grant(&me, &of("team", &team), "viewer", "/scope/id"),
        grant(&me, &of("project", project), "viewer", "/scope/id"),
        grant(&me, &of("organization", neighbours.team.organization_id), "viewer", "/scope/id"),
        grant(&me, &here, &neighbours.theirs("roles"), "/role"),
    ]
}

/// Roles of another company, wherever a role can stand.
async fn roles(neighbours: &Neighbours) -> Vec<Attempt> {
    let (role, stranger) = (neighbours.theirs("roles"), &neighbours.team.stranger);
    let provider = Issuer::start().await.register(stranger, json!({})).await;
    let member = format!("users/members/{}", stranger.user_id.unwrap());
    vec![
        post("users/roles", json!({"name": "heir", "permissions": [], "inherits": [role]}), "/inherits"),
        post("users/invitations", json!({"emails": ["x@example.com"], "roles": [role]}), "/roles/0"),
        post("users/agents", json!({"displayName": "x", "kind": "agent", "roles": [role]}), "/roles"),
        patch(&member, json!({"roles": ["owner", role]}), "/roles"),
        patch(
            "users/organizations/current",
            json!({"settings": {"defaultRole": role}}),
            "/settings/defaultRole",
        ),
        patch(&format!("auth/providers/{provider}"), json!({"defaultRole": role}), "/defaultRole"),
    ]
}

/// Invitations and API keys into another company.
fn entrances(neighbours: &Neighbours) -> Vec<Attempt> {
    let (team, project) = (neighbours.theirs("teams"), neighbours.theirs("projects"));
    let invite = |name: &str, value: Value, pointer| {
        post("users/invitations", json!({"emails": ["x@example.com"], name: value}), pointer)
    };
    let key = |scope: Value, pointer| {
        let body = json!({"name": "x", "permissions": ["users.project.read"], "scope": scope});
        post("auth/api-keys", body, pointer)
    };
    vec![
        invite("teamIds", json!([team]), "/teamIds/0"),
        invite(
            "projectGrants",
            json!([{"projectId": project, "role": "viewer"}]),
            "/projectGrants/0/projectId",
        ),
        key(of("organization", neighbours.team.organization_id), "/scope"),
        key(of("team", team), "/scope"),
        key(of("project", project), "/scope"),
    ]
}

async fn refused(stranger: &Client, (method, path, body, pointer): Attempt) {
    let reply = stranger.send(method.clone(), &path, Some(&body), &[]).await;
    let mut faults = reply.body["errors"].as_array().into_iter().flatten();
    let named = faults.any(|fault| fault["pointer"].as_str().unwrap().starts_with(pointer));
    assert!(reply.status.as_u16() == 422 && named, "{method} {path} {body}: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_another_company_are_faults() {
    let neighbours = Neighbours::meet().await;
    let mut attempts = roles(&neighbours).await;
    attempts.extend([placed(&neighbours), granted(&neighbours), entrances(&neighbours)].concat());
    neighbours
        .unchanged(async |stranger| {
            for attempt in attempts {
                refused(stranger, attempt).await;
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_another_company_are_allowed_nothing() {
    let neighbours = Neighbours::meet().await;
    let (member, organization) = (neighbours.theirs("members"), neighbours.team.organization_id);
    neighbours
        .unchanged(async |stranger| {
            let scopes = [
                of("team", neighbours.theirs("teams")),
                of("project", neighbours.theirs("projects")),
                of("organization", organization),
            ];
            let checks = scopes.map(|scope| json!({"permission": "users.team.read", "scope": scope}));
            let answer = stranger.post("/api/users/authorize", json!({"checks": checks})).await.expect(200);
            for result in answer.body["results"].as_array().unwrap() {
                assert_eq!(result["allowed"], false, "{result}");
            }
            let elsewhere = json!({"checks": checks, "organizationId": organization});
            stranger.post("/api/users/authorize", elsewhere).await.expect_problem(404, "not_found");
            let another = json!({"checks": checks, "userId": member});
            stranger.post("/api/users/authorize", another).await.expect_problem(403, "forbidden");
        })
        .await;
}
