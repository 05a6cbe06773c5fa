//! What events of other groups and the clock change here.

use coder_core::{OrganizationId, UserId};
use coder_handler::functions::Outcome;
use coder_testkit::issuer::{Issuer, parameter};
use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{
    ADA, PASSWORD, ada, all_stored, link_token, login, mails, refresh, registration, stored,
};

/// Delivers an event to a consumer of the group, twice, as a broker may.
async fn deliver(
    platform: &TestPlatform,
    consumer: &str,
    kind: &str,
    organization_id: Option<OrganizationId>,
    data: Value,
) {
    deliver_from(platform, consumer, kind, organization_id, data, "2026-01-05T12:01:00Z").await;
}

/// The same for an event of that time.
async fn deliver_from(
    platform: &TestPlatform,
    consumer: &str,
    kind: &str,
    organization_id: Option<OrganizationId>,
    data: Value,
    time: &str,
) {
    let organization = organization_id.map_or_else(|| "platform".to_owned(), |id| id.to_string());
    let event = json!({
        "specversion": "1.0", "id": "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f", "source": "/functions/users",
        "type": format!("coder.users.{kind}"), "subject": "x", "time": time,
        "organizationid": organization, "data": data,
    });
    let auth = platform.platform.assembly.groups.iter().find(|group| group.name == "auth").unwrap();
    for count in 1..=2 {
        let outcome = auth.functions.consume(consumer, &event, "test").await;
        assert_eq!(outcome, Outcome::Done(Value::Null), "{kind}, delivery {count}");
    }
    platform.settle().await;
}

async fn adopt(platform: &TestPlatform, team: &Team, domain: &str) {
    let (organization, data) = (Some(team.organization_id), json!({"domain": domain}));
    deliver(platform, "adopt-domain", "domain.verified", organization, data).await;
}

fn of(user_id: Option<UserId>) -> Value {
    json!({"userId": user_id})
}

#[tokio::test]
async fn a_deactivated_person_has_no_way_in_until_they_are_reactivated() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let key = ada.post("/api/auth/api-keys", json!({"name": "k", "permissions": ["users.team.read"]})).await;
    let key = ada.with_api_key(key.expect(201).text("/key"));
    deliver(&platform, "deactivate-user", "user.deactivated", None, of(ada.user_id)).await;
    ada.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    refresh(&platform, &ada.refresh_token).await.expect(401);
    login(&platform, ADA, PASSWORD).await.expect_problem(401, "invalid_credentials");
    key.get("/api/users/teams").await.expect_problem(401, "unauthenticated");
    platform.clock.advance(SignedDuration::from_secs(2));
    deliver(&platform, "reactivate-user", "user.reactivated", None, of(ada.user_id)).await;
    login(&platform, ADA, PASSWORD).await.expect(200);
    key.get("/api/users/teams").await.expect(200);
}

#[tokio::test]
async fn a_late_deactivation_does_not_undo_what_came_after_it() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let tell = async |consumer: &str, kind: &str, time: &str| {
        deliver_from(&platform, consumer, kind, None, of(ada.user_id), time).await;
    };
    platform.clock.advance(SignedDuration::from_mins(10));
    tell("reactivate-user", "user.reactivated", "2026-01-05T12:06:00Z").await;
    let after = platform.login(ADA).await;
    tell("deactivate-user", "user.deactivated", "2026-01-05T12:05:00Z").await;
    after.get("/api/auth/me").await.expect(200);
    ada.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
    login(&platform, ADA, PASSWORD).await.expect(200);
    tell("deactivate-user", "user.deactivated", "2026-01-05T12:07:00Z").await;
    login(&platform, ADA, PASSWORD).await.expect_problem(401, "invalid_credentials");
    tell("reactivate-user", "user.reactivated", "2026-01-05T12:06:00Z").await;
    login(&platform, ADA, PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_purged_person_leaves_nothing() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let key = ada.post("/api/auth/api-keys", json!({"name": "k", "permissions": ["users.team.read"]})).await;
    let key_id = key.expect(201).text("/keyId");
    platform.nobody().post("/api/auth/password/forgot", json!({"email": ADA})).await.expect(202);
    platform.settle().await;
    let token = link_token(&mails(&platform).await, "account.reset-password", ADA);
    deliver(&platform, "erase-user", "user.purged", None, of(ada.user_id)).await;

    let partition = format!("user:{}", ada.user_id.unwrap());
    for kind in ["identity", "session", "known-device", "totp-factor", "external-login", "audit"] {
        assert_eq!(all_stored(&platform, &partition, kind).await, Vec::<Value>::new(), "{kind}");
    }
    assert_eq!(stored(&platform, &format!("key:{key_id}"), &key_id).await, Value::Null);
    let reset = json!({"token": token, "newPassword": "another horse battery staple"});
    platform.nobody().post("/api/auth/password/reset", reset).await.expect_problem(410, "link_expired");
    ada.get("/api/auth/me").await.expect(401);
    login(&platform, ADA, PASSWORD).await.expect(401);
    platform.nobody().post("/api/auth/register", registration(ADA)).await.expect(201);
}

