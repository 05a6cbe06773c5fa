//! What the platform writes about itself: metrics that cannot grow with the tenants, and nothing secret in log lines
//! or in the data directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_gateway::RouteTable;
use coder_telemetry::Format;
use coder_testkit::issuer::Issuer;
use coder_testkit::team::invitation_token;
use coder_testkit::{Client, Team, TestPlatform};
use http::Method;
use serde_json::json;

use crate::mailbox::{mails, token};
use crate::operations;

/// The label values of every line.
fn labels(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, rest)) = line.split_once('{') else { continue };
        let Some((pairs, _)) = rest.rsplit_once('}') else { continue };
        for pair in pairs.split("\",") {
            let (name, value) = pair.split_once("=\"").unwrap();
            found.entry(name.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_do_not_grow_with_tenants_or_with_what_callers_make_up() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let visit = async |team: &Team, round: usize| {
        for path in ["teams", "projects", "members"] {
            team.owner.get(&format!("/api/users/{path}")).await.expect(200);
            let absent = coder_core::id::EXAMPLE;
            team.owner.get(&format!("/api/users/{path}/{absent}")).await.expect(404);
        }
        for path in
            [format!("/api/users/made-up-{round}"), format!("/api/group-{round}"), format!("/{round}")]
        {
            team.owner.get(&path).await.expect(404);
        }
        let method = Method::from_bytes(format!("MADE{round}").as_bytes()).unwrap();
        team.owner.send(method, "/api/users/teams", None, &[]).await.expect(501);
        team.owner.with_token(format!("made-up-{round}")).get("/api/users/teams").await.expect(401);
        platform.settle().await;
    };
    visit(&team, 0).await;
    let read = async || {
        let reply = platform.nobody().get("/metrics").await.expect(200);
        reply.body.as_str().unwrap().to_owned()
    };
    read().await;
    let before = read().await;
    let other = Team::of(&platform).await;
    for round in 1..20 {
        visit(&other, round).await;
    }
    let after = read().await;
    assert_eq!(after.lines().count(), before.lines().count(), "a label took a value of the callers");

    let labels = labels(&after);
    let declared: BTreeSet<_> = operations::all().iter().map(|one| one.id.to_owned()).collect();
    let unknown: Vec<_> =
        labels["operation"].iter().filter(|one| *one != "none" && !declared.contains(*one)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let groups = RouteTable::PLATFORM.groups().map(|group| group.name).chain(["gateway"]);
    let groups: BTreeSet<_> = groups.map(str::to_owned).collect();
    assert!(labels["group"].is_subset(&groups), "{:?}", labels["group"]);
    for (name, values) in &labels {
        for value in values {
            let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte));
            assert!(
                plain && value.len() <= 40 && value.parse::<coder_core::UserId>().is_err(),
                "{name}={value}"
            );
        }
    }
    for tenant in [&team, &other] {
        assert!(!after.contains(&tenant.organization_id.to_string()) && !after.contains("made"));
    }
}

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

