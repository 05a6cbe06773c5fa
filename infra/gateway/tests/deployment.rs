//! The deployment's side of the gateway: that API Management has an answer to every case, the limits of the route
//! table, and the platform's own words for failures. Reads the files of `bicep/`; runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use coder_core::Code;
use coder_gateway::RouteTable;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    #[serde(rename = "purpose")]
    _purpose: String,
    cases: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    case: String,
    #[serde(default)]
    answered_by: Vec<Quote>,
    #[serde(rename = "but")]
    _but: Option<String>,
    left_to: Option<String>,
    why: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quote {
    file: String,
    text: String,
}

/// A file of the deployment.
pub(crate) fn read(path: &str) -> String {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bicep"));
    std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("bicep/{path}: {error}"))
}

/// A file of the deployment that is JSON.
pub(crate) fn read_json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("bicep/{path}: {error}"))
}

fn normalized(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is wrong with the map of cases, given the names of the cases and the texts that entries quote from.
fn faults(names: &BTreeSet<String>, entries: &[Entry], text: impl Fn(&str) -> String) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for entry in entries {
        let case = &entry.case;
        if !names.contains(case) {
            faults.push(format!("there is no case `{case}`"));
        }
        if !known.insert(case.clone()) {
            faults.push(format!("two entries for `{case}`"));
        }
        let excused = entry.left_to.is_some() && entry.why.as_ref().is_some_and(|why| !why.is_empty());
        if entry.answered_by.is_empty() != excused {
            faults.push(format!("`{case}` needs a quotation, or who answers instead and why; not both"));
        }
        for Quote { file, text: quoted } in &entry.answered_by {
            let quoted = normalized(quoted);
            if quoted.is_empty() || !normalized(&text(file)).contains(&quoted) {
                faults.push(format!("`{case}`: bicep/{file} does not say `{quoted}` (any more)"));
            }
        }
    }
    faults.extend(names.difference(&known).map(|name| format!("nothing answers the case `{name}`")));
    faults
}

fn case_names() -> BTreeSet<String> {
    let file: Value = serde_json::from_str(include_str!("../cases.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    cases.iter().map(|case| case["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_deployment_answers_every_case() {
    let map: Map = serde_json::from_value(read_json("policies/cases.json")).unwrap();
    let faults = faults(&case_names(), &map.cases, read);
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_case_without_an_answer_is_found() {
    let entries = json!([
        {"case": "a", "answeredBy": [{"file": "f", "text": "<b  c=\"1\" />"}]},
        {"case": "a", "answeredBy": [{"file": "f", "text": "<gone />"}]},
        {"case": "stray", "leftTo": "somebody", "why": "because"},
        {"case": "bare"},
        {"case": "both", "leftTo": "somebody", "why": "because", "answeredBy": [{"file": "f", "text": "<b"}]},
    ]);
    let entries: Vec<Entry> = serde_json::from_value(entries).unwrap();
    let names = ["a", "bare", "both", "missing"].map(str::to_owned).into();
    let found = faults(&names, &entries, |_| "<a>\n  <b c=\"1\" />\n</a>".to_owned());
    let expected = [
        "two entries",
        "`<gone />`",
        "no case `stray`",
        "`bare` needs",
        "`both` needs",
        "the case `missing`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for one in expected {
        assert!(found.iter().any(|fault| fault.contains(one)), "{one} in {found:?}");
    }
}

#[test]
fn the_deployment_has_the_limits_of_the_route_table() {
    let expected: serde_json::Map<String, Value> = RouteTable::PLATFORM
        .groups()
        .map(|group| {
            let limits = json!({
                "headerTimeoutSeconds": group.header_timeout.as_secs(),
                "bodyLimitBytes": group.body_limit,
                "streams": group.streams,
            });
            (group.name.to_owned(), limits)
        })
        .collect();
    assert_eq!(read_json("platform.json")["routes"], Value::Object(expected));
}

/// What the local broker and that of the deployment do with messages is declared once.
#[test]
fn the_deployment_treats_messages_as_the_manifest_says() {
    let module = read("modules/messaging.bicep");
    for number in ["P14D", "P30D", "PT1H", "PT1M", "PT5M", "'coder-events'", "'coder-jobs'"] {
        assert!(!module.contains(number), "messaging.bicep says `{number}` by itself");
    }
    for (topic, limits) in read_json("platform.json")["broker"].as_object().unwrap() {
        for limit in limits.as_object().into_iter().flatten().map(|(name, _)| name) {
            let used = format!("broker.{topic}.{limit}");
            assert!(module.contains(&used), "messaging.bicep does not use `{used}`");
        }
    }
}

/// Alerts look for what the handlers write: not a word of it may change on one side alone.
#[test]
fn alerts_look_for_lines_that_are_written() {
    let sources = [
        include_str!("../../handler/src/functions/dead_letter.rs"),
        include_str!("../../handler/src/job_run.rs"),
        include_str!("../../handler/src/upkeep.rs"),
    ]
    .concat();
    let alerts = read("modules/alerts.bicep");
    let lines: Vec<&str> =
        alerts.split("message contains \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for line in lines {
        assert!(sources.contains(&format!("\"{line}\"")), "nobody writes `{line}`");
    }
}

/// Every `status|code|` that a policy answers with.
fn answered(policy: &str) -> Vec<(u16, String)> {
    let mut found = Vec::new();
    let parts: Vec<&str> = policy.split('|').collect();
    for [before, code, _] in parts.array_windows() {
        let digits = before.len().checked_sub(3).and_then(|at| before.get(at..));
        let named = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if let (Some(Ok(status)), true) = (digits.map(str::parse), named) {
            found.push((status, (*code).to_owned()));
        }
    }
    found
}

/// The entries `[key] = "value"` of the dictionaries in a policy, without quotes.
fn dictionary(policy: &str) -> BTreeMap<String, String> {
    let policy = policy.replace("&quot;", "\"");
    let mut found = BTreeMap::new();
    for piece in policy.split('[').skip(1) {
        if let Some((key, rest)) = piece.split_once("] = \"")
            && let Some((value, _)) = rest.split_once('"')
        {
            found.insert(key.trim_matches('"').to_owned(), value.to_owned());
        }
    }
    found
}

#[test]
fn policies_speak_of_failures_as_the_platform_does() {
    let titles = dictionary(&read("policies/coder-problem-body.xml"));
    let by_name = |name: &str| Code::ALL.iter().find(|code| code.as_str() == name);
    for (name, title) in &titles {
        assert_eq!(by_name(name).map(|code| code.title()), Some(title.as_str()), "{name}");
    }
    let mut used = Vec::new();
    for file in ["all-apis.xml", "api.xml", "health.xml", "coder-request.xml"] {
        used.extend(answered(&read(&format!("policies/{file}"))));
    }
    assert!(used.len() > 20, "{used:?}");
    let explained = dictionary(&read("policies/coder-explain.xml"));
    used.extend(explained.into_iter().map(|(status, code)| (status.parse().unwrap(), code)));
    for (status, name) in used {
        assert_eq!(by_name(&name).map(|code| code.status()), Some(status), "{name}");
        assert!(titles.contains_key(&name), "coder-problem-body.xml has no title for `{name}`");
    }
}
