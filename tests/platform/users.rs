//! What the group `users` promises, scenario by scenario.

use coder_database::{PartitionKey, Query};
use coder_middleware::Security;
use coder_testkit::team::{PASSWORD, invitation_token};
use coder_testkit::{Client, Reply, Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::operations;

/// A thing that is made, by its id.
async fn made(who: &Client, path: &str, body: Value) -> String {
    who.post(path, body).await.expect(201).text("/id")
}

fn id(who: &Client) -> String {
    who.user_id.unwrap().to_string()
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// A person with a new company, working in it.
async fn founder(platform: &TestPlatform, email: &str) -> Client {
    let person = platform.register(email, None).await;
    let company = made(&person, "/api/users/organizations", json!({"name": "Acme"})).await;
    person.switched_to(&company).await
}

/// Whether each action is allowed to the caller at a project.
async fn allowed(who: &Client, project: &str, permissions: &[&str]) -> Vec<bool> {
    let scope = json!({"type": "project", "id": project});
    let checks: Vec<Value> =
        permissions.iter().map(|name| json!({"permission": name, "scope": scope})).collect();
    let reply = who.post("/api/users/authorize", json!({"checks": checks})).await.expect(200);
    let results = reply.body["results"].as_array().unwrap();
    results.iter().map(|result| result["allowed"].as_bool().unwrap()).collect()
}

/// Scenario 1. Of the permissions in the page's words those of planning are not declared yet; the nearest ones of
/// this group stand for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_at_a_parent_team_reaches_the_project_and_is_named_as_the_source() {
    const ASKED: [&str; 2] = ["users.project.read", "users.project.create"];
    let platform = TestPlatform::start().await;
    let owner = founder(&platform, "olga@example.com").await;
    let parent = made(&owner, "/api/users/teams", json!({"name": "Platform"})).await;
    let below = json!({"name": "Engine room", "parentTeamId": parent});
    let below = made(&owner, "/api/users/teams", below).await;
    let project = json!({"name": "Engine", "key": "ENG", "teamId": below});
    let project = made(&owner, "/api/users/projects", project).await;
    // An empty role: its holders see nothing unless they are granted it.
    owner.post("/api/users/roles", json!({"name": "guest", "permissions": []})).await.expect(201);
    let outsider = platform.join(&owner, "guest@example.com", "guest").await;
    assert_eq!(allowed(&outsider, &project, &ASKED).await, [false, false]);

    let grant = json!({
        "subject": {"type": "user", "id": outsider.user_id},
        "scope": {"type": "team", "id": parent},
        "role": "viewer",
    });
    let grant = made(&owner, "/api/users/grants", grant).await;
    assert_eq!(allowed(&outsider, &project, &ASKED).await, [true, false]);
    outsider.get(&format!("/api/users/projects/{project}")).await.expect(200);

    let address =
        format!("/api/users/people/{}/permissions?scopeType=project&scopeId={project}", id(&outsider));
    for who in [&owner, &outsider] {
        let explained = who.get(&address).await.expect(200);
        let held = explained.body["permissions"].as_array().unwrap();
        let read = held.iter().find(|one| one["permission"] == ASKED[0]).unwrap();
        let expected = json!([{
            "source": "grant", "grantId": grant, "scope": {"type": "team", "id": parent}, "teamId": null,
            "role": "viewer", "inheritedThrough": [],
        }]);
        assert_eq!(read["sources"], expected);
        assert!(!held.iter().any(|one| one["permission"] == ASKED[1]), "{held:?}");
    }
    owner.delete(&format!("/api/users/grants/{grant}")).await.expect(204);
    assert_eq!(allowed(&outsider, &project, &ASKED).await, [false, false]);
}

/// Scenario 2.
#[tokio::test(flavor = "multi_thread")]
async fn an_admin_gives_nothing_that_an_admin_lacks() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let names = |reply: &Reply, name: &str| assert!(reply.text("/detail").contains(name), "{reply:?}");
    // The first that is lacking is named.
    let delete = "users.organization.delete";
    for (pattern, lacking) in [(delete, delete), ("users.*", delete), ("*", "logging.entry.erase")] {
        let role = json!({"name": "demolisher", "permissions": [pattern]});
        let refused = team.admin.post("/api/users/roles", role).await.expect_problem(403, "forbidden");
        names(&refused, lacking);
    }
    team.owner.get("/api/users/roles/demolisher").await.expect_problem(404, "not_found");

    let owner = format!("/api/users/members/{}", id(&team.owner));
    let before = team.owner.get(&owner).await.expect(200);
    team.admin.patch(&owner, json!({"roles": ["member"]})).await.expect_problem(403, "forbidden");
    team.admin.patch(&owner, json!({"status": "suspended"})).await.expect_problem(403, "forbidden");
    team.admin.delete(&owner).await.expect_problem(403, "forbidden");
    assert_eq!(team.owner.get(&owner).await.expect(200).body, before.body);
    // Nor is an owner made in any other way.
    let own = format!("/api/users/members/{}", id(&team.admin));
    team.admin.patch(&own, json!({"roles": ["owner"]})).await.expect_problem(403, "forbidden");
    let invitation = json!({"emails": ["eve@example.com"], "roles": ["owner"]});
    team.admin.post("/api/users/invitations", invitation).await.expect_problem(403, "forbidden");
}

