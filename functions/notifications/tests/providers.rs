//! Who carries mail: order, rest after failures, secrets, tests.

use coder_testkit::TestPlatform;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::mail::{PROVIDERS, internal, outbox, provider, say, team};
use crate::servers::smtp::{Does, SmtpServer};
use crate::servers::target::Target;

#[tokio::test]
async fn what_one_provider_refuses_the_next_one_carries() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let (first, second) = (SmtpServer::start().await, SmtpServer::start().await);
    first.will([Does::AnswersRecipient("550 5.7.1 blocked by policy")]);
    let refuses = provider(&team.admin, &first, 1).await;
    let takes = provider(&team.admin, &second, 2).await;
    say(&team, "Two ways", "medium").await;
    platform.settle().await;
    let sent = &outbox(&team).await[0];
    assert_eq!((&sent["state"], &sent["providerId"]), (&json!("sent"), &json!(takes)));
    assert_eq!((first.taken().len(), second.taken().len()), (0, 1));
    let shown = team.admin.get(&format!("{PROVIDERS}/{refuses}")).await.expect(200);
    assert_eq!(shown.text("/health"), "degraded");
}

#[tokio::test]
async fn five_failures_in_a_row_open_the_circuit_until_it_answers_again() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let server = SmtpServer::start().await;
    server.will([Does::Drops; 5]);
    let id = provider(&team.admin, &server, 0).await;
    for n in 0..5 {
        internal(
            &platform,
            json!({
                "organizationId": team.organization_id, "topic": "announcement", "title": format!("Mail {n}"),
                "body": "Words.", "recipients": [format!("email:person{n}@example.com")],
            }),
        )
        .await;
    }
    let health = async || team.admin.get(&format!("{PROVIDERS}/{id}")).await.expect(200).text("/health");
    assert_eq!(health().await, "down");
    let asked = server.conversations();
    say(&team, "While it rests", "medium").await;
    platform.settle().await;
    assert_eq!(server.conversations(), asked);
    platform.advance(SignedDuration::from_mins(6)).await;
    platform.advance(SignedDuration::from_mins(6)).await;
    assert_eq!(health().await, "healthy");
    let mails = outbox(&team).await;
    let unsent: Vec<&Value> = mails.iter().filter(|mail| mail["state"] != "sent").collect();
    assert!(unsent.is_empty(), "{unsent:#?}");
}

#[tokio::test]
async fn a_server_of_the_organization_takes_mail_with_the_token_that_secrets_keep() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let target = Target::start().await;
    target.will([503, 400, 202]);
    let secret = json!({"name": "MAIL", "kind": "api_key", "value": {"key": "t0k3n"}, "systemUse": true});
    let secret = team.owner.post("/api/secrets", secret).await.expect(201).text("/id");
    let provider = |reference: String| json!({"kind": "webhook", "config": {"url": target.url()}, "secretRef": reference});
    let missing = format!("secret:{}#key", coder_core::id::EXAMPLE);
    let id = team.admin.post(PROVIDERS, provider(missing)).await.expect(201).text("/id");
    say(&team, "Waits for its secret", "high").await;
    platform.settle().await;
    assert_eq!(outbox(&team).await[0]["state"], "queued");
    assert_eq!(target.requests().len(), 0);
    let place = format!("{PROVIDERS}/{id}");
    team.admin.patch(&place, json!({"secretRef": format!("secret:{secret}#key")})).await.expect(200);
    for _ in 0..4 {
        platform.advance(SignedDuration::from_secs(61)).await;
    }
    assert_eq!(outbox(&team).await[0]["state"], "undeliverable", "{:#?}", target.requests());
    say(&team, "Taken", "high").await;
    platform.settle().await;
    let requests = target.requests();
    assert_eq!((requests.len(), requests[2].header("authorization")), (3, "Bearer t0k3n"));
    let body: Value = serde_json::from_str(&requests[2].body).unwrap();
    assert_eq!((&body["subject"], &body["to"]), (&json!("Taken"), &json!(team.member.email)));
    assert_eq!(outbox(&team).await[0]["state"], "sent");
}

