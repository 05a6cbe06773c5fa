//! The OpenAPI 3.0.3 document of a group, derived from its declaration.

use coder_core::{Code, Problem, id};
use coder_middleware::describe::{AnswerDescription, ParameterPlace};
use coder_middleware::{OperationDescription, Security};
use serde_json::{Map, Value, json};

use crate::group::Group;

/// The document of a group. `server` is the platform's public address.
pub fn document(group: &Group, server: &str) -> Value {
    let mut paths = Map::new();
    for operation in group.operations.iter().filter(|operation| !operation.hidden) {
        let item = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        item[operation.method.as_str().to_ascii_lowercase()] = describe(group.name, operation);
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": format!("Coder IDE: {}", group.name),
            "description": group.summary,
            "version": env!("CARGO_PKG_VERSION"),
            "contact": {"name": "Coder IDE"},
        },
        "servers": [{"url": server}],
        "tags": [{"name": group.name, "description": group.summary}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": problem_schema()},
            "responses": problem_responses(),
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    })
}

fn describe(group: &str, operation: &OperationDescription) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": description(operation),
        "tags": [group],
        "security": security(operation.access()),
        "responses": responses(operation),
    });
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        described["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = &operation.body {
        let media = json!({"schema": body.schema, "example": body.example});
        let content: Map<String, Value> =
            body.media_types.iter().map(|name| ((*name).to_owned(), media.clone())).collect();
        described["requestBody"] = json!({"required": !body.optional, "content": content});
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
            format!("Needs the permission `{}`: {}", permission.name, permission.summary)
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

fn parameters(operation: &OperationDescription) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in path_parameters(&operation.path) {
        let is_id = name.ends_with("Id") || name == "id";
        let example = if is_id { id::EXAMPLE.to_string() } else { "example".into() };
        parameters.push(json!({
            "name": name, "in": "path", "required": true, "schema": {"type": "string", "maxLength": 256},
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
    if operation.method == http::Method::POST {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
            "description": "Makes a repetition within 24 hours harmless: it gets the first answer.",
        }));
    }
    parameters
}

/// The names between braces.
pub fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn responses(operation: &OperationDescription) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), success(answer));
    }
    let mut by_status: std::collections::BTreeMap<u16, Vec<Code>> = std::collections::BTreeMap::new();
    for code in operation.problem_codes() {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        // One shared response a status keeps the document small; the codes that can occur are in the extension
        // only where they are not all of the status.
        let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let reference = json!({"$ref": format!("#/components/responses/Problem{status}")});
        responses.insert(status.to_string(), reference);
        let listed = responses.entry("x-problem-codes".to_owned()).or_insert_with(|| json!([]));
        if let Some(list) = listed.as_array_mut() {
            list.extend(names.into_iter().map(Value::from));
        }
    }
    Value::Object(responses)
}

fn success(answer: &AnswerDescription) -> Value {
    let mut described = json!({"description": answer.description});
    if let Some((media_type, schema, example)) = &answer.body {
        described["content"][*media_type] = json!({"schema": schema, "example": example});
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

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "A failed request (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "requestId": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "code", "message"],
                    "properties": {
                        "pointer": {"type": "string"}, "code": {"type": "string"}, "message": {"type": "string"},
                    },
                },
            },
        },
    })
}

fn problem_responses() -> Value {
    let mut responses = Map::new();
    let mut statuses: Vec<u16> = Code::ALL.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let codes: Vec<Code> = Code::ALL.iter().copied().filter(|code| code.status() == status).collect();
        let names: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let example =
            codes.first().map(|code| Problem::new(*code, code.title()).to_json(&id::EXAMPLE.to_string()));
        responses.insert(
            format!("Problem{status}"),
            json!({
                "description": format!("Refused: {}.", names.join(", ")),
                "content": {"application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"}, "example": example,
                }},
            }),
        );
    }
    Value::Object(responses)
}