/// Scenario 3, several times since the two can come in any order.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_who_leave_at_the_same_moment_one_stays() {
    let platform = TestPlatform::start().await;
    for round in 0..4 {
        let one = founder(&platform, &format!("one-{round}@example.com")).await;
        let two = platform.join(&one, &format!("two-{round}@example.com"), "owner").await;
        let (leave_one, leave_two) =
            (format!("/api/users/members/{}", id(&one)), format!("/api/users/members/{}", id(&two)));
        let (first, second) = tokio::join!(one.delete(&leave_one), two.delete(&leave_two));
        let mut outcomes = [(first.status.as_u16(), first.code()), (second.status.as_u16(), second.code())];
        outcomes.sort_unstable();
        assert_eq!(outcomes, [(204, ""), (409, "last_owner")]);
        let stayed = if first.status.as_u16() == 409 { &one } else { &two };
        let owners = stayed.get("/api/users/members?role=owner").await.expect(200);
        assert_eq!(owners.body["items"].as_array().unwrap().len(), 1);
        assert_eq!(owners.text("/items/0/userId"), id(stayed));
    }
}

/// Scenario 4.
#[tokio::test(flavor = "multi_thread")]
async fn roles_do_not_inherit_in_a_circle() {
    let platform = TestPlatform::start().await;
    let owner = founder(&platform, "olga@example.com").await;
    owner.post("/api/users/roles", json!({"name": "role-b", "permissions": []})).await.expect(201);
    let first = json!({"name": "role-a", "permissions": [], "inherits": ["role-b"]});
    owner.post("/api/users/roles", first).await.expect(201);
    let before = owner.get("/api/users/roles/role-b").await.expect(200);
    let circle = json!({"inherits": ["role-a"]});
    owner.patch("/api/users/roles/role-b", circle).await.expect_problem(422, "role_cycle");
    assert_eq!(owner.get("/api/users/roles/role-b").await.expect(200).body, before.body);
}

/// Scenario 5.
#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_for_one_address_and_one_use() {
    let platform = TestPlatform::start().await;
    let owner = founder(&platform, "olga@example.com").await;
    let team = made(&owner, "/api/users/teams", json!({"name": "Core"})).await;
    let project = made(&owner, "/api/users/projects", json!({"name": "Engine", "key": "ENG"})).await;
    let invitation = json!({
        "emails": ["grace@example.com"], "roles": ["viewer"], "teamIds": [team],
        "projectGrants": [{"projectId": project, "role": "member"}],
    });
    let sent = owner.post("/api/users/invitations", invitation).await.expect(200);
    let address = format!("/api/users/invitations/by-token/{}", invitation_token(&sent));
    let accept = format!("{address}/accept");
    let (eve, grace) = (
        platform.register("eve@example.com", None).await,
        platform.register("grace@example.com", None).await,
    );
    assert_eq!(platform.nobody().get(&address).await.expect(200).text("/organization/name"), "Acme");
    eve.post(&accept, json!({})).await.expect_problem(403, "email_mismatch");
    let members = async || owner.get("/api/users/members").await.expect(200).body["items"].clone();
    assert_eq!(members().await.as_array().unwrap().len(), 1, "nobody has joined");

    grace.post(&accept, json!({})).await.expect(200);
    let member = owner.get(&format!("/api/users/members/{}", id(&grace))).await.expect(200);
    assert_eq!((&member.body["roles"], &member.body["status"]), (&json!(["viewer"]), &json!("active")));
    let place = owner.get(&format!("/api/users/teams/{team}/members")).await.expect(200);
    assert_eq!(place.text("/items/0/userId"), id(&grace));
    let grants = owner.get(&format!("/api/users/grants?subjectId={}", id(&grace))).await.expect(200);
    let scope = json!({"type": "project", "id": project});
    assert_eq!(
        (&grants.body["items"][0]["scope"], &grants.body["items"][0]["role"]),
        (&scope, &json!("member"))
    );
    for again in [&grace, &eve] {
        again.post(&accept, json!({})).await.expect_problem(410, "link_expired");
    }
    assert_eq!(members().await.as_array().unwrap().len(), 2);
    assert!(!members().await.to_string().contains(&id(&eve)));
}

