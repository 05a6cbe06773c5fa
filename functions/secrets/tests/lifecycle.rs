//! From the first version to the last trace: changing, switching off, expiring, deleting, purging, limits.

use coder_database::Partition;
use coder_testkit::Client;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{World, accesses, api_key, at, key_of, made, reveal};

#[tokio::test(flavor = "multi_thread")]
async fn metadata_changes_and_the_place_stays_unique() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "value").await;
    let other = json!({"name": "stripe", "kind": "api_key", "value": {"key": "v"}, "folder": "/b"});
    let other = made(owner, other).await;
    let change = json!({
        "description": "For payments", "tags": ["a"], "metadata": {"team": "x"}, "maxVersions": 2, "requireReason": true,
    });
    let etag = owner.get(&at(&id)).await.expect(200).header("etag").to_owned();
    let headers = [("if-match", etag.as_str())];
    owner.send(Method::PATCH, &at(&id), Some(&change), &headers).await.expect(200);
    owner.send(Method::PATCH, &at(&id), Some(&change), &headers).await.expect_problem(412, "etag_mismatch");
    owner.send(Method::DELETE, &at(&id), None, &headers).await.expect_problem(412, "etag_mismatch");
    owner.patch(&at(&id), json!({"folder": "/b"})).await.expect_problem(409, "already_exists");
    owner.patch(&at(&id), json!({"folder": "/a"})).await.expect(200);
    owner.patch(&at(&other), json!({"folder": "/"})).await.expect(200);
    for (query, expected) in [
        ("folder=/a", 1),
        ("folder=/", 2),
        ("tag=a", 1),
        ("tag=b", 0),
        ("q=TRI", 2),
        ("q=x", 0),
        ("kind=api_key", 2),
        ("kind=json", 0),
        ("environment=default", 2),
        ("scope=team", 0),
        ("state=disabled", 0),
        ("sort=-updatedAt", 2),
    ] {
        let found = owner.get(&format!("/api/secrets?{query}")).await.expect(200);
        assert_eq!(found.body["items"].as_array().unwrap().len(), expected, "{query}");
    }
    owner.get("/api/secrets?sort=fingerprint").await.expect_problem(400, "invalid_query");
    // A reason is asked for, and kept.
    let reason_required = reveal(owner, &id).await.expect_problem(422, "reason_required");
    assert_eq!(reason_required.body["errors"][0]["pointer"], "/reason");
    let with_reason = json!({"reason": "On call", "field": "key"});
    let revealed = owner.post(&format!("{}/reveal", at(&id)), with_reason).await.expect(200);
    assert_eq!(revealed.body["value"], "value");
    assert_eq!(accesses(owner, &id).await[0]["reason"], "On call");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_versions_are_kept_and_old_ones_can_come_back() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "value-1").await;
    owner.patch(&at(&id), json!({"maxVersions": 3})).await.expect(200);
    for n in 2..=5 {
        let body = json!({"value": {"key": format!("value-{n}")}, "reason": "next"});
        let made = owner.post(&format!("{}/versions", at(&id)), body).await.expect(201);
        assert_eq!(made.body["version"], n);
    }
    let states = async || -> Vec<Value> {
        let versions = owner.get(&format!("{}/versions", at(&id))).await.expect(200);
        versions.body["items"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect()
    };
    assert_eq!(states().await, ["enabled", "enabled", "enabled", "destroyed", "destroyed"]);
    let act = |n: u32, verb: &str| format!("{}/versions/{n}/{verb}", at(&id));
    owner.post(&act(1, "activate"), json!({})).await.expect_problem(410, "version_destroyed");
    owner.post(&act(5, "activate"), json!({})).await.expect_problem(409, "invalid_state");
    let back = owner.post(&act(4, "activate"), json!({})).await.expect(201);
    assert_eq!((&back.body["version"], &back.body["cause"]), (&json!(6), &json!("rollback")));
    assert_eq!(key_of(owner, &id).await, "value-4");
    owner.post(&act(5, "disable"), json!({})).await.expect(200);
    owner.post(&act(5, "disable"), json!({})).await.expect_problem(409, "invalid_state");
    let five = json!({"version": 5});
    owner.post(&format!("{}/reveal", at(&id)), five.clone()).await.expect_problem(409, "secret_disabled");
    owner.post(&act(5, "enable"), json!({})).await.expect(200);
    owner.post(&format!("{}/reveal", at(&id)), five).await.expect(200);
    owner.post(&act(9, "destroy"), json!({})).await.expect_problem(404, "not_found");
    // A lower number is kept at night.
    owner.patch(&at(&id), json!({"maxVersions": 1})).await.expect(200);
    world.platform.advance(SignedDuration::from_hours(24)).await;
    let owner = world.platform.login(&owner.email).await;
    let versions = owner.get(&format!("{}/versions", at(&id))).await.expect(200);
    let kept =
        versions.body["items"].as_array().unwrap().iter().filter(|one| one["state"] != "destroyed").count();
    assert_eq!(kept, 1);
    assert_eq!(key_of(&owner, &id).await, "value-4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_or_expired_secret_gives_no_value() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "value").await;
    owner.patch(&at(&id), json!({"state": "disabled"})).await.expect(200);
    reveal(owner, &id).await.expect_problem(409, "secret_disabled");
    let end = world.platform.platform.assembly.providers.ambient.after(3600);
    let changed = owner.patch(&at(&id), json!({"state": "active", "expiresAt": end})).await.expect(200);
    assert_eq!(changed.body["state"], "active");
    reveal(owner, &id).await.expect(200);
    world.platform.clock.advance(SignedDuration::from_hours(1));
    let owner = &world.platform.login(&owner.email).await;
    reveal(owner, &id).await.expect_problem(409, "secret_expired");
    assert_eq!(owner.get(&at(&id)).await.expect(200).body["state"], "expired");
    world.platform.advance(SignedDuration::from_hours(1)).await;
    let owner = &world.platform.login(&owner.email).await;
    assert_eq!(world.stored(&id).await["state"], "expired");
    let listed = owner.get("/api/secrets?state=expired").await.expect(200);
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    owner
        .patch(&at(&id), json!({"expiresAt": "2020-01-01T00:00:00Z"}))
        .await
        .expect_problem(422, "validation_failed");
    // Whatever else is changed, it stays expired until its end is later, or it has a new value.
    assert_eq!(owner.patch(&at(&id), json!({"description": "x"})).await.expect(200).body["state"], "expired");
    owner.post(&format!("{}/versions", at(&id)), json!({"value": {"key": "next"}})).await.expect(201);
    assert_eq!(key_of(owner, &id).await, "next");
    let later = world.platform.platform.assembly.providers.ambient.after(24 * 3600);
    assert_eq!(owner.patch(&at(&id), json!({"expiresAt": later})).await.expect(200).body["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_comes_back_for_thirty_days() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "value").await;
    owner.patch(&at(&id), json!({"state": "disabled"})).await.expect(200);
    owner.delete(&at(&id)).await.expect(204);
    reveal(owner, &id).await.expect_problem(409, "invalid_state");
    owner.patch(&at(&id), json!({"description": "x"})).await.expect_problem(409, "invalid_state");
    let new = json!({"value": {"key": "x"}});
    owner.post(&format!("{}/versions", at(&id)), new).await.expect_problem(409, "invalid_state");
    assert_eq!(owner.get("/api/secrets").await.expect(200).body["items"], json!([]));
    let deleted = owner.get("/api/secrets?state=deleted").await.expect(200);
    assert_eq!(deleted.body["items"].as_array().unwrap().len(), 1);
    let restored = owner.post(&format!("{}/restore", at(&id)), json!({})).await.expect(200);
    assert_eq!(restored.body["state"], "disabled");
    owner.post(&format!("{}/restore", at(&id)), json!({})).await.expect_problem(409, "invalid_state");
    owner.delete(&at(&id)).await.expect(204);
    world.platform.advance(SignedDuration::from_hours(24 * 29)).await;
    assert_eq!(world.stored(&id).await["state"], "deleted");
    world.platform.advance(SignedDuration::from_hours(24 * 2)).await;
    let owner = world.platform.login(&owner.email).await;
    owner.get(&at(&id)).await.expect_problem(404, "not_found");
    let store = &world.platform.platform.assembly.providers.store;
    let partition = Partition::organization(world.team.organization_id).key();
    assert!(store.read("secrets", &partition, &format!("{id}:1")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_elsewhere_takes_its_secrets_along() {
    let world = World::start().await;
    let team = &world.team;
    let body = |name: &str, scope: &str, id: Option<String>| json!({"name": name, "kind": "api_key", "value": {"key": "v"}, "scope": scope, "scopeId": id});
    let of_project = made(&team.owner, body("P", "project", Some(world.project()))).await;
    let own = made(&team.member, body("M", "user", None)).await;
    let shared = api_key(&team.owner, "S", "v").await;
    let grant = json!({"principal": {"kind": "user", "id": team.member.user_id}, "actions": ["reveal"]});
    team.owner.post(&format!("{}/grants", at(&shared)), grant).await.expect(201);
    let member = team.member.user_id.unwrap();
    team.owner.delete(&format!("/api/users/members/{member}")).await.expect(204);
    let project = format!("/api/users/projects/{}", world.project());
    team.owner.post(&format!("{project}/archive"), json!({})).await.expect(200);
    team.owner.send(Method::DELETE, &project, Some(&json!({"confirm": "ENG"})), &[]).await.expect(204);
    world.platform.settle().await;
    assert_eq!(world.stored(&own).await["state"], "deleted");
    let grants = team.owner.get(&format!("{}/grants", at(&shared))).await.expect(200);
    assert_eq!(grants.body["items"], json!([]));
    assert_eq!(world.stored(&shared).await["state"], "active");
    // A project goes after its own grace.
    for _ in 0..32 {
        world.platform.advance(SignedDuration::from_hours(24)).await;
    }
    let state = world.stored_if_there(&of_project).await.map(|body| body["state"].clone());
    assert!(state.is_none_or(|state| state == "deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_organization_leaves_nothing_that_could_be_read() {
    let world = World::start().await;
    let team = &world.team;
    let id = api_key(&team.owner, "STRIPE", "value").await;
    let current = "/api/users/organizations/current";
    let slug = team.owner.get(current).await.expect(200).text("/slug");
    let confirm = json!({"confirm": slug});
    team.owner.send(Method::DELETE, current, Some(&confirm), &[]).await.expect(202);
    for _ in 0..36 {
        world.platform.advance(SignedDuration::from_hours(24)).await;
    }
    assert_eq!(world.stored_if_there(&id).await, None);
    assert_eq!(world.stored_if_there(&format!("{id}:1")).await, None);
    let store = &world.platform.platform.assembly.providers.store;
    let partition = Partition::organization(team.organization_id).key();
    let left =
        store.query("secrets", &partition, &coder_database::Query::new(None).limit(1000)).await.unwrap();
    for document in left.items {
        assert_eq!(document.body["type"], "dataKey", "{}", document.body);
        assert_eq!(
            (&document.body["state"], &document.body["wrappedKey"]),
            (&json!("destroyed"), &json!(""))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_asked_for_a_hundred_times_a_minute() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "value").await;
    for _ in 0..100 {
        reveal(owner, &id).await.expect(200);
    }
    let limited = reveal(owner, &id).await.expect_problem(429, "rate_limited");
    assert!(!limited.header("retry-after").is_empty());
    let asked = json!({"references": [format!("secret:{id}")]});
    owner.post("/api/secrets/resolve", asked).await.expect_problem(429, "rate_limited");
    owner.get(&at(&id)).await.expect(200);
    reveal(&world.team.admin, &id).await.expect(200);
    world.platform.clock.advance(SignedDuration::from_secs(60));
    reveal(owner, &id).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_create_is_one_and_a_value_is_never_kept_for_replay() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let send = async |who: &Client, path: &str, body: &Value| {
        who.send(Method::POST, path, Some(body), &[("idempotency-key", "once")]).await
    };
    let body = json!({"name": "STRIPE", "kind": "api_key", "value": {"key": "value"}});
    let first = send(owner, "/api/secrets", &body).await.expect(201);
    let again = send(owner, "/api/secrets", &body).await.expect(201);
    assert_eq!((first.text("/id"), again.header("idempotent-replayed")), (again.text("/id"), "true"));
    let other = json!({"name": "STRIPE", "kind": "api_key", "value": {"key": "other"}});
    send(owner, "/api/secrets", &other).await.expect_problem(409, "idempotency_conflict");
    // Whatever is current by now, the same request gets the same answer.
    let versions = format!("{}/versions", at(&first.text("/id")));
    let next = json!({"value": {"key": "next"}, "expectedVersion": 1});
    for replayed in ["", "true"] {
        let reply = send(owner, &versions, &next).await.expect(201);
        assert_eq!((&reply.body["version"], reply.header("idempotent-replayed")), (&json!(2), replayed));
    }
    let path = format!("{}/reveal", at(&first.text("/id")));
    for _ in 0..2 {
        let revealed = send(owner, &path, &json!({})).await.expect(200);
        assert_eq!(revealed.header("idempotent-replayed"), "");
    }
    let uses = accesses(owner, &first.text("/id")).await;
    assert_eq!(uses.iter().filter(|one| one["action"] == "reveal").count(), 2);
    let store = &world.platform.platform.assembly.providers.store;
    let partition = Partition::organization(world.team.organization_id).key();
    let query = coder_database::Query::new(coder_database::Filter::of_type("idempotency"));
    assert_eq!(store.query("secrets", &partition, &query).await.unwrap().items.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_has_a_limit() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "A", "value").await;
    let mut tally = world.stored("tally").await;
    tally["secrets"] = json!(10_000);
    world.overwrite("tally", tally).await;
    let body = json!({"name": "B", "kind": "api_key", "value": {"key": "value"}});
    owner.post("/api/secrets", body).await.expect_problem(409, "limit_reached");
    owner.post(&format!("{}/purge", at(&id)), json!({"confirmName": "A"})).await.expect(204);
    api_key(owner, "B", "value").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_brings_its_end() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let pem = include_str!("../src/value/certificate-for-tests.pem");
    let body = json!({"name": "TLS", "kind": "certificate", "value": {"certificatePem": pem}});
    let id = made(owner, body).await;
    let secret = owner.get(&at(&id)).await.expect(200);
    assert!(secret.text("/expiresAt").starts_with("2027-11-"));
    assert_eq!(reveal(owner, &id).await.expect(200).text("/value/certificatePem"), pem);
}
