//! What operations of one document share: schemas with their examples, answers of refusal, parameters.

use std::collections::BTreeMap;

use coder_core::{Code, Problem, id};
use serde_json::{Map, Value, json};

/// The shared parts of a document, collected while its operations are described.
#[derive(Debug, Default)]
pub(super) struct Components {
    schemas: Map<String, Value>,
    responses: Map<String, Value>,
    parameters: Map<String, Value>,
}

impl Components {
    /// Moves a schema and the named types inside it here; answers the reference that stands for it.
    pub(super) fn schema(&mut self, schema: &Value, example: &Value) -> Value {
        let mut schema = schema.clone();
        let Some(object) = schema.as_object_mut() else { return schema };
        let inner = object
            .remove("components")
            .and_then(|mut components| components.get_mut("schemas").map(Value::take));
        let title = object.remove("title").and_then(|title| title.as_str().map(plain)).unwrap_or_default();
        object.insert("example".into(), example.clone());
        let mut names = BTreeMap::new();
        let inner: Vec<(String, Value)> = match inner {
            Some(Value::Object(inner)) => inner.into_iter().collect(),
            _ => Vec::new(),
        };
        for (name, _) in &inner {
            names.insert(
                format!("#/components/schemas/{name}"),
                format!("#/components/schemas/{}", plain(name)),
            );
        }
        for (name, mut schema) in inner {
            rename(&mut schema, &names);
            if let Some(object) = schema.as_object_mut() {
                object.remove("title");
            }
            // A type that has an example from elsewhere keeps it.
            self.schemas.entry(plain(&name)).or_insert(schema);
        }
        rename(&mut schema, &names);
        let same = |known: &Value, new: &Value| without_example(known) == without_example(new);
        let name = claim(&mut self.schemas, &title, schema, same);
        if let Some(known) = self.schemas.get_mut(&name).and_then(Value::as_object_mut) {
            known.entry("example").or_insert_with(|| example.clone());
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// The shared answer that lists exactly these codes; `name` is made different where another list has it.
    pub(super) fn problems(&mut self, name: &str, codes: &[Code]) -> Value {
        let names: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let response = json!({
            "description": format!("Refused: {}.", names.join(", ")),
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            "x-problem-codes": codes.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
        });
        let name = claim(&mut self.responses, name, response, |known, new| known == new);
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// The shared parameter of this name and shape.
    pub(super) fn parameter(&mut self, parameter: Value) -> Value {
        let name = plain(parameter["name"].as_str().unwrap_or_default());
        let name = claim(&mut self.parameters, &name, parameter, |known, new| known == new);
        json!({"$ref": format!("#/components/parameters/{name}")})
    }

    /// The `components` object of the document.
    pub(super) fn finish(mut self) -> Value {
        self.schemas.insert("Problem".into(), problem_schema());
        json!({
            "schemas": self.schemas,
            "responses": self.responses,
            "parameters": self.parameters,
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        })
    }
}

/// Puts a component under its name, or with a number after it where another one has that name.
fn claim(
    components: &mut Map<String, Value>,
    name: &str,
    new: Value,
    same: impl Fn(&Value, &Value) -> bool,
) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while components.get(&free).is_some_and(|known| !same(known, &new)) {
        free = format!("{name}{number}");
        number += 1;
    }
    components.entry(free.clone()).or_insert(new);
    free
}

fn without_example(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(object) = schema.as_object_mut() {
        object.remove("example");
    }
    schema
}

/// A name that a component may have.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect()
}

fn rename(schema: &mut Value, names: &BTreeMap<String, String>) {
    match schema {
        Value::Object(fields) => {
            // Only null. `nullable` means nothing in OpenAPI 3.0 without a type beside it.
            if fields.get("enum").is_some_and(|only| *only == json!([null])) {
                fields.entry("type").or_insert_with(|| json!("object"));
            }
            for (key, value) in fields {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(name) = names.get(reference) {
                            reference.clone_from(name);
                        }
                    }
                    value => rename(value, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        _ => {}
    }
}

fn problem_schema() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "description": "A failed request (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "example": Problem::not_found("resource").to_json(&id::EXAMPLE.to_string()),
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "code": text,
            "requestId": text,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "code", "message"],
                    "properties": {"pointer": text, "code": text, "message": text},
                },
            },
        },
    })
}
