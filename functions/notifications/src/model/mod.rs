//! What is stored.

pub mod content;
pub mod item;
pub mod mail;
pub mod message;
pub mod preference;
pub mod provider;
pub mod template;
pub mod webhook;

use coder_core::id::Uuid;
use coder_core::id::uuid::Builder;
use coder_core::text::sha256;
use coder_core::{OrganizationId, Timestamp, UserId};
use coder_database::Partition;

use crate::deliver::of_tenant;

/// Seconds for which messages, items and deliveries are kept.
pub const KEPT_SECONDS: i64 = 90 * 86_400;

/// The bucket of organization-wide settings.
pub const CONFIG: &str = "config";

/// The name of a person's bucket.
pub fn user_bucket(user_id: UserId) -> String {
    format!("user:{user_id}")
}

/// A person's bucket in an organization, or above organizations.
pub fn of_user(organization_id: Option<OrganizationId>, user_id: UserId) -> Partition {
    of_tenant(organization_id).bucket(user_bucket(user_id))
}

/// The id that always follows from the same parts: a `UUIDv7` of that time whose other bits are a hash, so that what is
/// made twice is made once.
pub fn derived_id(time: Timestamp, parts: &[&str]) -> Uuid {
    let hash = sha256(parts);
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    Builder::from_unix_timestamp_millis(u64::try_from(time.as_millisecond()).unwrap_or(0), &random)
        .into_uuid()
}

#[cfg(test)]
mod tests {
    use super::derived_id;
    use coder_core::Timestamp;

    #[test]
    fn a_derived_id_depends_on_every_part_and_keeps_its_time() {
        let time: Timestamp = "2026-02-28T23:59:59.5Z".parse().unwrap();
        let id = derived_id(time, &["event", "user"]);
        assert_eq!(id, derived_id(time, &["event", "user"]));
        assert_ne!(id, derived_id(time, &["eventuser", ""]));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(super::message::bucket_of(&id.to_string()).as_deref(), Some("2026-02"));
    }
}