/// Everything that was secret in the run, by what it was.
type Secrets = Vec<(&'static str, String)>;

const FIRST: &str = "quixotic-Zephyr-7421-lantern";
const SECOND: &str = "vexing-Walrus-9963-quartz";
const WRONG: &str = "mistaken-Jackdaw-5518-opal";

const VERIFIER: &str = "code verifier";

const EMAIL: &str = "quinn@example.com";

/// Registers, with every mistake that puts a password where it should not be.
async fn register(platform: &TestPlatform, secrets: &mut Secrets) -> Client {
    let nobody = platform.nobody();
    let body = json!({"email": EMAIL, "password": FIRST, "displayName": "Quinn", "organizationName": "Acme"});
    let tokens = nobody.post("/api/auth/register", body).await.expect(201);
    let quinn = platform.signed_in(EMAIL, &tokens.body).await;
    // Only the signature is secret: header and claims stand in many places.
    let signature = quinn.token().rsplit('.').next().unwrap().to_owned();
    secrets.extend([("access token", signature), ("refresh token", quinn.refresh_token.clone())]);
    for (path, body) in [
        ("register", json!({"email": EMAIL, "password": FIRST, "displayName": "Quinn"})),
        ("register", json!({"email": "q", "password": FIRST, "displayName": "", "passphrase": FIRST})),
        ("login", json!({"email": EMAIL, "password": WRONG})),
        ("login", json!({"email": FIRST, "password": WRONG, "secret": SECOND})),
        ("refresh", json!({"refreshToken": format!("{}x", quinn.refresh_token)})),
        ("password/reset", json!({"token": WRONG, "newPassword": SECOND})),
    ] {
        let reply = nobody.post(&format!("/api/auth/{path}"), body).await;
        assert!(reply.status.is_client_error(), "{path}: {reply:?}");
    }
    let broken = format!("{{\"email\": \"{EMAIL}\", \"password\": \"{FIRST}\"").into_bytes();
    nobody.send_bytes(Method::POST, "/api/auth/login", Some(broken), &[]).await.expect(400);
    quinn
}

/// Makes API keys and uses them, also in the path, the query and a header of another name.
async fn use_keys(quinn: &Client, secrets: &mut Secrets) {
    let key = json!({"name": "Build", "permissions": ["users.project.read"]});
    let repeated = [("idempotency-key", "once")];
    let made = quinn.send(Method::POST, "/api/auth/api-keys", Some(&key), &repeated).await.expect(201);
    quinn.send(Method::POST, "/api/auth/api-keys", Some(&key), &repeated).await.expect(201);
    let rotate = format!("/api/auth/api-keys/{}/rotate", made.text("/keyId"));
    let rotated = quinn.post(&rotate, json!({"overlapSeconds": 60})).await;
    let projects = "/api/users/projects";
    for key in [made.text("/key"), rotated.text("/key")] {
        quinn.with_api_key(&key).get(projects).await.expect(200);
        quinn.with_api_key(format!("{key}x")).get(projects).await.expect(401);
        quinn.get(&format!("{projects}/{key}")).await.expect(404);
        quinn.get(&format!("{projects}?key={key}&token={}", quinn.token())).await.expect(400);
        quinn.send(Method::GET, projects, None, &[("x-secret", &key)]).await.expect(200);
        secrets.push(("API key", key.rsplit('_').next().unwrap().to_owned()));
    }
}

/// Invites somebody; the token stands in paths by design.
async fn invite(platform: &TestPlatform, quinn: &Client, secrets: &mut Secrets) {
    let nobody = platform.nobody();
    let invitation = json!({"emails": ["ivy@example.com"], "roles": ["member"]});
    let invited = invitation_token(&quinn.post("/api/users/invitations", invitation).await.expect(200));
    let by_token = format!("/api/users/invitations/by-token/{invited}");
    nobody.get(&by_token).await.expect(200);
    quinn.post(&format!("{by_token}/accept"), json!({})).await.expect(403);
    nobody.get(&format!("{by_token}/acept")).await.expect(404);
    nobody.get(&format!("{by_token}?token={invited}")).await;
    secrets.push(("invitation token", invited));
}

/// Resets the password by mail, sets up a second factor and a login provider, and signs out.
async fn recover(platform: &TestPlatform, secrets: &mut Secrets) {
    let nobody = platform.nobody();
    nobody.post("/api/auth/password/forgot", json!({"email": EMAIL})).await.expect(202);
    let reset = token(&mails(platform).await, EMAIL);
    let body = json!({"token": reset, "newPassword": SECOND});
    nobody.post("/api/auth/password/reset", body.clone()).await.expect(204);
    nobody.post("/api/auth/password/reset", body).await.expect(410);
    secrets.push(("reset token", reset));
    let login = json!({"email": EMAIL, "password": SECOND});
    let tokens = nobody.post("/api/auth/login", login).await.expect(200);
    let quinn = platform.signed_in(EMAIL, &tokens.body).await;
    secrets.push(("refresh token", quinn.refresh_token.clone()));
    let enrolled = quinn.post("/api/auth/mfa/totp", json!({})).await;
    secrets.push(("TOTP secret", enrolled.text("/secret")));
    let issuer = Issuer::start().await;
    let provider = issuer.register(&quinn, json!({"autoProvision": true})).await;
    issuer.link(platform, &provider, &quinn).await;
    let redeemed = issuer.redeemed();
    secrets.push((VERIFIER, redeemed[0]["code_verifier"].as_str().unwrap().to_owned()));
    quinn.post("/api/auth/logout", json!({})).await.expect(204);
}

/// Uses every kind of secret there is.
async fn live(platform: &TestPlatform) -> Secrets {
    let mut secrets: Secrets =
        vec![("password", FIRST.into()), ("new password", SECOND.into()), ("wrong password", WRONG.into())];
    let quinn = register(platform, &mut secrets).await;
    use_keys(&quinn, &mut secrets).await;
    invite(platform, &quinn, &mut secrets).await;
    recover(platform, &mut secrets).await;
    secrets
}

/// Every file below the directory but the kept mails, which carry links by their nature.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "mail-outbox.jsonl" {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The lines are those of every test that runs meanwhile, which makes them the better material.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_or_kept_in_the_clear() {
    let lines = Lines::default();
    let ambient = Ambient::new(ManualClock::at(Timestamp::UNIX_EPOCH), OsEntropy);
    let writer = lines.clone();
    coder_telemetry::init(Format::Json, "trace", ambient, move || writer.clone()).unwrap();
    let platform = TestPlatform::start().await;
    let secrets = live(&platform).await;
    platform.settle().await;

    let logged = lines.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&logged);
    assert!(text.lines().count() > 50 && text.contains("begin_login"), "the run was not logged");
    let kept = files(platform.data_dir());
    assert!(kept.iter().any(|(_, bytes)| contains(bytes, "quinn@example.com")), "the store was not read");
    for (what, secret) in &secrets {
        assert!(secret.len() >= 16, "{what} is too short to be looked for");
        if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
            panic!("the {what} is in the log: {line}");
        }
        // What the platform itself has to send to a login provider later cannot be kept as a hash.
        for (file, bytes) in kept.iter().filter(|_| *what != VERIFIER) {
            assert!(!contains(bytes, secret), "the {what} is in {file}");
        }
    }
}