/// Scenario 6.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_out_everywhere_and_so_are_the_keys() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    let key = async |body: Value| {
        let made = team.member.post("/api/auth/api-keys", body).await.expect(201);
        team.member.with_api_key(made.text("/key"))
    };
    let project = team.parameter("/api/users/projects/{projectId}", "projectId");
    let scope = json!({"type": "project", "id": project});
    let permissions = json!(["users.project.read"]);
    let keys = [
        key(json!({"name": "Everywhere", "permissions": permissions})).await,
        key(json!({"name": "One project", "permissions": permissions, "scope": scope})).await,
        // Never used before the removal, so that nothing of it is remembered anywhere.
        key(json!({"name": "Fresh", "permissions": permissions})).await,
    ];
    let address = format!("/api/users/projects/{project}");
    for used in [&team.member, &keys[0], &keys[1]] {
        used.get(&address).await.expect(200);
    }
    team.owner.delete(&format!("/api/users/members/{}", id(&team.member))).await.expect(204);
    platform.settle().await;
    // Within a minute; the token itself lives on for a quarter of an hour.
    platform.clock.advance(SignedDuration::from_secs(59));
    let mut tried = 0;
    for operation in operations::all().iter().filter(|one| one.security != Security::Anyone) {
        for gone in std::iter::once(&team.member).chain(&keys) {
            let (method, address) = (operation.method.clone(), operation.address(&team));
            let reply = gone.send(method, &address, operation.body.as_ref(), &[]).await;
            assert!(matches!(reply.status.as_u16(), 401 | 403), "{}: {reply:?}", operation.id);
            tried += 1;
        }
    }
    assert!(tried >= 240, "only {tried} requests were tried");
    // The session works on for the person elsewhere, but not for this company.
    let refreshed = json!({"refreshToken": team.member.refresh_token});
    let refreshed = platform.nobody().post("/api/auth/refresh", refreshed).await;
    if refreshed.status.as_u16() == 200 {
        let again = team.member.with_token(refreshed.text("/accessToken"));
        let reply = again.get(&address).await;
        assert!(matches!(reply.status.as_u16(), 401 | 403 | 404), "{reply:?}");
    }
    let back = json!({"organizationId": team.organization_id});
    let member = platform.login(&team.member.email).await;
    member.post("/api/auth/switch-organization", back).await.expect_problem(404, "not_found");
}

/// Scenario 7; with every permission in the own organization.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_organization_has_is_not_there() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    for path in [
        "/api/users/people/{userId}",
        "/api/users/teams/{teamId}",
        "/api/users/projects/{projectId}",
        "/api/users/roles/{name}",
    ] {
        let name = path.split(['{', '}']).nth(1).unwrap();
        let address = path.replace(&format!("{{{name}}}"), &team.parameter(path, name));
        team.owner.get(&address).await.expect(200);
        let refused = team.stranger.get(&address).await.expect_problem(404, "not_found");
        // In the very words for what is nowhere.
        let nowhere = path.replace(&format!("{{{name}}}"), &coder_core::id::EXAMPLE.to_string());
        let nowhere = team.stranger.get(&nowhere).await.expect_problem(404, "not_found");
        assert_eq!(refused.text("/detail"), nowhere.text("/detail"));
    }
}

