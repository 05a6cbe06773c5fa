//! The writable part of a resource whose every field a client writes.

use std::borrow::Cow;

use coder_middleware::Example;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// All fields of a stored type and no others: a stored document has the server's fields beside them, a request has
/// not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Written<T>(pub T);

impl<T: JsonSchema> JsonSchema for Written<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Write", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("{}::Written<{}>", module_path!(), T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert("additionalProperties".to_owned(), false.into());
        schema
    }
}

impl<T: Example> Example for Written<T> {
    fn example() -> Self {
        Self(T::example())
    }
}
