//! JSON Schemas from Rust types: one dialect for the OpenAPI documents, one for checking requests, and the
//! translation of a validator's findings into faults.

use coder_core::{Code, Fault};
use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The most faults that one problem lists.
pub const MAX_FAULTS: usize = 100;

/// The schema as OpenAPI 3.0 writes it: with its `title`, and with the named types inside it under
/// `components/schemas`, whence the document takes them.
pub fn for_openapi<T: JsonSchema>() -> Value {
    let mut schema = openapi3().into_generator().into_root_schema_for::<T>().to_value();
    // The generator rewrites the root to the dialect of OpenAPI 3.0, but not what it puts under `components`.
    for named in
        schema.pointer_mut("/components/schemas").and_then(Value::as_object_mut).into_iter().flatten()
    {
        if let Ok(named) = <&mut Schema>::try_from(named.1) {
            for transform in &mut openapi3().transforms {
                transform.transform(named);
            }
        }
    }
    schema
}

/// The same with everything inlined, for what is taken apart field by field.
pub(crate) fn inlined<T: JsonSchema>() -> Value {
    let settings = openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The generator's dialect of OpenAPI 3.0, and what it leaves in a later one.
fn openapi3() -> SchemaSettings {
    SchemaSettings::openapi3()
        .with(|settings| settings.meta_schema = None)
        .with_transform(RecursiveTransform(exclusive_bounds))
}

/// In OpenAPI 3.0 an exclusive bound is a bound and a flag.
fn exclusive_bounds(schema: &mut Schema) {
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(limit) = schema.get(exclusive).filter(|limit| limit.is_number()).cloned() {
            schema.insert(bound.to_owned(), limit);
            schema.insert(exclusive.to_owned(), Value::Bool(true));
        }
    }
}

/// The schema that requests are checked with.
pub fn for_validation<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// A validator for the schema. Patterns run in linear time, formats are checked.
pub fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Every fault that the validator finds.
pub fn faults(validator: &Validator, body: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    for error in validator.iter_errors(body) {
        describe(&error, &mut faults);
        if faults.len() >= MAX_FAULTS {
            faults.truncate(MAX_FAULTS);
            break;
        }
    }
    faults
}

fn describe(error: &ValidationError<'_>, faults: &mut Vec<Fault>) {
    let at = error.instance_path().as_str().to_owned();
    let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    let (code, message) = match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            faults.extend(unexpected.iter().map(|name| {
                Fault::new(
                    below(name),
                    Code::UnknownField.as_str(),
                    "This field is not known; check its spelling.",
                )
            }));
            return;
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            faults.push(Fault::new(below(name), "required", "This field is required."));
            return;
        }
        // A nullable field: the findings of the branch that is not `null` are the useful ones.
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            let is_null = |branch: &Vec<ValidationError<'static>>| {
                branch.iter().any(|error| {
                    matches!(error.kind(), Kind::Type { .. }) && error.to_string().contains("\"null\"")
                })
            };
            let mut branches = context.iter().filter(|branch| !is_null(branch));
            if let (Some(only), None) = (branches.next(), branches.next()) {
                for error in only {
                    describe(error, faults);
                }
                return;
            }
            ("invalid_value", "The value has none of the accepted forms.".to_owned())
        }
        Kind::MaxLength { limit } => ("too_long", format!("At most {limit} characters are accepted.")),
        Kind::MinLength { limit: 1 } => ("too_short", "This must not be empty.".to_owned()),
        Kind::MinLength { limit } => ("too_short", format!("At least {limit} characters are needed.")),
        Kind::MaxItems { limit } => ("too_many", format!("At most {limit} items are accepted.")),
        Kind::MinItems { limit } => ("too_few", format!("At least {limit} items are needed.")),
        Kind::MaxProperties { limit } => ("too_many", format!("At most {limit} keys are accepted.")),
        Kind::MinProperties { limit } => ("too_few", format!("At least {limit} keys are needed.")),
        Kind::Maximum { limit } => ("too_large", format!("At most {limit} is accepted.")),
        Kind::Minimum { limit } => ("too_small", format!("At least {limit} is needed.")),
        Kind::ExclusiveMaximum { limit } => ("too_large", format!("Less than {limit} is needed.")),
        Kind::ExclusiveMinimum { limit } => ("too_small", format!("More than {limit} is needed.")),
        Kind::Enum { options } => ("invalid_value", format!("One of {options} is needed.")),
        Kind::Constant { expected_value } => ("invalid_value", format!("{expected_value} is needed.")),
        Kind::Pattern { pattern } => ("invalid_format", format!("This must match `{pattern}`.")),
        Kind::Format { format } => ("invalid_format", format!("This must be a valid {format}.")),
        Kind::Type { .. } => ("wrong_type", format!("{}.", error.masked_with("The value"))),
        Kind::UniqueItems => ("duplicate", "The items must differ.".to_owned()),
        _ => ("invalid_value", format!("{}.", error.masked_with("The value"))),
    };
    faults.push(Fault::new(at, code, message));
}

/// Faults that no schema can state: text and numbers that the store could not keep as they are.
pub fn storable(body: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    walk(body, &mut String::new(), &mut faults);
    faults
}

fn walk(value: &Value, at: &mut String, faults: &mut Vec<Fault>) {
    const SAFE: u64 = 1 << 53;
    if faults.len() >= MAX_FAULTS {
        return;
    }
    let inside = |name: &str, value: &Value, at: &mut String, faults: &mut Vec<Fault>| {
        let length = at.len();
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        walk(value, at, faults);
        at.truncate(length);
    };
    match value {
        Value::String(text) if text.contains('\0') => {
            faults.push(Fault::new(at.clone(), "refused_character", "The character U+0000 is not accepted."));
        }
        Value::Number(number) => {
            let large = number.as_u64().is_some_and(|n| n > SAFE)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() > SAFE);
            if large {
                let message = "Integers beyond 2^53 lose digits; send them as strings.";
                faults.push(Fault::new(at.clone(), "too_large", message));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                inside(&index.to_string(), item, at, faults);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                if name.contains('\0') {
                    faults.push(Fault::new(
                        at.clone(),
                        "refused_character",
                        "A key has the character U+0000.",
                    ));
                } else {
                    inside(name, item, at, faults);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, JsonSchema)]
    struct Inner {
        #[schemars(extend("exclusiveMinimum" = 0))]
        share: f64,
    }

    #[derive(serde::Serialize, JsonSchema)]
    struct Outer {
        inner: Inner,
        #[schemars(extend("exclusiveMaximum" = 9))]
        limit: f64,
    }

    #[test]
    fn exclusive_bounds_are_written_as_each_dialect_writes_them() {
        let shown = for_openapi::<Outer>();
        let limit = &shown["properties"]["limit"];
        assert_eq!((&limit["maximum"], &limit["exclusiveMaximum"]), (&9.into(), &true.into()), "{limit}");
        let share = &shown["components"]["schemas"]["Inner"]["properties"]["share"];
        assert_eq!((&share["minimum"], &share["exclusiveMinimum"]), (&0.into(), &true.into()), "{share}");
        assert_eq!(for_validation::<Outer>()["properties"]["limit"]["exclusiveMaximum"], 9);
    }
}
