//! Types of request fields that several routes share.

use std::fmt;

use coder_core::Problem;
use coder_middleware::Example;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::email::EmailAddress;

/// A password, code or token of a request body: text that no log shows.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text, guarded.
    pub(crate) fn guarded(&self) -> SecretString {
        self.0.clone().into()
    }

    /// The text.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Far above any limit of length; what is longer is no password or token and costs no work.
        schemars::json_schema!({"type": "string", "minLength": 1, "maxLength": 1024, "format": "password"})
    }
}

/// A body that names an address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EmailInput {
    /// The e-mail address of the account.
    #[schemars(length(min = 3, max = 254))]
    pub(crate) email: String,
}

impl EmailInput {
    /// The address in its one form; `422` if it is none.
    pub(crate) fn address(&self) -> Result<EmailAddress, Problem> {
        EmailAddress::from_field(&self.email, "/email").map_err(|fault| Problem::invalid(vec![fault]))
    }
}

impl Example for EmailInput {
    fn example() -> Self {
        Self { email: "ada@example.com".into() }
    }
}

/// A body with the token of a link.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenInput {
    /// What follows `#token=` in the link.
    pub(crate) token: Secret,
}

impl Example for TokenInput {
    fn example() -> Self {
        Self { token: Secret::from("AZkMOn46fBGdL1tqfI2eDw…") }
    }
}
