//! Login with a provider, against one that says what the test wants.

use coder_testkit::issuer::{CALLBACK, Issuer, parameter};
use coder_testkit::{Reply, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};
use url::Url;

use crate::support::{ADA, ada, all_stored, registration, take_away};

const NEW: &str = "grace@example.com";

fn verified(email: &str) -> Value {
    json!({"email": email, "email_verified": true, "name": "Grace Hopper"})
}

fn landed(reply: &Reply) -> Url {
    assert_eq!(reply.status.as_u16(), 302, "{:?}", reply.body);
    let url = Url::parse(reply.header("location")).unwrap();
    assert!(url.as_str().starts_with(CALLBACK), "{url}");
    assert_eq!(parameter(&url, "state").as_deref(), Some("mine"));
    url
}

async fn exchange(platform: &TestPlatform, reply: &Reply) -> Reply {
    let code = parameter(&landed(reply), "code").unwrap();
    platform.nobody().post("/api/auth/external/exchange", json!({"code": code})).await
}

#[tokio::test]
async fn a_token_with_a_wrong_nonce_or_from_a_foreign_tenant_signs_nobody_in() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let more = json!({"allowedTenantIds": ["our-tenant"], "autoProvision": true});
    let provider = issuer.register(&ada, more).await;
    let mut claims = verified(NEW);
    claims["tid"] = json!("our-tenant");
    claims["nonce"] = json!("another");
    issuer.come_back(&platform, &provider, claims.clone()).await.expect_problem(401, "invalid_credentials");
    claims.as_object_mut().unwrap().remove("nonce");
    claims["tid"] = json!("their-tenant");
    issuer.come_back(&platform, &provider, claims.clone()).await.expect_problem(401, "invalid_credentials");
    claims["aud"] = json!("somebody else");
    issuer.come_back(&platform, &provider, claims).await.expect_problem(401, "invalid_credentials");
    // Nobody has come of it: the address is free.
    platform.nobody().post("/api/auth/register", registration(NEW)).await.expect(201);
}

#[tokio::test]
async fn an_unverified_address_leads_to_nobodys_account() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let provider = issuer.register(&ada, json!({"autoProvision": true})).await;
    let unverified = json!({"email": ADA, "email_verified": false});
    issuer.come_back(&platform, &provider, unverified).await.expect_problem(403, "forbidden");
    // Nor does a verified one, since the provider does not speak for its domain.
    issuer.come_back(&platform, &provider, verified(ADA)).await.expect_problem(403, "forbidden");
    let unknown = json!({"email": NEW, "email_verified": false});
    issuer.come_back(&platform, &provider, unknown).await.expect_problem(403, "forbidden");
    issuer.come_back(&platform, &provider, json!({})).await.expect_problem(403, "forbidden");
    let partition = format!("user:{}", ada.user_id.unwrap());
    assert_eq!(all_stored(&platform, &partition, "external-login").await, Vec::<Value>::new());
    assert_eq!(all_stored(&platform, &partition, "session").await.len(), 1);
}

#[tokio::test]
async fn a_new_person_gets_an_account_and_finds_it_again() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let provider = issuer.register(&ada, json!({"autoProvision": true})).await;
    let back = issuer.come_back(&platform, &provider, verified(NEW)).await;
    assert!(!back.header("location").contains("eyJ"), "no token stands in an address");
    let tokens = exchange(&platform, &back).await.expect(200);
    exchange(&platform, &back).await.expect_problem(401, "invalid_credentials");
    let grace = platform.signed_in(NEW, &tokens.body).await;

    // The same account, whatever its address is by now.
    let again = issuer.come_back(&platform, &provider, verified("hopper@example.org")).await;
    let again = exchange(&platform, &again).await.expect(200);
    assert_eq!(again.text("/userId"), grace.user_id.unwrap().to_string());

    // Without a password it is the only way in.
    let logins = grace.get("/api/auth/external/logins").await.expect(200);
    assert_eq!(
        (logins.text("/items/0/providerId"), logins.body["items"].as_array().unwrap().len()),
        (provider, 1)
    );
    let login = format!("/api/auth/external/logins/{}", logins.text("/items/0/id"));
    grace.delete(&login).await.expect_problem(409, "last_login_method");
    ada.delete(&login).await.expect_problem(404, "not_found");
    let redeemed = issuer.redeemed();
    assert!(redeemed.iter().all(|form| form["code_verifier"].as_str().unwrap().len() == 43), "{redeemed:?}");
}

