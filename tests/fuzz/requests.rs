//! Parts of requests, against a whole platform: every answer is one that the documentation knows.

use std::sync::LazyLock;

use coder_handler::functions::{ON_EVENT, Outcome, RUN_JOB};
use coder_testkit::issuer::Issuer;
use coder_testkit::{Client, Reply, TestPlatform};
use http::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::target;

struct Stage {
    runtime: Runtime,
    platform: TestPlatform,
    owner: Client,
    provider: String,
    _issuer: Issuer,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let (platform, owner, issuer, provider) = runtime.block_on(async {
        let platform = TestPlatform::start().await;
        let owner = platform.register("owner@example.com", Some("Acme")).await;
        let issuer = Issuer::start().await;
        let provider = issuer.register(&owner, json!({})).await;
        (platform, owner, issuer, provider)
    });
    Stage { runtime, platform, owner, provider, _issuer: issuer }
});

/// Starts the platform before a target's time begins; all of its seeds are in its folder.
fn staged() -> &'static [String] {
    LazyLock::force(&STAGE);
    &[]
}

/// The text as it may stand in a request line.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

/// The text as it may stand in a header.
fn visible(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~')).collect::<String>().trim().to_owned()
}

/// Sends; a refusal is a problem that says what and which request, and is never a fault of the platform.
fn send(client: &Client, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Reply {
    let body = body.map(|body| body.to_string().into_bytes());
    let reply = STAGE.runtime.block_on(client.try_send(method, path, body, headers)).unwrap();
    let status = reply.status.as_u16();
    assert!(status < 500, "{path} {headers:?}: {reply:?}");
    if status >= 400 {
        assert!(reply.header("content-type").starts_with("application/problem+json"), "{path}: {reply:?}");
        assert!(!reply.code().is_empty() && reply.body["status"] == status, "{path}: {reply:?}");
        assert!(reply.body["requestId"].is_string(), "{path}: {reply:?}");
    }
    reply
}

target! {
    /// A query string is understood whole or refused: no parameter is passed over.
    query_strings(material, staged()) {
        let query = encoded(&material.text);
        let reply = send(&STAGE.owner, Method::GET, &format!("/api/users/projects?{query}"), &[], None);
        let names: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            pair.split('=').next().unwrap_or_default()
        }).collect();
        let plain = names.iter().all(|name| !name.contains(['%', '+']));
        let known = ["limit", "cursor", "sort", "status", "teamId", "q", "code"];
        let twice = (1..names.len()).any(|at| names[at] != "code" && names[..at].contains(&names[at]));
        if plain && (twice || names.iter().any(|name| !known.contains(name))) {
            assert_eq!(reply.status.as_u16(), 400, "{query}: {reply:?}");
        }
    }
}

target! {
    /// A cursor that was not given is refused.
    list_cursors(material, staged()) {
        let path = format!("/api/users/projects?cursor={}", encoded(&material.text).replace(['&', '+', '%'], "x"));
        assert_eq!(send(&STAGE.owner, Method::GET, &path, &[], None).status.as_u16(), 400, "{path}");
    }
}

target! {
    /// Only the very token gets in.
    bearer_tokens(material, &[STAGE.owner.token()]) {
        let token = visible(&material.text);
        let header = format!("Bearer {token}");
        let nobody = STAGE.platform.nobody();
        let reply = send(&nobody, Method::GET, "/api/users/projects", &[("authorization", &header)], None);
        assert_eq!(reply.status.as_u16() == 200, token == STAGE.owner.token(), "{header}: {reply:?}");
    }
}

target! {
    /// A change under a condition is made if the condition names the document as it is, and not otherwise.
    conditions(material, staged()) {
        let tag = visible(&material.text);
        let path = "/api/users/organizations/current";
        let now = send(&STAGE.owner, Method::GET, path, &[], None).header("etag").to_owned();
        let tag = tag.replace("NOW", &now);
        let body = json!({"description": "Sells what the warehouse has."});
        let reply = send(&STAGE.owner, Method::PATCH, path, &[("if-match", &tag)], Some(body));
        let expected: &[u16] = if tag == now || tag == "*" { &[200] } else { &[400, 412, 200] };
        assert!(expected.contains(&reply.status.as_u16()), "{tag}: {reply:?}");
        // A list of tags may name it too; a text in which it does not occur never does.
        let bare = now.trim_matches('"');
        assert!(reply.status.as_u16() != 200 || tag == "*" || tag.contains(bare), "{tag}");
    }
}

target! {
    /// A key has a form; what it names is not done twice, and not done for another request.
    idempotency_keys(material, staged()) {
        let key = visible(&material.text);
        let ask = |name: &str| {
            let (path, headers) = ("/api/users/teams", [("idempotency-key", key.as_str())]);
            send(&STAGE.owner, Method::POST, path, &headers, Some(json!({"name": name}))).status.as_u16()
        };
        if (1..=128).contains(&key.len()) && !key.contains(' ') {
            let first = ask("Fuzzed");
            assert!([201, 409].contains(&first), "{key}: {first}");
            assert_eq!(ask("Fuzzed"), first, "{key}");
            assert!(first == 409 || ask("Another") == 409, "{key}");
        } else {
            assert_eq!(ask("Fuzzed"), 400, "{key:?}");
        }
    }
}

target! {
    /// Whatever a client says it has seen last, its stream opens.
    last_event_ids(material, staged()) {
        let seen = visible(&material.text);
        let path = "/api/notifications/stream";
        let reply = send(&STAGE.owner, Method::GET, path, &[("last-event-id", &seen)], None);
        // Streams of before may not be closed yet.
        assert!([200, 429].contains(&reply.status.as_u16()), "{seen}: {reply:?}");
    }
}

target! {
    /// Nobody is signed in by a state that was not given out, nor by a code that was not.
    sign_in_answers(material, staged()) {
        let path = format!("/api/auth/external/{}/callback?{}", STAGE.provider, encoded(&material.text));
        let nobody = STAGE.platform.nobody();
        let reply = send(&nobody, Method::GET, &path, &[], None);
        assert!(!reply.status.is_success() && !reply.header("location").contains("code="), "{path}: {reply:?}");
        let body = json!({"code": material.text});
        let reply = send(&nobody, Method::POST, "/api/auth/external/exchange", &[], Some(body));
        assert!(!reply.status.is_success() && reply.header("set-cookie").is_empty(), "{reply:?}");
    }
}

target! {
    /// Whatever the host delivers, the function ends in order: what cannot be read is kept as a dead letter, so that
    /// it is never asked to take the same again.
    host_envelopes(material, staged()) {
        let Ok(envelope) = serde_json::from_str::<Value>(&material.text) else { return };
        let groups = &STAGE.platform.platform.assembly.groups;
        for name in ["users", "logging"] {
            let group = groups.iter().find(|group| group.name == name).unwrap();
            for function in [ON_EVENT, RUN_JOB].into_iter().filter(|function| group.functions.has(function)) {
                let call = group.functions.invoke(function, envelope.clone(), "00000000-0000-7000-8000-000000000000");
                let outcome = STAGE.runtime.block_on(call);
                assert!(matches!(outcome, Outcome::Done(_)), "{name} {function} {envelope}: {outcome:?}");
            }
        }
    }
}
