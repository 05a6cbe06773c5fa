//! Questions that make no sense.

use serde_json::{Value, json};

use crate::world::{Company, with};

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_make_no_sense_are_refused() {
    let company = Company::start().await;
    let base = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-05T00:00:00Z", "granularity": "day"});
    for (more, pointer) in [
        (json!({"to": "2025-01-01T00:00:00Z"}), "/to"),
        (json!({"from": "2020-01-01T00:00:00Z"}), "/to"),
        (json!({"from": "2025-11-01T00:00:00Z", "granularity": "hour"}), "/to"),
        (json!({"granularity": "minute"}), "/granularity"),
        (json!({"categoryPattern": "ai.*.x"}), "/categoryPattern"),
        (json!({"groupBy": ["a", "b", "c", "d"]}), "/groupBy"),
        (json!({"groupBy": ["category", "category"]}), "/groupBy"),
        (json!({"filters": {"userId": "me"}}), "/filters/userId"),
        (json!({"filters": {"name": "me"}}), "/filters/name"),
        (json!({"from": "2025-09-01T00:00:00Z", "groupBy": ["model"]}), "/from"),
    ] {
        let refused =
            company.owner.post("/api/usage/query", with(base.clone(), more.clone())).await.expect(422);
        let named =
            refused.body["errors"].as_array().unwrap().iter().any(|fault| fault["pointer"] == pointer);
        assert!(named, "{more}: {:?}", refused.body);
    }
    for body in [json!([]), json!({}), json!({"from": 1}), Value::Null] {
        assert_eq!(company.owner.post("/api/usage/query", body.clone()).await.status.as_u16(), 422, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_none_are_refused() {
    let company = Company::start().await;
    for body in
        [json!([]), json!({"events": []}), json!({"events": [{}]}), json!({"events": vec![json!({}); 1001]})]
    {
        company.owner.post("/api/usage/events", body).await.expect(422);
    }
    let unknown = json!({"categoryCode": "x.y", "estimate": {}});
    company.owner.post("/api/usage/quotas/check", unknown).await.expect(422);
    let unknown = json!({"categoryCode": "ai.agent", "estimate": {"pages": 1}});
    company.owner.post("/api/usage/reservations", unknown).await.expect(422);
    let negative = json!({"categoryCode": "ai.agent", "estimate": {"runs": -1}});
    company.owner.post("/api/usage/reservations", negative).await.expect(422);
    for month in ["2025-01", "2027-01", "january", "2026-1", "2026-01-01"] {
        company.owner.get(&format!("/api/usage/statements/{month}")).await.expect_problem(404, "not_found");
    }
}
