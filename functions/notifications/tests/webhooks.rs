//! Outgoing webhooks, up to the wire.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, verify};
use coder_testkit::{Client, Reply, Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::servers::target::{Request, Target};
use crate::support::inbox;

const WEBHOOKS: &str = "/api/notifications/webhooks";

async fn webhook(admin: &Client, url: &str, topics: Value) -> Reply {
    admin.post(WEBHOOKS, json!({"name": "Chat", "url": url, "topics": topics})).await.expect(201)
}

async fn say(team: &Team, topic: &str) {
    let member = team.member.user_id.unwrap();
    let message = json!({
        "topic": topic, "title": format!("About {topic}"), "body": "Words.", "recipients": [format!("user:{member}")],
    });
    team.admin.post("/api/notifications/messages", message).await.expect(202);
}

/// Whether the signature is of this secret and body.
fn is_signed(request: &Request, secret: &str) -> bool {
    let header = request.header("coder-signature");
    let (time, hex) = header.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).unwrap();
    let tag = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    verify(&key, format!("{time}.{}", request.body).as_bytes(), &tag).is_ok()
}

#[tokio::test]
async fn a_target_that_fails_twice_is_asked_three_times_each_signed() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let target = Target::start().await;
    target.will([500, 500, 200]);
    let hook = webhook(&team.admin, &target.url(), json!(["announcement"])).await;
    let (id, secret) = (hook.text("/id"), hook.text("/secret"));
    say(&team, "announcement").await;
    say(&team, "something.else").await;
    platform.settle().await;
    assert_eq!(target.requests().len(), 1);
    for _ in 0..4 {
        platform.advance(SignedDuration::from_mins(3)).await;
    }
    let requests = target.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests.iter().all(|request| is_signed(request, &secret) && request.line.starts_with("POST /hook"))
    );
    assert!(requests.iter().all(|request| !is_signed(request, "whsec_other")));
    let times: Vec<&str> =
        requests.iter().map(|one| one.header("coder-signature").split(',').next().unwrap()).collect();
    assert!(times[0] != times[1] && times[1] != times[2], "{times:?}");
    let event: Value = serde_json::from_str(&requests[2].body).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "coder.notifications.announcement");
    assert_eq!(event["data"]["title"], "About announcement");
    assert_eq!(event["organizationid"], json!(team.organization_id));
    assert!(event["data"].get("recipients").is_none());

    let deliveries = team.admin.get(&format!("{WEBHOOKS}/{id}/deliveries")).await.expect(200);
    assert_eq!(deliveries.body["items"].as_array().unwrap().len(), 1, "{:#}", deliveries.body);
    assert_eq!(deliveries.text("/items/0/status"), "delivered");
    assert_eq!(deliveries.body["items"][0]["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(team.admin.get(&format!("{WEBHOOKS}/{id}")).await.expect(200).body["failures"], 0);

    let again = json!({"deliveryId": deliveries.text("/items/0/id")});
    team.admin.post(&format!("{WEBHOOKS}/{id}/redeliver"), again).await.expect(202);
    platform.settle().await;
    assert_eq!(target.requests().len(), 4);
    assert_eq!(target.requests()[3].body, requests[0].body);
}

#[tokio::test]
async fn the_secret_is_shown_once_and_strangers_see_nothing() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let target = Target::start().await;
    let hook = webhook(&team.admin, &target.url(), json!([])).await;
    let (id, secret) = (hook.text("/id"), hook.text("/secret"));
    assert!(secret.starts_with("whsec_") && secret.len() > 40);
    let place = format!("{WEBHOOKS}/{id}");
    for reply in [
        team.viewer.get(&place).await.expect(200),
        team.viewer.get(WEBHOOKS).await.expect(200),
        team.admin.patch(&place, json!({"name": "Other"})).await.expect(200),
    ] {
        assert!(!reply.body.to_string().contains("whsec_") && !reply.body.to_string().contains("sealed"));
    }
    team.member
        .post(WEBHOOKS, json!({"name": "x", "url": target.url()}))
        .await
        .expect_problem(403, "forbidden");
    team.viewer.get(&format!("{place}/deliveries")).await.expect_problem(403, "forbidden");
    team.stranger.get(&place).await.expect_problem(404, "not_found");
    team.stranger.post(&format!("{place}/test"), json!({})).await.expect_problem(404, "not_found");
    team.stranger.delete(&place).await.expect_problem(404, "not_found");

    target.will([204, 503]);
    let tested = team.admin.post(&format!("{place}/test"), json!({})).await.expect(200);
    assert_eq!((&tested.body["ok"], &tested.body["status"]), (&json!(true), &json!(204)));
    assert!(is_signed(&target.requests()[0], &secret));
    let tested = team.admin.post(&format!("{place}/test"), json!({})).await.expect(200);
    assert_eq!((&tested.body["ok"], &tested.body["status"]), (&json!(false), &json!(503)));
    team.admin.delete(&place).await.expect(204);
    team.admin.get(&place).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn addresses_inside_are_refused_when_saved() {
    let platform = TestPlatform::start_with(|settings| settings.outbound_allow_loopback = false).await;
    let team = Team::of(&platform).await;
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[::]/",
        "https://0.0.0.0/",
        "http://1.1.1.1/",
        "ftp://1.1.1.1/",
        "https://name:word@1.1.1.1/",
        "no address",
    ] {
        let refused = team.admin.post(WEBHOOKS, json!({"name": "x", "url": url})).await;
        assert_eq!(
            refused.expect_problem(422, "validation_failed").text("/errors/0/pointer"),
            "/url",
            "{url}"
        );
        let provider = json!({"kind": "webhook", "config": {"url": url}});
        let refused = team.admin.post("/api/notifications/providers", provider).await;
        let pointer = refused.expect_problem(422, "validation_failed").text("/errors/0/pointer");
        assert_eq!(pointer, "/config/url", "{url}");
    }
    let hook = webhook(&team.admin, "https://1.1.1.1/", json!([])).await;
    let change = json!({"url": "https://127.0.0.1/"});
    team.admin
        .patch(&format!("{WEBHOOKS}/{}", hook.text("/id")), change)
        .await
        .expect_problem(422, "validation_failed");
    let listed = team.admin.get(WEBHOOKS).await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_gone_switches_it_off() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    let target = Target::start().await;
    target.will([302, 410]);
    let hook = webhook(&team.owner, &target.url(), json!(["announcement"])).await;
    let place = format!("{WEBHOOKS}/{}", hook.text("/id"));
    say(&team, "announcement").await;
    platform.settle().await;
    assert_eq!(team.admin.get(&place).await.expect(200).body["failures"], 1);
    platform.advance(SignedDuration::from_mins(2)).await;
    let off = team.admin.get(&place).await.expect(200);
    assert_eq!(off.body["enabled"], false);
    assert!(off.text("/disabledReason").contains("410"));
    platform.advance(SignedDuration::from_hours(24)).await;
    team.admin = platform.login(&team.admin.email).await;
    team.owner = platform.login(&team.owner.email).await;
    assert_eq!(target.requests().len(), 2);
    // Its creator hears of it, once, and nobody else.
    let told = inbox(&team.owner, "?topic=webhook.disabled").await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["title"], format!("The webhook \"{}\" was switched off", off.text("/name")));
    assert!(told[0]["body"].as_str().unwrap().contains("410 Gone"), "{}", told[0]);
    assert!(inbox(&team.admin, "?topic=webhook.disabled").await.is_empty());
    let delivery = team.admin.get(&format!("{place}/deliveries")).await.expect(200);
    let again = json!({"deliveryId": delivery.text("/items/0/id")});
    let redeliver = format!("{place}/redeliver");
    team.admin.post(&redeliver, again.clone()).await.expect_problem(409, "invalid_state");
    let on = team.admin.patch(&place, json!({"enabled": true})).await.expect(200);
    assert_eq!((&on.body["failures"], &on.body["disabledReason"]), (&json!(0), &json!(null)));
    team.admin.post(&redeliver, again).await.expect(202);
    platform.settle().await;
    assert_eq!(target.requests().len(), 3);
}

#[tokio::test]
async fn a_target_that_never_takes_it_is_asked_eight_times() {
    let platform = TestPlatform::start().await;
    let mut team = Team::of(&platform).await;
    let target = Target::start().await;
    target.will([500; 20]);
    let hook = webhook(&team.admin, &target.url(), json!(["announcement"])).await;
    say(&team, "announcement").await;
    platform.settle().await;
    for _ in 0..30 {
        platform.advance(SignedDuration::from_hours(1)).await;
    }
    assert_eq!(target.requests().len(), 8);
    team.admin = platform.login(&team.admin.email).await;
    let deliveries = team
        .admin
        .get(&format!("{WEBHOOKS}/{}/deliveries?status=failed", hook.text("/id")))
        .await
        .expect(200);
    assert_eq!(deliveries.body["items"][0]["attempts"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn an_organization_has_at_most_twenty() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    for _ in 0..20 {
        webhook(&team.admin, "https://1.1.1.1/", json!([])).await;
    }
    let one = json!({"name": "x", "url": "https://1.1.1.1/"});
    team.admin.post(WEBHOOKS, one).await.expect_problem(409, "limit_reached");
}
