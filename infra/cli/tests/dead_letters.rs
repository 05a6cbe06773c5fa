//! `coder dead-letters` on a data directory, with and without a platform that runs.

use std::path::Path;

use coder_config::Settings;
use coder_core::{Actor, ActorKind, Ambient};
use coder_database::transaction::Act;
use coder_database::{AuditEntry, Filter, OutboxRecord, Query, Repository};
use coder_queue::dead_letter::{DeadLetter, DeadLetters, Reason};
use coder_startup::Providers;
use serde_json::{Value, json};

use crate::{CLOUD, coder, printed, refused, start};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn open(directory: &Path) -> (Providers, DeadLetters) {
    let settings = Settings::for_tests(directory.join("data"));
    std::fs::create_dir_all(&settings.data_dir).unwrap();
    let providers = Providers::open(settings, Ambient::system()).unwrap();
    let groups = coder_platform::route_groups();
    let container = groups.iter().find(|group| group.name == "users").unwrap().containers[0].clone();
    providers.store.prepare(std::slice::from_ref(&container)).await.unwrap();
    let letters = DeadLetters::new(providers.store.clone(), &container, "users");
    (providers, letters)
}

fn event(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/functions/auth", "type": "coder.auth.login.succeeded",
        "subject": "s", "time": "2026-01-05T12:00:00Z", "organizationid": "platform",
        "data": {"userId": "nobody", "clientSecret": "s-123"},
    })
}

/// A data directory in which `users` has the dead letters `e-0.seen` to `e-2.seen`, and `odd`.
fn prepared() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let (Providers { ambient, .. }, letters) = open(directory.path()).await;
        let act = Act {
            actor: Actor::new(ActorKind::Job, "users.on-event"),
            action: "on-event".into(),
            request_id: "r".into(),
            group: "users",
            traceparent: None,
        };
        for number in 0..3 {
            let words = "The consumer `seen` refused the event: nobody";
            let letter = DeadLetter::new("users", Reason::Rejected, words, ambient.now());
            let mut letter = letter.with_event(event(&format!("e-{number}")));
            letter.consumer = Some("seen".into());
            letters.keep(&ambient, &act, &letter.id(None), letter).await.unwrap();
        }
        let odd = DeadLetter::new("users", Reason::Malformed, "It is no event.", ambient.now());
        letters.keep(&ambient, &act, "odd", odd.with_raw(b"good morning")).await.unwrap();
    });
    directory
}

fn on(directory: &Path, arguments: &[&str]) -> String {
    printed(directory, &[&["dead-letters"], arguments, &["--data-dir", "data"]].concat())
}

fn json_on(directory: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&on(directory, &[arguments, &["--json"]].concat())).unwrap()
}

fn outbox(directory: &Path) -> Vec<OutboxRecord> {
    run(async {
        let (providers, letters) = open(directory).await;
        let records = Repository::<OutboxRecord>::new(providers.store, "users");
        let page = records.page(letters.partition(), &Query::new(None::<Filter>)).await.unwrap().0;
        page.into_iter().map(|record| record.data).collect()
    })
}

#[test]
fn dead_letters_are_listed_and_shown_without_their_secrets() {
    let directory = prepared();
    let list = on(directory.path(), &["list"]);
    for word in ["e-0.seen", "users/seen", "rejected", "odd", "malformed", "replay"] {
        assert!(list.contains(word), "no `{word}` in\n{list}");
    }
    let count = |arguments: &[&str]| {
        json_on(directory.path(), &[&["list"], arguments].concat()).as_array().unwrap().len()
    };
    assert_eq!((count(&[]), count(&["--limit", "2"]), count(&["--reason", "malformed"])), (4, 2, 1));
    assert_eq!((count(&["--type", "coder.auth."]), count(&["--consumer", "seen"])), (3, 3));
    assert_eq!((count(&["--group", "auth"]), count(&["--state", "dropped"])), (0, 0));
    let shown = on(directory.path(), &["show", "e-1.seen"]);
    assert!(shown.contains("refused the event: nobody") && shown.contains("[redacted]"), "{shown}");
    assert!(!shown.contains("s-123"), "{shown}");
    assert!(on(directory.path(), &["show", "odd"]).contains("good morning"));
}

#[test]
fn an_event_is_mended_and_delivered_again_once() {
    let directory = prepared();
    let path = directory.path();
    std::fs::write(path.join("patch.json"), r#"{"data": {"userId": "somebody"}}"#).unwrap();
    let set = ["edit", "e-1.seen", "--file", "patch.json", "--set", "/data/again=true"];
    let shown = on(path, &set);
    assert!(shown.contains("somebody") && shown.contains("replay e-1.seen"), "{shown}");
    let dry = on(path, &["replay", "e-1.seen", "--dry-run"]);
    assert!(dry.contains("1 would be replayed"), "{dry}");
    let odd = ["dead-letters", "replay", "odd", "--dry-run", "--data-dir", "data"];
    let (code, lines) = refused(path, &odd, &[]);
    assert_eq!((code, lines), (Some(1), vec!["error: 1 of 1 could not be replayed".to_owned()]));
    assert_eq!(outbox(path), []);
    assert!(on(path, &["replay", "e-1.seen"]).contains("1 replayed"));
    assert!(on(path, &["replay", "e-1.seen"]).contains("1 replayed before"));
    let waiting = outbox(path);
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].target.as_deref(), waiting[0].consumer.as_deref()), (Some("users"), Some("seen")));
    let data = &waiting[0].event["data"];
    assert_eq!(
        (&data["userId"], &data["again"], &data["clientSecret"]),
        (&json!("somebody"), &json!(true), &json!("s-123"))
    );
    let entries = run(async {
        let (providers, letters) = open(path).await;
        let entries = Repository::<AuditEntry>::new(providers.store, "users");
        entries.page(letters.partition(), &Query::new(None::<Filter>)).await.unwrap().0
    });
    let acts: Vec<&str> = entries.iter().map(|entry| entry.data.action.as_str()).collect();
    assert_eq!(acts, ["dead-letters.edit", "dead-letters.replay"]);
    assert!(entries.iter().all(|entry| entry.data.actor.id.starts_with("operator:")));
}

