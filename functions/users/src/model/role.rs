//! A named set of permissions.

use coder_core::Pattern;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use crate::names::{Check, Clean};

/// A role of an organization, or one that the platform ships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// The name; unique in the organization.
    #[schemars(regex(pattern = patterns::ROLE_NAME))]
    pub name: String,
    /// Who should hold it.
    #[schemars(length(max = 500))]
    pub description: Option<String>,
    /// Permission names, or patterns over them; none makes a guest role.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 300))]
    pub permissions: Vec<Pattern>,
    /// Roles whose permissions this one has too.
    #[serde(default)]
    #[schemars(length(max = 5))]
    pub inherits: Vec<String>,
    /// Shipped with the platform; cannot be changed.
    #[serde(default)]
    pub built_in: bool,
}

impl Entity for Role {
    const TYPE: &'static str = "role";
}

impl Role {
    /// The id of the role of this name.
    pub fn document_id(name: &str) -> String {
        format!("role:{name}")
    }
}

impl Clean for Role {
    fn clean(&mut self, check: &mut Check) {
        check.optional_text("/description", &mut self.description, 500);
        check.unique("/inherits", "", self.inherits.iter().map(String::as_str));
    }
}
