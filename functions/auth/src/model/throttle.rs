//! Counters that slow down guessing, also for addresses that nobody has.

use coder_core::Timestamp;
use coder_database::{Entity, Partition};
use serde::{Deserialize, Serialize};

use crate::email::EmailAddress;

/// The counters of one e-mail address; one in its partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Throttle {
    /// Wrong passwords or codes in a row.
    pub failures: u32,
    /// When the last one was.
    pub last_failure_at: Option<Timestamp>,
    /// When links were asked for in the last hour.
    pub requested_at: Vec<Timestamp>,
    /// When mails were sent in the last hour.
    pub mailed_at: Vec<Timestamp>,
}

impl Entity for Throttle {
    const TYPE: &'static str = "throttle";
}

impl Throttle {
    /// The document id.
    pub const ID: &'static str = "throttle";
    /// Seconds that the counters are kept after the last write.
    pub const LIFETIME_SECONDS: i64 = 3600;

    /// The partition of an address.
    pub fn partition(email: &EmailAddress) -> Partition {
        Partition::keyed("throttle", email.hash())
    }
}