#[test]
fn many_are_replayed_at_a_rate_or_dropped() {
    let directory = prepared();
    let path = directory.path();
    let replayed = json_on(path, &["replay", "--all", "--reason", "rejected", "--rate", "2/s"]);
    assert_eq!((replayed["replayed"].as_array().unwrap().len(), &replayed["failed"]), (3, &json!([])));
    let rest = json_on(path, &["replay", "--all"]);
    assert_eq!(
        (&rest["replayed"], &rest["failed"], &rest["withoutEvent"]),
        (&json!([]), &json!([]), &json!(1))
    );
    let mut due: Vec<_> = outbox(path).into_iter().filter_map(|record| record.due).collect();
    due.sort_unstable();
    assert_eq!(due.len(), 2);
    assert_eq!(due[1].duration_since(due[0]).as_millis(), 500);
    assert!(on(path, &["drop", "--all"]).contains("1 dropped"));
    assert!(on(path, &["drop", "--all"]).contains("0 dropped"));
    assert_eq!(json_on(path, &["list", "--state", "dropped"])[0]["id"], "odd");
}

#[test]
fn it_works_beside_a_platform_that_delivers_at_once() {
    let directory = prepared();
    let path = directory.path();
    let running = start(path, &[]);
    assert!(on(path, &["replay", "e-2.seen"]).contains("1 replayed"));
    // `users` has no such consumer, so the event comes back, for another reason.
    let mut looks = (0..1000).map(|_| json_on(path, &["show", "e-2.seen"]));
    let back = looks.find(|letter| letter["reason"] == "unroutable").unwrap();
    assert_eq!((&back["replays"], &back["attempts"], &back["state"]), (&json!(1), &json!(2), &json!("open")));
    running.signal("-INT");
    assert_eq!(running.end(), Some(0));
}

#[test]
fn what_is_wrong_with_a_dead_letters_command_is_said_with_what_to_do() {
    let directory = prepared();
    let cases: [(&[&str], &[&str]); 11] = [
        (&["show", "e-9.seen"], &["e-9.seen", "coder dead-letters list"]),
        (&["show", "../x"], &["../x"]),
        (&["list", "--group", "nothing"], &["nothing", "users"]),
        (&["edit", "e-1.seen", "--set", "/data/userId=ada"], &["no JSON", "quotes"]),
        (&["edit", "e-1.seen", "--set", "/id=\"e-2\""], &["/event/id", "stays"]),
        (&["edit", "e-1.seen", "--set", "/type=7", "--set", "/time=1"], &["/event/type", "/event/time"]),
        (&["edit", "e-1.seen", "--file", "nothing.json"], &["nothing.json"]),
        (&["edit", "e-1.seen", "--set", "/data/clientSecret=\"[redacted]\""], &["not shown"]),
        (&["replay", "odd"], &["1 of 1 could not be replayed"]),
        (&["replay", "e-1.seen", "nobody"], &["nobody"]),
        (&["drop", "e-1.seen", "--data-dir", "elsewhere"], &["elsewhere", "--data-dir"]),
    ];
    for (arguments, words) in cases {
        let place: &[&str] = if arguments.contains(&"--data-dir") { &[] } else { &["--data-dir", "data"] };
        let all = [&["dead-letters"], arguments, place].concat();
        let (code, lines) = refused(directory.path(), &all, &[]);
        let text = lines.join("\n");
        assert_eq!(code, Some(1), "{arguments:?}: {text}");
        for word in words {
            assert!(text.contains(word), "no `{word}` in {text}");
        }
    }
    // What the command line itself refuses.
    for arguments in [
        &["replay"][..],
        &["replay", "a", "--all"],
        &["replay", "a", "--rate", "0"],
        &["edit", "a"],
        &["list", "--reason", "bored"],
    ] {
        let output = coder(directory.path(), &[&["dead-letters"], arguments].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(outbox(directory.path()), []);
}

#[test]
fn a_named_folder_is_meant_whatever_the_settings_name() {
    let directory = prepared();
    let mut command = coder(directory.path(), &["dead-letters", "list", "--data-dir", "data"]);
    let output = command.envs(CLOUD).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("e-0.seen"), "{output:?}");
}

#[cfg(not(feature = "azure"))]
#[test]
fn a_build_without_the_services_says_which_has_them() {
    let directory = prepared();
    for command in [&["dead-letters", "list"][..], &["dead-letters", "list", "--broker"], &["jobs", "list"]] {
        let (code, lines) = refused(directory.path(), command, &CLOUD);
        assert!(code == Some(1) && lines[0].contains("`cargo run --features azure -- "), "{lines:?}");
    }
}

#[cfg(feature = "azure")]
#[test]
fn what_the_broker_holds_needs_a_broker_and_stays_as_it_is() {
    let directory = prepared();
    let list = ["dead-letters", "list", "--broker"];
    let (code, lines) = refused(directory.path(), &list, &[]);
    assert!(code == Some(1) && lines[0].contains("name no Azure services"), "{lines:?}");
    let edit = ["dead-letters", "edit", "e-1", "--set", "/data/x=1", "--broker"];
    let (code, lines) = refused(directory.path(), &edit, &CLOUD);
    assert!(code == Some(1) && lines[0].contains("cannot be edited"), "{lines:?}");
}
