//! What every sender says of a message, be it a person or another group.

use std::collections::BTreeMap;

use coder_core::{Fault, ProjectId, TeamId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::deliver::{Channel, ResourceReference};
use crate::service::Notifications;

/// Bytes that the data of a message may take.
pub const MAX_DATA: usize = 16 * 1024;

/// A message but for its topic, weight, title and recipients, which are not the same thing for everybody. It is part
/// of a request body, which refuses unknown fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Plain text or the Markdown subset.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub body: String,
    /// What programs read and templates may name; at most 16 KiB.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub data: Value,
    /// A path of the application, or an address of an allowed origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub action_url: Option<String>,
    /// The words on the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub action_label: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceReference>,
    /// Only people who may read this project are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The team whose defaults apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// The only channels to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5))]
    pub channels: Option<Vec<Channel>>,
    /// Not before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub scheduled_for: Option<Timestamp>,
    /// Not after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// A repeat with the same key within an hour is answered with the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub dedup_key: Option<String>,
}

impl Content {
    /// What no schema can state of times, data and link. The link of a sensitive message may lead anywhere, since only
    /// the platform writes one.
    pub fn faults(&self, service: &Notifications, sensitive: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.data.to_string().len() > MAX_DATA {
            faults.push(Fault::new("/data", "too_long", "This must take at most 16 KiB as JSON."));
        }
        let link = self.action_url.as_deref().filter(|_| !sensitive);
        if link.is_some_and(|url| !leads_somewhere_safe(service, url)) {
            let message = "This must be a path that begins with one `/`, or an address of an allowed origin.";
            faults.push(Fault::new("/actionUrl", "not_allowed", message));
        }
        let now = service.now();
        if self.expires_at.is_some_and(|end| end <= self.scheduled_for.unwrap_or(now).max(now)) {
            faults.push(Fault::new("/expiresAt", "too_early", "This must be after the message is told."));
        }
        let year = jiff::SignedDuration::from_hours(366 * 24);
        if self.scheduled_for.is_some_and(|due| due.duration_since(now) > year) {
            faults.push(Fault::new("/scheduledFor", "too_late", "This must be within a year."));
        }
        faults
    }
}

/// A link in a message leads into the application, or to an origin that the operator allows.
fn leads_somewhere_safe(service: &Notifications, url: &str) -> bool {
    if url.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return false;
    }
    if url.starts_with('/') {
        return !url.starts_with("//");
    }
    let Ok(parsed) = url::Url::parse(url) else { return false };
    let origin = parsed.origin().ascii_serialization();
    let settings = &service.runtime.settings;
    matches!(parsed.scheme(), "http" | "https")
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && (settings.allowed_origins.contains(&origin)
            || settings.public_url.origin().ascii_serialization() == origin)
}

#[cfg(test)]
mod tests {
    use coder_middleware::{Example, schema};
    use schemars::JsonSchema;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use crate::routes::internal::SendInternal;
    use crate::routes::messages::SendMessage;

    /// A body with the shared part is one closed object, for the schema and for what reads it.
    fn is_one_closed_object<T: JsonSchema + Serialize + DeserializeOwned + Example>(own: &[&str]) {
        for schema in [schema::for_openapi::<T>(), schema::for_validation::<T>()] {
            assert_eq!(schema["additionalProperties"], json!(false), "{schema:#}");
            assert!(schema.get("allOf").is_none() && schema.get("unevaluatedProperties").is_none());
            let properties = schema["properties"].as_object().unwrap();
            let known = |name: &&str| properties.contains_key(*name);
            assert!(own.iter().all(known) && ["body", "data", "dedupKey"].iter().all(known), "{schema:#}");
            assert_eq!(properties.len(), own.len() + 11, "{properties:#?}");
            assert_eq!(properties["body"]["maxLength"], 10_000);
        }
        let mut body = json!(T::example());
        body["expiresAt"] = json!("2026-01-05T13:00:00Z");
        let read = serde_json::from_value::<T>(body.clone()).unwrap();
        assert_eq!(json!(read), body);
        let refused = |name: &str, value: Value| {
            let mut body = body.clone();
            body[name] = value;
            serde_json::from_value::<T>(body).is_err()
        };
        assert!(refused("boddy", json!("x")) && refused("content", json!({})) && refused("body", json!(7)));
    }

    #[test]
    fn bodies_share_their_content_and_stay_closed() {
        is_one_closed_object::<SendMessage>(&["topic", "category", "criticality", "title", "recipients"]);
        is_one_closed_object::<SendInternal>(&[
            "organizationId",
            "topic",
            "category",
            "criticality",
            "title",
            "actorUserId",
            "recipients",
            "sensitive",
        ]);
    }
}
