//! Least privilege: the rights that the deployment gives (`bicep/access.json`) are those that each group needs, by what
//! it declares and does; nothing more, nothing less. And the page about them says the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::deployment::{read, read_json};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const MODULES: [&str; 8] = [
    "modules/app-settings.bicep",
    "modules/cache.bicep",
    "modules/documents.bicep",
    "modules/function-app.bicep",
    "modules/gateway.bicep",
    "modules/messaging.bicep",
    "modules/monitoring.bicep",
    "modules/vault.bicep",
];

/// A right of a group, by its key in `access.json`.
type Rights = BTreeSet<(String, String)>;

fn groups() -> Vec<Value> {
    read_json("platform.json")["groups"].as_array().unwrap().clone()
}

fn name(group: &Value) -> &str {
    group["name"].as_str().unwrap()
}

/// The source text of a group.
fn source(group: &str) -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&PathBuf::from(ROOT).join("functions").join(group).join("src"), &mut text);
    text
}

/// What a group needs, by its declaration and its source.
fn needed() -> Rights {
    let mut needed = Rights::new();
    for group in &groups() {
        let mut needs = vec!["ownBlobs", "ownTables", "masterKey", "cache", "telemetry"];
        if !group["containers"].as_array().unwrap().is_empty() {
            needs.extend(["ownContainers", "accountMetadata", "sendEvents", "sendJobs"]);
        }
        let started_by = |trigger: &str| {
            group["functions"].as_array().unwrap().iter().any(|function| function["trigger"] == trigger)
        };
        if started_by("subscription") {
            needs.push("receiveEvents");
        }
        if started_by("jobs") {
            needs.push("receiveJobs");
        }
        let source = source(name(group));
        // Whether addresses have to be confirmed follows from whether mail can be sent.
        if source.contains("settings.smtp") || source.contains("settings.email_verification") {
            needs.push("mailServer");
        }
        if source.contains("KeyVault") || source.contains("runtime.vault") {
            needs.push("keyEncryption");
        }
        needed.extend(needs.into_iter().map(|need| (name(group).to_owned(), need.to_owned())));
    }
    needed
}

/// Whether a grant of `access.json` is for a group.
fn is_for(grant: &Value, group: &Value) -> bool {
    let has = |list: &str| group[list].as_array().is_some_and(|list| !list.is_empty());
    match grant["who"].as_str().unwrap() {
        "every group" => true,
        "every group with containers" => has("containers"),
        "every group with consumers" => has("consumers"),
        "every group with one-time jobs" => {
            group["functions"].as_array().unwrap().iter().any(|function| function["trigger"] == "jobs")
        }
        "named groups" => grant["groups"].as_array().unwrap().contains(&group["name"]),
        "the gateway" => false,
        other => panic!("access.json: nobody is called `{other}`"),
    }
}

fn given(access: &Value) -> Rights {
    let mut given = Rights::new();
    for (key, grant) in access["grants"].as_object().unwrap() {
        let holders = groups().into_iter().filter(|group| is_for(grant, group));
        given.extend(holders.map(|group| (name(&group).to_owned(), key.clone())));
    }
    given
}

#[test]
fn a_group_has_the_rights_that_it_needs_and_no_others() {
    let (needed, given) = (needed(), given(&read_json("access.json")));
    let more: Vec<_> = given.difference(&needed).collect();
    let less: Vec<_> = needed.difference(&given).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "given and not needed: {more:?}; needed and not given: {less:?}"
    );
}

#[test]
fn every_right_in_the_modules_comes_from_the_list() {
    let access = read_json("access.json");
    let all: String = MODULES.into_iter().map(read).collect();
    for (key, grant) in access["grants"].as_object().unwrap() {
        let role = grant["role"].as_str().unwrap();
        // The cache has a policy instead of a role, and one of Cosmos DB's roles is defined beside its use.
        let used = all.contains(&format!("access.grants.{key}.role"))
            || (key == "cache" && all.contains("accessPolicyName: 'default'"));
        assert!(used, "no module gives `{key}`");
        let own = key == "cache" || key == "accountMetadata";
        assert!(own || access["roles"][role].is_string(), "`{role}` has no id");
    }
    // One assignment for each grant but `cache` (`roleAssignments` and `sqlRoleAssignments`), and no other.
    let assignments = all.matches("oleAssignments@").count();
    assert_eq!(assignments, access["grants"].as_object().unwrap().len() - 1);
    for id in access["roles"].as_object().unwrap().values() {
        assert!(!all.contains(id.as_str().unwrap()), "the id {id} is written into a module");
    }
}

