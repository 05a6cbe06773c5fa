//! The `coder` command as a process: how it starts, what it says, how it ends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod dead_letters;
mod doctor;
#[cfg(unix)]
mod func;
mod local_settings;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery staple 7";

/// Settings that name the services of the cloud, none of which answers.
const CLOUD: [(&str, &str); 6] = [
    ("CODER_MASTER_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
    ("CODER_COSMOS_ENDPOINT", "https://localhost:1"),
    ("CODER_SERVICEBUS_NAMESPACE", "localhost"),
    ("CODER_KEYVAULT_URL", "https://localhost:1"),
    ("CODER_REDIS_HOST", "localhost"),
    ("AZURE_CLIENT_ID", "3d6b1f0a-1111-4222-8333-444455556666"),
];

/// Arguments, variables, and words that the error must have.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

/// A running `coder dev`.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    url: String,
    greeting: Vec<String>,
}

fn coder(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coder"));
    command
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn start(directory: &Path, arguments: &[&str]) -> Running {
    let all: Vec<&str> =
        ["dev", "--port", "0", "--data-dir", "data"].iter().chain(arguments).copied().collect();
    let mut child = coder(directory, &all).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut running = Running { child, output, url: String::new(), greeting: Vec::new() };
    loop {
        let mut line = String::new();
        if running.output.read_line(&mut line).unwrap() == 0 {
            let mut error = String::new();
            running.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            panic!("it ended before it was ready: {:?} {error}", running.greeting);
        }
        if let Some(address) = line.trim().strip_prefix("ready ") {
            address.clone_into(&mut running.url);
        }
        running.greeting.push(line.trim_end().to_owned());
        if line.trim() == "Ctrl-C stops it" {
            return running;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves no process behind; one that has ended is not to be found any more.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Running {
    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn end(mut self) -> Option<i32> {
        let status = self.child.wait().unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        status.code()
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reply =
                reqwest::Client::new().post(format!("{}{path}", self.url)).json(body).send().await.unwrap();
            (reply.status().as_u16(), reply.json().await.unwrap_or_default())
        })
    }
}

/// Runs to the end; answers the exit code and the lines on standard error.
fn refused(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Vec<String>) {
    let output = coder(directory, arguments).envs(variables.iter().copied()).output().unwrap();
    let lines = String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect();
    (output.status.code(), lines)
}

#[test]
fn it_starts_says_where_and_ends_at_ctrl_c() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), &[]);
    let greeting = running.greeting.join("\n");
    for word in ["/api/auth", "/api/users", "/docs", "sign in", "mail-outbox.jsonl"] {
        assert!(greeting.contains(word), "no `{word}` in:\n{greeting}");
    }
    running.signal("-INT");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn a_second_start_finds_everything_again_also_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let person = json!({"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada"});
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    let running = start(directory.path(), &[]);
    let (status, body) = running.post("/api/auth/register", &person);
    assert_eq!(status, 201, "{body}");
    running.signal("-KILL");
    assert_eq!(running.end(), None);
    for signal in ["-TERM", "-INT"] {
        let running = start(directory.path(), &[]);
        let (status, body) = running.post("/api/auth/login", &login);
        assert_eq!(status, 200, "{body}");
        running.signal(signal);
        assert_eq!(running.end(), Some(0));
    }
}

#[test]
fn a_seeded_platform_can_be_looked_at_and_seeding_again_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for (made, there) in [(true, false), (false, true)] {
        let running = start(directory.path(), &["--seed"]);
        let line = running.greeting.iter().find(|line| line.contains("demonstration")).unwrap().clone();
        assert_eq!(
            (!line.contains(" 0 things made"), !line.contains(" 0 there already")),
            (made, there),
            "{line}"
        );
        let login = json!({"email": "demo@example.com", "password": "a look around the workshop"});
        let (status, body) = running.post("/api/auth/login", &login);
        assert_eq!(status, 200, "{body}");
        running.signal("-INT");
        assert_eq!(running.end(), Some(0));
    }
}

