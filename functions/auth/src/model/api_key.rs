//! An API key, and its entry in the organization's list.

use std::net::IpAddr;

use coder_core::{OrganizationId, PermissionSet, Scope, Timestamp, UserId};
use coder_database::{Entity, Partition};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What anybody who may see the key sees of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyDetails {
    /// The public half: 16 base-62 characters.
    pub key_id: String,
    /// 1–80 characters.
    pub name: String,
    /// Who made it; the key never does more than this person may.
    pub user_id: UserId,
    /// The organization that it works in.
    pub owner_organization_id: OrganizationId,
    /// 1–100 patterns.
    pub permissions: PermissionSet,
    /// Where they hold.
    pub scope: Scope,
    /// Networks that it works from; empty is everywhere. At most 20.
    pub allowed_cidrs: Vec<IpNet>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Written at most once in [`ApiKey::LAST_USED_SECONDS`].
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_ip: Option<String>,
    /// Whether it works.
    pub status: ApiKeyStatus,
    /// The key id of its successor.
    pub replaced_by: Option<String>,
}

/// The key as it is checked. Lives in the partition of its key id, which is its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// All but the secret.
    #[serde(flatten)]
    pub details: ApiKeyDetails,
    /// SHA-256 of the secret half, which has 256 random bits: a slow hash would add nothing.
    pub secret_hash: String,
    /// The last notice of its end: the days that were left, of those in [`ApiKey::NOTICE_DAYS`].
    #[serde(default)]
    pub noticed_days: Option<i64>,
}

/// The mirror of a key in its organization's partition, for lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyListing {
    /// All but the secret.
    #[serde(flatten)]
    pub details: ApiKeyDetails,
}

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiKeyStatus {
    /// Until it expires.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl Entity for ApiKey {
    const TYPE: &'static str = "api-key";
    const SECRET: &'static [&'static str] = &["secretHash"];
}

impl Entity for ApiKeyListing {
    const TYPE: &'static str = "api-key-listing";
}

impl ApiKey {
    /// Active keys a person may have.
    pub const MAX_ACTIVE: usize = 50;
    /// Permissions of a key.
    pub const MAX_PERMISSIONS: usize = 100;
    /// Networks of a key.
    pub const MAX_CIDRS: usize = 20;
    /// Characters of a name.
    pub const MAX_NAME_CHARACTERS: usize = 80;
    /// Days that a key lives unless asked otherwise.
    pub const DEFAULT_DAYS: u32 = 90;
    /// How many days before a key ends its owner is told.
    pub const NOTICE_DAYS: [i64; 3] = [14, 7, 1];
    /// Seconds between two notes of a key's use.
    pub const LAST_USED_SECONDS: i64 = 600;

    /// The partition of a key id.
    pub fn partition(key_id: &str) -> Partition {
        Partition::keyed("key", key_id)
    }

    /// The entry in the organization's list.
    pub fn listing(&self) -> ApiKeyListing {
        ApiKeyListing { details: self.details.clone() }
    }
}

impl ApiKeyListing {
    /// The partition of the organization's list.
    pub fn partition(organization_id: OrganizationId) -> Partition {
        Partition::organization(organization_id)
    }
}

impl ApiKeyDetails {
    /// Whether the key works at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.status == ApiKeyStatus::Active && now < self.expires_at
    }

    /// Whether the key works from this address. An IPv4 address in IPv6 clothing counts as itself.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_cidrs.is_empty() || self.allowed_cidrs.iter().any(|cidr| cidr.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use coder_core::id::EXAMPLE;
    use coder_core::{Pattern, Scope, Timestamp};
    use serde_json::{Value, json};

    use super::{ApiKey, ApiKeyDetails, ApiKeyStatus};

    fn key() -> ApiKey {
        ApiKey {
            details: ApiKeyDetails {
                key_id: "0123456789abcdef".into(),
                name: "build server".into(),
                user_id: EXAMPLE.into(),
                owner_organization_id: EXAMPLE.into(),
                permissions: [Pattern::parse("planning.task.read").unwrap()].into_iter().collect(),
                scope: Scope::Team(EXAMPLE.into()),
                allowed_cidrs: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
                expires_at: "2026-06-01T00:00:00Z".parse().unwrap(),
                last_used_at: None,
                last_used_ip: None,
                status: ApiKeyStatus::Active,
                replaced_by: None,
            },
            secret_hash: "00".into(),
            noticed_days: None,
        }
    }

    #[test]
    fn survives_storage_and_the_listing_has_no_hash() {
        let stored = serde_json::to_value(key()).unwrap();
        assert_eq!(stored["secretHash"], "00");
        assert_eq!(stored["scope"], json!({"type": "team", "id": EXAMPLE}));
        let read: ApiKey = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), stored);
        let listing = serde_json::to_value(read.listing()).unwrap();
        assert_eq!(listing.get("secretHash"), None::<&Value>);
        assert_eq!(listing["keyId"], "0123456789abcdef");
    }

    #[test]
    fn lives_until_it_expires_or_is_revoked() {
        let mut details = key().details;
        let (before, after): (Timestamp, Timestamp) =
            ("2026-05-31T23:59:59Z".parse().unwrap(), "2026-06-01T00:00:00Z".parse().unwrap());
        assert!(details.is_live(before));
        assert!(!details.is_live(after));
        details.status = ApiKeyStatus::Revoked;
        assert!(!details.is_live(before));
    }

    #[test]
    fn works_from_its_networks_only() {
        let mut details = key().details;
        for (address, expected) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.3.7", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(details.allows_address(address.parse().unwrap()), expected, "{address}");
        }
        details.allowed_cidrs.clear();
        assert!(details.allows_address("203.0.113.9".parse().unwrap()));
    }
}
