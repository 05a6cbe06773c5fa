//! The organization's policy.

use coder_testkit::{Team, TestPlatform};
use http::Method;
use serde_json::{Value, json};

const POLICY: &str = "/api/auth/policy";

#[tokio::test]
async fn stands_at_the_platforms_values_until_it_is_changed() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let first = team.member.get(POLICY).await.expect(200);
    assert_eq!((&first.body["passwordMinLength"], &first.body["mfaRequired"]), (&json!(12), &json!(false)));
    assert_eq!((&first.body["apiKeyMaxDays"], &first.body["etag"]), (&json!(365), &Value::Null));

    let refused =
        team.member.patch(POLICY, json!({"passwordMinLength": 16})).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("auth.policy.update"));
    let changed =
        team.admin.patch(POLICY, json!({"passwordMinLength": 16, "allowedCidrs": ["127.0.0.1"]})).await;
    let changed = changed.expect(200);
    assert_eq!(
        (&changed.body["passwordMinLength"], changed.text("/allowedCidrs/0")),
        (&json!(16), "127.0.0.1/32".into())
    );
    let etag = format!("\"{}\"", changed.text("/etag"));
    assert_eq!(changed.header("etag"), etag);

    team.admin.patch(POLICY, json!({"apiKeyMaxDays": 30})).await.expect(200);
    let stale = [("if-match", etag.as_str())];
    let late = team.admin.send(Method::PATCH, POLICY, Some(&json!({"apiKeyMaxDays": 60})), &stale).await;
    late.expect_problem(412, "etag_mismatch");
    let last = team.member.get(POLICY).await.expect(200);
    assert_eq!((&last.body["passwordMinLength"], &last.body["apiKeyMaxDays"]), (&json!(16), &json!(30)));
    let elsewhere = team.stranger.get(POLICY).await.expect(200);
    assert_eq!(elsewhere.body["passwordMinLength"], 12);
}

#[tokio::test]
async fn every_value_has_its_bounds() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let wrong = json!({
        "passwordMinLength": 11, "mfaRequired": "yes", "loginMethods": [], "sessionIdleSeconds": 1_209_601,
        "apiKeyMaxDays": 0, "colour": "red",
    });
    let refused = team.owner.patch(POLICY, wrong).await.expect(422);
    let errors = refused.body["errors"].as_array().unwrap();
    let mut pointers: Vec<_> = errors.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    let expected = [
        "/apiKeyMaxDays",
        "/colour",
        "/loginMethods",
        "/mfaRequired",
        "/passwordMinLength",
        "/sessionIdleSeconds",
    ];
    assert_eq!(pointers, expected);
    team.owner
        .patch(POLICY, json!({"allowedCidrs": ["10.0.0.0/40"]}))
        .await
        .expect_problem(422, "validation_failed");
}
