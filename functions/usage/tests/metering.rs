//! Reporting use over HTTP, and asking about it.

use coder_testkit::TestPlatform;
use serde_json::{Value, json};

use crate::world::{Company, START, event, with};

fn completion(id: &str, input: i64) -> Value {
    event(id, "ai.completion", json!({"inputTokens": input, "requests": 1}))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batch_twice_counts_once() {
    let company = Company::start().await;
    let reporter = company.reporter().await;
    let batch = json!({"events": [completion("a", 1), completion("b", 2), completion("c", 3)]});
    let first = reporter.post("/api/usage/events", batch.clone()).await.expect(202).body;
    assert_eq!(first, json!({"accepted": 3, "duplicates": 0, "rejected": []}));
    let second = reporter.post("/api/usage/events", batch).await.expect(202).body;
    assert_eq!(second, json!({"accepted": 0, "duplicates": 3, "rejected": []}));
    let summary = company.owner.get("/api/usage/summary").await.expect(200).body;
    assert_eq!((&summary["events"], &summary["unpricedEvents"]), (&json!(3), &json!(3)));
    let metrics = &summary["categories"][0]["metrics"];
    assert_eq!(metrics, &json!({"inputTokens": 6, "requests": 3}));
    // The key reports, and nothing else.
    reporter.get("/api/usage/events").await.expect_problem(403, "forbidden");
    reporter.get("/api/usage/statements").await.expect_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_repeats_the_first_answer() {
    let company = Company::start().await;
    let batch = json!({"events": [completion("a", 1)]});
    let key = [("idempotency-key", "one")];
    let send = async || company.owner.send(http::Method::POST, "/api/usage/events", Some(&batch), &key).await;
    let first = send().await.expect(202).body;
    let again = send().await.expect(202);
    assert_eq!((again.body.clone(), again.header("idempotent-replayed")), (first, "true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_event_does_not_undo_the_others() {
    let company = Company::start().await;
    let at = |time: &str| json!({"occurredAt": time});
    let events = vec![
        completion("good", 1),
        with(completion("old", 1), at("2025-11-26T12:00:00Z")),
        with(completion("early", 1), at("2026-01-05T12:07:00Z")),
        with(completion("clock", 1), at("2026-01-05T12:05:00Z")),
        with(completion("just", 1), at("2025-12-04T12:02:00Z")),
        event("category", "ai.unknown", json!({"x": 1})),
        event("metric", "ai.completion", json!({"pages": 1})),
        event("number", "ai.completion", json!({"inputTokens": 0.000_000_1})),
        event("negative", "ai.completion", json!({"inputTokens": -1})),
        with(completion("source", 1), json!({"source": "/functions/ai"})),
        with(completion("dimension", 1), json!({"dimensions": {"k": "x".repeat(101)}})),
    ];
    let outcome = company.report(events).await.expect(202).body;
    assert_eq!(outcome["accepted"], 3);
    let rejected = outcome["rejected"].as_array().unwrap().iter();
    let codes: Vec<_> =
        rejected.map(|one| (one["index"].as_u64().unwrap(), one["code"].as_str().unwrap())).collect();
    assert_eq!(
        codes,
        [
            (1, "too_old"),
            (2, "too_early"),
            (5, "unknown_category"),
            (6, "unknown_metric"),
            (7, "invalid_metric"),
            (8, "invalid_metric"),
            (9, "reserved_source"),
            (10, "invalid_dimension"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_platform_goes_on_where_it_was() {
    let company = Company::start().await;
    let events: Vec<Value> = (0..120).map(|id| completion(&id.to_string(), id)).collect();
    company.use_up(events[..50].to_vec()).await;
    let Company { platform, owner, .. } = company;
    let platform: TestPlatform = platform.restart().await;
    let owner = platform.login(&owner.email).await;
    let outcome = owner.post("/api/usage/events", json!({"events": events})).await.expect(202).body;
    assert_eq!((&outcome["accepted"], &outcome["duplicates"]), (&json!(70), &json!(50)));
    let summary = owner.get("/api/usage/summary").await.expect(200).body;
    let metrics = &summary["categories"][0]["metrics"];
    assert_eq!((&summary["events"], &metrics["inputTokens"]), (&json!(120), &json!((0..120).sum::<i64>())));
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_from_counters_and_events_alike() {
    let company = Company::start().await;
    let project = coder_core::id::EXAMPLE.to_string();
    let owner = company.owner.user_id;
    let of = |id: &str, input: i64, model: &str, time: &str| {
        let more = json!({
            "subject": {"userId": owner, "projectId": project}, "dimensions": {"model": model}, "occurredAt": time,
        });
        with(completion(id, input), more)
    };
    let batch = vec![
        of("1", 10, "small", "2026-01-04T23:59:59Z"),
        of("2", 20, "large", "2026-01-05T00:00:00Z"),
        of("3", 30, "large", START),
        with(event("4", "mcp.execution", json!({"executions": 0.5})), json!({"occurredAt": START})),
    ];
    company.use_up(batch).await;
    let ask = async |more: Value| {
        let base =
            json!({"from": "2025-12-29T00:00:00Z", "to": "2026-01-06T00:00:00Z", "granularity": "day"});
        company.owner.post("/api/usage/query", with(base, more)).await.expect(200).body["rows"].clone()
    };
    // The same question with a dimension is answered from the events.
    let counters = ask(json!({"groupBy": ["projectId"], "categoryPattern": "ai.*"})).await;
    let events = ask(json!({"groupBy": ["projectId", "none"], "categoryPattern": "ai.*"})).await;
    let plain = |rows: &Value| {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| (row["start"].clone(), row["events"].clone(), row["metrics"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(plain(&counters), plain(&events));
    assert_eq!(counters[1]["group"], json!({"projectId": project}));
    assert_eq!(
        (&counters[0]["start"], &counters[1]["metrics"]["inputTokens"]),
        (&json!("2026-01-04T00:00:00Z"), &json!(50))
    );
    let by_model =
        ask(json!({"groupBy": ["model", "category"], "granularity": "week", "metrics": ["inputTokens"]}))
            .await;
    assert_eq!(by_model[0]["group"], json!({"model": "small", "category": "ai.completion"}));
    assert_eq!(by_model[0]["start"], "2025-12-29T00:00:00Z");
    let last = by_model.as_array().unwrap().last().unwrap();
    assert_eq!((&last["group"]["model"], &last["metrics"]), (&json!("large"), &json!({"inputTokens": 50})));
    // Use without the subject that is grouped by has a row of its own.
    let nobodys =
        ask(json!({"groupBy": ["userId"], "granularity": "month", "from": "2026-01-01T00:00:00Z"})).await;
    assert_eq!(nobodys[0]["group"], json!({"userId": null}));
    assert_eq!(nobodys[0]["metrics"], json!({"executions": 0.5}));
    let filtered = ask(json!({"filters": {"dimensions": {"model": "large"}}})).await;
    assert_eq!((filtered.as_array().unwrap().len(), &filtered[0]["events"]), (1, &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_by_filters_and_pages() {
    let company = Company::start().await;
    let batch = (0..5).map(|id| {
        with(completion(&id.to_string(), id), json!({"occurredAt": format!("2026-01-05T11:0{id}:00Z")}))
    });
    let mut batch: Vec<Value> = batch.collect();
    batch.push(event("x", "mcp.execution", json!({"executions": 1})));
    company.use_up(batch).await;
    let list =
        async |query: &str| company.owner.get(&format!("/api/usage/events?{query}")).await.expect(200).body;
    assert_eq!(list("").await["items"].as_array().unwrap().len(), 6);
    let page = list("categoryCode=ai.*&limit=2").await;
    assert_eq!(page["items"][0]["eventId"], "4");
    assert_eq!(page["items"][0]["metrics"], json!({"inputTokens": 4, "requests": 1}));
    let cursor = page["nextCursor"].as_str().unwrap();
    let next = list(&format!("categoryCode=ai.*&limit=2&cursor={cursor}")).await;
    assert_eq!(next["items"][0]["eventId"], "2");
    let between = list("from=2026-01-05T11:01:00Z&to=2026-01-05T11:03:00Z").await;
    assert_eq!(between["items"].as_array().unwrap().len(), 2);
    let refused = company.owner.get("/api/usage/events?from=2025-01-01T00:00:00Z").await;
    refused.expect_problem(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_is_beside_the_days_before() {
    let company = Company::start().await;
    let price = json!({
        "categoryCode": "mcp.execution", "model": "components", "currency": "EUR",
        "components": [{"metric": "executions", "amount": "10", "per": 1}], "effectiveFrom": "2025-01-01T00:00:00Z",
    });
    company.make("prices", price).await;
    let on = |id: &str, day: &str, executions: i64| {
        with(event(id, "mcp.execution", json!({"executions": executions})), json!({"occurredAt": day}))
    };
    company.use_up(vec![on("1", "2026-01-02T10:00:00Z", 2), on("2", "2026-01-04T10:00:00Z", 3)]).await;
    let range = "from=2026-01-04T08:00:00Z&to=2026-01-06T00:00:00Z";
    let summary = company.owner.get(&format!("/api/usage/summary?{range}")).await.expect(200).body;
    assert_eq!(
        (&summary["from"], &summary["to"]),
        (&json!("2026-01-04T00:00:00Z"), &json!("2026-01-06T00:00:00Z"))
    );
    assert_eq!((&summary["cost"], &summary["previousCost"]), (&json!("30.000000"), &json!("20.000000")));
    assert_eq!((&summary["changePercent"], &summary["currency"]), (&json!(50), &json!("EUR")));
    let both = format!("/api/usage/summary?teamId={0}&projectId={0}", coder_core::id::EXAMPLE);
    company.owner.get(&both).await.expect_problem(400, "invalid_query");
    let backwards = "/api/usage/summary?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z";
    company.owner.get(backwards).await.expect_problem(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_are_the_platforms_and_ones_own() {
    let company = Company::start().await;
    let category = json!({
        "code": "acme.print", "name": "Printing", "primaryMetric": "pages",
        "metrics": [{"key": "pages", "unit": "count", "aggregation": "max"}],
    });
    let path = "/api/usage/categories";
    company.owner.post(path, category.clone()).await.expect(201);
    company.owner.post(path, category.clone()).await.expect_problem(409, "already_exists");
    company.member.post(path, category.clone()).await.expect_problem(403, "forbidden");
    let system = with(category.clone(), json!({"code": "ai.completion"}));
    company.owner.post(path, system).await.expect_problem(409, "already_exists");
    let faulty =
        with(category.clone(), json!({"code": "x", "primaryMetric": "other", "parentCode": "nothing"}));
    assert_eq!(
        company.owner.post(path, faulty).await.expect(422).body["errors"].as_array().unwrap().len(),
        2
    );
    let codes = company.owner.get(path).await.expect(200);
    assert_eq!(
        (codes.text("/items/0/code"), codes.text("/items/0/source")),
        ("acme.print".into(), "organization".into())
    );
    assert_eq!(codes.body["items"].as_array().unwrap().len(), 13);
    let own = &format!("{path}/acme.print");
    company.owner.patch(own, json!({"name": "Print"})).await.expect(200);
    let changed = json!({"metrics": [{"key": "pages", "unit": "count", "aggregation": "sum"}]});
    company.owner.patch(own, changed).await.expect_problem(409, "conflict");
    company
        .owner
        .patch(&format!("{path}/ai.agent"), json!({"name": "x"}))
        .await
        .expect_problem(409, "invalid_state");
    company.owner.delete(&format!("{path}/ai.agent")).await.expect_problem(409, "invalid_state");
    company
        .use_up(vec![
            event("1", "acme.print", json!({"pages": 3})),
            event("2", "acme.print", json!({"pages": 2})),
        ])
        .await;
    let summary = company.owner.get("/api/usage/summary").await.expect(200).body;
    assert_eq!(summary["categories"][0]["metrics"], json!({"pages": 3}));
    company.owner.delete(own).await.expect_problem(409, "conflict");
    company.owner.delete(&format!("{path}/acme.nothing")).await.expect_problem(404, "not_found");
    company.owner.delete(&format!("{path}/A.b")).await.expect_problem(404, "not_found");
}
