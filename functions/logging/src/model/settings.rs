//! What an organization has its audit log capture and hide.

use coder_core::Timestamp;
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Capture and redaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditSettings {
    /// What is captured.
    pub capture: Capture,
    /// Keys whose values are hidden, besides the built-in ones.
    pub redact_keys: Vec<String>,
    /// Regular expressions; what matches is hidden.
    pub redact_patterns: Vec<String>,
    /// While it stands, nothing is removed or erased.
    pub legal_hold: Option<LegalHold>,
}

impl AuditSettings {
    /// The only id.
    pub const ID: &'static str = "settings";
}

impl Entity for AuditSettings {
    const TYPE: &'static str = "audit-settings";
}

/// What is captured of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Capture {
    /// The client's address.
    pub ip_address: bool,
    /// What the client said it is.
    pub user_agent: bool,
    /// Reading of what is not sensitive too.
    pub reads: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self { ip_address: true, user_agent: true, reads: false }
    }
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegalHold {
    /// Why.
    pub reason: String,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
}

impl Example for AuditSettings {
    fn example() -> Self {
        Self { redact_keys: vec!["iban".to_owned()], ..Self::default() }
    }
}
