//! Attempts to reach another tenant by every way that a request offers. Each is refused as the conventions say, and
//! the other company is afterwards as it was.

use coder_middleware::Security;
use coder_testkit::team::{PASSWORD, invitation_token};
use coder_testkit::{Client, Reply, Team, TestPlatform};
use http::Method;
use serde_json::{Value, json};

use crate::exceptions::Exceptions;
use crate::operations;

/// Two companies: that of `team`, and that of its stranger, who may do everything there.
pub(crate) struct Neighbours {
    pub(crate) platform: TestPlatform,
    pub(crate) team: Team,
    /// The stranger's own team and project.
    pub(crate) own: Own,
}

pub(crate) struct Own {
    pub(crate) team: String,
    pub(crate) project: String,
}

/// Everything that the company's owner can read.
async fn picture(team: &Team) -> Vec<(String, Value)> {
    let mut picture = Vec::new();
    for operation in operations::all() {
        // What is refused would be recorded, and the next picture another.
        let of_people =
            !matches!(operation.security, Security::Anyone | Security::Service | Security::Operator);
        if operation.method == Method::GET && of_people {
            let address = operation.address(team);
            let reply = team.owner.get(&address).await;
            if reply.status.as_u16() == 200 {
                picture.push((address, reply.body));
            }
        }
    }
    let keys = team.owner.get("/api/auth/api-keys?scope=organization").await.expect(200);
    picture.push(("all keys".into(), keys.body));
    assert!(picture.len() >= 25, "the picture is not whole: {picture:?}");
    picture
}

impl Neighbours {
    pub(crate) async fn meet() -> Self {
        let platform = TestPlatform::start().await;
        let team = Team::with_login_provider(&platform).await;
        let made =
            async |path: &str, body: Value| team.stranger.post(path, body).await.expect(201).text("/id");
        let own_team = made("/api/users/teams", json!({"name": "Own"})).await;
        let project = json!({"name": "Own", "key": "OWN", "teamId": own_team});
        let project = made("/api/users/projects", project).await;
        // The first look notes when members were last seen.
        picture(&team).await;
        Self { platform, team, own: Own { team: own_team, project } }
    }

    /// The id of the company's resource in a collection.
    pub(crate) fn theirs(&self, collection: &str) -> String {
        self.team.parameter(&format!("/{collection}/{{id}}"), "id")
    }

    /// Runs the attempts; the company is afterwards as it was.
    pub(crate) async fn unchanged(&self, attempts: impl AsyncFnOnce(&Client)) {
        let before = picture(&self.team).await;
        attempts(&self.team.stranger).await;
        self.platform.settle().await;
        let after = picture(&self.team).await;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after);
        }
        assert_eq!(before.len(), after.len());
    }
}