#[test]
fn what_keeps_it_from_starting_is_one_sentence_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let corrupt = directory.path().join("corrupt");
    std::fs::create_dir(&corrupt).unwrap();
    std::fs::write(
        corrupt.join("docs.db"),
        "this is no database, whatever its name says; it is long enough to be read",
    )
    .unwrap();
    let cases: [Case<'_>; 10] = [
        (
            &["dev", "--func"],
            &[("PATH", "")],
            &["npm install --global azure-functions-core-tools@4", "`coder dev`"],
        ),
        (&["package", "auth", "nothing"], &[], &["`nothing`", "choose from auth, users"]),
        (&["package", "--out", "dist"], &[], &["host.json", "project's folder"]),
        (&["manifest", "--check", "--out", "none.json"], &[], &["none.json", "stale"]),
        (&["dev", "--port", &port], &[], &[&port, "choose another"]),
        (&["dev", "--port", "0", "--data-dir", "file/data"], &[], &["file/data", "another data directory"]),
        (&["dev", "--port", "0", "--data-dir", "corrupt"], &[], &["docs.db", "restore a copy"]),
        (&["dev", "--port", "0", "--only", "auth,nothing"], &[], &["nothing", "auth", "users"]),
        (&["dev", "--port", "0"], &[("CODER_PROT", "1")], &["CODER_PROT", "CODER_PORT"]),
        (&["dev", "--port", "0"], &[("CODER_MASTER_KEY", "short")], &["CODER_MASTER_KEY"]),
    ];
    for (arguments, variables, words) in cases {
        let (code, lines) = refused(directory.path(), arguments, variables);
        let text = lines.join("\n");
        assert_eq!(code, Some(1), "{arguments:?}: {text}");
        assert!(lines[0].starts_with("error: ") && !text.contains("panicked"), "{text}");
        for word in words {
            assert!(text.contains(word), "no `{word}` in: {text}");
        }
    }
}

#[test]
fn generated_files_can_be_printed() {
    let directory = tempfile::tempdir().unwrap();
    for (command, word) in [("manifest", "\"containers\""), ("settings", "CODER_PORT")] {
        let output = coder(directory.path(), &[command, "--out", "-"]).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains(word), "{command}");
    }
    let (code, lines) = refused(directory.path(), &["manifest", "--check"], &[]);
    assert_eq!(code, Some(1));
    assert!(lines[0].contains("stale") && lines[0].contains("coder manifest"), "{lines:?}");
}

/// Runs to the end, which has to be a success; answers what it printed.
fn printed(directory: &Path, arguments: &[&str]) -> String {
    let output = coder(directory, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn jobs_are_queued_listed_shown_and_cancelled_without_a_platform() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    let jobs = |arguments: &[&str]| {
        let all: Vec<&str> = ["jobs", "--data-dir", "data"].iter().chain(arguments).copied().collect();
        printed(directory.path(), &all)
    };
    assert!(jobs(&["list"]).contains("no such one-time jobs"));
    for timers in [jobs(&["list", "--group", "users"]), jobs(&["history", "--group", "users"])] {
        for word in ["TIMER", "users/expire", "0 */10 * * * *", "never ran"] {
            assert!(timers.contains(word), "no `{word}` in:\n{timers}");
        }
    }
    let history = jobs(&["history", "--group", "users", "expire"]);
    assert!(history.contains("next ") && history.contains("no run is kept"), "{history}");
    let queued =
        jobs(&["run", "users", "expire", "--at", "2100-01-31T09:30:00Z", "--input", "[1]", "--json"]);
    let queued: Value = serde_json::from_str(&queued).unwrap();
    let id = queued["id"].as_str().unwrap();
    assert_eq!((&queued["job"], &queued["input"]), (&json!("every-expire"), &json!([1])));
    let listed = jobs(&["list", "--state", "queued"]);
    assert!(listed.contains(id) && listed.contains("queued, due 2100-01-31T09:30:00Z"), "{listed}");
    assert_eq!(
        serde_json::from_str::<Value>(&jobs(&["list", "--job", "other", "--json"])).unwrap(),
        json!({"jobs": [], "timers": []})
    );
    assert!(jobs(&["cancel", id]).contains("cancelled"));
    assert!(jobs(&["show", id]).contains("users/every-expire"));
}

#[test]
fn what_is_wrong_with_a_jobs_command_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["jobs", "list", "--data-dir", "nowhere"], "name it with `--data-dir`"),
        (&["jobs", "list", "--data-dir", "data", "--group", "no"], "choose from"),
        (&["jobs", "list", "--data-dir", "data", "--state", "lost"], "choose from"),
        (&["jobs", "show", "--data-dir", "data", "j-1"], "`coder jobs list` shows"),
        (&["jobs", "run", "--data-dir", "data", "users", "dance"], "can run every-expire"),
        (&["jobs", "run", "--data-dir", "data", "users", "expire", "--at", "noon"], "2026-01-31T09:30:00Z"),
        (&["jobs", "run", "--data-dir", "data", "users", "expire", "--input", "{a"], "no JSON"),
        (&["jobs", "history", "--data-dir", "data", "dance"], "`coder jobs history` lists"),
        // Every group has it.
        (&["jobs", "history", "--data-dir", "data", "sweep-outbox"], "choose with `--group` from auth, "),
    ];
    for (arguments, word) in cases {
        let (status, lines) = refused(directory.path(), arguments, &[]);
        assert_ne!(status, Some(0), "{arguments:?}");
        assert!(lines.iter().any(|line| line.contains(word)), "{arguments:?}: {lines:?}");
    }
}