#[tokio::test]
async fn a_new_person_joins_the_organization_of_the_provider_in_the_mapped_role() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let mapping = json!([{"claim": "groups", "value": "auditors", "role": "viewer"}]);
    let more = json!({"autoProvision": true, "defaultRole": "member", "roleMapping": mapping});
    let provider = issuer.register(&ada, more).await;
    let come = async |email: &str, subject: &str, groups: Value| {
        let mut claims = verified(email);
        (claims["sub"], claims["groups"]) = (json!(subject), groups);
        let back = issuer.come_back(&platform, &provider, claims).await;
        exchange(&platform, &back).await.expect(200)
    };
    let grace = come(NEW, "1", json!(["auditors"])).await;
    let grace = platform.signed_in(NEW, &grace.body).await;
    assert_eq!(grace.organization_id, ada.organization_id);
    let memberships = async || grace.get("/api/auth/me").await.expect(200).body["memberships"].clone();
    let first = memberships().await;
    assert_eq!((first.as_array().unwrap().len(), &first[0]["roles"]), (1, &json!(["viewer"])));
    // Who is here already stays what they are.
    come(NEW, "1", json!(["staff"])).await;
    assert_eq!(memberships().await, first);
    let other = come("other@example.com", "2", json!("staff")).await;
    let other = platform.signed_in("other@example.com", &other.body).await;
    let member = format!("/api/users/members/{}", other.user_id.unwrap());
    assert_eq!(ada.get(&member).await.expect(200).body["roles"], json!(["member"]));
    ada.delete(&member).await.expect(204);
    platform.settle().await;
    platform.clock.advance(jiff::SignedDuration::from_secs(2));
    let again = come("other@example.com", "2", json!("staff")).await;
    assert_eq!(again.body["organizationId"], Value::Null, "who was removed does not come back by a login");
}

#[tokio::test]
async fn a_provider_gives_roles_that_exist_and_that_its_maker_may_give() {
    let platform = TestPlatform::start().await;
    let team = coder_testkit::Team::of(&platform).await;
    let issuer = Issuer::start().await;
    let mapping = |role: &str| json!({"claim": "groups", "value": role, "role": role});
    let body = |default: &str, mapped: &[&str]| {
        let mapped: Vec<_> = mapped.iter().map(|role| mapping(role)).collect();
        json!({
            "displayName": "Acme", "issuer": issuer.address, "clientId": "coder", "defaultRole": default,
            "roleMapping": mapped,
        })
    };
    let providers = "/api/auth/providers";
    let refused = team.admin.post(providers, body("unicorn", &["viewer", "pegasus"])).await.expect(422);
    let pointers = [refused.text("/errors/0/pointer"), refused.text("/errors/1/pointer")];
    assert_eq!(pointers, ["/defaultRole", "/roleMapping/1/role"]);
    let refused = team.owner.post(providers, body("member", &["owner"])).await.expect(422);
    assert_eq!(refused.text("/errors/0/pointer"), "/roleMapping/0/role");
    team.admin.post(providers, body("member", &["owner"])).await.expect_problem(403, "forbidden");

    let strong = json!({"name": "closer", "permissions": ["users.organization.delete"]});
    team.owner.post("/api/users/roles", strong).await.expect(201);
    let refused = team.admin.post(providers, body("closer", &[])).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("users.organization.delete"), "{:?}", refused.body);
    let made = team.owner.post(providers, body("closer", &["reviewer"])).await.expect(201).text("/id");
    let address = format!("{providers}/{made}");
    // What gives nobody more may be changed by others; what does may not.
    team.admin.patch(&address, json!({"displayName": "Acme login", "enabled": false})).await.expect(200);
    for more in [json!({"enabled": true}), json!({"autoProvision": true})] {
        team.admin.patch(&address, more).await.expect_problem(403, "forbidden");
    }
    team.admin.patch(&address, json!({"defaultRole": "member", "enabled": true})).await.expect(200);
}

