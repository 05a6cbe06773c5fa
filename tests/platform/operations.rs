//! Every operation of every group as a request that could be sent.

use coder_handler::openapi::path_parameters;
use coder_middleware::describe::{BodyDescription, ParameterPlace};
use coder_middleware::{OperationDescription, Security};
use coder_testkit::Team;
use http::Method;
use serde_json::Value;

/// The id of what operators are shown in tests.
pub(crate) const EXAMPLE: &str = "example";

/// An operation with everything that a request needs.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) group: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) security: Security,
    pub(crate) body: Option<Value>,
    pub(crate) optional_body: bool,
    query: Vec<(String, Value)>,
}

/// All operations of the platform.
pub(crate) fn all() -> Vec<Operation> {
    let groups = coder_platform::route_groups();
    groups
        .iter()
        .flat_map(|group| group.operations.iter().map(|operation| Operation::of(group.name, operation)))
        .collect()
}

impl Operation {
    fn of(group: &'static str, described: &OperationDescription) -> Self {
        let required =
            described.parameters.iter().filter(|one| one.required && one.place == ParameterPlace::Query);
        Self {
            id: described.id,
            group,
            method: described.method.clone(),
            path: described.path.clone(),
            security: described.access(),
            body: described.body.as_ref().map(|body| Value::clone(&body.example)),
            optional_body: described.body.as_ref().is_some_and(BodyDescription::optional),
            query: required.map(|one| (one.name.clone(), sample(&one.schema))).collect(),
        }
    }

    /// Whether the path names something.
    pub(crate) fn names_something(&self) -> bool {
        path_parameters(&self.path).next().is_some()
    }

    /// The address, with the ids of the team's own resources.
    pub(crate) fn address(&self, team: &Team) -> String {
        let mut address = self.path.clone();
        for name in path_parameters(&self.path) {
            // What operators see belongs to no team.
            let value = match self.security {
                Security::Operator => EXAMPLE.to_owned(),
                _ => team.parameter(&self.path, name),
            };
            address = address.replace(&format!("{{{name}}}"), &value);
        }
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        if query.is_empty() { address } else { format!("{address}?{}", query.join("&")) }
    }
}

fn sample(schema: &Value) -> Value {
    match schema["enum"].get(0) {
        Some(first) => first.clone(),
        None if schema["format"] == "uuid" => coder_core::id::EXAMPLE.to_string().into(),
        None if schema["type"] == "integer" => 1.into(),
        None => "example".into(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
