//! What an organization can be found by before anybody has signed in.

use coder_core::{OrganizationId, text};
use coder_database::{Entity, Partition};
use serde::{Deserialize, Serialize};

/// The organization behind a short name or a verified domain. A mirror of what the users group knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationAlias {
    /// The organization.
    pub alias_of: OrganizationId,
}

impl Entity for OrganizationAlias {
    const TYPE: &'static str = "organization-alias";
}

/// A name of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alias<'a> {
    /// Its short name in addresses.
    Slug(&'a str),
    /// An e-mail domain that it has verified, in lower case.
    Domain(&'a str),
}

impl Alias<'_> {
    /// The document's id.
    pub const ID: &'static str = "organization-alias";

    /// The partition of the name.
    pub fn partition(self) -> Partition {
        match self {
            Self::Slug(slug) => Partition::keyed("slug", text::sha256_hex(&[slug])),
            Self::Domain(domain) => Partition::keyed("domain", text::sha256_hex(&[domain])),
        }
    }
}
