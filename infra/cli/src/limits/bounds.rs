//! What bodies and parameters may hold: the bounds in the schemas of an OpenAPI document, which are those that requests
//! are checked with.

use serde_json::{Map, Value};

use super::{row, table};

/// A bound and how it reads; `{}` is its value.
const BOUNDS: &[(&str, &str)] = &[
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minProperties", "at least {} keys"),
    ("maxProperties", "at most {} keys"),
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
];

/// Adds the bounds of a group.
pub(super) fn section(page: &mut String, group: &str, document: &Value) {
    let mut found = Vec::new();
    let named = |place: &str| document.pointer(place).and_then(Value::as_object).into_iter().flatten();
    for (name, schema) in named("/components/schemas") {
        walk(name, schema, &mut found);
    }
    for (_, parameter) in named("/components/parameters") {
        let name = parameter["name"].as_str().unwrap_or_default();
        let place = parameter["in"].as_str().unwrap_or_default();
        walk(&format!("{name} ({place})"), &parameter["schema"], &mut found);
    }
    let before = format!(
        "Bounds of what `/api/{group}` takes and gives; set beside the fields of these types in `functions/{group}`."
    );
    table(page, &format!("Fields of {group}"), &before, &["Field", "Bounds"]);
    // However the JSON library keeps its keys.
    found.sort();
    for (place, bounds) in found {
        row(page, &[&place, &bounds]);
    }
}

fn walk(place: &str, schema: &Value, found: &mut Vec<(String, String)>) {
    let Some(schema) = schema.as_object() else { return };
    let bounds = bounds(schema);
    if !bounds.is_empty() {
        found.push((place.to_owned(), bounds));
    }
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(&format!("{place}.{name}"), field, found);
    }
    for (part, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        if let Some(part) = schema.get(part) {
            walk(&format!("{place}{suffix}"), part, found);
        }
    }
    for several in ["allOf", "anyOf", "oneOf"] {
        for part in schema.get(several).and_then(Value::as_array).into_iter().flatten() {
            walk(place, part, found);
        }
    }
}

/// The bounds of one schema; those of a number's own type say nothing.
fn bounds(schema: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    for (name, text) in BOUNDS {
        let Some(value) = schema.get(*name) else { continue };
        let of_its_type = match *name {
            "minLength" => value.as_u64() == Some(0),
            "minimum" => value.as_f64().is_some_and(|least| least.abs() < f64::EPSILON),
            "maximum" => value.as_f64().is_some_and(|most| most >= 4e9),
            _ => false,
        };
        if !of_its_type {
            parts.push(text.replace("{}", &value.to_string()));
        }
    }
    if let Some(default) = schema.get("default").filter(|default| default.is_number() && !parts.is_empty()) {
        parts.push(format!("{default} unless stated"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bounds_are_found_wherever_they_stand() {
        let schema = json!({
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 80},
                "tags": {"type": "array", "maxItems": 10, "items": {"maxLength": 40}},
                "scope": {"anyOf": [{"maxLength": 7}, {"$ref": "#"}]},
                "limit": {"minimum": 1, "maximum": 200, "default": 50},
                "count": {"minimum": 0, "maximum": 18_446_744_073_709_551_615_u64},
                "free": {"type": "string"},
            },
        });
        let mut found = Vec::new();
        walk("Team", &schema, &mut found);
        found.sort();
        let found: Vec<String> =
            found.into_iter().map(|(place, bounds)| format!("{place}: {bounds}")).collect();
        assert_eq!(
            found,
            [
                "Team.limit: at least 1, at most 200, 50 unless stated",
                "Team.name: at least 1 characters, at most 80 characters",
                "Team.scope: at most 7 characters",
                "Team.tags: at most 10 items",
                "Team.tags[]: at most 40 characters",
            ]
        );
    }
}
