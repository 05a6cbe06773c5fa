//! Finding, counting and following entries.

use coder_testkit::{Team, TestPlatform};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{actions, listed, post};

#[tokio::test(flavor = "multi_thread")]
async fn filters_words_and_pages() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    for number in 0..7 {
        let body = json!({
            "action": format!("test.act.{}", if number % 2 == 0 { "even" } else { "odd" }),
            "message": format!("Number {number} of seven"), "severity": if number == 6 { "error" } else { "info" },
            "resourceType": "number", "resourceId": number.to_string(), "correlationId": "run-1",
            "metadata": {"half": number / 2, "tags": ["Größe"]},
        });
        team.admin.post("/api/logging/entries", body).await.expect(202);
        platform.clock.advance(SignedDuration::from_secs(1));
    }
    for (query, count) in [
        ("category=custom", 7),
        ("action=test.act.even", 4),
        ("action=test.*&severity=warn", 1),
        ("resourceType=number&resourceId=3", 1),
        ("correlationId=run-1&q=seven%20NUMBER", 7),
        ("category=custom&q=gr%C3%B6%C3%9Fe%203", 2),
        ("category=custom&q=eight", 0),
        ("category=custom&from=2026-01-05T12:01:02Z&to=2026-01-05T12:01:04Z", 3),
        ("category=custom&outcome=denied", 0),
    ] {
        assert_eq!(listed(&team.admin, query).await.len(), count, "{query}");
    }
    let by = format!("category=custom&actorId={}", team.admin.user_id.unwrap());
    assert_eq!(listed(&team.admin, &by).await.len(), 7);
    // Page by page, latest first, each once.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = team
            .admin
            .get(&format!("/api/logging/entries?category=custom&limit=3{cursor}"))
            .await
            .expect(200);
        let items = page.body["items"].as_array().unwrap();
        seen.extend(items.iter().map(|entry| entry["resourceId"].as_str().unwrap().to_owned()));
        match page.body["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1", "0"]);
    team.admin
        .get(&format!("/api/logging/entries?limit=3{cursor}"))
        .await
        .expect_problem(400, "invalid_query");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_counted() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    post(&team.admin, "one").await;
    platform.clock.advance(SignedDuration::from_hours(1));
    let admin = platform.login(&team.admin.email).await;
    post(&admin, "two").await;
    post(&admin, "three").await;
    let counts = async |query: &str| {
        let reply = admin.get(&format!("/api/logging/aggregate?category=custom&{query}")).await.expect(200);
        let items: Vec<Value> = reply.body["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| (item["bucket"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(counts("groupBy=action&bucket=day").await, [("2026-01-05T00:00:00Z".to_owned(), 3)]);
    assert_eq!(
        counts("groupBy=actor&bucket=hour").await,
        [("2026-01-05T12:00:00Z".to_owned(), 1), ("2026-01-05T13:00:00Z".to_owned(), 2)]
    );
    team.viewer.get("/api/logging/aggregate").await.expect_problem(401, "token_expired");
    platform
        .login(&team.viewer.email)
        .await
        .get("/api/logging/aggregate")
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_resource_is_for_those_who_may_read_it() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let project = json!({"name": "Rocket", "key": "RCK"});
    let id = team.owner.post("/api/users/projects", project).await.expect(201).text("/id");
    team.owner.patch(&format!("/api/users/projects/{id}"), json!({"name": "Rocket 2"})).await.expect(200);
    platform.settle().await;
    let path = format!("/api/logging/resources/project/{id}/history");
    let history = team.member.get(&path).await.expect(200);
    let items = history.body["items"].as_array().unwrap().clone();
    assert_eq!(actions(&items), ["users.project.updated", "users.project.created"]);
    assert!(items[0]["actor"].get("ipAddress").is_none());
    assert!(items[0]["changes"].as_array().unwrap().iter().any(|change| change["after"] == "Rocket 2"));
    team.stranger.get(&path).await.expect_problem(404, "not_found");
    team.key.get(&path).await.expect_problem(403, "forbidden");
    let nothing = "/api/logging/resources/nothing/x/history";
    team.member.get(nothing).await.expect_problem(404, "not_found");
    // Who may not read the kind of resource learns its permission's name, whether or not there is such a thing.
    let role = json!({"name": "historian", "permissions": ["logging.history.read"]});
    team.owner.post("/api/users/roles", role).await.expect(201);
    let email = format!("historian-{id}@example.com");
    let historian = platform.join(&team.owner, &email, "historian").await;
    let refused = historian.get(&path).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("users.project.read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_personal_secret_is_its_owners() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let body = json!({"name": "MINE", "kind": "api_key", "value": {"key": "k"}, "scope": "user"});
    let id = team.member.post("/api/secrets", body).await.expect(201).text("/id");
    let note = json!({"description": "for the doctor"});
    team.member.patch(&format!("/api/secrets/{id}"), note).await.expect(200);
    platform.settle().await;
    let path = format!("/api/logging/resources/secret/{id}/history");
    let mine = team.member.get(&path).await.expect(200);
    assert_eq!(mine.body["items"][0]["action"], "secrets.secret.updated");
    for other in [&team.owner, &team.admin, &team.viewer] {
        other.get(&path).await.expect_problem(404, "not_found");
    }
    let shared = json!({"name": "OURS", "kind": "api_key", "value": {"key": "k"}});
    let id = team.owner.post("/api/secrets", shared).await.expect(201).text("/id");
    platform.settle().await;
    team.viewer.get(&format!("/api/logging/resources/secret/{id}/history")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_read_what_belongs_to_no_organization() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    // Nobody has this address, so its failed sign-ins belong to no organization.
    for _ in 0..5 {
        let body = json!({"email": "nobody-at-all@example.com", "password": "not the one 12345"});
        let status = platform.nobody().post("/api/auth/login", body).await.status.as_u16();
        assert!(matches!(status, 401 | 429), "{status}");
        platform.clock.advance(SignedDuration::from_secs(5));
    }
    platform.settle().await;
    platform.advance(SignedDuration::from_mins(1)).await;
    for place in ["entries", "alerts"] {
        let address = format!("/api/logging/platform/{place}");
        team.owner.get(&address).await.expect_problem(403, "forbidden");
    }
    assert_eq!(listed(&team.owner, "action=auth.login.failed").await.len(), 0);
    let own = team.owner.get("/api/logging/alerts").await.expect(200).body;
    assert!(!own.to_string().contains("Failed logins of one identity"), "{own:#}");

    let operator = team.member.user_id.unwrap();
    let platform = platform.restart_with(|settings| settings.operators.extend([operator])).await;
    let (operator, owner) =
        (platform.login(&team.member.email).await, platform.login(&team.owner.email).await);
    let found = operator.get("/api/logging/platform/entries?action=auth.login.failed").await.expect(200);
    assert_eq!(found.body["items"].as_array().unwrap().len(), 5);
    let alerts = operator.get("/api/logging/platform/alerts?state=open").await.expect(200);
    assert_eq!(alerts.text("/items/0/name"), "Failed logins of one identity");
    let id = alerts.text("/items/0/id");
    owner.post(&format!("/api/logging/alerts/{id}/close"), json!({})).await.expect_problem(404, "not_found");
    let turn = async |verb: &str| {
        operator.post(&format!("/api/logging/platform/alerts/{id}/{verb}"), json!({})).await
    };
    assert_eq!(turn("acknowledge").await.expect(200).text("/state"), "acknowledged");
    turn("acknowledge").await.expect_problem(409, "invalid_state");
    assert_eq!(turn("close").await.expect(200).text("/state"), "closed");
}
