//! The committed OpenAPI documents, counted: every operation that is declared is described once, and has a summary, a
//! tag, examples, security and every problem that it can answer with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use coder_middleware::{OperationDescription, Security};
use coder_platform::route_groups;
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The documents of the groups and that of what every group has, by name.
fn documents() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bicep/openapi");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

/// A part of the document, or what it refers to.
fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => part,
    }
}

/// What an operation's description lacks.
fn lacking(document: &Value, described: &Value, operation: &OperationDescription) -> Vec<String> {
    let mut lacking = Vec::new();
    let mut needs = |has: bool, what: &str| {
        if !has {
            lacking.push(format!("{}: {what}", operation.id));
        }
    };
    let text = |name: &str| described[name].as_str().unwrap_or_default().len() >= 5;
    needs(text("summary") && text("description"), "summary and description");
    let tags = described["tags"].as_array().cloned().unwrap_or_default();
    let declared = &document["tags"][0]["name"];
    needs(tags.len() == 1 && tags[0] == *declared, "a tag that the document explains");

    // What the operation does not say itself, the document says for all.
    let security = described.get("security").unwrap_or(&document["security"]);
    let open = operation.access() == Security::Anyone;
    needs(security.as_array().is_some_and(|ways| ways.is_empty() == open), "its credentials");

    let mut answers = BTreeMap::<u16, BTreeSet<String>>::new();
    let mut everywhere = BTreeSet::new();
    for (status, answer) in described["responses"].as_object().unwrap() {
        let answer = resolved(document, answer);
        for (media, content) in answer["content"].as_object().into_iter().flatten() {
            let schema = resolved(document, &content["schema"]);
            let example = content.get("example").or_else(|| schema.get("example"));
            needs(example.is_some(), &format!("an example of {status} {media}"));
        }
        let codes = answer["x-problem-codes"].as_array().into_iter().flatten();
        let codes: BTreeSet<String> = codes.map(|code| code.as_str().unwrap().to_owned()).collect();
        needs(
            codes.is_empty() || answer["content"].get("application/problem+json").is_some(),
            "problems as problem+json",
        );
        match status.parse() {
            Ok(status) => drop(answers.insert(status, codes)),
            Err(_) => everywhere = codes,
        }
    }
    for answer in &operation.answers {
        needs(answers.contains_key(&answer.status), &format!("the answer {}", answer.status));
    }
    for code in operation.problem_codes() {
        let named = |codes: &BTreeSet<String>| codes.contains(code.as_str());
        let there = answers.get(&code.status()).is_some_and(named) || named(&everywhere);
        needs(there, &format!("the problem {} `{code}`", code.status()));
    }
    for content in described["requestBody"]["content"].as_object().into_iter().flatten().map(|(_, one)| one) {
        let schema = resolved(document, &content["schema"]);
        needs(schema.get("example").is_some(), "an example of its body");
    }
    needs(operation.body.is_some() == described.get("requestBody").is_some(), "its body");
    lacking
}

#[test]
fn every_operation_is_described_completely_and_once() {
    let documents = documents();
    let mut lacks = Vec::new();
    let (mut declared, mut described) = (BTreeSet::new(), Vec::new());
    for group in route_groups() {
        for operation in group.operations.iter().filter(|one| one.access() != Security::Service) {
            let (name, path) = if operation.built_in {
                let own = format!("/api/{}/", group.name);
                ("operations", operation.path.replacen(&own, "/api/{group}/", 1))
            } else {
                (group.name, operation.path.clone())
            };
            let document = &documents[name];
            let method = operation.method.as_str().to_ascii_lowercase();
            declared.insert(format!("{method} {path}"));
            match document["paths"][&path].get(&method) {
                Some(described) => lacks.extend(lacking(document, described, operation)),
                None => lacks.push(format!("{name}: nothing about {method} {path}")),
            }
        }
    }
    for document in documents.values() {
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = METHODS.into_iter().filter(|method| item.get(method).is_some());
            described.extend(methods.map(|method| format!("{method} {path}")));
        }
    }
    assert!(lacks.is_empty(), "{} lacks:\n{}", lacks.len(), lacks.join("\n"));
    assert!(declared.len() > 100, "{}", declared.len());
    let once: BTreeSet<String> = described.iter().cloned().collect();
    assert_eq!(once, declared);
    assert_eq!(once.len(), described.len(), "an operation is described twice");
}

#[test]
fn what_a_description_lacks_is_found() {
    let groups = route_groups();
    let users = groups.iter().find(|group| group.name == "users").unwrap();
    let operation = users.operations.iter().find(|one| one.id == "create_team").unwrap();
    let mut document = documents().remove("users").unwrap();
    let path = document["paths"][&operation.path]["post"].clone();
    assert_eq!(lacking(&document, &path, operation), Vec::<String>::new());
    document["components"]["schemas"]["TeamWrite"].as_object_mut().unwrap().remove("example");
    let mut broken = path;
    broken["summary"] = "".into();
    broken["tags"] = serde_json::json!(["others"]);
    broken["security"] = serde_json::json!([]);
    broken["responses"].as_object_mut().unwrap().remove("409");
    let found = lacking(&document, &broken, operation).join("\n");
    for word in ["summary", "a tag", "credentials", "409", "an example of its body"] {
        assert!(found.contains(word), "no `{word}` in:\n{found}");
    }
}
