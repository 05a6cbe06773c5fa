//! `coder doctor`: every fault is found, with what is wrong, where it is set and how to mend it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use super::{CLOUD, coder, start};

/// Runs the doctor; the exit code and its report.
fn doctor(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Value) {
    let all: Vec<&str> = ["doctor", "--json"].iter().chain(arguments).copied().collect();
    let output = coder(directory, &all).envs(variables.iter().copied()).output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// Arguments, variables, and the fault: its check, and words of what is wrong, where it is set and how to mend it.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], [&'a str; 4]);

/// The fault of this check.
#[track_caller]
fn fault<'a>(report: &'a Value, check: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["check"] == check && one["verdict"] == "faulty");
    found.unwrap_or_else(|| panic!("no fault of `{check}` in {report:#}"))
}

#[test]
fn a_folder_where_all_is_well_is_told_so_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (code, report) = doctor(directory.path(), &["--port", "0"], &[]);
    assert_eq!((code, &report["healthy"]), (Some(0), &json!(true)), "{report:#}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    // With data there, it is opened and asked.
    drop(start(directory.path(), &[]));
    let (code, report) = doctor(directory.path(), &["--port", "0", "--data-dir", "data"], &[]);
    assert_eq!(code, Some(0), "{report:#}");
    let documents = report["findings"].as_array().unwrap().iter().find(|one| one["check"] == "documents");
    assert_eq!(documents.unwrap()["verdict"], "good");
}

#[test]
fn every_fault_of_the_settings_is_found_where_it_is_set() {
    let directory = tempfile::tempdir().unwrap();
    let file = json!({"Values": {"CODER_LOG": "loud", "CODER_REDIS_HOST": "cache.example.com"}});
    std::fs::write(directory.path().join("local.settings.json"), file.to_string()).unwrap();
    let (code, report) = doctor(directory.path(), &[], &[("CODER_PORT", "many")]);
    assert_eq!(code, Some(1));
    let findings = report["findings"].as_array().unwrap();
    for (name, place) in [
        ("CODER_PORT", "the environment"),
        ("CODER_LOG", "local.settings.json"),
        // What is missing is named, each.
        ("CODER_COSMOS_ENDPOINT", "nowhere"),
        ("CODER_SERVICEBUS_NAMESPACE", "nowhere"),
        ("CODER_KEYVAULT_URL", "nowhere"),
        ("AZURE_CLIENT_ID", "nowhere"),
    ] {
        let of = |one: &&Value| one["what"].as_str().unwrap().starts_with(&format!("{name}: "));
        let found = findings.iter().find(of).unwrap_or_else(|| panic!("no {name} in {report:#}"));
        assert!(found["setIn"].as_str().unwrap().contains(place), "{found}");
        assert!(!found["mend"].as_str().unwrap().is_empty(), "{found}");
    }
}

#[test]
fn what_this_machine_lacks_is_found() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let damaged = directory.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    let words = "this is no database, whatever its name says; it is long enough to be read";
    std::fs::write(damaged.join("docs.db"), words).unwrap();
    let keyless = directory.path().join("keyless");
    std::fs::create_dir(&keyless).unwrap();
    std::fs::write(keyless.join("master.key"), "none").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mail, upstream) = (format!("smtp://{free}"), format!("http://{free}"));
    let cases: [Case<'_>; 7] = [
        (&["--data-dir", "file"], &[], ["data directory", "`file`", "CODER_DATA_DIR", "another folder"]),
        (
            &[],
            &[("CODER_DATA_DIR", "damaged")],
            ["documents", "docs.db", "the environment", "restore a copy"],
        ),
        (&["--data-dir", "keyless"], &[], ["master key", "chmod 600", "CODER_MASTER_KEY", "permissions"]),
        (&["--port", &port], &[], ["port", &port, "CODER_PORT", "another port"]),
        (
            &[],
            &[("CODER_SMTP_URL", &mail), ("CODER_MAIL_FROM", "a@example.com")],
            ["mail", "cannot be reached", "CODER_SMTP_URL", "host and port"],
        ),
        (
            &[],
            &[("CODER_UPSTREAM_USERS", &upstream)],
            ["users", "does not answer as a handler", "CODER_UPSTREAM_USERS", "start the handler"],
        ),
        (
            &[],
            &[("CODER_UPSTREAM_DANCE", &upstream)],
            ["dance", "no route group", "CODER_UPSTREAM_DANCE", "name one of"],
        ),
    ];
    for (arguments, variables, [check, what, place, mend]) in cases {
        let all: Vec<&str> = if arguments.contains(&"--port") { vec![] } else { vec!["--port", "0"] };
        let all: Vec<&str> = all.iter().chain(arguments).copied().collect();
        let (code, report) = doctor(directory.path(), &all, variables);
        assert_eq!(code, Some(1), "{report:#}");
        let found = fault(&report, check);
        for (member, word) in [("what", what), ("setIn", place), ("mend", mend)] {
            assert!(found[member].as_str().unwrap().contains(word), "no `{word}` in {found:#}");
        }
    }
}

/// Services of Azure that this program cannot try, or that do not answer here: either way the setting is named.
#[test]
fn services_of_the_cloud_are_not_taken_for_granted() {
    let directory = tempfile::tempdir().unwrap();
    let (code, report) = doctor(directory.path(), &[], &CLOUD);
    assert_eq!(code, Some(1));
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["setting"] == "CODER_COSMOS_ENDPOINT").unwrap();
    assert_eq!(found["verdict"], "faulty", "{found:#}");
    assert!(found["mend"].is_string(), "{found:#}");
}

#[test]
fn a_running_process_is_asked_and_people_read_it_too() {
    let directory = tempfile::tempdir().unwrap();
    let running = start(directory.path(), &[]);
    let (code, report) = doctor(directory.path(), &["--at", &running.url], &[]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(report["findings"][0]["check"].as_str().unwrap().ends_with(": documents"), "{report:#}");
    assert!(report["findings"][0]["latencyMs"].is_u64(), "{report:#}");

    // One that is not ready says which service it is.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _length = stream.read(&mut request).unwrap();
        let body = r#"{"status":503,"detail":"These services do not answer: documents."}"#;
        let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json";
        write!(stream, "{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
            .unwrap();
    });
    let output = coder(directory.path(), &["doctor", "--at", &address]).output().unwrap();
    answering.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("FAULT") && text.contains("do not answer: documents"), "{text}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is a fault"));
}
