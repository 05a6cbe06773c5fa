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
        let name = self.place(title, schema);
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// Under its title, or with a number where another schema has that title.
    fn place(&mut self, title: String, schema: Value) -> String {
        let same = |known: &Value| without_example(known) == without_example(&schema);
        for name in std::iter::once(title.clone()).chain((2..).map(|n| format!("{title}{n}"))) {
            match self.schemas.get(&name) {
                Some(known) if !same(known) => {}
                Some(known) if known.get("example").is_some() => return name,
                _ => {
                    self.schemas.insert(name.clone(), schema);
                    return name;
                }
            }
        }
        title
    }

    /// The shared answer that lists exactly these codes of one status.
    pub(super) fn problems(&mut self, status: u16, codes: &[Code]) -> Value {
        let all: Vec<Code> = Code::ALL.iter().copied().filter(|code| code.status() == status).collect();
        let name = if codes == all.as_slice() {
            format!("Problem{status}")
        } else {
            let words = codes.iter().map(|code| camel(code.as_str())).collect::<Vec<_>>();
            format!("Problem{status}{}", words.concat())
        };
        let response = self.responses.entry(name.clone()).or_insert_with(|| {
            let names: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
            let example =
                codes.first().map(|code| Problem::new(*code, code.title()).to_json(&id::EXAMPLE.to_string()));
            json!({
                "description": format!("Refused: {}.", names.join(", ")),
                "content": {"application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"}, "example": example,
                }},
                "x-problem-codes": codes.iter().map(|code| code.as_str()).collect::<Vec<_>>(),
            })
        });
        debug_assert!(response.is_object());
        json!({"$ref": format!("#/components/responses/{name}")})
    }

    /// The shared parameter of this name and shape.
    pub(super) fn parameter(&mut self, parameter: Value) -> Value {
        let base = plain(parameter["name"].as_str().unwrap_or_default());
        for name in std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}{n}"))) {
            match self.parameters.get(&name) {
                Some(known) if *known != parameter => {}
                _ => {
                    self.parameters.insert(name.clone(), parameter);
                    return json!({"$ref": format!("#/components/parameters/{name}")});
                }
            }
        }
        parameter
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

/// `rate_limited` as `RateLimited`.
fn camel(code: &str) -> String {
    code.split('_').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

fn rename(schema: &mut Value, names: &BTreeMap<String, String>) {
    match schema {
        Value::Object(fields) => {
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
