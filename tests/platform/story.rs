//! The life of a company from its first minute, and that a restart loses none of it.

use coder_config::EmailVerification;
use coder_testkit::team::PASSWORD;
use coder_testkit::{Client, TestPlatform};
use serde_json::{Value, json};

use crate::mailbox::{mails, token};

const OLGA: &str = "olga@example.com";
const MAX: &str = "max@example.com";

/// What the story leaves behind: tokens, the used verification link, and ids.
struct Told {
    owner: String,
    owner_refresh: String,
    member: String,
    revoked: String,
    revoked_refresh: String,
    verification: String,
    organization: String,
    project: String,
}

fn registration(email: &str, name: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "displayName": name})
}

async fn verified(platform: &TestPlatform, email: &str) -> String {
    let link = token(&mails(platform).await, email);
    platform.nobody().post("/api/auth/verify-email", json!({"token": link})).await.expect(204);
    link
}

/// From nobody to the owner of a company with a project: the owner, the used verification link, and both ids.
async fn found(platform: &TestPlatform) -> (Client, String, String, String) {
    let nobody = platform.nobody();
    nobody.post("/api/auth/register", registration(OLGA, "Olga")).await.expect(202);
    let login = json!({"email": OLGA, "password": PASSWORD});
    nobody.post("/api/auth/login", login).await.expect_problem(403, "email_unverified");
    let link = verified(platform, OLGA).await;
    let olga = platform.login(OLGA).await;
    let company =
        olga.post("/api/users/organizations", json!({"name": "Acme"})).await.expect(201).text("/id");
    let olga = olga.switched_to(&company).await;
    let project = json!({"name": "Engine", "key": "ENG"});
    let project = olga.post("/api/users/projects", project).await.expect(201).text("/id");
    (olga, link, company, project)
}

async fn tell(platform: &TestPlatform) -> Told {
    let (olga, link, company, project) = found(platform).await;
    let invitation = json!({"emails": [MAX], "roles": ["member"]});
    olga.post("/api/users/invitations", invitation).await.expect(200);
    let invited = token(&mails(platform).await, MAX);
    let mut body = registration(MAX, "Max");
    body["invitationToken"] = json!(invited);
    let registered = platform.nobody().post("/api/auth/register", body).await;
    assert!(registered.status.is_success(), "{registered:?}");
    if registered.status.as_u16() == 202 {
        verified(platform, MAX).await;
    }
    let max = platform.login(MAX).await;
    assert_eq!(max.organization_id, olga.organization_id);
    let address = format!("/api/users/projects/{project}");
    max.patch(&address, json!({"description": "By Max"})).await.expect(200);

    let role = json!({"roles": ["viewer"]});
    olga.patch(&format!("/api/users/members/{}", max.user_id.unwrap()), role).await.expect(200);
    let refused = max.patch(&address, json!({"description": "Again"})).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("users.project.update"));
    max.get(&address).await.expect(200);

    let second = platform.login(MAX).await;
    let sessions = second.get("/api/auth/sessions").await.expect(200);
    let here = sessions.body["items"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap();
    let here = here["id"].as_str().unwrap();
    max.delete(&format!("/api/auth/sessions/{here}")).await.expect(204);
    second.get(&address).await.expect_problem(401, "unauthenticated");
    Told {
        owner: olga.token(),
        owner_refresh: olga.refresh_token.clone(),
        member: max.token(),
        revoked: second.token(),
        revoked_refresh: second.refresh_token.clone(),
        verification: link,
        organization: company,
        project,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_begins_and_a_restart_keeps_it() {
    let platform = TestPlatform::start_with(|settings| {
        settings.email_verification = EmailVerification::Required;
        // Tokens name their issuer, which follows the port unless it is set.
        settings.public_url = "http://coder.example.com".parse().unwrap();
    })
    .await;
    let told = tell(&platform).await;
    let sent = mails(&platform).await;

    let platform = platform.restart().await;
    let nobody = platform.nobody();
    let (olga, max) = (nobody.with_token(&told.owner), nobody.with_token(&told.member));
    let address = format!("/api/users/projects/{}", told.project);
    let organization = olga.get("/api/users/organizations/current").await.expect(200);
    assert_eq!((organization.text("/id"), organization.text("/name")), (told.organization, "Acme".into()));
    let project = olga.get(&address).await.expect(200);
    assert_eq!((project.text("/key"), project.text("/description")), ("ENG".into(), "By Max".into()));
    let members = olga.get("/api/users/members?role=viewer").await.expect(200);
    assert_eq!(members.text("/items/0/email"), MAX);

    max.get(&address).await.expect(200);
    max.patch(&address, json!({"description": "Again"})).await.expect_problem(403, "forbidden");
    let revoked = nobody.with_token(&told.revoked);
    revoked.get(&address).await.expect_problem(401, "unauthenticated");
    let refresh = async |token: &str| nobody.post("/api/auth/refresh", json!({"refreshToken": token})).await;
    assert_eq!(refresh(&told.revoked_refresh).await.status.as_u16(), 401);
    refresh(&told.owner_refresh).await.expect(200);
    let used = json!({"token": told.verification});
    nobody.post("/api/auth/verify-email", used).await.expect_problem(410, "link_expired");
    platform.login(OLGA).await;
    // Nothing is sent, delivered or done twice because of the restart.
    assert_eq!(mails(&platform).await, sent);
}