#[test]
fn the_page_lists_the_rights_of_every_group() {
    let access = read_json("access.json");
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/least-privilege.md")).unwrap();
    let (_, table) = page.split_once("## The rights of each group").unwrap();
    let (table, _) = table.split_once("## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `")).count();
    let given = given(&access);
    assert_eq!(rows, given.len(), "the page is stale: run `bicep/least-privilege > docs/least-privilege.md`");
    for (group, key) in given {
        let role = access["grants"][&key]["role"].as_str().unwrap();
        assert!(
            table.contains(&format!("| `{group}` | {role} | ")),
            "`{role}` of `{group}` is not on the page"
        );
    }
}

/// Every app is closed but for the gateway and those that the table names; what it is told of others is where they are,
/// and whom a token must be for.
#[test]
fn every_app_is_closed_to_all_but_its_callers() {
    let module = read("modules/app-settings.bicep");
    let says = |text: &str| assert!(module.contains(text), "app-settings.bicep does not say `{text}`");
    says("platform: { enabled: true, runtimeVersion: '~1' }");
    says("requireAuthentication: true, unauthenticatedClientAction: 'Return401', excludedPaths: open");
    says("identities: concat([gatewayPrincipalId], map(calling, one => one.principalId))");
    says("filter(identities, one => one.group != group && !empty(intersection(callers, ['*', one.group])))");
    says("CODER_PLATFORM_AUDIENCE: 'api://${platformClientId}'");
    let (_, open) = module.split_once("var open = group == 'auth' ? [").unwrap();
    let (paths, rest) = open.split_once(']').unwrap();
    assert!(rest.starts_with(" : []"), "something else is open: {rest}");
    let mut paths: Vec<&str> = paths.split(',').map(|path| path.trim().trim_matches('\'')).collect();
    paths.sort_unstable();
    // Public operations that hold public keys, and nothing else.
    let operations = groups();
    let auth = operations.iter().find(|group| name(group) == "auth").unwrap();
    let keys = auth["operations"].as_array().unwrap().iter();
    let keys = keys.filter(|operation| operation["path"].as_str().unwrap().contains("/.well-known/"));
    let mut expected: Vec<&str> = keys
        .inspect(|operation| assert!(operation["public"] == true && operation["method"] == "GET"))
        .map(|operation| operation["path"].as_str().unwrap())
        .collect();
    expected.sort_unstable();
    assert_eq!(paths, expected);
    // The gateway shows its own token there, and puts what its caller sent beside it.
    let caller = read("policies/coder-caller.xml");
    let passed_on =
        caller.find("<set-header name=\"X-Coder-Assertion\" exists-action=\"override\">").unwrap();
    let own =
        caller.find("<authentication-managed-identity resource=\"api://{{platform-client-id}}\" />").unwrap();
    assert!(passed_on < own, "the caller's credential is lost before it is copied");
}

/// The groups that a source calls, by the name that it writes right behind the call.
fn called_in(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for call in source.split("peers").skip(1) {
        let head: String = call.chars().take(120).collect();
        let Some(arguments) = head.trim_start().strip_prefix(".call") else { continue };
        let quoted = arguments.split('"').nth(1).map(str::to_owned);
        found.extend(quoted.filter(|name| !name.starts_with('/')));
    }
    found
}

#[test]
fn groups_are_admitted_where_they_call() {
    let calls = read_json("access.json")["calls"].clone();
    for group in &groups() {
        let source = source(name(group));
        for other in called_in(&source) {
            let admitted = calls[&other].as_array().cloned().unwrap_or_default();
            let admits = admitted.iter().any(|caller| caller == "*" || *caller == group["name"]);
            assert!(admits, "`{}` calls `{other}`, which does not admit it", name(group));
        }
        for (other, admitted) in calls.as_object().unwrap() {
            let named = admitted.as_array().unwrap().contains(&group["name"]);
            assert!(
                !named || source.contains(&format!("\"{other}\"")),
                "`{}` never calls `{other}`",
                name(group)
            );
        }
    }
}
