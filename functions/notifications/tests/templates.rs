//! Built-in texts and an organization's own.

use coder_testkit::{Team, TestPlatform};
use http::Method;
use serde_json::json;

const PLACE: &str = "/api/notifications/templates/task.assigned/en";

#[tokio::test]
async fn an_organization_replaces_a_text_and_returns_to_the_built_in_one() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let built_in = team.viewer.get(PLACE).await.expect(200);
    assert_eq!((&built_in.body["builtIn"], &built_in.body["version"]), (&json!(true), &json!(0)));
    let write = json!({"title": "Work for {{user.name}}", "body": "Look at {{data.title}}."});
    team.member.put(PLACE, write.clone()).await.expect_problem(403, "forbidden");
    let first = team.admin.put(PLACE, write.clone()).await.expect(200);
    assert_eq!((&first.body["builtIn"], &first.body["version"]), (&json!(false), &json!(1)));
    let second = team.admin.put(PLACE, json!({"body": "Other words."})).await.expect(200);
    assert_eq!((&second.body["title"], &second.body["version"]), (&json!(null), &json!(2)));
    let stale = [("if-match", first.header("etag"))];
    let refused = team.admin.send(Method::PUT, PLACE, Some(&write), &stale).await;
    refused.expect_problem(412, "etag_mismatch");
    let read = team.viewer.get(PLACE).await.expect(200);
    assert_eq!((&read.body["body"], read.header("etag")), (&json!("Other words."), second.header("etag")));
    team.stranger.get(PLACE).await.expect(200).body["builtIn"].as_bool().filter(|it| *it).unwrap();
    team.admin.delete(PLACE).await.expect(204);
    team.admin.delete(PLACE).await.expect_problem(404, "not_found");
    assert_eq!(team.viewer.get(PLACE).await.expect(200).body, built_in.body);
}

#[tokio::test]
async fn the_list_has_every_topic_and_pages() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let own = "/api/notifications/templates/task.assigned/de";
    team.admin.put(own, json!({"body": "Neue Arbeit"})).await.expect(200);
    let mut seen = Vec::new();
    let mut path = "/api/notifications/templates?limit=20".to_owned();
    loop {
        let page = team.viewer.get(&path).await.expect(200);
        seen.extend(page.body["items"].as_array().unwrap().clone());
        match page.body["nextCursor"].as_str() {
            Some(next) => path = format!("/api/notifications/templates?limit=20&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), coder_notifications::topics::TOPICS.len() + 1);
    let filtered = team.viewer.get("/api/notifications/templates?builtIn=false").await.expect(200);
    assert_eq!(filtered.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(filtered.text("/items/0/locale"), "de");
}

#[tokio::test]
async fn a_preview_names_every_unknown_variable() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let preview = format!("{PLACE}/preview");
    let draft = json!({
        "title": "{{user.nme}}", "body": "Hello {{user.name}}\n{{#if urgent}}{{daat.x}}{{/if}}",
        "html": "<p>{{user.nme}}</p>", "data": {"user": {"name": "Ada"}, "urgent": false},
    });
    let refused = team.viewer.post(&preview, draft).await.expect_problem(422, "validation_failed");
    let errors = refused.body["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert_eq!(pointers, ["/title", "/body", "/html"]);
    assert!(errors.iter().all(|error| error["code"] == "unknown_variable"));
    assert!(errors[0]["message"].as_str().unwrap().contains("`user.nme`"), "{errors:?}");

    let draft = json!({
        "title": "For {{user.name}}\r\nBcc: eve@example.com", "body": "Due {{date due}}: {{number n}} <b>",
        "data": {"user": {"name": "<script>"}, "due": "2026-01-31", "n": 1234.5},
    });
    let rendered = team.viewer.post(&preview, draft).await.expect(200);
    assert_eq!(rendered.text("/subject"), "For <script>  Bcc: eve@example.com");
    assert_eq!(rendered.text("/body"), "Due January 31, 2026: 1,234.5 <b>");
    let html = rendered.text("/html");
    assert!(html.contains("&lt;script&gt;") && html.contains("1,234.5 &lt;b&gt;"), "{html}");
    assert!(!html.contains("<script>"), "{html}");
}

#[tokio::test]
async fn what_is_no_template_or_too_much_work_is_refused() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let bad = json!({"title": "{{{raw}}}", "body": "{{#if a}}", "html": "{{> partial}}"});
    let refused = team.admin.put(PLACE, bad).await.expect_problem(422, "validation_failed");
    let errors = refused.body["errors"].as_array().unwrap();
    let pointers: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert_eq!(pointers, ["/title", "/body", "/html"]);
    let loops = "{{#each l}}{{#each l}}{{#each l}}{{this}}{{/each}}{{/each}}{{/each}}";
    let draft = json!({"title": "x", "body": loops, "data": {"l": vec![1; 500]}});
    let refused = team.viewer.post(&format!("{PLACE}/preview"), draft).await;
    assert_eq!(refused.expect_problem(422, "validation_failed").text("/errors/0/pointer"), "/body");
    for path in ["UPPER/en", "task..assigned/en", "task.assigned/EN-us", "task.assigned/english-language"] {
        let path = format!("/api/notifications/templates/{path}");
        team.admin.put(&path, json!({"body": "x"})).await.expect_problem(404, "not_found");
    }
}
