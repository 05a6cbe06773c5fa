//! How acts get into the chain.

use coder_testkit::{Team, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{MONTH, actions, bucket, entries, listed, post, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_made_changed_and_deleted_in_three_entries() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let owner = &team.owner;
    let project = json!({"name": "Rocket", "key": "RCK"});
    let id = owner.post("/api/users/projects", project).await.expect(201).text("/id");
    let path = format!("/api/users/projects/{id}");
    owner.patch(&path, json!({"name": "Rocket 2"})).await.expect(200);
    owner.post(&format!("{path}/archive"), json!({})).await.expect(200);
    owner.send(Method::DELETE, &path, Some(&json!({"confirm": "RCK"})), &[]).await.expect(204);
    platform.settle().await;
    let found = listed(owner, &format!("resourceId={id}")).await;
    let seen = actions(&found);
    assert!(seen.starts_with(&["users.project.created", "users.project.updated"]), "{seen:?}");
    assert_eq!(seen.last(), Some(&"users.project.deleted"));
    let user = owner.user_id.unwrap().to_string();
    for entry in &found {
        assert_eq!((&entry["actor"]["type"], &entry["actor"]["id"]), (&json!("user"), &json!(user)));
        assert_eq!(entry["actor"]["ipAddress"], "127.0.0.1", "{entry}");
        assert_eq!(entry["source"], "users");
    }
    let renamed = found[1]["changes"].as_array().unwrap();
    assert!(
        renamed.contains(&json!({"path": "/name", "before": "Rocket", "after": "Rocket 2"})),
        "{renamed:?}"
    );
    let all = entries(&platform, team.organization_id).await;
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(entry["seq"], at as u64 + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_hidden_before_anything_is_kept() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let jwt = team.owner.token();
    let body = json!({
        "action": "deploy.key.used", "message": format!("called with {jwt}"),
        "metadata": {"apiKey": "abc", "nested": {"note": "card 4111 1111 1111 1111"}, "region": "eu"},
    });
    let id = team.admin.post("/api/logging/entries", body).await.expect(202).text("/entryId");
    let entry = team.admin.get(&format!("/api/logging/entries/{id}")).await.expect(200).body;
    assert_eq!(entry["message"], "called with [redacted]");
    assert_eq!(
        entry["metadata"],
        json!({"apiKey": "[redacted]", "nested": {"note": "card [redacted]"}, "region": "eu"})
    );
    assert_eq!((&entry["category"], &entry["outcome"]), (&json!("custom"), &json!("success")));
    assert_eq!(entry["source"], format!("user:{}", team.admin.user_id.unwrap()));
    let long = json!({"action": "a.b", "message": "m".repeat(1001)});
    let refused =
        team.admin.post("/api/logging/entries", long).await.expect_problem(422, "validation_failed");
    assert_eq!(refused.body["errors"][0]["code"], "too_long");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_are_contiguous_and_a_repeat_is_one() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.settle().await;
    let before = entries(&platform, team.organization_id).await.len() as u64;
    let posts = (0..200).map(|number| {
        let client = team.admin.clone();
        tokio::spawn(async move { post(&client, &format!("number {number}")).await })
    });
    let posts: Vec<_> = posts.collect();
    for one in posts {
        one.await.unwrap();
    }
    let all = entries(&platform, team.organization_id).await;
    assert_eq!(all.len() as u64, before + 200);
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(entry["seq"], at as u64 + 1);
    }
    let verified = team.admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!((&verified.body["valid"], &verified.body["checked"]), (&json!(true), &json!(before + 200)));

    let body = json!({"action": "a.b.c", "message": "once", "eventId": "mine"});
    let first = team.admin.post("/api/logging/entries", body.clone()).await.expect(202);
    let again = team.admin.post("/api/logging/entries", body).await.expect(202);
    assert_eq!(first.text("/entryId"), again.text("/entryId"));
    assert_eq!((&first.body["repeated"], &again.body["repeated"]), (&json!(false), &json!(true)));
    assert_eq!(listed(&team.admin, "action=a.b.c").await.len(), 1);
    let elsewhere = json!({"action": "a.b.c", "message": "once", "eventId": "mine"});
    let other = team.stranger.post("/api/logging/entries", elsewhere).await.expect(202);
    assert_eq!(other.body["repeated"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_caller_takes_the_place_of_what_the_platform_records() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.settle().await;
    // Ids that can be foreseen, or that somebody has seen elsewhere.
    let foreseen = ["logging.chain.verified@2026-01-05", "seen-elsewhere"];
    for event_id in foreseen {
        let body = json!({"action": "a.b.c", "message": "first", "eventId": event_id});
        team.admin.post("/api/logging/entries", body).await.expect(202);
    }
    team.admin.post("/api/logging/verify", json!({})).await.expect(200);
    platform.settle().await;
    assert_eq!(listed(&team.admin, "action=logging.chain.verified").await.len(), 1);
    let event = json!({
        "specversion": "1.0", "id": "seen-elsewhere", "source": "/functions/planning", "subject": "task-1",
        "type": "coder.planning.task.created", "time": "2026-01-05T12:00:00Z",
        "organizationid": team.organization_id, "data": {},
    });
    let outcome = logging_of(&platform.platform.assembly).functions.consume("record", &event, "d-1").await;
    assert!(matches!(outcome, coder_handler::functions::Outcome::Done(_)), "{outcome:?}");
    assert_eq!(listed(&team.admin, "action=planning.task.created").await.len(), 1);
    // Among themselves the ids of callers are one.
    let again = json!({"action": "a.b.c", "message": "second", "eventId": "seen-elsewhere"});
    assert_eq!(team.owner.post("/api/logging/entries", again).await.expect(202).body["repeated"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_keeps_its_promise() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let send = async |message: &str| {
        let body = json!({"action": "a.b.c", "message": message});
        team.admin.send(Method::POST, "/api/logging/entries", Some(&body), &[("idempotency-key", "k1")]).await
    };
    let first = send("one").await.expect(202);
    assert_eq!(send("one").await.expect(202).body, first.body);
    send("two").await.expect_problem(409, "idempotency_conflict");
    assert_eq!(listed(&team.admin, "action=a.b.c").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_for_each_entry() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let good = json!({"action": "a.b.c", "message": "good"});
    let old = json!({"action": "a.b.c", "message": "old", "time": "2020-01-01T00:00:00Z"});
    let unknown = json!({"action": "a.b.c", "message": "x", "category": "security", "severity": "loud"});
    let large = json!({"action": "a.b.c", "message": "x", "metadata": {"x": "y".repeat(20_000)}});
    let batch = json!({"entries": [good, old, 7, unknown, large, good]});
    let reply = team.admin.post("/api/logging/entries/batch", batch).await.expect(200);
    let results = reply.body["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 422, 422, 422, 202]);
    assert_eq!(results[1]["errors"][0]["pointer"], "/time");
    assert_eq!(results[3]["errors"].as_array().unwrap().len(), 2);
    let sequence = |at: usize| results[at]["recorded"]["seq"].as_u64().unwrap();
    assert_eq!(sequence(5), sequence(0) + 1);
    let many = json!({"entries": vec![good.clone(); 500]});
    let reply = team.admin.post("/api/logging/entries/batch", many).await.expect(200);
    assert!(reply.body["results"].as_array().unwrap().iter().all(|one| one["status"] == 202));
    let too_many = json!({"entries": vec![good; 501]});
    team.admin.post("/api/logging/entries/batch", too_many).await.expect_problem(422, "validation_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_refused_with_every_fault() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let body = json!({"action": "Not An Action", "message": "", "seq": 7, "time": "2030-01-01T00:00:00Z"});
    let reply = team.admin.post("/api/logging/entries", body).await;
    assert_eq!(reply.status, 422);
    assert_eq!(reply.body["errors"].as_array().unwrap().len(), 3, "{:#}", reply.body);
    for query in ["from=2026-01-05", "severity=loud", "actor=x", "limit=0", "cursor=abc", "sort=time"] {
        let reply = team.admin.get(&format!("/api/logging/entries?{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {:#}", reply.body);
    }
    for query in [
        "from=2020-01-01T00:00:00Z&to=2022-01-01T00:00:00Z",
        "from=2026-01-05T00:00:00Z&to=2026-01-04T00:00:00Z",
    ] {
        team.admin
            .get(&format!("/api/logging/entries?{query}"))
            .await
            .expect_problem(422, "validation_failed");
    }
    for id in ["x", "0190a0c0-0000-7000-8000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff"] {
        team.admin.get(&format!("/api/logging/entries/{id}")).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_month_closes_the_old_and_numbers_go_on() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.settle().await;
    let body = json!({"action": "a.b.c", "message": "once", "eventId": "mine"});
    team.admin.post("/api/logging/entries", body.clone()).await.expect(202);
    let before = entries(&platform, team.organization_id).await;
    platform.clock.advance(SignedDuration::from_hours(24 * 28));
    let admin = platform.login(&team.admin.email).await;
    platform.settle().await;
    // A repeat that arrives in the next month is one still.
    let again = admin.post("/api/logging/entries", body).await.expect(202);
    assert_eq!((&again.body["repeated"], &again.body["seq"]), (&json!(true), &json!(before.len())));
    post(&admin, "february").await;
    platform.settle().await;
    let heads = async |month: &str| {
        stored(&platform, &bucket(team.organization_id, month), "head").await.remove(0).body
    };
    let (old, new) = (heads(MONTH).await, heads("2026-02").await);
    assert_eq!((&old["closed"], &new["closed"]), (&json!(true), &json!(false)));
    assert_eq!(new["firstPrevHash"], old["lastHash"]);
    assert_eq!(new["firstSeq"].as_u64().unwrap(), old["lastSeq"].as_u64().unwrap() + 1);
    assert_eq!(entries(&platform, team.organization_id).await.len(), before.len());
    let verified = admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!(verified.body["valid"], true);
    // What the platform does by itself meanwhile is recorded, too.
    assert!(verified.body["checked"].as_u64() >= new["lastSeq"].as_u64(), "{}", verified.body);
    let found = listed(&admin, "from=2026-01-01T00:00:00Z").await;
    for (at, entry) in found.iter().enumerate() {
        assert_eq!(entry["seq"], at as u64 + 1);
    }
    assert!(found.len() as u64 >= new["lastSeq"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_write_every_field_and_nobody_else_does() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let entry = json!({
        "actor": {"type": "agent", "id": "builder", "displayName": "Builder"}, "category": "security",
        "entry": {"action": "ai.agent-run.completed", "message": "Run completed", "eventId": "run-1"},
    });
    let nameless = json!({"actor": {"type": "agent", "id": "b"}, "category": "action", "entry": {"action": "a", "message": "b"}});
    let body = json!({"organizationId": team.organization_id, "entries": [entry, nameless]});
    team.owner.post("/api/logging/internal/entries", body.clone()).await.expect_problem(403, "forbidden");
    let peers = &platform.platform.assembly.peers;
    let answer =
        peers.seen_by("ai").call("logging", Method::POST, "/internal/entries", Some(&body)).await.unwrap();
    assert_eq!(
        (&answer.body["results"][0]["status"], &answer.body["results"][1]["status"]),
        (&json!(202), &json!(422))
    );
    let found = listed(&team.owner, "category=security&action=ai.*").await;
    assert_eq!((&found[0]["actor"]["type"], &found[0]["source"]), (&json!("agent"), &json!("service:ai")));

    let event = json!({
        "specversion": "1.0", "id": "dead-1", "source": "/functions/planning", "type": "coder.planning.task.created",
        "subject": "task-1", "time": "2026-01-05T12:00:00Z", "organizationid": team.organization_id, "data": {},
    });
    let body = json!({"events": [event, {"specversion": "0.3"}, event]});
    let answer = peers.call("logging", Method::POST, "/internal/replays", Some(&body)).await.unwrap();
    assert_eq!(answer.status, 202);
    platform.settle().await;
    let found: Vec<Value> = listed(&team.owner, "action=planning.task.created").await;
    assert_eq!((found.len(), &found[0]["eventId"]), (1, &json!("dead-1")));
}

/// The group as it runs in a process.
fn logging_of(assembly: &coder_startup::Assembly) -> &coder_handler::Running {
    assembly.groups.iter().find(|group| group.name == "logging").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_one_chain_and_do_not_fork_it() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.settle().await;
    let other = platform.beside().await;
    let before = entries(&platform, team.organization_id).await.len() as u64;
    let event = |number: u64| {
        json!({
            "specversion": "1.0", "id": format!("both-{number}"), "source": "/functions/planning",
            "type": "coder.planning.task.created", "subject": "task-1", "time": "2026-01-05T12:00:00Z",
            "organizationid": team.organization_id, "data": {},
        })
    };
    let here = logging_of(&platform.platform.assembly);
    let there = logging_of(&other.assembly);
    // Both append at the same moment, again and again; every tenth event comes to both.
    for round in 0..20 {
        let numbers = round * 10..(round + 1) * 10;
        let given = numbers.flat_map(|number| match number % 10 {
            0 => vec![(here, number), (there, number)],
            1..6 => vec![(here, number)],
            _ => vec![(there, number)],
        });
        let appended = given.map(|(group, number)| async move {
            let event = event(number);
            let outcome = group.functions.consume("record", &event, &format!("both-{number}")).await;
            assert!(matches!(outcome, coder_handler::functions::Outcome::Done(_)), "{outcome:?}");
        });
        futures_util::future::join_all(appended).await;
    }
    let all = entries(&platform, team.organization_id).await;
    assert_eq!(all.len() as u64, before + 200);
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(entry["seq"], at as u64 + 1);
        assert!(at == 0 || entry["prevHash"] == all[at - 1]["hash"], "the chain forks at {}", at + 1);
    }
    let verified = team.admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!((&verified.body["valid"], &verified.body["checked"]), (&json!(true), &json!(before + 200)));
    other.stop().await;
}
