//! Runs the cases, and proves that a case can fail.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::case::{self, Case};
use crate::log;
use crate::runner::run;
use crate::scene::Scene;

/// Families that attacks come in; each has cases.
const FAMILIES: &[&str] = &[
    "token forgery",
    "key confusion",
    "replay",
    "session fixation",
    "cursor tampering",
    "tenant crossing",
    "header smuggling",
    "path trick",
    "server-side request forgery",
    "bomb",
    "regex blow-up",
    "log injection",
    "cross-origin",
    "content sniffing",
    "method override",
    "privilege escalation",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_refused_as_written() {
    let cases = case::all();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases share a name");
    assert!(cases.len() >= 100, "{} cases", cases.len());
    let families: BTreeSet<&str> = cases.iter().map(|case| case.family.as_str()).collect();
    assert_eq!(families, FAMILIES.iter().copied().collect());
    let mut scene = Scene::set().await;
    let mut faults = Vec::new();
    for case in &cases {
        assert!(!case.attack.is_empty());
        // A clock that has moved has ended sessions.
        let own =
            case.before.iter().chain([&case.request]).chain(&case.afterwards).any(|step| step.later > 0);
        let outcome =
            if own { run(&mut Scene::set().await, case).await } else { run(&mut scene, case).await };
        if let Err(fault) = outcome {
            faults.push(format!("{}: {}: {fault}", case.family, case.name));
        }
    }
    scene.platform.settle().await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let log = log::kept().text();
    assert!(log.split(|byte| *byte == b'\n').count() > cases.len(), "the run was not logged");
    assert_eq!(log::faults(&log), Vec::<String>::new());
}

/// A case with what is written here in the place of its expectations.
fn doctored(changes: &serde_json::Value) -> Case {
    let mut case = json!({
        "family": "token forgery", "name": "doctored", "attack": "none",
        "request": {"as": "viewer", "method": "POST", "path": "/api/users/teams", "body": {"name": "Mine"},
            "answer": {"status": 403, "code": "forbidden"}},
    });
    coder_database::merge::merge(&mut case, changes);
    serde_json::from_value(case).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_is_not_as_written_fails() {
    let mut scene = Scene::set().await;
    run(&mut scene, &doctored(&json!({}))).await.unwrap();
    let tricks: BTreeMap<&str, serde_json::Value> = BTreeMap::from([
        ("status 403", json!({"request": {"answer": {"status": 401}}})),
        ("status 403, not Any", json!({"request": {"answer": {"status": [400, 404]}}})),
        ("no success", json!({"request": {"answer": {"status": null, "code": null}}})),
        ("no problem `not_found`", json!({"request": {"answer": {"code": "not_found"}}})),
        ("is missing", json!({"request": {"answer": {"has": ["users.team.delete"]}}})),
        ("is there", json!({"request": {"answer": {"lacks": ["users.team.create"]}}})),
        ("`content-type` is there", json!({"request": {"answer": {"absent": ["content-type"]}}})),
        ("header `x-request-id` is", json!({"request": {"answer": {"headers": {"x-request-id": "mine"}}}})),
        ("/status is not 200", json!({"request": {"answer": {"at": {"/status": 200}}}})),
        ("1 answers, not 2", json!({"request": {"answer": {"answers": 2}}})),
        ("before, step 1", json!({"before": [{"path": "/api/users/me"}]})),
        (
            "afterwards, step 1",
            json!({"afterwards": [{"as": "viewer", "path": "/api/users/teams",
            "answer": {"has": ["Mine"]}}]}),
        ),
        ("nothing at /nothing", json!({"request": {"save": {"x": "/nothing"}}})),
        (
            "the company has changed",
            json!({"request": {"as": "owner", "answer": {"status": 201, "code": null}}}),
        ),
    ]);
    for (fault, changes) in tricks {
        let outcome = run(&mut scene, &doctored(&changes)).await;
        assert!(outcome.as_ref().is_err_and(|found| found.contains(fault)), "{fault}: {outcome:?}");
    }
}
