//! Events of other groups that are counted, and what ends with people, teams and projects.

use coder_handler::functions::Outcome;
use coder_usage::model::{Budget, Quota};
use serde_json::{Value, json};

use crate::world::{World, quota, with};

#[tokio::test(flavor = "multi_thread")]
async fn use_is_counted_once_however_often_it_is_told() {
    let world = World::start().await;
    let completion = json!({"model": "m", "inputTokens": 70, "outputTokens": 7, "durationMs": 1500});
    let event = world.bus("coder.ai.completion.completed", completion);
    for _ in 0..3 {
        assert_eq!(world.tell("completion", &event).await, Outcome::Done(Value::Null));
    }
    assert_eq!(world.sum("day:organization", "inputTokens_units").await, 70);
    let stored = world.documents("event").await.remove(0);
    assert_eq!((&stored["eventId"], &stored["source"]), (&event["id"], &json!("/functions/ai")));
    assert_eq!(stored["dimensions"], json!({"model": "m"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_use_has_a_category() {
    let world = World::start().await;
    let person = world.usage.runtime.ambient.new_uuid();
    for (consumer, kind, data, field, expected) in [
        ("completion", "coder.ai.completion.failed", json!({"inputTokens": 1}), "requests_units", 1),
        ("agent-run", "coder.ai.agent-run.completed", json!({"steps": 4}), "steps_units", 4),
        (
            "vectors",
            "coder.embeddings.vectors.generated",
            json!({"tokens": 9, "vectors": 2}),
            "vectors_units",
            2,
        ),
        ("search", "coder.embeddings.search.executed", json!({"mode": "hybrid"}), "queries_units", 1),
        ("execution", "coder.mcp.execution.failed", json!({"tool": "t"}), "errors_units", 1),
        ("run", "coder.execution.run.completed", json!({"durationMs": 2500}), "jobs_units", 1),
        ("session", "coder.collaboration.session.ended", json!({"participants": [person]}), "users_units", 1),
        ("storage", "coder.knowledge.storage.measured", json!({"bytes": 5}), "jobs_units", 1),
        ("execution", "coder.mcp.execution.denied", json!({}), "errors_units", 1),
    ] {
        let event = world.bus(kind, data);
        assert_eq!(world.tell(consumer, &event).await, Outcome::Done(Value::Null), "{kind}");
        assert_eq!(world.sum("hour:organization", field).await, expected, "{kind}");
    }
    assert_eq!(world.documents("event").await.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_count_is_put_aside() {
    let world = World::start().await;
    let mut old = world.bus("coder.ai.completion.completed", json!({}));
    old["time"] = json!("2025-11-01T00:00:00Z");
    assert!(matches!(world.tell("completion", &old).await, Outcome::Reject(_)));
    let mut nowhere = world.bus("coder.ai.completion.completed", json!({}));
    nowhere["organizationid"] = json!("platform");
    assert!(matches!(world.tell("completion", &nowhere).await, Outcome::Reject(_)));
    assert!(matches!(
        world.tell("membership", &world.bus("coder.users.membership.removed", json!({}))).await,
        Outcome::Reject(_)
    ));
    assert!(world.documents("event").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_and_budgets_end_with_what_they_are_for() {
    let world = World::start().await;
    let (project, person) = (world.usage.runtime.ambient.new_uuid(), world.usage.runtime.ambient.new_uuid());
    let of = |scope: &str, id: Value| with(quota(1, "warn"), json!({"scope": scope, "scopeId": id}));
    world.configure::<Quota>(of("project", json!(project))).await;
    world.configure::<Quota>(of("user", json!(person))).await;
    world.configure::<Quota>(quota(1, "warn")).await;
    let budget = json!({
        "name": "B", "scope": "project", "scopeId": project, "period": "month", "amountMinor": 1, "currency": "EUR",
    });
    world.configure::<Budget>(budget).await;
    let active = async || {
        let mut documents = world.documents("quota").await;
        documents.extend(world.documents("budget").await);
        documents.iter().filter(|one| one["active"] == true).count()
    };
    assert_eq!(active().await, 4);
    let mut deleted = world.bus("coder.users.project.deleted", json!({}));
    deleted["subject"] = json!(project);
    for _ in 0..2 {
        assert_eq!(world.tell("project", &deleted).await, Outcome::Done(Value::Null));
        assert_eq!(active().await, 2);
    }
    let left = world.bus("coder.users.membership.removed", json!({"userId": person, "reason": "left"}));
    world.tell("membership", &left).await;
    assert_eq!(active().await, 1);
}
