//! Query strings, read into a typed struct. Unknown, repeated and unreadable parameters are refused.

use coder_core::{Code, Failure, Problem};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Input, RequestContext};
use crate::describe::{OperationDescription, Parameter, ParameterPlace};
use crate::schema;

/// The query string as a `T`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned + JsonSchema + Send + 'static> Input<S> for Query<T> {
    fn describe(operation: &mut OperationDescription) {
        describe::<T>(operation);
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        typed(read(context)?).map(Self)
    }
}

/// Adds the fields of `T` to the operation's parameters and to the schema of its query string.
pub(crate) fn describe<T: JsonSchema>(operation: &mut OperationDescription) {
    let shown = schema::inlined::<T>();
    let checked = schema::for_validation::<T>();
    let required = shown["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in shown["properties"].as_object().into_iter().flatten() {
        let mut field = field.clone();
        let description = field["description"].as_str().unwrap_or_default().to_owned();
        if let Some(object) = field.as_object_mut() {
            object.remove("description");
            // A query string has no `null`: a parameter is there or not.
            object.remove("nullable");
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
        }
        operation.parameters.push(Parameter {
            name: name.clone(),
            place: ParameterPlace::Query,
            required: required.iter().any(|one| one == name),
            schema: field,
            description,
        });
    }
    let whole = operation.query.get_or_insert_with(|| {
        serde_json::json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false})
    });
    for (name, field) in checked["properties"].as_object().into_iter().flatten() {
        whole["properties"][name] = field.clone();
    }
    if let Some(list) = whole["required"].as_array_mut() {
        list.extend(checked["required"].as_array().into_iter().flatten().cloned());
    }
}

/// The query string as a checked JSON object; numbers and booleans are read where the schema wants them.
pub(crate) fn read(context: &RequestContext) -> Result<Value, Failure> {
    let mut values = Map::new();
    let raw = context.query_string().unwrap_or_default();
    for (name, text) in url_pairs(raw)? {
        // The host's own key travels in `code`; it is not ours to judge.
        if name == "code"
            && context.operation().query.as_ref().is_none_or(|q| q["properties"].get("code").is_none())
        {
            continue;
        }
        let schema =
            context.operation().query.as_ref().map_or(&Value::Null, |query| &query["properties"][&name]);
        if values.insert(name.clone(), coerce(schema, text)).is_some() {
            return Err(invalid(format!("`{name}` stands twice.")));
        }
    }
    let values = Value::Object(values);
    if let Some(validator) = context.query_validator()? {
        let faults = schema::faults(validator, &values);
        if !faults.is_empty() {
            let texts = faults
                .iter()
                .map(|fault| format!("`{}`: {}", fault.pointer.trim_start_matches('/'), fault.message));
            return Err(invalid(texts.collect::<Vec<_>>().join(" ")));
        }
    }
    Ok(values)
}

/// The checked object as a `T`.
pub(crate) fn typed<T: DeserializeOwned>(values: Value) -> Result<T, Failure> {
    T::deserialize(values).map_err(|error| invalid(format!("{error}.")))
}

fn invalid(detail: String) -> Failure {
    Problem::new(Code::InvalidQuery, detail).into()
}

fn url_pairs(raw: &str) -> Result<Vec<(String, String)>, Failure> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        let mut bytes = Vec::with_capacity(spaced.len());
        let mut rest = spaced.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            if byte == b'%' {
                let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(value.ok_or_else(|| invalid("A `%` is not followed by two digits.".into()))?);
                rest = &tail[2..];
            } else {
                bytes.push(byte);
                rest = tail;
            }
        }
        String::from_utf8(bytes).map_err(|_| invalid("The query string is no UTF-8.".into()))
    };
    let pairs = raw.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            if value.contains('\0') {
                return Err(invalid("The character U+0000 is not accepted.".into()));
            }
            Ok((decode(name)?, value))
        })
        .collect()
}

/// Text as the type that the schema names; text that is none stays text, and the validator says so.
fn coerce(schema: &Value, text: String) -> Value {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if types.contains(&"integer") {
        if let Ok(number) = text.parse::<i64>() {
            return number.into();
        }
    } else if types.contains(&"number") {
        if let Some(number) = text.parse().ok().and_then(serde_json::Number::from_f64) {
            return number.into();
        }
    } else if types.contains(&"boolean") {
        match text.as_str() {
            "true" => return true.into(),
            "false" => return false.into(),
            _ => {}
        }
    }
    text.into()
}