#[tokio::test]
async fn a_purged_organization_leaves_nothing() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let provider = issuer.register(&ada, json!({})).await;
    ada.patch("/api/auth/policy", json!({"passwordMinLength": 20})).await.expect(200);
    let key = ada.post("/api/auth/api-keys", json!({"name": "k", "permissions": ["users.team.read"]})).await;
    let key_id = key.expect(201).text("/keyId");
    let organization = ada.organization_id;
    deliver(&platform, "erase-organization", "organization.purged", organization, json!({})).await;
    let partition = format!("org:{}", organization.unwrap());
    for kind in ["auth-policy", "external-provider", "api-key-listing"] {
        assert_eq!(all_stored(&platform, &partition, kind).await, Vec::<Value>::new(), "{kind}");
    }
    assert_eq!(stored(&platform, &format!("key:{key_id}"), &key_id).await, Value::Null);
    assert_eq!(stored(&platform, &format!("provider:{provider}"), &provider).await, Value::Null);
}

#[tokio::test]
async fn administrators_help_the_people_of_their_domain_and_nobody_above_them() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let path =
        |user: Option<UserId>, action: &str| format!("/api/auth/admin/users/{}/{action}", user.unwrap());
    let (member, owner) = (team.member.user_id, team.owner.user_id);
    team.admin.post(&path(member, "reset-link"), json!({})).await.expect_problem(404, "not_found");
    adopt(&platform, &team, "Example.com").await;
    // Who registers later is managed from the start.
    let later = platform.register("later@example.com", None).await.user_id.unwrap().to_string();
    let identity = stored(&platform, &format!("user:{later}"), &later).await;
    assert_eq!(identity["managedByOrganizationId"], json!(team.organization_id));

    let refused =
        team.viewer.post(&path(member, "reset-link"), json!({})).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("auth.credential.reset"));
    for action in ["reset-link", "revoke-sessions"] {
        team.admin.post(&path(owner, action), json!({})).await.expect_problem(404, "not_found");
        team.stranger.post(&path(member, action), json!({})).await.expect_problem(404, "not_found");
    }
    team.admin.post(&path(member, "reset-link"), json!({})).await.expect(204);
    let token = link_token(&mails(&platform).await, "account.reset-password", &team.member.email);
    let reset = json!({"token": token, "newPassword": "another horse battery staple"});
    platform.nobody().post("/api/auth/password/reset", reset).await.expect(204);

    platform.clock.advance(SignedDuration::from_secs(2));
    login(&platform, &team.member.email, "another horse battery staple").await.expect(200);
    let ended = team.admin.post(&path(member, "revoke-sessions"), json!({})).await.expect(200);
    assert_eq!(ended.body, json!({"revoked": 1}));
    team.member.get("/api/auth/me").await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_provider_speaks_for_the_verified_domains_of_its_organization() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let issuer = Issuer::start().await;
    let provider = issuer.register(&team.admin, json!({})).await;
    let foreign = issuer.register(&team.stranger, json!({"autoProvision": true})).await;
    adopt(&platform, &team, "example.com").await;
    let offered =
        platform.nobody().get("/api/auth/external/providers?email=anybody@example.com").await.expect(200);
    assert_eq!(offered.text("/items/0/id"), provider);

    let claims = |verified: bool| json!({"email": team.member.email, "email_verified": verified});
    issuer.come_back(&platform, &provider, claims(false)).await.expect_problem(403, "forbidden");
    issuer.come_back(&platform, &foreign, claims(true)).await.expect_problem(403, "forbidden");
    let back = issuer.come_back(&platform, &provider, claims(true)).await.expect(302);
    let back = url::Url::parse(back.header("location")).unwrap();
    let code = json!({"code": parameter(&back, "code").unwrap()});
    let tokens = platform.nobody().post("/api/auth/external/exchange", code).await.expect(200);
    assert_eq!(tokens.text("/userId"), team.member.user_id.unwrap().to_string());
}

#[tokio::test]
async fn signing_keys_change_without_breaking_a_token() {
    let platform = TestPlatform::start().await;
    ada(&platform).await;
    let kids = async || {
        let set = platform.nobody().get("/api/auth/.well-known/jwks.json").await.expect(200);
        let keys = set.body["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = kids().await;
    assert_eq!(first.len(), 1);
    platform.advance(SignedDuration::from_hours(24 * 89)).await;
    assert_eq!(kids().await.len(), 2);
    let before = login(&platform, ADA, PASSWORD).await.expect(200).text("/accessToken");
    assert_eq!(jsonwebtoken::decode_header(&before).unwrap().kid.as_ref(), first.first());
    platform.clock.advance(SignedDuration::from_hours(24) - SignedDuration::from_mins(10));
    let before = login(&platform, ADA, PASSWORD).await.expect(200).text("/accessToken");
    platform.advance(SignedDuration::from_mins(10)).await;
    let after = login(&platform, ADA, PASSWORD).await.expect(200).text("/accessToken");
    assert_ne!(jsonwebtoken::decode_header(&after).unwrap().kid.as_ref(), first.first());
    for token in [before, after] {
        platform.nobody().with_token(token).get("/api/auth/me").await.expect(200);
    }
    platform.advance(SignedDuration::from_hours(24)).await;
    let last = kids().await;
    assert!(last.len() == 1 && last != first, "{last:?}");
}
