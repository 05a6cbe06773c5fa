//! Typed documents: what a route group stores, and the fields that the server keeps for every one.

use coder_core::{OrganizationId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The particular part of a stored document.
pub trait Entity: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The document's `type`; unique in its container.
    const TYPE: &'static str;
    /// Fields whose values never leave the store: not in answers, events or audit entries.
    const SECRET: &'static [&'static str] = &[];
}

/// The fields that the server sets on every document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The document's id.
    pub id: String,
    /// The tenant; null for what stands above organizations.
    pub organization_id: Option<OrganizationId>,
    /// What kind of resource this is.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was made.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Who made it: a user id, key id, group or job name.
    pub created_by: String,
    /// When it last changed.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub updated_at: Timestamp,
    /// Who last changed it.
    pub updated_by: String,
    /// Changes at every write; send it back in `If-Match`.
    pub etag: String,
}

/// A typed document as it was read or written.
#[derive(Debug, Clone, Serialize)]
pub struct Record<T> {
    /// The server's fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// The particular part.
    #[serde(flatten)]
    pub data: T,
    /// When the document goes by itself.
    #[serde(skip)]
    pub expires_at: Option<Timestamp>,
    /// The store's tag at the time of reading; guards the next write.
    #[serde(skip)]
    pub(crate) store_etag: Option<String>,
}

/// The server's fields and the particular part, each described once.
impl<T: schemars::JsonSchema> schemars::JsonSchema for Record<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}Record", T::schema_name()).into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        format!("{}::Record<{}>", module_path!(), T::schema_id()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let parts = [generator.subschema_for::<Meta>(), generator.subschema_for::<T>()];
        schemars::json_schema!({"allOf": parts})
    }
}

/// The field in which a document with an end keeps it, so that a rewrite does not lose it.
pub(crate) const EXPIRES_AT: &str = "documentExpiresAt";

impl<T: Entity> Record<T> {
    /// A record for documentation.
    pub fn example(data: T) -> Self {
        let (id, time) = (coder_core::id::EXAMPLE, Timestamp::UNIX_EPOCH);
        let meta = Meta {
            id: id.to_string(),
            organization_id: Some(id.into()),
            kind: T::TYPE.to_owned(),
            created_at: time,
            created_by: id.to_string(),
            updated_at: time,
            updated_by: id.to_string(),
            etag: "5f0c1d2e3a4b5c6d".to_owned(),
        };
        Self { meta, data, expires_at: None, store_etag: None }
    }

    /// The id, parsed to its type.
    pub fn id<I: std::str::FromStr>(&self) -> Result<I, coder_core::Failure> {
        let id = &self.meta.id;
        id.parse().map_err(|_| coder_core::Failure::internal(format!("{} `{id}` has no valid id", T::TYPE)))
    }

    /// Reads a stored document.
    pub fn from_document(document: crate::document::Document) -> Result<Self, coder_core::Failure> {
        let broken = |cause: serde_json::Error| {
            coder_core::Failure::internal(format!("{} `{}` cannot be read: {cause}", T::TYPE, document.id))
        };
        let meta = Meta::deserialize(&document.body).map_err(broken)?;
        if meta.kind != T::TYPE {
            return Err(coder_core::Failure::internal(format!(
                "`{}` is a {}, no {}",
                meta.id,
                meta.kind,
                T::TYPE
            )));
        }
        let expires_at = match document.body.get(EXPIRES_AT) {
            Some(value) => Some(Timestamp::deserialize(value).map_err(broken)?),
            None => None,
        };
        let data = T::deserialize(&document.body).map_err(broken)?;
        Ok(Self { meta, data, expires_at, store_etag: Some(document.etag) })
    }

    /// The document body, with the partition key's fields.
    pub(crate) fn to_body(
        &self,
        partition_fields: &[(String, String)],
    ) -> Result<Value, coder_core::Failure> {
        let mut body = serde_json::to_value(self).map_err(coder_core::Failure::internal)?;
        for (field, value) in partition_fields {
            body[field] = Value::String(value.clone());
        }
        if let Some(expires_at) = self.expires_at {
            body[EXPIRES_AT] = Value::String(expires_at.to_string());
        }
        Ok(body)
    }
}
