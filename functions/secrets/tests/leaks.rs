//! Everything that a run writes is searched for every value that it used: log lines, the data directory with events,
//! audit entries and access records, and every answer but the two that carry values.

use std::path::Path;
use std::sync::{Arc, Mutex};

use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_database::Query;
use coder_secrets::value::SecretValue;
use coder_telemetry::Format;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{World, accesses, at};

/// Keeps every log line of this process.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The values of the run; each is long enough to be found nowhere by chance.
const VALUES: [&str; 12] = [
    "zq-created-value-51Kx",
    "zq-second-value-77Lm",
    "zq-rotated-value-93Pw",
    "zq-refused-shape-28Rt",
    "zq-refused-field-64Yb",
    "zq-broken-json-19Vc",
    "zq-imported-value-82Nd",
    "zq-imported-bad-35Gf",
    "zq-tampered-value-40Hj",
    "zq-by-nobody-66Sd",
    "zq-variable-value-17Qe",
    "zq-password-value-58Zt",
];

/// Every file below the directory.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Sends requests with values, good and bad; answers what must hold no value.
async fn use_values(world: &World) -> Vec<Value> {
    let (owner, member) = (&world.team.owner, &world.team.member);
    let [created, second, rotated, shape, field, broken, imported, bad, tampered, nobody, variable, password] =
        VALUES;
    let mut answers = Vec::new();
    let keyed = [("idempotency-key", "leak-1")];
    let body = json!({"name": "LEAK", "kind": "api_key", "value": {"key": created}});
    let reply = owner.send(Method::POST, "/api/secrets", Some(&body), &keyed).await.expect(201);
    let id = reply.text("/id");
    answers.push(reply.body);
    answers.push(owner.send(Method::POST, "/api/secrets", Some(&body), &keyed).await.expect(201).body);
    answers.push(owner.post("/api/secrets", body).await.expect(409).body);
    let path = |tail: &str| format!("{}{tail}", at(&id));
    for (method, path, body, status) in [
        (Method::POST, path("/versions"), json!({"value": {"key": second}, "reason": "next"}), 201),
        (Method::POST, path("/versions/1/activate"), json!({}), 201),
        (Method::POST, path("/rotate"), json!({"value": {"key": rotated}}), 200),
        (Method::POST, path("/versions"), json!({"value": shape}), 422),
        (Method::POST, path("/versions"), json!({"value": {"kee": field}, "expectedVersion": field}), 422),
        (Method::PATCH, at(&id), json!({"value": {"key": field}}), 422),
        (
            Method::POST,
            "/api/secrets".to_owned(),
            json!({"name": "X", "kind": shape, "value": {"key": [shape]}}),
            422,
        ),
        (
            Method::POST,
            "/api/secrets".to_owned(),
            json!({"name": "ENV", "kind": "env_set", "value": {"variables": {"A": variable}}}),
            201,
        ),
        (
            Method::POST,
            "/api/secrets".to_owned(),
            json!({"name": "DB", "kind": "username_password", "value": {"username": "u", "password": password}}),
            201,
        ),
        (
            Method::POST,
            "/api/secrets/import".to_owned(),
            json!({"format": "dotenv", "content": format!("IMP={imported}\n9BAD={bad}\nQ=\"{bad}"), "onConflict": "skip"}),
            200,
        ),
        (Method::GET, "/api/secrets".to_owned(), json!(null), 200),
        (Method::GET, path("/versions"), json!(null), 200),
    ] {
        let body = (!body.is_null()).then_some(body);
        let reply = owner.send(method, &path, body.as_ref(), &[]).await.expect(status);
        answers.push(reply.body);
    }
    let text = format!("{{\"name\": \"X\", \"value\": {{\"key\": \"{broken}\"").into_bytes();
    answers.push(owner.send_bytes(Method::POST, "/api/secrets", Some(text), &[]).await.expect(400).body);
    let body = json!({"value": {"key": nobody}});
    answers.push(world.platform.nobody().post(&path("/versions"), body.clone()).await.expect(401).body);
    answers.push(world.team.viewer.post(&path("/versions"), body.clone()).await.expect(403).body);
    answers.push(world.team.stranger.post(&path("/versions"), body).await.expect(404).body);
    answers.push(member.post(&path("/reveal"), json!({})).await.expect(403).body);
    // The values do leave where they should.
    let revealed = owner.post(&path("/reveal"), json!({"reason": "look"})).await.expect(200);
    assert_eq!(revealed.text("/value/key"), rotated);
    let references = json!({"references": [format!("secret:{id}@2#key")]});
    let resolved = owner.post("/api/secrets/resolve", references).await.expect(200);
    assert_eq!(resolved.body["results"][0]["value"], second);
    // A ciphertext that does not open.
    let body = json!({"name": "TAMPERED", "kind": "api_key", "value": {"key": tampered}});
    let other = owner.post("/api/secrets", body).await.expect(201).text("/id");
    let mut version = world.stored(&format!("{other}:1")).await;
    version["tag"] = world.stored(&format!("{id}:1")).await["tag"].clone();
    world.overwrite(&format!("{other}:1"), version).await;
    answers.push(owner.post(&format!("{}/reveal", at(&other)), json!({})).await.expect(500).body);
    owner.post("/api/secrets/keys/rotate", json!({})).await.expect(202);
    world.platform.settle().await;
    answers.extend(accesses(owner, &id).await);
    answers.extend(accesses(owner, &other).await);
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_written_anywhere_in_the_clear() {
    let lines = Lines::default();
    let ambient = Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy);
    let writer = lines.clone();
    coder_telemetry::init(Format::Json, "trace", ambient, move || writer.clone()).unwrap();
    let world = World::start().await;
    let answers = use_values(&world).await;
    world.platform.settle().await;

    let logged = lines.0.lock().unwrap().clone();
    let logged = String::from_utf8_lossy(&logged);
    assert!(logged.contains("reveal_secret") && logged.contains("does not open"), "the run was not logged");
    let store = &world.platform.platform.assembly.providers.store;
    let mut documents = Vec::new();
    let mut query = Query::new(None).limit(1000);
    loop {
        let page = store.query_across("secrets", &query).await.unwrap();
        documents.extend(page.items.into_iter().map(|document| document.body));
        let Some(next) = page.next else { break };
        query.continuation = Some(next);
    }
    for kind in ["secret", "version", "dataKey", "access", "audit", "idempotency"] {
        assert!(documents.iter().any(|body| body["type"] == kind), "no {kind} was looked at");
    }
    let kept = files(world.platform.data_dir());
    assert!(kept.iter().any(|(_, bytes)| contains(bytes, "TAMPERED")), "the store was not read");
    for value in VALUES {
        if let Some(line) = logged.lines().find(|line| line.contains(value)) {
            panic!("{value} is in the log: {line}");
        }
        for answer in &answers {
            assert!(!answer.to_string().contains(value), "{value} came back in {answer}");
        }
        for body in &documents {
            assert!(!body.to_string().contains(value), "{value} is stored in {body}");
        }
        for (file, bytes) in &kept {
            assert!(!contains(bytes, value), "{value} is in {file}");
        }
    }
}

#[test]
fn a_panic_that_shows_a_value_shows_nothing() {
    let held = SecretValue::new(json!({"key": VALUES[0]}));
    let refused = |held: SecretValue| -> Result<(), SecretValue> { Err(held) };
    let caught = std::panic::catch_unwind(move || refused(held).unwrap());
    let message = caught.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("[redacted]") && !message.contains(VALUES[0]), "{message}");
}
