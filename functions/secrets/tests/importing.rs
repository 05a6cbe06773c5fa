//! Many secrets from one text.

use serde_json::{Value, json};

use crate::harness::{World, at, made, reveal};

const IMPORT: &str = "/api/secrets/import";

const CONTENT: &str =
    "# database\nDB_USER=ada\nbroken line\nexport DB_PASSWORD='import-7Qx!'\n_HIDDEN=no\nEMPTY=\n";

async fn items(world: &World) -> Vec<(String, String, Value)> {
    let listed = world.team.owner.get("/api/secrets?limit=200").await.expect(200);
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let items = listed.body["items"].as_array().unwrap();
    items.iter().map(|item| (text(item, "name"), text(item, "id"), item["currentVersion"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_good_line_becomes_a_secret_and_every_bad_one_an_error() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let body = |conflict: &str, dry_run: bool| {
        json!({
            "format": "dotenv", "content": CONTENT, "environment": "production", "folder": "/app",
            "onConflict": conflict, "dryRun": dry_run,
        })
    };
    let dry = owner.post(IMPORT, body("skip", true)).await.expect(200);
    assert_eq!((&dry.body["created"], &dry.body["failed"]), (&json!(2), &json!(3)));
    assert!(items(&world).await.is_empty());
    let done = owner.post(IMPORT, body("skip", false)).await.expect(200);
    assert_eq!((&done.body["created"], &done.body["failed"]), (&json!(2), &json!(3)));
    let lines: Vec<_> =
        done.body["errors"].as_array().unwrap().iter().map(|one| one["line"].clone()).collect();
    assert_eq!(lines, [3, 5, 6]);
    assert!(!done.body.to_string().contains("import-7Qx!"));
    let found = items(&world).await;
    assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["DB_PASSWORD", "DB_USER"]);
    assert_eq!(reveal(owner, &found[0].1).await.expect(200).text("/value/value"), "import-7Qx!");
    let one = owner.get(&at(&found[0].1)).await.expect(200);
    assert_eq!((&one.body["environment"], &one.body["folder"]), (&json!("production"), &json!("/app")));

    let again = owner.post(IMPORT, body("skip", false)).await.expect(200);
    assert_eq!((&again.body["created"], &again.body["skipped"]), (&json!(0), &json!(2)));
    let failed = owner.post(IMPORT, body("fail", false)).await.expect(200);
    assert_eq!(failed.body["failed"], 5);
    let updated = owner.post(IMPORT, body("new_version", false)).await.expect(200);
    assert_eq!(updated.body["updated"], 2);
    assert!(items(&world).await.iter().all(|one| one.2 == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_carries_kinds_and_the_right_is_looked_at_where_it_goes() {
    let world = World::start().await;
    let (owner, team) = (&world.team.owner, &world.team);
    let content = json!({
        "PLAIN": "p", "KEY": {"kind": "api_key", "value": {"key": "k"}}, "BAD": {"kind": "api_key", "value": {}},
    });
    let body = json!({
        "format": "json", "content": content.to_string(), "scope": "project", "scopeId": world.project(),
        "onConflict": "new_version",
    });
    team.viewer.post(IMPORT, body.clone()).await.expect_problem(403, "forbidden");
    let done = team.member.post(IMPORT, body.clone()).await.expect(200);
    assert_eq!((&done.body["created"], &done.body["failed"]), (&json!(2), &json!(1)));
    // One of another kind is no new version of the present one.
    let other = json!({"KEY": "text"}).to_string();
    let body = json!({
        "format": "json", "content": other, "scope": "project", "scopeId": world.project(), "onConflict": "new_version",
    });
    assert_eq!(owner.post(IMPORT, body).await.expect(200).body["errors"][0]["code"], "conflict");
    let many = (0..501).map(|n| format!("V{n}=x")).collect::<Vec<_>>().join("\n");
    let body = json!({"format": "dotenv", "content": many, "onConflict": "skip"});
    owner.post(IMPORT, body).await.expect_problem(422, "validation_failed");
    let own = json!({"name": "A", "kind": "generic", "value": {"value": "1"}, "scope": "user"});
    made(owner, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_count_towards_what_is_imported_at_once() {
    let world = World::start().await;
    let body = |bad: usize| {
        let content = format!("GOOD=1\n{}", "broken\n".repeat(bad));
        json!({"format": "dotenv", "content": content, "onConflict": "skip", "dryRun": true})
    };
    let done = world.team.owner.post(IMPORT, body(499)).await.expect(200);
    assert_eq!((&done.body["created"], &done.body["failed"]), (&json!(1), &json!(499)));
    let refused = world.team.owner.post(IMPORT, body(500)).await.expect_problem(422, "validation_failed");
    assert_eq!(refused.body["errors"][0]["code"], "too_many");
}