#[tokio::test]
async fn providers_are_checked_tested_and_kept_apart() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let server = SmtpServer::start().await;
    for (provider, pointer) in [
        (json!({"kind": "azure_email"}), "/kind"),
        (json!({"kind": "webpush"}), "/kind"),
        (
            json!({"kind": "smtp", "channel": "push", "config": {"host": "127.0.0.1", "from": "a@b.example"}}),
            "/channel",
        ),
        (json!({"kind": "smtp", "config": {"from": "a@b.example"}}), "/config/host"),
        (json!({"kind": "smtp", "config": {"host": "10.0.0.1", "from": "a@b.example"}}), "/config/host"),
        (
            json!({"kind": "smtp", "config": {"host": "169.254.169.254", "from": "a@b.example"}}),
            "/config/host",
        ),
        (json!({"kind": "smtp", "config": {"host": "127.0.0.1", "from": "nobody"}}), "/config/from"),
        (
            json!({"kind": "smtp", "config": {"host": "127.0.0.1", "from": "a@b.example", "username": "x"}}),
            "/secretRef",
        ),
        (json!({"kind": "webhook"}), "/config/url"),
        (json!({"kind": "smtp", "config": {}, "secretRef": "hunter2"}), "/secretRef"),
    ] {
        let refused =
            team.admin.post(PROVIDERS, provider.clone()).await.expect_problem(422, "validation_failed");
        let errors = refused.body["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["pointer"] == pointer), "{provider}: {errors:?}");
    }
    let id = provider(&team.admin, &server, 0).await;
    let place = format!("{PROVIDERS}/{id}");
    server.will([Does::Takes, Does::AnswersMail("554 no")]);
    let tested = team.admin.post(&format!("{place}/test"), json!({})).await.expect(200);
    assert_eq!((&tested.body["ok"], &tested.body["to"]), (&json!(true), &json!(team.admin.email)));
    assert_eq!(server.taken()[0].to, team.admin.email);
    let tested = team.admin.post(&format!("{place}/test"), json!({})).await.expect(200);
    assert!(tested.body["ok"] == false && tested.text("/error").contains("554"), "{:#}", tested.body);
    team.member.post(PROVIDERS, json!({"kind": "webhook"})).await.expect_problem(403, "forbidden");
    team.stranger.get(&place).await.expect_problem(404, "not_found");
    team.stranger.post(&format!("{place}/test"), json!({})).await.expect_problem(404, "not_found");
    let off = team.admin.patch(&place, json!({"enabled": false})).await.expect(200);
    assert_eq!(off.body["enabled"], false);
    say(&team, "Nobody carries", "medium").await;
    platform.settle().await;
    assert_eq!(outbox(&team).await[0]["state"], "kept");
    team.admin.delete(&place).await.expect(204);
    team.admin.get(&place).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_secret_is_pointed_somewhere_by_whoever_may_see_it() {
    let platform = TestPlatform::start().await;
    let team = team(&platform).await;
    let held = ["notifications.provider.create", "secrets.secret.resolve"];
    team.owner.post("/api/users/roles", json!({"name": "carrier", "permissions": held})).await.expect(201);
    let carrier = platform.join(&team.owner, "carrier@example.com", "carrier").await;
    let config = json!({"host": "127.0.0.1", "from": "a@b.example", "username": "x"});
    let body = json!({
        "kind": "smtp", "config": config, "secretRef": "secret:0199a000-7e3a-7c11-9d2f-5b6a7c8d9e0f#password",
    });
    let refused = carrier.post(PROVIDERS, body.clone()).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("secrets.secret.reveal"), "{refused:?}");
    team.admin.post(PROVIDERS, body).await.expect(201);
}
