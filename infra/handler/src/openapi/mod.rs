//! The OpenAPI 3.0.3 document of a group, derived from its declaration, and that of what every group has.

mod components;

use std::collections::BTreeMap;

use coder_core::{Code, id};
use coder_middleware::describe::{AnswerDescription, ParameterPlace};
use coder_middleware::{OperationDescription, Security};
use serde_json::{Map, Value, json};

use crate::group::Group;
use crate::manifest;
use components::Components;

/// Problems that every operation can answer with: the document says them once, as `default`.
const EVERYWHERE: [Code; 5] =
    [Code::NotAcceptable, Code::RateLimited, Code::Internal, Code::Unavailable, Code::UpstreamTimeout];

/// The name of the document of the operations that every group has.
pub const OPERATIONS: &str = "operations";

/// The document of a group. `server` is the platform's public address.
pub fn document(group: &Group, server: &str) -> Value {
    let own = group.operations.iter().filter(|operation| !operation.built_in);
    write(group.name, group.summary, own, server)
}

/// The document of the operations that every group has, with the group as a parameter of the path.
pub fn operations_document(groups: &[Group], server: &str) -> Value {
    let operations = manifest::built_in(groups);
    let summary = "For platform operators: dead letters and jobs of every group";
    let mut document = write(OPERATIONS, summary, operations.iter(), server);
    let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
    if let Some(parameter) = document.pointer_mut("/components/parameters/group") {
        parameter["schema"] = json!({"type": "string", "enum": names});
        parameter["example"] = json!(names.first());
        parameter["description"] = json!("The route group that is operated.");
    }
    document
}

fn write<'a>(
    name: &str,
    summary: &str,
    operations: impl Iterator<Item = &'a OperationDescription>,
    server: &str,
) -> Value {
    let mut components = Components::default();
    let mut paths = Map::new();
    for operation in operations.filter(|operation| public(operation)) {
        let described = describe(name, operation, &mut components);
        let item = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        item[operation.method.as_str().to_ascii_lowercase()] = described;
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": format!("Coder IDE: {name}"),
            "description": summary,
            "version": env!("CARGO_PKG_VERSION"),
            "contact": {"name": "Coder IDE"},
        },
        "servers": [{"url": server}],
        "tags": [{"name": name, "description": summary}],
        "security": security(Security::SignedIn),
        "paths": paths,
        "components": components.finish(),
    })
}

/// The document as text that compares well: a line for each path and each component.
pub fn text(document: &Value) -> String {
    let entries = |value: &Value, indent: &str| {
        let lines = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{indent}{}: {value}", json!(name)));
        lines.collect::<Vec<_>>().join(",\n")
    };
    let parts = document.as_object().into_iter().flatten().map(|(name, value)| match name.as_str() {
        "paths" => format!("\"paths\": {{\n{}\n}}", entries(value, " ")),
        "components" => {
            let kinds = value.as_object().into_iter().flatten();
            let kinds = kinds.map(|(kind, value)| format!(" \"{kind}\": {{\n{}\n }}", entries(value, "  ")));
            format!("\"components\": {{\n{}\n}}", kinds.collect::<Vec<_>>().join(",\n"))
        }
        _ => format!("{}: {value}", json!(name)),
    });
    format!("{{\n{}\n}}\n", parts.collect::<Vec<_>>().join(",\n"))
}

/// What only other parts of the platform may call is not offered to clients: API Management does not even
/// forward it.
fn public(operation: &OperationDescription) -> bool {
    operation.access() != Security::Service
}

fn describe(group: &str, operation: &OperationDescription, components: &mut Components) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": description(operation),
        "tags": [group],
        "responses": responses(operation, components),
    });
    // The document says once what most operations need.
    let needed = security(operation.access());
    if needed != security(Security::SignedIn) {
        described["security"] = needed;
    }
    let parameters = parameters(operation, components);
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = &operation.body {
        let media = json!({"schema": components.schema(&body.schema, &body.example)});
        let content: Map<String, Value> =
            body.media_types.iter().map(|name| ((*name).to_owned(), media.clone())).collect();
        described["requestBody"] = json!({"required": !body.optional(), "content": content});
    }
    described
}

fn description(operation: &OperationDescription) -> String {
    match operation.access() {
        Security::Anyone => "No credential is needed.".into(),
        Security::SignedIn => "For any signed-in caller, on what is their own.".into(),
        Security::Session => "Needs a signed-in session; an API key is refused.".into(),
        Security::FreshSession => "Needs a session that was authenticated in the last 15 minutes.".into(),
        Security::Permission(permission) => {
            format!("Needs the permission `{}`.", permission.name)
        }
        Security::Service => "For other parts of the platform only.".into(),
        Security::SignedInOrService => {
            "For any signed-in caller, on what is their own, and for other parts of the platform.".into()
        }
        Security::Operator => "For platform operators only.".into(),
    }
}

fn security(security: Security) -> Value {
    match security {
        Security::Anyone => json!([]),
        Security::Session | Security::FreshSession | Security::Operator | Security::Service => {
            json!([{"accessToken": []}])
        }
        Security::SignedIn | Security::SignedInOrService | Security::Permission(_) => {
            json!([{"accessToken": []}, {"apiKey": []}])
        }
    }
}

/// What may stand in a path at all: nothing that a server, a log or a terminal might take for more than a letter.
const PATH_VALUE: &str = r"^[^\x00-\x1f\x7f/\\]+$";

fn parameters(operation: &OperationDescription, components: &mut Components) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in path_parameters(&operation.path) {
        let is_id = name.ends_with("Id") || name == "id";
        let example = if is_id { id::EXAMPLE.to_string() } else { "example".into() };
        parameters.push(json!({
            "name": name, "in": "path", "required": true,
            "schema": {"type": "string", "maxLength": 256, "pattern": PATH_VALUE},
            "example": example, "description": format!("Names the resource ({name})."),
        }));
    }
    for parameter in &operation.parameters {
        let place = match parameter.place {
            ParameterPlace::Query => "query",
            ParameterPlace::Header => "header",
        };
        parameters.push(json!({
            "name": parameter.name, "in": place, "required": parameter.required,
            "schema": parameter.schema, "description": parameter.description,
        }));
    }
    if operation.method == http::Method::POST && !operation.never_kept {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {
                "type": "string", "minLength": 1, "maxLength": coder_middleware::unit::KEY_BYTES,
                "pattern": "^[!-~]+$",
            },
            "description": "Makes a repetition within 24 hours harmless: it gets the first answer.",
        }));
    }
    parameters.into_iter().map(|parameter| components.parameter(parameter)).collect()
}

/// The names between braces.
pub fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn responses(operation: &OperationDescription, components: &mut Components) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), success(answer, components));
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    let particular = operation.problem_codes().into_iter().filter(|code| !EVERYWHERE.contains(code));
    for code in particular {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        responses.insert(status.to_string(), components.problems(&format!("P{status}"), &codes));
    }
    responses.insert("default".into(), components.problems("Problem", &EVERYWHERE));
    Value::Object(responses)
}

fn success(answer: &AnswerDescription, components: &mut Components) -> Value {
    let mut described = json!({"description": answer.description});
    if let Some((media_type, schema, example)) = &answer.body {
        described["content"][*media_type] = json!({"schema": components.schema(schema, example)});
    }
    let headers: Map<String, Value> = answer
        .headers
        .iter()
        .map(|name| ((*name).to_owned(), json!({"schema": {"type": "string"}})))
        .collect();
    if !headers.is_empty() {
        described["headers"] = Value::Object(headers);
    }
    described
}
