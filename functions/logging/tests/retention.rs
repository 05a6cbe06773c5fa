//! Retention: payloads go, months go, and the chain is verified across what is left.

use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{MONTH, bucket, entries, listed, post, stored};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_loses_its_payload_and_then_its_month() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let policy = json!({"match": {"category": "custom"}, "retentionDays": 30, "archive": true});
    team.admin.post("/api/logging/retention-policies", policy).await.expect(201);
    let id = post(&team.admin, "short-lived").await;
    platform.settle().await;
    // The month goes on to be needed: other entries of it are kept longer.
    platform.clock.advance(SignedDuration::from_hours(24 * 40));
    let admin = platform.login(&team.admin.email).await;
    post(&admin, "of february").await;
    platform.advance(SignedDuration::from_hours(24)).await;
    let admin = platform.login(&admin.email).await;
    let entry = admin.get(&format!("/api/logging/entries/{id}")).await.expect(200).body;
    assert_eq!((&entry["erased"]["reason"], entry.get("message")), (&json!("retention"), None));
    let verified = admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!(
        (&verified.body["valid"], &verified.body["erased"]),
        (&json!(true), &json!(1)),
        "{:#}",
        verified.body
    );
    assert!(!listed(&admin, "action=logging.retention.applied").await.is_empty());

    // Three years later nothing of January is needed any more.
    let january = entries(&platform, team.organization_id).await;
    platform.clock.advance(SignedDuration::from_hours(24 * 1100));
    let admin = platform.login(&admin.email).await;
    post(&admin, "much later").await;
    platform.advance(SignedDuration::from_hours(2)).await;
    platform.advance(SignedDuration::from_hours(24)).await;
    let admin = platform.login(&admin.email).await;
    assert_eq!(entries(&platform, team.organization_id).await.len(), 0);
    let config = bucket(team.organization_id, "config");
    let segments = stored(&platform, &config, "segment").await;
    let first = segments.iter().map(|one| &one.body).find(|one| one["month"] == MONTH).unwrap();
    assert_eq!(
        (&first["count"], &first["lastHash"]),
        (&json!(january.len()), &january.last().unwrap()["hash"])
    );
    let archive = first["archiveUri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(!stored(&platform, &bucket(team.organization_id, &archive), "chunk").await.is_empty());
    let verified = admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!(verified.body["valid"], true, "{:#}", verified.body);
}
