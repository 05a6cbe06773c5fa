//! Tampering is found, and proofs hold without the service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_logging::chain::{Evidence, FaultKind, entry_hash, hex, jws, merkle, payload_hash, unhex, verify};
use coder_testkit::{Team, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::support::{MONTH, bucket, entries, listed, overwrite, post, remove, stored};

/// A company with some entries, all delivered.
async fn company() -> (TestPlatform, Team) {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    platform.settle().await;
    for number in 0..5 {
        post(&team.admin, &format!("number {number}")).await;
    }
    (platform, team)
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_is_found_where_it_was_done() {
    let (platform, team) = company().await;
    let key = bucket(team.organization_id, MONTH);
    let verify = async || team.admin.post("/api/logging/verify", json!({})).await.expect(200).body;
    let sound = verify().await;
    assert_eq!((&sound["valid"], &sound["faults"]), (&json!(true), &json!([])));
    let all = entries(&platform, team.organization_id).await;
    let last = all.len();
    let bent = |at: usize, field: &str| {
        let mut entry = all[at - 1].clone();
        entry[field] = json!("something else");
        entry
    };
    overwrite(&platform, &key, bent(last - 4, "message")).await;
    overwrite(&platform, &key, bent(last - 2, "action")).await;
    remove(&platform, &key, all[last - 1 - 1]["id"].as_str().unwrap()).await;
    let found = verify().await;
    assert_eq!(found["valid"], false);
    assert_eq!(found["firstBadSeq"], last - 4);
    let expected = json!([
        {"seq": last - 4, "code": "payload_mismatch"}, {"seq": last - 2, "code": "hash_mismatch"},
        {"seq": last - 1, "code": "gap"},
    ]);
    assert_eq!(found["faults"], expected);
    platform.settle().await;
    let raised = listed(&team.admin, "action=logging.chain.verification-failed").await;
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0]["severity"], "critical");
    platform.advance(SignedDuration::from_mins(1)).await;
    let alerts = team.admin.get("/api/logging/alerts").await.expect(200);
    let alerts = alerts.body["items"].as_array().unwrap();
    assert!(alerts.iter().any(|alert| alert["name"] == "Audit log does not verify"), "{alerts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_head_and_a_rewritten_history_are_found() {
    let (platform, team) = company().await;
    let key = bucket(team.organization_id, MONTH);
    team.admin.post("/api/logging/checkpoints", json!({})).await.expect(201);
    let faults =
        async || team.admin.post("/api/logging/verify", json!({})).await.expect(200).body["faults"].clone();
    // What the log says of this makes one entry a day: once they are there, a verification adds nothing.
    assert_eq!(faults().await, json!([]));
    platform.settle().await;
    let all = entries(&platform, team.organization_id).await;
    let mut bent = all[0].clone();
    bent["message"] = json!("it was not me");
    overwrite(&platform, &key, bent).await;
    assert_eq!(faults().await, json!([{"seq": 1, "code": "payload_mismatch"}]));
    platform.settle().await;
    overwrite(&platform, &key, all[0].clone()).await;
    assert_eq!(faults().await, json!([]));
    platform.settle().await;
    let head = stored(&platform, &key, "head").await.remove(0).body;
    let last = head["lastSeq"].clone();
    let mut bent = head.clone();
    bent["lastHash"] = json!(hex(&[0; 32]));
    overwrite(&platform, &key, bent).await;
    assert_eq!(faults().await, json!([{"seq": last, "code": "broken_link"}]));
    overwrite(&platform, &key, head.clone()).await;

    // Somebody with the store's rights writes the whole history anew, hashes and head too. The signed checkpoint
    // is what they cannot write.
    let mut all = entries(&platform, team.organization_id).await;
    all[1]["message"] = json!("it was not me");
    let mut previous = all[0]["hash"].clone();
    for entry in &mut all[1..] {
        entry["prevHash"] = previous;
        entry["payloadHash"] = json!(hex(&payload_hash(entry).unwrap()));
        entry["hash"] = json!(hex(&entry_hash(entry).unwrap()));
        previous = entry["hash"].clone();
        overwrite(&platform, &key, entry.clone()).await;
    }
    let mut bent = head;
    bent["lastHash"] = previous;
    overwrite(&platform, &key, bent).await;
    let found = faults().await;
    let codes: Vec<_> =
        found.as_array().unwrap().iter().map(|fault| fault["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["root_mismatch"]);

    // And if they change the checkpoint to fit, its signature does not.
    let config = bucket(team.organization_id, "config");
    let mut checkpoint = stored(&platform, &config, "checkpoint").await.remove(0).body;
    let (from, to) = (checkpoint["fromSeq"].as_u64().unwrap(), checkpoint["toSeq"].as_u64().unwrap());
    let leaves: Vec<_> = all
        .iter()
        .filter(|entry| (from..=to).contains(&entry["seq"].as_u64().unwrap()))
        .map(|entry| merkle::leaf(&unhex(entry["hash"].as_str().unwrap()).unwrap()))
        .collect();
    checkpoint["merkleRoot"] = json!(hex(&merkle::root(&leaves)));
    checkpoint["headHash"] = all[usize::try_from(to).unwrap() - 1]["hash"].clone();
    overwrite(&platform, &config, checkpoint).await;
    assert_eq!(faults().await, json!([{"seq": to, "code": "bad_signature"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_was_cut_off_with_its_head_is_missed() {
    let (platform, team) = company().await;
    let key = bucket(team.organization_id, MONTH);
    team.admin.post("/api/logging/checkpoints", json!({})).await.expect(201);
    let verify = async || team.admin.post("/api/logging/verify", json!({})).await.expect(200).body;
    verify().await;
    platform.settle().await;
    let config = bucket(team.organization_id, "config");
    let checkpoint = stored(&platform, &config, "checkpoint").await.remove(0).body;
    let to = checkpoint["toSeq"].as_u64().unwrap();
    // Somebody with the store's rights takes the newest entries away and turns the head back to before them.
    let all = entries(&platform, team.organization_id).await;
    let kept = to - 2;
    for entry in all.iter().filter(|entry| entry["seq"].as_u64().unwrap() > kept) {
        remove(&platform, &key, entry["id"].as_str().unwrap()).await;
    }
    let mut head = stored(&platform, &key, "head").await.remove(0).body;
    (head["lastSeq"], head["count"]) = (json!(kept), json!(kept));
    head["lastHash"] = all[usize::try_from(kept).unwrap() - 1]["hash"].clone();
    overwrite(&platform, &key, head).await;
    let found = verify().await;
    assert_eq!((&found["valid"], &found["firstBadSeq"]), (&json!(false), &json!(kept + 1)), "{found:#}");
    // A checkpoint that nobody signed says nothing of what there must be.
    let mut forged = checkpoint;
    (forged["id"], forged["toSeq"], forged["signature"]) =
        (json!("forged"), json!(1_000_000), json!("a.b.c"));
    overwrite(&platform, &config, forged).await;
    assert_eq!(verify().await["toSeq"], json!(to));
}

/// Every way in which one field of an entry can be another: values changed, names added and taken away.
fn bent(entry: &Value) -> Vec<(String, Value)> {
    fn change(value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let last = if text.ends_with('0') { '1' } else { '0' };
                let kept: String = text.chars().take(text.chars().count().saturating_sub(1)).collect();
                json!(format!("{kept}{last}"))
            }
            Value::Number(number) => json!(number.as_u64().unwrap() + 100_000),
            Value::Array(items) => json!([items.clone(), [1]]),
            other => json!([other]),
        }
    }
    let mut found = Vec::new();
    for (name, value) in entry.as_object().unwrap() {
        if let Value::Object(fields) = value {
            for (inner, value) in fields {
                let mut other = entry.clone();
                other[name][inner] = change(value);
                found.push((format!("{name}.{inner}"), other));
                let mut other = entry.clone();
                other[name].as_object_mut().unwrap().remove(inner);
                found.push((format!("{name}.{inner} removed"), other));
            }
            let mut other = entry.clone();
            other[name]["added"] = json!(1);
            found.push((format!("{name}.added"), other));
        } else {
            let mut other = entry.clone();
            other[name] = change(value);
            found.push((name.clone(), other));
            let mut other = entry.clone();
            other.as_object_mut().unwrap().remove(name);
            found.push((format!("{name} removed"), other));
        }
    }
    for (name, value) in [
        ("erased", json!({"at": "x"})),
        ("erased", json!(true)),
        ("added", json!(1)),
        ("resourceType", json!("x")),
    ] {
        if entry.get(name).is_none() {
            let mut other = entry.clone();
            other[name] = value;
            found.push((format!("{name} added"), other));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stored_field_is_covered() {
    let (platform, team) = company().await;
    let project = json!({"name": "Rocket", "key": "RCK"});
    let id = team.owner.post("/api/users/projects", project).await.expect(201).text("/id");
    team.owner.patch(&format!("/api/users/projects/{id}"), json!({"name": "Rocket 2"})).await.expect(200);
    platform.settle().await;
    let all = entries(&platform, team.organization_id).await;
    let heads: Vec<Value> = stored(&platform, &bucket(team.organization_id, MONTH), "head")
        .await
        .into_iter()
        .map(|document| document.body)
        .collect();
    let name = team.organization_id.to_string();
    let faults = |entries: &[Value]| {
        let evidence =
            Evidence { name: &name, entries, heads: &heads, segments: &[], checkpoints: &[], keys: &[] };
        verify(&evidence, 1, all.len() as u64)
    };
    assert_eq!(faults(&all).faults, []);
    // Bookkeeping that changes when a payload is erased and says nothing of the act; what is missing altogether is
    // what the store would refuse or what repeats another field.
    let free = ["etag", "updatedAt", "updatedBy"];
    let repeats = ["createdAt removed", "createdBy removed", "bucket removed", "partitionKey removed"];
    let updated = all.iter().position(|entry| entry["resourceId"] == *id && entry["changes"][0].is_object());
    let mut tried = 0;
    for at in [updated.unwrap(), 0, all.len() - 1] {
        for (what, other) in bent(&all[at]) {
            if free.iter().any(|name| what.starts_with(name)) || repeats.contains(&what.as_str()) {
                continue;
            }
            let mut entries = all.clone();
            entries[at] = other;
            let found = faults(&entries).faults;
            assert!(
                found.iter().any(|fault| fault.seq == at as u64 + 1),
                "{what} of entry {}: {found:?}",
                at + 1
            );
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} changes were tried");
    // Two entries swapped, one twice, one more at the end.
    let mut swapped = all.clone();
    let (first, second) = (swapped[1]["seq"].clone(), swapped[2]["seq"].clone());
    (swapped[1]["seq"], swapped[2]["seq"]) = (second, first);
    assert_eq!(faults(&swapped).first_bad_seq(), Some(2));
    let mut doubled = all.clone();
    doubled.push(all[3].clone());
    assert_eq!(faults(&doubled).first_bad_seq(), Some(4));
    let missing: Vec<Value> = all[..all.len() - 1].to_vec();
    assert_eq!(faults(&missing).faults[0].code, FaultKind::Gap);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_holds_offline_and_for_this_entry_alone() {
    let (platform, team) = company().await;
    let id = post(&team.admin, "to be proved").await;
    let path = format!("/api/logging/entries/{id}/proof");
    team.admin.get(&path).await.expect_problem(409, "not_checkpointed");
    let made = team.admin.post("/api/logging/checkpoints", json!({})).await.expect(201);
    assert_eq!(made.header("location"), format!("/api/logging/checkpoints/{}", made.text("/id")));
    team.viewer.get(made.header("location")).await.expect(200);
    let proof = team.admin.get(&path).await.expect(200).body;
    let entry = team.admin.get(&format!("/api/logging/entries/{id}")).await.expect(200).body;
    let keys = platform.nobody().get("/api/auth/.well-known/jwks.json").await.expect(200).body;

    let keys = keys["keys"].as_array().unwrap();
    let signature = proof["checkpoint"]["signature"].as_str().unwrap();
    let payload = jws::payload(signature, keys).unwrap();
    assert_eq!(payload["organizationId"], team.organization_id.to_string());
    let root = unhex(payload["merkleRoot"].as_str().unwrap()).unwrap();
    let path: Vec<_> =
        proof["path"].as_array().unwrap().iter().map(|one| unhex(one.as_str().unwrap()).unwrap()).collect();
    let number = |name: &str| usize::try_from(proof[name].as_u64().unwrap()).unwrap();
    let holds = |entry: &Value| {
        let fits =
            payload_hash(entry).map(|hash| hex(&hash)) == entry["payloadHash"].as_str().map(str::to_owned);
        let leaf = merkle::leaf(&entry_hash(entry).unwrap());
        fits && merkle::holds(&leaf, number("leafIndex"), number("treeSize"), &path, &root)
    };
    assert!(holds(&entry));
    for (field, value) in
        [("message", json!("to be proveD")), ("action", json!("test.act.donE")), ("seq", json!(1))]
    {
        let mut other = entry.clone();
        other[field] = value;
        assert!(!holds(&other), "{field}");
    }
    // The signature of another payload, of a token, and under a stranger's key.
    let token = team.owner.token();
    assert_eq!(jws::payload(&token, keys), None);
    assert_eq!(jws::payload(signature, &[]), None);
    let parts: Vec<_> = signature.split('.').collect();
    let mut other = payload.clone();
    other["toSeq"] = json!(1);
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(other.to_string()), parts[2]);
    assert_eq!(jws::payload(&forged, keys), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_follow_one_another_by_the_hour() {
    let (platform, team) = company().await;
    platform.advance(SignedDuration::from_mins(10)).await;
    platform.advance(SignedDuration::from_hours(1)).await;
    let admin = platform.login(&team.admin.email).await;
    platform.settle().await;
    platform.advance(SignedDuration::from_mins(10)).await;
    platform.advance(SignedDuration::from_hours(1)).await;
    let admin = platform.login(&admin.email).await;
    let list = admin.get("/api/logging/checkpoints").await.expect(200);
    let items = list.body["items"].as_array().unwrap();
    assert!(items.len() >= 2, "{items:?}");
    for pair in items.windows(2) {
        assert_eq!(pair[0]["previousCheckpointId"], pair[1]["id"]);
        assert_eq!(pair[0]["fromSeq"].as_u64().unwrap(), pair[1]["toSeq"].as_u64().unwrap() + 1);
    }
    let ours = admin.get("/api/logging/checkpoints?seq=3").await.expect(200);
    assert_eq!(ours.body["items"].as_array().unwrap().len(), 1);
    // What the log says of itself makes at most one entry a day.
    let own = listed(&admin, "action=logging.checkpoint.created").await;
    assert_eq!(own.len(), 1);
    let verified = admin.post("/api/logging/verify", json!({})).await.expect(200);
    assert_eq!(verified.body["valid"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_is_told_and_kept() {
    let (platform, team) = company().await;
    let reply = team.admin.post("/api/logging/verify", json!({"fromSeq": 2, "toSeq": 4})).await.expect(200);
    assert_eq!((&reply.body["checked"], &reply.body["fromSeq"]), (&json!(3), &json!(2)));
    let kept = team.admin.get(&format!("/api/logging/verifications/{}", reply.text("/id"))).await.expect(200);
    assert_eq!(kept.body["valid"], true);
    platform.settle().await;
    assert_eq!(listed(&team.admin, "action=logging.chain.verified").await.len(), 1);
    let turned = json!({"fromSeq": 5, "toSeq": 4});
    team.admin.post("/api/logging/verify", turned).await.expect_problem(422, "validation_failed");
    team.member.post("/api/logging/verify", json!({})).await.expect_problem(403, "forbidden");
    let empty = Map::new();
    team.admin.send(Method::POST, "/api/logging/verify", Some(&empty.into()), &[]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_ranges_are_verified_by_a_job() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let batch = json!({"entries": vec![json!({"action": "a.b.c", "message": "m"}); 500]});
    for _ in 0..20 {
        platform.clock.advance(SignedDuration::from_secs(1));
        team.admin.post("/api/logging/entries/batch", batch.clone()).await.expect(200);
    }
    platform.settle().await;
    let reply = team.admin.post("/api/logging/verify", json!({})).await.expect(202);
    assert_eq!(reply.body["valid"], Value::Null);
    platform.settle().await;
    let done = team.admin.get(reply.header("location")).await.expect(200);
    assert_eq!((&done.body["valid"], &done.body["checked"]), (&json!(true), &done.body["toSeq"]));
    assert!(done.body["toSeq"].as_u64().unwrap() > 10_000);
    let first = team.admin.post("/api/logging/checkpoints", json!({})).await.expect(201);
    assert_eq!((&first.body["fromSeq"], &first.body["toSeq"]), (&json!(1), &json!(10_000)));
    for _ in 0..2 {
        // The first of the day makes an entry of its own.
        team.admin.post("/api/logging/checkpoints", json!({})).await.expect(201);
        platform.settle().await;
    }
    team.admin.post("/api/logging/checkpoints", json!({})).await.expect_problem(409, "invalid_state");
    let again =
        team.admin.post("/api/logging/verify", json!({"fromSeq": 2, "toSeq": 10_000})).await.expect(200);
    assert_eq!(again.body["valid"], true);
}
