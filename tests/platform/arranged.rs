//! What has to be true before an operation can succeed, where the example of its documentation alone is refused:
//! the mailed link, the other person, the state before.

use coder_testkit::team::{PASSWORD, invitation_token};
use coder_testkit::{Client, Reply, Team, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::mailbox::{mails, token};
use crate::operations::Operation;

/// A request that should succeed.
pub(crate) struct Request {
    pub(crate) client: Client,
    pub(crate) address: String,
    pub(crate) body: Option<Value>,
}

impl Request {
    /// The operation as the owner, with the example of its documentation.
    fn plain(team: &Team, operation: &Operation) -> Self {
        let (address, body) = (operation.address(team), operation.body.clone());
        Self { client: team.owner.clone(), address, body }
    }

    /// Sends it.
    pub(crate) async fn send(&self, method: Method) -> Reply {
        self.client.send(method, &self.address, self.body.as_ref(), &[]).await
    }
}

/// The request, after everything it needs was done.
pub(crate) async fn request(platform: &TestPlatform, team: &Team, operation: &Operation) -> Request {
    let plain = Request::plain(team, operation);
    match operation.group {
        "auth" => auth(platform, team, operation.id, plain).await,
        "users" => users(platform, team, operation.id, plain).await,
        "notifications" if operation.id == "unmute_notifications" => {
            team.owner.put("/api/notifications/dnd", json!({"durationSeconds": 60})).await.expect(200);
            plain
        }
        "secrets" => secrets(team, operation.id, plain).await,
        _ => plain,
    }
}

async fn auth(platform: &TestPlatform, team: &Team, operation: &str, plain: Request) -> Request {
    let (nobody, owner) = (platform.nobody(), &team.owner);
    let with = |body: Value| Request {
        body: Some(body),
        ..Request { address: plain.address.clone(), client: owner.clone(), body: None }
    };
    match operation {
        "verify_email" => with(json!({"token": token(&mails(platform).await, &owner.email)})),
        "switch_organization" => with(json!({"organizationId": team.organization_id})),
        "revoke_other_sessions" => {
            platform.login(&owner.email).await;
            plain
        }
        "change_password" => {
            with(json!({"currentPassword": PASSWORD, "newPassword": "another horse battery staple 8"}))
        }
        "reset_password" => {
            nobody.post("/api/auth/password/forgot", json!({"email": owner.email})).await.expect(202);
            let token = token(&mails(platform).await, &owner.email);
            with(json!({"token": token, "newPassword": "another horse battery staple 8"}))
        }
        "confirm_email_change" => {
            let email = format!("new-{}", owner.email);
            let change = json!({"newEmail": email});
            owner.post("/api/auth/email/change", change).await.expect(202);
            with(json!({"token": token(&mails(platform).await, &email)}))
        }
        "reauthenticate" => with(json!({"password": PASSWORD})),
        _ => plain,
    }
}

async fn users(platform: &TestPlatform, team: &Team, operation: &str, plain: Request) -> Request {
    let (owner, member) = (&team.owner, &team.member);
    let with =
        |body: Value| Request { body: Some(body), client: owner.clone(), address: plain.address.clone() };
    let project = format!("/api/users/projects/{}", team.parameter("/projects/{projectId}", "projectId"));
    let organization = format!("/api/users/organizations/{}", team.organization_id);
    match operation {
        "delete_me" | "deactivate_me" => Request { client: member.clone(), ..plain },
        "restore_me" => {
            member.delete("/api/users/me").await.expect(202);
            Request { client: platform.login(&member.email).await, ..plain }
        }
        "delete_organization" => {
            let slug = owner.get("/api/users/organizations/current").await.expect(200).text("/slug");
            with(json!({"confirm": slug}))
        }
        "restore_organization" => {
            let slug = owner.get("/api/users/organizations/current").await.expect(200).text("/slug");
            let body = json!({"confirm": slug});
            owner.send(Method::DELETE, &organization, Some(&body), &[]).await.expect(202);
            plain
        }
        "update_member" => with(json!({"roles": ["viewer"]})),
        "put_team_member" => with(json!({"role": "lead"})),
        "create_team" => with(json!({"name": "Another"})),
        "delete_team" => {
            let made = owner.post("/api/users/teams", json!({"name": "Short-lived"})).await.expect(201);
            Request { address: format!("/api/users/teams/{}", made.text("/id")), ..plain }
        }
        "delete_project" => {
            owner.post(&format!("{project}/archive"), json!({})).await.expect(200);
            with(json!({"confirm": "ENG"}))
        }
        "restore_project" => {
            owner.post(&format!("{project}/archive"), json!({})).await.expect(200);
            plain
        }
        "create_grant" => with(json!({
            "subject": {"type": "user", "id": team.viewer.user_id},
            "scope": {"type": "team", "id": team.parameter("/teams/{teamId}", "teamId")},
            "role": "viewer",
        })),
        "resend_invitation" => {
            // Once an hour; the access token does not live so long.
            platform.advance(SignedDuration::from_mins(61)).await;
            Request { client: platform.login(&owner.email).await, ..plain }
        }
        "accept_invitation" | "decline_invitation" => {
            let invitation = json!({"emails": [team.stranger.email], "roles": ["member"]});
            let sent = owner.post("/api/users/invitations", invitation).await.expect(200);
            let verb = operation.trim_end_matches("_invitation");
            let address = format!("/api/users/invitations/by-token/{}/{verb}", invitation_token(&sent));
            Request { client: team.stranger.clone(), address, body: plain.body }
        }
        _ => plain,
    }
}

async fn secrets(team: &Team, operation: &str, plain: Request) -> Request {
    let owner = &team.owner;
    let id = team.parameter("/api/secrets/{secretId}", "secretId");
    let with =
        |body: Value| Request { body: Some(body), client: owner.clone(), address: plain.address.clone() };
    match operation {
        "restore_secret" => {
            owner.delete(&format!("/api/secrets/{id}")).await.expect(204);
            plain
        }
        "purge_secret" => with(json!({"confirmName": "DEPLOY_KEY"})),
        "enable_secret_version" => {
            owner.post(&format!("/api/secrets/{id}/versions/1/disable"), json!({})).await.expect(200);
            plain
        }
        "create_secret_grant" => {
            with(json!({"principal": {"kind": "user", "id": team.viewer.user_id}, "actions": ["read"]}))
        }
        "resolve_secrets" => with(json!({"references": [format!("secret:{id}")]})),
        _ => plain,
    }
}
