//! What follows from a request names it, however far down.

use std::collections::BTreeSet;

use coder_testkit::{Team, TestPlatform};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_follows_from_a_request_is_found_by_its_id() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let key = json!({"name": "Build", "permissions": ["users.project.read"]});
    team.member.post("/api/auth/api-keys", key).await.expect(201);
    let member = format!("/api/users/members/{}", team.member.user_id.unwrap());
    let removed = team.owner.delete(&member).await.expect(204);
    platform.settle().await;
    let entries = format!("/api/logging/entries?correlationId={}", removed.header("x-request-id"));
    let entries = team.owner.get(&entries).await.expect(200);
    let actions: BTreeSet<_> =
        entries.body["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    // The request's own event, and one that a consumer of another group made of it.
    for action in ["users.membership.removed", "auth.api-key.revoked"] {
        assert!(actions.contains(action), "{actions:?}");
    }
    assert!(!actions.contains("auth.api-key.created"), "{actions:?}");
}
