//! Retention: payloads go, months go, and the chain is verified across what is left.

use std::sync::Arc;

use coder_config::Settings;
use coder_core::{Ambient, ManualClock, OsEntropy};
use coder_database::{Filter, Operation, Query};
use coder_handler::functions::Outcome;
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
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

#[tokio::test]
async fn a_hold_or_a_missing_checkpoint_keeps_what_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::at("2026-01-05T12:01:00Z".parse().unwrap());
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let providers = Providers::open(Settings::for_tests(directory.path()), ambient).unwrap();
    let groups = vec![coder_logging::route_group()];
    let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap();
    let (functions, store) = (&assembly.groups[0].functions, &assembly.providers.store);
    let organization = coder_core::id::EXAMPLE.into();
    let record = async |id: &str| {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/functions/planning", "type": "coder.planning.task.created",
            "subject": "task-1", "time": "2026-01-05T12:00:00Z", "organizationid": organization, "data": {},
        });
        assert!(matches!(functions.consume("record", &event, id).await, Outcome::Done(_)));
    };
    let retain = async |id: &str| {
        clock.advance(SignedDuration::from_hours(24));
        assert!(matches!(functions.run_timer("retain", id).await, Outcome::Done(_)));
    };
    let of_january = async |kind: &str| {
        let query = Query::new(Filter::of_type(kind)).limit(10);
        store.query("logging", &bucket(organization, MONTH), &query).await.unwrap().items.remove(0).body
    };
    record("first").await;
    clock.advance(SignedDuration::from_hours(24 * 1100));
    let mut hold = of_january("head").await;
    (hold["id"], hold["type"], hold["bucket"]) =
        (json!("settings"), json!("audit-settings"), json!("config"));
    hold["legalHold"] = json!({"reason": "Court order 7", "since": "2026-01-05T12:00:00Z"});
    let config = bucket(organization, "config");
    let stands = Operation::Create { id: "settings".to_owned(), body: hold, expires_at: None };
    store.write("logging", &config, vec![stands]).await.unwrap();
    retain("1").await;
    assert_eq!(of_january("entry").await["message"], "Task created");
    let lifted = Operation::Delete { id: "settings".to_owned(), if_match: None };
    store.write("logging", &config, vec![lifted]).await.unwrap();
    // The month is closed and all over, but no checkpoint speaks for it yet.
    record("later").await;
    retain("2").await;
    assert_eq!(of_january("entry").await["eventId"], "first");
}
