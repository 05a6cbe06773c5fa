//! Request bodies: JSON that is checked whole before anything is believed, and merge patches.

use std::marker::PhantomData;

use coder_core::{Code, Failure, Fault, Problem};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::json::parse_json;
use super::{Input, RequestContext};
use crate::describe::{BodyDescription, Example, OperationDescription, lazily};
use crate::schema;

const JSON: &[&str] = &["application/json"];
const MERGE_PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

/// A JSON body of type `T`, checked against the schema of `T` with every fault reported.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

impl<S: Sync, T> Input<S> for Body<T>
where
    T: Serialize + DeserializeOwned + JsonSchema + Example + Send + 'static,
{
    fn describe(operation: &mut OperationDescription) {
        operation.body = Some(BodyDescription {
            media_types: JSON,
            schema: lazily(schema::for_openapi::<T>),
            validation: lazily(schema::for_validation::<T>),
            example: lazily(|| serde_json::to_value(T::example()).unwrap_or_default()),
            patch: false,
        });
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        let body = match &context.operation().body {
            Some(described) if context.body().is_empty() && described.optional() => {
                Value::Object(serde_json::Map::new())
            }
            _ => read(context, JSON)?,
        };
        let mut faults = schema::storable(&body);
        if let Some(validator) = context.body_validator()? {
            faults.extend(schema::faults(validator, &body));
        }
        typed(body, faults).map(Self)
    }
}

/// A JSON merge patch (RFC 7396) of a resource whose writable part is `W`: the patch is applied to the present
/// state and the outcome is checked like a whole body.
#[derive(Debug, Clone)]
pub struct Patch<W> {
    changes: Value,
    context: RequestContext,
    writable: PhantomData<fn() -> W>,
}

impl<W: Serialize + DeserializeOwned> Patch<W> {
    /// The writable part as the patch leaves it.
    pub fn apply(&self, present: &W) -> Result<W, Failure> {
        let mut merged = serde_json::to_value(present).map_err(Failure::internal)?;
        // An unset field is absent, not null: the schema of a patched resource is that of a new one.
        if let Some(fields) = merged.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        coder_database::merge::merge(&mut merged, &self.changes);
        let mut faults = schema::storable(&self.changes);
        if let Some(validator) = self.context.body_validator()? {
            faults.extend(schema::faults(validator, &merged));
        }
        typed(merged, faults)
    }

    /// Whether the patch names this top-level field.
    pub fn touches(&self, field: &str) -> bool {
        self.changes.get(field).is_some()
    }
}

impl<S: Sync, W> Input<S> for Patch<W>
where
    W: Serialize + DeserializeOwned + JsonSchema + Example + Send + 'static,
{
    fn describe(operation: &mut OperationDescription) {
        operation.body = Some(BodyDescription {
            media_types: MERGE_PATCH,
            schema: lazily(patch_of::<W>),
            validation: lazily(schema::for_validation::<W>),
            example: lazily(|| first_field(&serde_json::to_value(W::example()).unwrap_or_default())),
            patch: true,
        });
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        let changes = read(context, MERGE_PATCH)?;
        if !changes.is_object() {
            return Err(
                Problem::fault("", "wrong_type", "A merge patch of a resource is a JSON object.").into()
            );
        }
        Ok(Self { changes, context: context.clone(), writable: PhantomData })
    }
}

/// The schema of a patch of `W`.
fn patch_of<W: JsonSchema>() -> Value {
    let mut patch = schema::for_openapi::<W>();
    if let Some(patch) = patch.as_object_mut() {
        let required = patch.remove("required").unwrap_or_default();
        for (name, field) in patch.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if !required.as_array().is_some_and(|required| required.iter().any(|one| one == name)) {
                may_be_null(field);
            }
        }
        let title = patch.get("title").and_then(Value::as_str).map(|title| format!("{title}Patch"));
        patch.insert("title".into(), title.into());
    }
    patch
}

/// `null` in a patch takes away what may be absent.
fn may_be_null(field: &mut Value) {
    // Beside a reference or a list of values `nullable` says nothing.
    let is_plain = field.get("type").is_some() && field.get("enum").is_none();
    if !is_plain && field.get("nullable").is_none() {
        let nothing = serde_json::json!({"type": "string", "nullable": true, "enum": [null]});
        *field = serde_json::json!({"anyOf": [field.take(), nothing]});
    } else if let Some(field) = field.as_object_mut() {
        field.insert("nullable".into(), true.into());
    }
}

/// A patch changes little: the first field of an example that has a value.
fn first_field(example: &Value) -> Value {
    let fields = example.as_object().into_iter().flatten();
    fields
        .filter(|(_, value)| !value.is_null())
        .take(1)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn read(context: &RequestContext, accepted: &[&str]) -> Result<Value, Failure> {
    let media_type = context
        .header("content-type")
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if !media_type.is_some_and(|media_type| accepted.contains(&media_type.as_str())) {
        let detail = format!("Send the body as `Content-Type: {}`.", accepted.join("` or `"));
        return Err(Problem::new(Code::UnsupportedMediaType, detail).into());
    }
    // Nothing is ever unpacked, so no small body can grow here or behind another reader.
    if context.headers().get("content-encoding").is_some_and(|coding| coding != "identity") {
        let detail = "Send the body as it is, without `Content-Encoding`.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail).into());
    }
    parse_json(context.body())
}

fn typed<T: DeserializeOwned>(body: Value, faults: Vec<Fault>) -> Result<T, Failure> {
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    // What the schema let through and the type refuses is still the caller's fault, never a 500.
    T::deserialize(body).map_err(|error| Problem::fault("", "invalid_value", format!("{error}.")).into())
}