#[track_caller]
fn empty(reply: Reply) {
    let reply = reply.expect(200);
    assert_eq!((&reply.body["items"], &reply.body["nextCursor"]), (&json!([]), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_id() {
    let neighbours = Neighbours::meet().await;
    let team = &neighbours.team;
    neighbours
        .unchanged(async |stranger| {
            let mut exceptions = Exceptions::of("stranger");
            for operation in operations::all() {
                let excused = exceptions.excuses(operation.id);
                if operation.security == Security::Anyone || !operation.names_something() || excused {
                    continue;
                }
                let address = operation.address(team);
                let reply =
                    stranger.send(operation.method.clone(), &address, operation.body.as_ref(), &[]).await;
                assert!(matches!(reply.status.as_u16(), 403 | 404), "{}: {reply:?}", operation.id);
            }
            // One id is the own one, the other is not.
            let (own, member) = (&neighbours.own.team, neighbours.theirs("members"));
            let mixed = format!("/api/users/teams/{own}/members/{member}");
            stranger.put(&mixed, json!({"role": "lead"})).await.expect(422);
            stranger.delete(&mixed).await.expect_problem(404, "not_found");
            let me = stranger.user_id.unwrap();
            let mixed = format!("/api/users/teams/{}/members/{me}", neighbours.theirs("teams"));
            stranger.put(&mixed, json!({"role": "lead"})).await.expect_problem(404, "not_found");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_filter() {
    let neighbours = Neighbours::meet().await;
    let (team, organization) = (neighbours.theirs("teams"), neighbours.team.organization_id);
    let (member, project) = (neighbours.theirs("members"), neighbours.theirs("projects"));
    let me = neighbours.team.stranger.user_id.unwrap();
    neighbours
        .unchanged(async |stranger| {
            for list in [
                format!("people?teamId={team}"),
                format!("projects?teamId={team}"),
                format!("grants?subjectId={member}"),
                format!("grants?scopeId={team}"),
                "members?q=member".to_owned(),
                "people?q=Viewer".to_owned(),
                "members?role=viewer".to_owned(),
                "projects?q=Engine".to_owned(),
            ] {
                let address = format!("/api/users/{list}");
                let found = neighbours.team.owner.get(&address).await.expect(200);
                assert_ne!(found.body["items"], json!([]), "the control of {list}");
                empty(stranger.get(&address).await);
            }
            empty(stranger.get(&format!("/api/users/grants?scopeId={organization}")).await);
            for scope in [
                format!("scopeType=team&scopeId={team}"),
                format!("scopeType=project&scopeId={project}"),
                format!("scopeType=organization&scopeId={organization}"),
            ] {
                let address = format!("/api/users/people/{me}/permissions?{scope}");
                stranger.get(&address).await.expect_problem(404, "not_found");
            }
            for list in ["teams", "projects", "members", "people", "grants", "roles", "invitations"] {
                let address = format!("/api/users/{list}?organizationId={organization}");
                stranger.get(&address).await.expect_problem(400, "invalid_query");
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_cursor() {
    let neighbours = Neighbours::meet().await;
    let (team, owner) = (&neighbours.team, &neighbours.team.owner);
    for (path, body) in [
        ("teams", json!({"name": "Second"})),
        ("projects", json!({"name": "Second", "key": "SEC"})),
        ("invitations", json!({"emails": ["another@example.com"], "roles": ["member"]})),
        ("organizations", json!({"name": "Second"})),
        (
            "grants",
            json!({"subject": {"type": "user", "id": owner.user_id},
                "scope": {"type": "organization", "id": team.organization_id}, "role": "viewer"}),
        ),
    ] {
        let made = owner.post(&format!("/api/users/{path}"), body).await;
        assert!(made.status.is_success(), "{path}: {made:?}");
    }
    neighbours.platform.login(&owner.email).await;
    let mut tried = Vec::new();
    for operation in operations::all() {
        if operation.method != Method::GET
            || operation.security == Security::Anyone
            || operation.names_something()
        {
            continue;
        }
        let first = owner.get(&format!("{}?limit=1", operation.path)).await;
        let Some(cursor) = first.body["nextCursor"].as_str() else { continue };
        let next = format!("{}?limit=1&cursor={cursor}", operation.path);
        stranger_is_refused(&team.stranger.get(&next).await, operation.id);
        owner.get(&next).await.expect(200);
        tried.push(operation.id);
    }
    for list in [
        "list_teams",
        "list_projects",
        "list_members",
        "list_people",
        "list_roles",
        "list_grants",
        "list_invitations",
        "list_permissions",
        "list_my_organizations",
    ] {
        assert!(tried.contains(&list), "{list} gave no cursor; these did: {tried:?}");
    }
}

#[track_caller]
fn stranger_is_refused(reply: &Reply, operation: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (400, "invalid_query"), "{operation}: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_idempotency_key() {
    let neighbours = Neighbours::meet().await;
    let (team, body) = (&neighbours.team, json!({"name": "Kept"}));
    let send = async |who: &Client, body: &Value| {
        let headers = [("idempotency-key", "the-same-key")];
        who.send(Method::POST, "/api/users/teams", Some(body), &headers).await
    };
    let first = send(&team.owner, &body).await.expect(201);
    let replayed = send(&team.owner, &body).await.expect(201);
    assert_eq!((replayed.text("/id"), replayed.header("idempotent-replayed")), (first.text("/id"), "true"));
    neighbours
        .unchanged(async |stranger| {
            let other = send(stranger, &body).await.expect(201);
            assert_ne!(other.text("/id"), first.text("/id"));
            assert_eq!(other.header("idempotent-replayed"), "");
            assert_eq!(other.body["organizationId"], json!(stranger.organization_id));
        })
        .await;
    // Nor is it a colleague's: no replay of what only the owner was told, and no conflict with it.
    send(&team.admin, &body).await.expect_problem(409, "already_exists");
    send(&team.admin, &json!({"name": "Another"})).await.expect(201);
    send(&team.viewer, &body).await.expect_problem(403, "forbidden");
    send(&team.owner, &json!({"name": "Changed"})).await.expect_problem(409, "idempotency_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_switching_and_by_the_current_alias() {
    let neighbours = Neighbours::meet().await;
    let theirs = neighbours.team.organization_id;
    let slug = neighbours.team.owner.get("/api/users/organizations/current").await.expect(200).text("/slug");
    neighbours
        .unchanged(async |stranger| {
            let own = stranger.organization_id.unwrap().to_string();
            let switch = json!({"organizationId": theirs});
            stranger.post("/api/auth/switch-organization", switch).await.expect_problem(404, "not_found");
            assert_eq!(stranger.get("/api/auth/me").await.expect(200).text("/organizationId"), own);

            let current = "/api/users/organizations/current";
            assert_eq!(stranger.get(current).await.expect(200).text("/id"), own);
            let renamed = stranger.patch(current, json!({"name": "Mine"})).await.expect(200);
            assert_eq!(renamed.text("/id"), own);
            let organization = theirs.to_string();
            let headers = [("x-organization-id", organization.as_str()), ("x-coder-context", "forged")];
            assert_eq!(
                stranger.send(Method::GET, current, None, &headers).await.expect(200).text("/id"),
                own
            );
            // The other company's name confirms nothing about the own one.
            let confirm = json!({"confirm": slug});
            stranger.send(Method::DELETE, current, Some(&confirm), &[]).await.expect(422);
            let by_id = format!("/api/users/organizations/{theirs}");
            stranger.get(&by_id).await.expect_problem(404, "not_found");
            stranger.patch(&by_id, json!({"name": "Mine"})).await.expect_problem(404, "not_found");
            stranger.send(Method::DELETE, &by_id, Some(&confirm), &[]).await.expect_problem(404, "not_found");
            stranger.post(&format!("{by_id}/restore"), json!({})).await.expect_problem(404, "not_found");
            for other in ["teams", "projects", "members", "people", "grants", "invitations"] {
                let path = format!("/api/users/{other}/current");
                stranger.get(&path).await.expect_problem(404, "not_found");
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_invitation_token() {
    let neighbours = Neighbours::meet().await;
    let token = neighbours.theirs("by-token");
    let nobody = neighbours.platform.nobody();
    neighbours
        .unchanged(async |stranger| {
            let path = |token: &str, verb: &str| format!("/api/users/invitations/by-token/{token}{verb}");
            for verb in ["/accept", "/decline"] {
                stranger.post(&path(&token, verb), json!({})).await.expect_problem(403, "email_mismatch");
            }
            let body = json!({
                "email": "eve@example.com", "password": PASSWORD, "displayName": "Eve", "invitationToken": token,
            });
            let refused = nobody.post("/api/auth/register", body).await;
            assert_eq!(refused.status.as_u16(), 403, "{refused:?}");
            // The own invitation's secret under the other one's name, and the other way round.
            let own = json!({"emails": [stranger.email, "x@example.com"], "roles": ["owner"]});
            let sent = stranger.post("/api/users/invitations", own).await.expect(200);
            let own = json!({"emails": ["y@example.com"], "roles": ["owner"]});
            let own = invitation_token(&stranger.post("/api/users/invitations", own).await.expect(200));
            assert_eq!(sent.text("/results/0/outcome"), "already_member");
            let half = token.len() / 2;
            for forged in [format!("{}{}", &token[..half], &own[half..]), format!("{}{}", &own[..half], &token[half..])] {
                assert!(forged.len() == token.len() && forged != token && forged != own);
                for verb in ["", "/accept"] {
                    let method = if verb.is_empty() { Method::GET } else { Method::POST };
                    let reply = stranger.send(method, &path(&forged, verb), Some(&json!({})), &[]).await;
                    assert!(matches!(reply.status.as_u16(), 404 | 410), "{reply:?}");
                }
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_an_api_key_that_is_scoped_elsewhere() {
    let neighbours = Neighbours::meet().await;
    let (platform, team) = (&neighbours.platform, &neighbours.team);
    let (own_project, own_team) = (&neighbours.own.project, &neighbours.own.team);
    let key = async |scope: Value| {
        let body = json!({"name": "Narrow", "permissions": ["*"], "scope": scope});
        let made = team.stranger.post("/api/auth/api-keys", body).await.expect(201);
        platform.nobody().with_api_key(made.text("/key"))
    };
    let second = json!({"name": "Second", "key": "SEC"});
    let second = team.stranger.post("/api/users/projects", second).await.expect(201).text("/id");
    let whole = key(json!({"type": "organization", "id": team.stranger.organization_id})).await;
    let one_project = key(json!({"type": "project", "id": own_project})).await;
    let one_team = key(json!({"type": "team", "id": own_team})).await;
    let project = |id: &str| format!("/api/users/projects/{id}");
    let own = project(own_project);
    whole.get(&own).await.expect(200);
    one_project.get(&own).await.expect(200);
    one_team.get(&format!("/api/users/teams/{own_team}")).await.expect(200);
    let nowhere = coder_core::id::EXAMPLE.to_string();
    neighbours
        .unchanged(async |_| {
            for (key, elsewhere) in [
                (&one_project, project(&second)),
                (&one_project, format!("/api/users/teams/{own_team}")),
                (&one_project, "/api/users/projects".to_owned()),
                (&one_team, project(&second)),
                (&one_team, "/api/users/members".to_owned()),
            ] {
                key.get(&elsewhere).await.expect_problem(403, "forbidden");
            }
            for key in [&whole, &one_project, &one_team] {
                let theirs = neighbours.theirs("projects");
                // Whether the thing exists elsewhere makes no difference.
                let (there, absent) = (key.get(&project(&theirs)).await, key.get(&project(&nowhere)).await);
                let seen = |reply: &Reply| (reply.status, reply.code().to_owned(), reply.text("/detail"));
                assert_eq!(seen(&there), seen(&absent));
                assert!(matches!(there.status.as_u16(), 403 | 404), "{there:?}");
                let changed = key.patch(&project(&theirs), json!({"name": "Mine"})).await;
                assert!(matches!(changed.status.as_u16(), 403 | 404), "{changed:?}");
            }
            // Two credentials at once are none.
            let token = format!("Bearer {}", team.stranger.token());
            let both = whole.send(Method::GET, &own, None, &[("authorization", &token)]).await;
            both.expect_problem(401, "unauthenticated");
            // A key makes no wider key, and changes no session's organization.
            let wider = json!({"name": "Wide", "permissions": ["*"]});
            one_project.post("/api/auth/api-keys", wider).await.expect_problem(403, "forbidden");
            let switch = json!({"organizationId": team.organization_id});
            whole.post("/api/auth/switch-organization", switch).await.expect_problem(403, "forbidden");
        })
        .await;
}
