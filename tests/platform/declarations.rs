//! What the groups declare: complete, consistent, and committed as it is.

use coder_cli::declared;
use coder_gateway::RouteTable;
use coder_handler::{manifest, openapi};
use coder_middleware::schema;
use coder_platform::route_groups;
use serde_json::Value;

/// API Management's limits on a document.
const MOST_OPERATIONS: usize = 100;
const MOST_CHARACTERS: usize = 131_072;

#[test]
fn the_groups_fit_together() {
    assert_eq!(manifest::faults(&route_groups()), Vec::<String>::new());
}

#[test]
fn the_committed_manifest_is_current() {
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../bicep/platform.json")).unwrap();
    let committed: Value = serde_json::from_str(&committed).unwrap();
    assert!(committed == declared::manifest(&route_groups()), "the manifest is stale: run `coder manifest`");
}

/// The gateway cuts off what its table does not know of.
#[test]
fn no_operation_goes_beyond_the_limits_of_its_route() {
    let mut streams = 0;
    for group in route_groups() {
        let route = RouteTable::PLATFORM.group(group.name).unwrap();
        for operation in &group.operations {
            let limit = u64::try_from(operation.body_limit).unwrap();
            assert!(limit <= route.body_limit, "{}: bodies of {limit} bytes", operation.id);
            if manifest::streams(operation) {
                assert!(route.streams, "{} streams, its route does not", operation.id);
                streams += 1;
            }
        }
    }
    assert!(streams > 0, "no operation streams");
}

#[test]
fn every_operation_is_documented() {
    for group in route_groups() {
        let document = openapi::document(&group, "https://example.com");
        assert_eq!(document["openapi"], "3.0.3");
        let characters = openapi::text(&document).chars().count();
        assert!(characters <= MOST_CHARACTERS, "{}: {characters} characters", group.name);
        let own = group.operations.iter().filter(|operation| !operation.built_in).count();
        assert!(own <= MOST_OPERATIONS, "{}", group.name);
        assert!(!document["paths"].to_string().contains("/operations/dead-letters"), "{}", group.name);
        for operation in &group.operations {
            assert!(operation.summary.len() >= 5, "{} has no summary", operation.id);
            assert!(!operation.answers.is_empty(), "{} has no answer", operation.id);
            assert!(!operation.problem_codes().is_empty(), "{}", operation.id);
            if let Some(query) = &operation.query {
                schema::validator(query).unwrap();
            }
            let Some(body) = &operation.body else { continue };
            let validator = schema::validator(&body.validation).unwrap();
            let mut faults = schema::faults(&validator, &body.example);
            if body.patch {
                // What a patch leaves out is there already.
                faults.retain(|fault| fault.code != "required");
            }
            assert!(faults.is_empty(), "the example of {} is refused: {faults:?}", operation.id);
        }
    }
}

#[test]
fn what_every_group_has_is_documented_once() {
    let groups = route_groups();
    let document = openapi::operations_document(&groups, "https://example.com");
    assert!(openapi::text(&document).chars().count() <= MOST_CHARACTERS);
    let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
    assert_eq!(document["components"]["parameters"]["group"]["schema"]["enum"], serde_json::json!(names));
    for group in &groups {
        for operation in group.operations.iter().filter(|operation| operation.built_in) {
            let path = operation.path.replacen(&format!("/api/{}/", group.name), "/api/{group}/", 1);
            let described = &document["paths"][path][operation.method.as_str().to_ascii_lowercase()];
            assert_eq!(described["operationId"], operation.id, "{}", group.name);
        }
    }
}

#[test]
fn a_group_has_one_subscription_and_one_function_for_it() {
    for group in route_groups() {
        let functions = group.functions();
        let consumes = !group.consumers.is_empty();
        for name in ["on-event", "on-dead-letter"] {
            assert_eq!(functions.iter().any(|function| function == name), consumes, "{}: {name}", group.name);
        }
        let patterns = group.subscription().map(|subscription| subscription.patterns).unwrap_or_default();
        assert!(group.consumers.iter().all(|(_, pattern)| patterns.contains(pattern)), "{}", group.name);
    }
}
