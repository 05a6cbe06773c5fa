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

/// The reply to a step before the request, or why that cannot be done.
fn done(reply: Reply) -> Result<Reply, String> {
    let is_done = reply.status.is_success();
    if is_done { Ok(reply) } else { Err(format!("a step before it: {} {}", reply.status, reply.body)) }
}

/// The request, after everything it needs was done; or what stands in the way.
pub(crate) async fn request(
    platform: &TestPlatform,
    team: &Team,
    operation: &Operation,
) -> Result<Request, String> {
    let plain = Request::plain(team, operation);
    Ok(match operation.group {
        "auth" => auth(platform, team, operation.id, plain).await?,
        "users" => users(platform, team, operation.id, plain).await?,
        "notifications" if operation.id == "unmute_notifications" => {
            done(team.owner.put("/api/notifications/dnd", json!({"durationSeconds": 60})).await)?;
            plain
        }
        "secrets" => secrets(team, operation.id, plain).await?,
        _ => plain,
    })
}

async fn auth(
    platform: &TestPlatform,
    team: &Team,
    operation: &str,
    plain: Request,
) -> Result<Request, String> {
    let (nobody, owner) = (platform.nobody(), &team.owner);
    let with = |body: Value| Request {
        body: Some(body),
        ..Request { address: plain.address.clone(), client: owner.clone(), body: None }
    };
    Ok(match operation {
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
            done(nobody.post("/api/auth/password/forgot", json!({"email": owner.email})).await)?;
            let token = token(&mails(platform).await, &owner.email);
            with(json!({"token": token, "newPassword": "another horse battery staple 8"}))
        }
        "confirm_email_change" => {
            let email = format!("new-{}", owner.email);
            let change = json!({"newEmail": email});
            done(owner.post("/api/auth/email/change", change).await)?;
            with(json!({"token": token(&mails(platform).await, &email)}))
        }
        "reauthenticate" => with(json!({"password": PASSWORD})),
        _ => plain,
    })
}

async fn users(
    platform: &TestPlatform,
    team: &Team,
    operation: &str,
    plain: Request,
) -> Result<Request, String> {
    let (owner, member) = (&team.owner, &team.member);
    let with =
        |body: Value| Request { body: Some(body), client: owner.clone(), address: plain.address.clone() };
    let project = format!("/api/users/projects/{}", team.parameter("/projects/{projectId}", "projectId"));
    let organization = format!("/api/users/organizations/{}", team.organization_id);
    Ok(match operation {
        "delete_me" | "deactivate_me" => Request { client: member.clone(), ..plain },
        "restore_me" => {
            done(member.delete("/api/users/me").await)?;
            Request { client: platform.login(&member.email).await, ..plain }
        }
        "delete_organization" => {
            let slug = done(owner.get("/api/users/organizations/current").await)?.text("/slug");
            with(json!({"confirm": slug}))
        }
        "restore_organization" => {
            let slug = done(owner.get("/api/users/organizations/current").await)?.text("/slug");
            let body = json!({"confirm": slug});
            done(owner.send(Method::DELETE, &organization, Some(&body), &[]).await)?;
            plain
        }
        "update_member" => with(json!({"roles": ["viewer"]})),
        "put_team_member" => with(json!({"role": "lead"})),
        "create_team" => with(json!({"name": "Another"})),
        "delete_team" => {
            let made = done(owner.post("/api/users/teams", json!({"name": "Short-lived"})).await)?;
            Request { address: format!("/api/users/teams/{}", made.text("/id")), ..plain }
        }
        "delete_project" => {
            done(owner.post(&format!("{project}/archive"), json!({})).await)?;
            with(json!({"confirm": "ENG"}))
        }
        "restore_project" => {
            done(owner.post(&format!("{project}/archive"), json!({})).await)?;
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
            let sent = done(owner.post("/api/users/invitations", invitation).await)?;
            if sent.body["results"][0]["outcome"] == "already_member" {
                return Err("the stranger has joined before".to_owned());
            }
            let verb = operation.trim_end_matches("_invitation");
            let address = format!("/api/users/invitations/by-token/{}/{verb}", invitation_token(&sent));
            Request { client: team.stranger.clone(), address, body: plain.body }
        }
        _ => plain,
    })
}

async fn secrets(team: &Team, operation: &str, plain: Request) -> Result<Request, String> {
    let owner = &team.owner;
    let id = team.parameter("/api/secrets/{secretId}", "secretId");
    let with =
        |body: Value| Request { body: Some(body), client: owner.clone(), address: plain.address.clone() };
    Ok(match operation {
        "restore_secret" => {
            done(owner.delete(&format!("/api/secrets/{id}")).await)?;
            plain
        }
        "purge_secret" => with(json!({"confirmName": "DEPLOY_KEY"})),
        "enable_secret_version" => {
            done(owner.post(&format!("/api/secrets/{id}/versions/1/disable"), json!({})).await)?;
            plain
        }
        "create_secret_grant" => {
            with(json!({"principal": {"kind": "user", "id": team.viewer.user_id}, "actions": ["read"]}))
        }
        "resolve_secrets" => with(json!({"references": [format!("secret:{id}")]})),
        _ => plain,
    })
}
