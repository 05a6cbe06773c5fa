//! What the group is for, told as scenarios.

use coder_testkit::Client;
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{World, accesses, api_key, at, key_of, made, reveal};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_shown_only_when_asked_for_and_that_is_recorded() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let value = "sk-live-7HfK2pQz9";
    let body = json!({"name": "STRIPE", "kind": "api_key", "value": {"key": value}});
    let created = owner.post("/api/secrets", body).await.expect(201);
    let id = created.text("/id");
    assert_eq!(created.header("location"), at(&id));
    assert!(!created.header("etag").is_empty());
    let got = owner.get(&at(&id)).await.expect(200);
    assert_eq!(got.body["actions"].as_array().unwrap().len(), 9);
    let listed = owner.get("/api/secrets").await.expect(200);
    let versions = owner.get(&format!("{}/versions", at(&id))).await.expect(200);
    for reply in [&created, &got, &listed, &versions] {
        let text = reply.body.to_string();
        assert!(
            !text.contains(value) && !text.contains("ciphertext") && !text.contains("\"value\""),
            "{text}"
        );
    }
    let revealed = reveal(owner, &id).await.expect(200);
    assert_eq!(revealed.body["value"], json!({"key": value}));
    assert_eq!(revealed.header("cache-control"), "no-store");
    let records = accesses(owner, &id).await;
    assert_eq!(records.len(), 2);
    assert_eq!((&records[0]["action"], &records[0]["outcome"]), (&json!("reveal"), &json!("allowed")));
    assert_eq!((&records[0]["actor"], &records[0]["actorKind"]), (&json!(owner.user_id), &json!("user")));
    assert_eq!((&records[0]["version"], &records[0]["secretName"]), (&json!(1), &json!("STRIPE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_at_once_one_wins() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "first").await;
    let address = format!("{}/versions", at(&id));
    let write = |key: &'static str| {
        let address = address.clone();
        async move { owner.post(&address, json!({"value": {"key": key}, "expectedVersion": 1})).await }
    };
    let (one, other) = tokio::join!(write("second"), write("third"));
    let (won, lost) = if one.status == 201 { (one, other) } else { (other, one) };
    assert_eq!(won.expect(201).body["version"], 2);
    lost.expect_problem(409, "version_conflict");
    assert_eq!(owner.get(&at(&id)).await.expect(200).body["currentVersion"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ciphertext_that_was_moved_opens_nothing() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "the-first-value").await;
    let second = json!({"value": {"key": "the-second-value"}});
    owner.post(&format!("{}/versions", at(&id)), second).await.expect(201);
    let (one, mut two) = (world.stored(&format!("{id}:1")).await, world.stored(&format!("{id}:2")).await);
    for field in ["ciphertext", "nonce", "tag"] {
        two[field] = one[field].clone();
    }
    world.overwrite(&format!("{id}:2"), two).await;
    let refused = reveal(owner, &id).await.expect_problem(500, "internal");
    assert!(!refused.body.to_string().contains("value"), "{refused:?}");
    let records = accesses(owner, &id).await;
    assert_eq!((&records[0]["outcome"], &records[0]["version"]), (&json!("failed"), &json!(2)));
    // The version that was left alone still opens.
    let first = json!({"version": 1});
    let opened = owner.post(&format!("{}/reveal", at(&id)), first).await.expect(200);
    assert_eq!(opened.text("/value/key"), "the-first-value");
    // By reference it is the item's error, and never a part of the value.
    let resolved = owner
        .post(
            "/api/secrets/resolve",
            json!({"references": [format!("secret:{id}"), format!("secret:{id}@1")]}),
        )
        .await
        .expect(200);
    assert_eq!(resolved.body["results"][0]["error"]["code"], "internal");
    assert_eq!(resolved.body["results"][1]["value"]["key"], "the-first-value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_row_that_was_copied_over_another_does_not_open() {
    let world = World::start().await;
    let (owner, team) = (&world.team.owner, &world.team);
    let theirs =
        made(owner, json!({"name": "THEIRS", "kind": "api_key", "value": {"key": "not-for-members"}})).await;
    let own = json!({"name": "OWN", "kind": "api_key", "value": {"key": "own"}, "scope": "user"});
    let own = made(&team.member, own).await;
    // Everything of the row but its id: it says of itself that it is the other secret's.
    let mut row = world.stored(&format!("{theirs}:1")).await;
    row["id"] = json!(format!("{own}:1"));
    world.overwrite(&format!("{own}:1"), row).await;
    let refused = reveal(&team.member, &own).await.expect_problem(500, "internal");
    assert!(!refused.body.to_string().contains("not-for-members"), "{refused:?}");
    assert_eq!(accesses(&team.member, &own).await[0]["outcome"], "failed");
    // Neither does encrypting everything again make it good.
    owner.post("/api/secrets/keys/rotate", json!({})).await.expect(202);
    world.platform.settle().await;
    reveal(&team.member, &own).await.expect_problem(500, "internal");
    assert_eq!(key_of(owner, &theirs).await, "not-for-members");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_sees_the_value_while_a_grant_lasts() {
    let world = World::start().await;
    let team = &world.team;
    let body = json!({
        "name": "DEPLOY", "kind": "api_key", "value": {"key": "deploy-key"},
        "scope": "project", "scopeId": world.project(),
    });
    let id = made(&team.owner, body).await;
    let seen = team.member.get(&at(&id)).await.expect(200);
    assert!(!seen.body["actions"].as_array().unwrap().contains(&json!("reveal")));
    let refused = reveal(&team.member, &id).await.expect_problem(403, "forbidden");
    assert!(refused.text("/detail").contains("secrets.secret.reveal"));
    reveal(&team.stranger, &id).await.expect_problem(404, "not_found");
    let denied = accesses(&team.owner, &id).await;
    assert_eq!((&denied[0]["outcome"], &denied[0]["actor"]), (&json!("denied"), &json!(team.member.user_id)));

    let end = world.platform.platform.assembly.providers.ambient.after(2);
    let grant = json!({
        "principal": {"kind": "user", "id": team.member.user_id}, "actions": ["reveal"], "expiresAt": end,
    });
    let granted = team.owner.post(&format!("{}/grants", at(&id)), grant.clone()).await.expect(201);
    assert_eq!(granted.body["actions"], json!(["reveal"]));
    team.owner
        .post(&format!("{}/grants", at(&id)), grant.clone())
        .await
        .expect_problem(409, "already_exists");
    assert_eq!(key_of(&team.member, &id).await, "deploy-key");
    reveal(&team.viewer, &id).await.expect_problem(403, "forbidden");
    world.platform.clock.advance(SignedDuration::from_secs(3));
    reveal(&team.member, &id).await.expect_problem(403, "forbidden");
    // A grant that has ended gives its place to a new one.
    let mut renewed = grant;
    renewed["expiresAt"] = Value::Null;
    let renewed = team.owner.post(&format!("{}/grants", at(&id)), renewed).await.expect(201);
    assert_eq!(key_of(&team.member, &id).await, "deploy-key");
    let one = format!("{}/grants/{}", at(&id), renewed.text("/id"));
    team.stranger.delete(&one).await.expect_problem(404, "not_found");
    // By the way of a secret that it is not a grant of, nobody takes it away.
    let other = api_key(&team.owner, "OTHER", "other-key").await;
    let astray = format!("{}/grants/{}", at(&other), renewed.text("/id"));
    team.owner.delete(&astray).await.expect_problem(404, "not_found");
    team.owner.delete(&one).await.expect(204);
    reveal(&team.member, &id).await.expect_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_name_is_free_and_a_purge_is_for_good() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "first").await;
    owner.delete(&at(&id)).await.expect(204);
    owner.delete(&at(&id)).await.expect_problem(409, "invalid_state");
    let second = api_key(owner, "stripe", "second").await;
    owner.post(&format!("{}/restore", at(&id)), json!({})).await.expect_problem(409, "already_exists");
    let purge = format!("{}/purge", at(&id));
    let wrong =
        owner.post(&purge, json!({"confirmName": "Stripe"})).await.expect_problem(422, "validation_failed");
    assert_eq!(wrong.body["errors"][0]["pointer"], "/confirmName");
    // Sent again under its key, it is answered as it was; to anybody else nothing is there.
    let (right, key) = (json!({"confirmName": "STRIPE"}), [("idempotency-key", "purge-1")]);
    for _ in 0..2 {
        owner.send(Method::POST, &purge, Some(&right), &key).await.expect(204);
    }
    world.team.stranger.send(Method::POST, &purge, Some(&right), &key).await.expect_problem(404, "not_found");
    owner.post(&purge, right).await.expect_problem(404, "not_found");
    reveal(owner, &id).await.expect_problem(404, "not_found");
    owner.get(&at(&id)).await.expect_problem(404, "not_found");
    assert_eq!(key_of(owner, &second).await, "second");
    // One that is in use is purged all the same, with every version, and gives its name back.
    owner.post(&format!("{}/versions", at(&second)), json!({"value": {"key": "third"}})).await.expect(201);
    owner.post(&format!("{}/purge", at(&second)), json!({"confirmName": "stripe"})).await.expect(204);
    assert_eq!(owner.get("/api/secrets").await.expect(200).body["items"], json!([]));
    api_key(owner, "STRIPE", "fourth").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_value_stays_readable_for_its_grace() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let id = api_key(owner, "STRIPE", "old-value").await;
    let (rotate, reveal_at) = (format!("{}/rotate", at(&id)), format!("{}/reveal", at(&id)));
    let rotated = owner.post(&rotate, json!({"graceSeconds": 60})).await.expect(200);
    assert_eq!(rotated.body["currentVersion"], 2);
    assert!(!rotated.body["rotationState"]["lastRotatedAt"].is_null());
    let generated = key_of(owner, &id).await;
    assert!(
        generated.len() == 32 && generated.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{generated}"
    );
    let old = owner.post(&reveal_at, json!({"version": 1})).await.expect(200);
    assert_eq!(old.text("/value/key"), "old-value");
    world.platform.clock.advance(SignedDuration::from_secs(61));
    owner.post(&reveal_at, json!({"version": 1})).await.expect_problem(409, "secret_expired");
    let destroy = |n: u32| format!("{}/versions/{n}/destroy", at(&id));
    owner.post(&destroy(2), json!({})).await.expect_problem(409, "invalid_state");
    owner.post(&destroy(1), json!({})).await.expect(200);
    owner.post(&reveal_at, json!({"version": 1})).await.expect_problem(410, "version_destroyed");
    owner.post(&reveal_at, json!({"version": 3})).await.expect_problem(404, "not_found");
    assert_eq!(world.stored(&format!("{id}:1")).await["ciphertext"], "");
    owner.post(&rotate, json!({"value": {"key": "chosen"}, "graceSeconds": 0})).await.expect(200);
    assert_eq!(key_of(owner, &id).await, "chosen");
    owner.post(&reveal_at, json!({"version": 2})).await.expect_problem(409, "secret_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_data_key_encrypts_every_value_again() {
    let world = World::start().await;
    let owner = &world.team.owner;
    let ids = [api_key(owner, "A", "value-of-a").await, api_key(owner, "B", "value-of-b").await];
    owner.post(&format!("{}/versions", at(&ids[0])), json!({"value": {"key": "newer"}})).await.expect(201);
    let before = owner.get("/api/secrets/keys").await.expect(200);
    assert_eq!(before.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&before.body["items"][0]["state"], &before.body["items"][0]["encryptions"]),
        (&json!("active"), &json!(3))
    );

    let started = owner.post("/api/secrets/keys/rotate", json!({})).await.expect(202);
    world.platform.settle().await;
    let job = world.stored(&started.text("/jobId")).await;
    assert_eq!((&job["state"], &job["result"]["versions"]), (&json!("succeeded"), &json!(3)));
    // Whoever asked for it sees what becomes of it at the address that the answer gave.
    let place = started.header("location").to_owned();
    let seen = owner.get(&place).await.expect(200);
    assert_eq!((seen.text("/jobId"), seen.text("/state")), (started.text("/jobId"), "succeeded".to_owned()));
    assert_eq!((&seen.body["versions"], &seen.body["progress"]), (&json!(3), &json!(100)));
    world.team.stranger.get(&place).await.expect_problem(404, "not_found");
    owner.get(&format!("/api/secrets/keys/rotations/{}", ids[0])).await.expect_problem(404, "not_found");
    let key = started.text("/dataKeyId");
    for id in &ids {
        let versions = owner.get(&format!("{}/versions", at(id))).await.expect(200);
        for version in versions.body["items"].as_array().unwrap() {
            assert_eq!(version["dataKeyId"], json!(key));
        }
    }
    assert_eq!(key_of(owner, &ids[0]).await, "newer");
    assert_eq!(key_of(owner, &ids[1]).await, "value-of-b");
    let first = owner.post(&format!("{}/reveal", at(&ids[0])), json!({"version": 1})).await.expect(200);
    assert_eq!(first.text("/value/key"), "value-of-a");
    let after = owner.get("/api/secrets/keys").await.expect(200);
    let states: Vec<_> = after.body["items"].as_array().unwrap().iter().map(|key| &key["state"]).collect();
    assert_eq!(states, [&json!("active"), &json!("decrypt_only")]);
    assert!(!after.body.to_string().contains("wrappedKey"));
    refused_to_rotate(&world.team.member).await;
}

async fn refused_to_rotate(member: &Client) {
    let reply = member.send(Method::POST, "/api/secrets/keys/rotate", Some(&json!({})), &[]).await;
    reply.expect_problem(403, "forbidden");
}