#[tokio::test]
async fn a_person_links_an_account_and_takes_it_back() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let provider = issuer.register(&ada, json!({})).await;
    issuer.come_back(&platform, &provider, verified(NEW)).await.expect_problem(403, "forbidden");

    let start = format!("/api/auth/external/{provider}/start");
    let body = json!({"redirectUri": CALLBACK, "state": "mine"});
    platform.nobody().post(&start, body.clone()).await.expect_problem(401, "unauthenticated");
    let out = ada.post(&start, body.clone()).await.expect(200).text("/authorizationUrl");
    let back = issuer.return_from(&platform, &provider, &out, verified(NEW)).await;
    assert_eq!(parameter(&landed(&back), "linked"), Some(provider.clone()));

    let back = issuer.come_back(&platform, &provider, verified(NEW)).await;
    let tokens = exchange(&platform, &back).await.expect(200);
    assert_eq!(tokens.text("/userId"), ada.user_id.unwrap().to_string());

    // It is nobody else's meanwhile.
    let other = platform.register("other@example.com", None).await;
    let out = other.post(&start, body).await.expect(200).text("/authorizationUrl");
    issuer.return_from(&platform, &provider, &out, verified(NEW)).await.expect_problem(409, "already_exists");

    let logins = ada.get("/api/auth/external/logins").await.expect(200);
    ada.delete(&format!("/api/auth/external/logins/{}", logins.text("/items/0/id"))).await.expect(204);
    issuer.come_back(&platform, &provider, verified(NEW)).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_login_is_taken_once_at_its_own_provider_and_ends_where_it_may() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let provider = issuer.register(&ada, json!({"autoProvision": true})).await;
    let other = issuer.register(&ada, json!({"autoProvision": true})).await;
    let elsewhere = format!("/api/auth/external/{provider}/start?redirectUri=https://evil.example.com/");
    platform.nobody().get(&elsewhere).await.expect_problem(400, "invalid_query");

    let start = format!("/api/auth/external/{provider}/start?redirectUri={CALLBACK}&state=mine");
    let out = platform.nobody().get(&start).await.expect(302).header("location").to_owned();
    let crossed = issuer.return_from(&platform, &other, &out, verified(NEW)).await;
    crossed.expect_problem(401, "invalid_credentials");
    let back = issuer.return_from(&platform, &provider, &out, verified(NEW)).await;
    exchange(&platform, &back).await.expect(200);
    let twice = issuer.return_from(&platform, &provider, &out, verified(NEW)).await;
    twice.expect_problem(401, "invalid_credentials");

    let out = platform.nobody().get(&start).await.expect(302).header("location").to_owned();
    let state = parameter(&Url::parse(&out).unwrap(), "state").unwrap();
    let denied = format!("/api/auth/external/{provider}/callback?error=access_denied&state={state}");
    let denied = landed(&platform.nobody().get(&denied).await);
    assert_eq!(
        (parameter(&denied, "error").as_deref(), parameter(&denied, "code")),
        (Some("access_denied"), None)
    );
}