/// Scenario 8. There are no tasks yet; what a person leaves behind is the lead of a project, by id.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_restored_within_the_grace_and_blank_after_it() {
    let platform = TestPlatform::start().await;
    let owner = founder(&platform, "olga@example.com").await;
    let company = owner.organization_id.unwrap().to_string();
    let max = platform.join(&owner, "max@example.com", "member").await;
    let profile = json!({"bio": "Builds engines", "phone": "+491701234567", "title": "Engineer"});
    max.patch("/api/users/me", profile).await.expect(200);
    let project = json!({"name": "Engine", "key": "ENG", "leadUserId": max.user_id});
    let project = made(&owner, "/api/users/projects", project).await;
    let seen = format!("/api/users/people/{}", id(&max));

    let ignored = |mut body: Value| {
        for field in ["updatedAt", "updatedBy", "etag"] {
            body.as_object_mut().unwrap().remove(field);
        }
        body
    };
    // The note of the first sign-in comes by event.
    platform.settle().await;
    let before = ignored(max.get("/api/users/me").await.expect(200).body);
    let (organizations, colleague) = (
        max.get("/api/users/me/organizations").await.expect(200).body,
        ignored(owner.get(&seen).await.expect(200).body),
    );
    let asked = max.delete("/api/users/me").await.expect(202);
    assert_eq!(
        (&asked.body["status"], asked.text("/deleteAfter").as_str()),
        (&json!("pending_deletion"), "2026-02-04T12:01:00Z")
    );
    platform.advance(days(29)).await;
    let max = platform.login("max@example.com").await;
    max.post("/api/users/me/restore", json!({})).await.expect(200);
    platform.settle().await;
    let mut after = ignored(max.get("/api/users/me").await.expect(200).body);
    after["lastLoginAt"] = before["lastLoginAt"].clone();
    assert_eq!(after, before);
    assert_eq!(max.get("/api/users/me/organizations").await.expect(200).body, organizations);
    let owner = platform.login("olga@example.com").await.switched_to(&company).await;
    assert_eq!(ignored(owner.get(&seen).await.expect(200).body), colleague);

    max.delete("/api/users/me").await.expect(202);
    platform.advance(days(31)).await;
    // What follows from the purge runs by events; the membership goes with them.
    platform.settle().await;
    let login = json!({"email": "max@example.com", "password": PASSWORD});
    platform.nobody().post("/api/auth/login", login).await.expect_problem(401, "invalid_credentials");
    let owner = platform.login("olga@example.com").await.switched_to(&company).await;
    let kept = owner.get(&format!("/api/users/projects/{project}")).await.expect(200);
    assert_eq!(kept.text("/leadUserId"), id(&max), "history keeps its shape");
    owner.get(&seen).await.expect_problem(404, "not_found");
    let members = owner.get("/api/users/members").await.expect(200);
    assert_eq!(members.body["items"].as_array().unwrap().len(), 1);
    // No operation shows the profile of somebody who is a member of nothing, so the store has to.
    let store = &platform.platform.assembly.providers.store;
    let partition = PartitionKey::single(format!("user:{}", id(&max)));
    let kept = store.query("users", &partition, &Query::new(None).limit(1000)).await.unwrap().items;
    let profile = kept.iter().find(|document| document.body["id"] == id(&max)).unwrap();
    assert_eq!(
        (&profile.body["displayName"], &profile.body["status"]),
        (&json!("Deleted user"), &json!("deleted"))
    );
    for document in &kept {
        let text = document.body.to_string();
        for erased in ["max@example.com", "Builds engines", "+491701234567", "Engineer"] {
            assert!(!text.contains(erased), "{erased} is still in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_person_with_an_account_finds_the_invitation_in_their_own_inbox() {
    let platform = TestPlatform::start().await;
    let owner = founder(&platform, "olga@example.com").await;
    let ada = platform.register("ada@example.com", Some("Elsewhere")).await;
    let emails = json!({"emails": ["nobody@example.com", "Ada@example.com"]});
    owner.post("/api/users/invitations", emails).await.expect(200);
    platform.settle().await;
    let inbox = ada.get("/api/notifications/inbox?topic=invitation.received").await.expect(200);
    assert_eq!(inbox.body["items"].as_array().unwrap().len(), 1, "{}", inbox.body);
    // The links left by mail, one for each address, and the outbox of the organization has them.
    let outbox = owner.get("/api/notifications/outbox?topic=invitation.mail").await.expect(200);
    let links = outbox.body["items"].as_array().unwrap();
    let to: std::collections::BTreeSet<_> = links.iter().map(|mail| mail["to"].as_str().unwrap()).collect();
    assert_eq!(to.into_iter().collect::<Vec<_>>(), ["ada@example.com", "nobody@example.com"]);
    for mail in links {
        assert_eq!((&mail["sensitive"], &mail["subject"]), (&json!(true), &json!("Invitation to Acme")));
        assert!(mail["text"].as_str().unwrap().contains("/invitations#token="), "{mail}");
    }
}
