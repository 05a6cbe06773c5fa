//! External providers, the accounts there that belong to people here, and logins on their way.

use coder_core::{OrganizationId, Timestamp, UserId};
use coder_database::{Entity, Partition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;

coder_core::id_type!(/// An external login provider.
    ProviderId);

/// An OpenID provider that an organization, or the platform, trusts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalProvider {
    /// 1–80 characters.
    pub display_name: String,
    /// The protocol.
    pub kind: ProviderKind,
    /// The https address that identifies it.
    pub issuer: String,
    /// How it knows this platform.
    pub client_id: String,
    /// `secret:` reference; none for a public client.
    pub client_secret_ref: Option<String>,
    /// What to ask for.
    pub scopes: String,
    /// Entra ID tenants whose people may come.
    pub allowed_tenant_ids: Vec<String>,
    /// Domains whose people may come; empty is any.
    pub allowed_email_domains: Vec<String>,
    /// Whether an unknown person gets an account.
    pub auto_provision: bool,
    /// The role of such a person.
    pub default_role: String,
    /// Roles by claim, the first match wins; at most [`ExternalProvider::MAX_ROLE_MAPPINGS`].
    pub role_mapping: Vec<RoleMapping>,
    /// Whether it is offered.
    pub enabled: bool,
}

/// The protocol of a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// OpenID Connect.
    #[default]
    Oidc,
}

/// People whose claim has this value get this role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleMapping {
    /// The claim's name, such as `groups`.
    #[schemars(length(min = 1, max = 100))]
    pub claim: String,
    /// The value; of a list claim, one member.
    #[schemars(length(min = 1, max = 200))]
    pub value: String,
    /// The role's name.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{1,39}$"))]
    pub role: String,
}

impl Entity for ExternalProvider {
    const TYPE: &'static str = "external-provider";
}

impl ExternalProvider {
    /// What is asked for unless said otherwise.
    pub const DEFAULT_SCOPES: &'static str = "openid profile email";
    /// The role of a provisioned person unless said otherwise.
    pub const DEFAULT_ROLE: &'static str = "member";
    /// Most role mappings.
    pub const MAX_ROLE_MAPPINGS: usize = 50;

    /// The partition of an organization's providers, or of the platform's own.
    pub fn partition(owner: Option<OrganizationId>) -> Partition {
        owner.map_or_else(Partition::platform, Partition::organization)
    }
}

/// Whose a provider is. Lives in the provider's own partition, because a login knows no organization yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderOwner {
    /// The organization; none for the platform's own.
    pub owner_organization_id: Option<OrganizationId>,
}

impl Entity for ProviderOwner {
    const TYPE: &'static str = "provider-owner";
}

impl ProviderOwner {
    /// The partition of a provider's id, which is the document's id too.
    pub fn partition(id: ProviderId) -> Partition {
        Partition::keyed("provider", id)
    }
}

/// An account at a provider that belongs to one person here. The truth lives in the account's partition, a
/// mirror in the person's; both have [`ExternalLogin::key`] as id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalLogin {
    /// The person.
    pub user_id: UserId,
    /// The provider's document id.
    pub provider_id: String,
    /// The issuer of the account.
    pub issuer: String,
    /// The account's name there.
    pub subject: String,
    /// When it was linked.
    pub linked_at: Timestamp,
}

impl Entity for ExternalLogin {
    const TYPE: &'static str = "external-login";
}

impl ExternalLogin {
    /// SHA-256 of issuer, NUL and subject.
    pub fn key(issuer: &str, subject: &str) -> String {
        sha256_hex(format!("{issuer}\0{subject}").as_bytes())
    }

    /// The partition of an account.
    pub fn partition(issuer: &str, subject: &str) -> Partition {
        Partition::keyed("external", Self::key(issuer, subject))
    }

    /// The partition of the mirror.
    pub fn mirror_partition(user_id: UserId) -> Partition {
        Partition::user(user_id)
    }
}

/// A person who was sent to a provider and is expected back. The id is the `state` parameter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginTransaction {
    /// The provider's document id.
    pub provider_id: String,
    /// Owner of the provider; none for the platform's.
    pub provider_organization_id: Option<OrganizationId>,
    /// Must come back in the ID token.
    pub nonce: String,
    /// The PKCE verifier (RFC 7636).
    pub code_verifier: String,
    /// Where the person goes in the end; allow-listed.
    pub redirect_uri: String,
    /// What the application wants to see again there, so that it knows a login that it began itself.
    #[serde(default)]
    pub client_state: Option<String>,
    /// Set when a signed-in person links an account.
    pub link_user_id: Option<UserId>,
    /// When it lapses.
    pub expires_at: Timestamp,
}

impl Entity for LoginTransaction {
    const TYPE: &'static str = "login-transaction";
    const SECRET: &'static [&'static str] = &["nonce", "codeVerifier"];
}

impl LoginTransaction {
    /// Seconds to come back in.
    pub const LIFETIME_SECONDS: i64 = 600;

    /// The partition of a `state`.
    pub fn partition(state: &str) -> Partition {
        Partition::keyed("token", state)
    }
}

#[cfg(test)]
mod tests {
    use super::ExternalLogin;

    #[test]
    fn issuer_and_subject_do_not_run_together() {
        assert_ne!(ExternalLogin::key("https://a", "bc"), ExternalLogin::key("https://ab", "c"));
        assert_eq!(ExternalLogin::key("a", "b"), crate::digest::sha256_hex(b"a\0b"));
    }
}