#[tokio::test]
async fn providers_are_offered_by_organization_and_kept_by_its_administrators() {
    let platform = TestPlatform::start().await;
    let team = coder_testkit::Team::of(&platform).await;
    let issuer = Issuer::start().await;
    let provider = issuer.register(&team.admin, json!({"displayName": "Acme login"})).await;
    let slug = team.owner.get("/api/users/organizations/current").await.expect(200).text("/slug");
    let offers = format!("/api/auth/external/providers?organization={slug}");
    let offered = platform.nobody().get(&offers).await.expect(200);
    assert_eq!(offered.body["items"], json!([{"id": provider, "name": "Acme login"}]));
    for nothing in ["", "?organization=nobody", "?email=somebody@example.com"] {
        let offered =
            platform.nobody().get(&format!("/api/auth/external/providers{nothing}")).await.expect(200);
        assert_eq!(offered.body["items"], json!([]), "{nothing}");
    }

    let address = format!("/api/auth/providers/{provider}");
    team.member.get(&address).await.expect(200);
    team.stranger.get(&address).await.expect_problem(404, "not_found");
    let refused =
        team.member.patch(&address, json!({"enabled": false})).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("auth.provider.update"));
    team.admin.patch(&address, json!({"defaultRole": "owner"})).await.expect_problem(403, "forbidden");
    team.admin.patch(&address, json!({"issuer": "https://login.example.com"})).await.expect(422);
    team.admin.patch(&address, json!({"enabled": false})).await.expect(200);
    assert_eq!(platform.nobody().get(&offers).await.expect(200).body["items"], json!([]));
    let start = format!("/api/auth/external/{provider}/start?redirectUri={CALLBACK}");
    platform.nobody().get(&start).await.expect_problem(404, "not_found");
    team.admin.delete(&address).await.expect(204);
    team.member.get(&address).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn an_issuer_that_is_another_or_not_public_is_refused() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let body = |issuer: &str| json!({"displayName": "Acme", "issuer": issuer, "clientId": "coder"});
    for (address, code) in [
        (format!("{}/", issuer.address), "issuer_mismatch"),
        (format!("{}/elsewhere", issuer.address), "issuer_mismatch"),
        ("http://192.168.1.1".to_owned(), "refused"),
        ("https://169.254.169.254".to_owned(), "refused"),
        ("http://login.example.com".to_owned(), "refused"),
    ] {
        let refused =
            ada.post("/api/auth/providers", body(&address)).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.text("/errors/0/code"), code, "{address}");
    }
    let mut unknown = body(&issuer.address);
    unknown["clientSecretRef"] = json!(format!("secret:{}#key", coder_core::id::EXAMPLE));
    let refused = ada.post("/api/auth/providers", unknown.clone()).await.expect(422);
    assert_eq!(
        (refused.text("/errors/0/pointer"), refused.text("/errors/0/code")),
        ("/clientSecretRef".into(), "unknown_secret".into())
    );
}

#[tokio::test]
async fn the_password_at_a_provider_comes_from_the_secrets_of_its_organization() {
    let platform = TestPlatform::start().await;
    let (ada, issuer) = (ada(&platform).await, Issuer::start().await);
    let keep = async |name: &str, system_use: bool| {
        let value = json!({"key": "hunter2"});
        let body = json!({"name": name, "kind": "api_key", "value": value, "systemUse": system_use});
        ada.post("/api/secrets", body).await.expect(201).text("/id")
    };
    let (id, others) = (keep("ENTRA", true).await, keep("OTHERS", false).await);
    let provider = |reference: &str| {
        json!({
            "displayName": "Acme", "issuer": issuer.address, "clientId": "coder", "clientSecretRef": reference,
        })
    };
    // One that is not for the platform itself, one that is no text, and one of another organization.
    let eve = platform.register("eve@example.com", Some("Elsewhere")).await;
    for (who, reference) in [
        (&ada, format!("secret:{others}#key")),
        (&ada, format!("secret:{id}")),
        (&eve, format!("secret:{id}#key")),
    ] {
        let refused = who.post("/api/auth/providers", provider(&reference)).await.expect(422);
        assert_eq!(refused.text("/errors/0/code"), "unknown_secret", "{reference}");
    }
    let made = ada.post("/api/auth/providers", provider(&format!("secret:{id}#key"))).await.expect(201);
    assert!(!made.body.to_string().contains("hunter2"));
    let sign_in = async || {
        let reply = issuer.come_back(&platform, &made.text("/id"), verified(NEW)).await;
        (reply.status.as_u16(), issuer.redeemed().last().map(|form| form["client_secret"].clone()))
    };
    // The issuer takes the password; that nobody is provisioned here is another matter.
    assert_eq!(sign_in().await, (403, Some(json!("hunter2"))));
    ada.post(&format!("/api/secrets/{id}/versions"), json!({"value": {"key": "hunter3"}})).await.expect(201);
    assert_eq!(sign_in().await, (403, Some(json!("hunter2"))), "a value is used for a minute");
    platform.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(sign_in().await, (403, Some(json!("hunter3"))));
    platform.clock.advance(SignedDuration::from_secs(60));
    take_away(&platform, "secrets");
    assert_eq!(sign_in().await.0, 503);
}
