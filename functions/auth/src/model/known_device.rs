//! A device that a person has signed in from. Sessions go a week after their end, sooner than a device is
//! forgotten, so each kind of device leaves this trace.

use coder_core::UserId;
use coder_database::{Entity, Partition};
use serde::{Deserialize, Serialize};

/// A trace of a device in the person's partition; the id is `device:` and the hash of its characteristics. The
/// document goes [`KnownDevice::REMEMBERED_SECONDS`] after the last sign-in; nothing but its presence matters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownDevice {}

impl Entity for KnownDevice {
    const TYPE: &'static str = "known-device";
}

impl KnownDevice {
    /// 180 days.
    pub const REMEMBERED_SECONDS: i64 = 180 * 24 * 3600;

    /// The person's partition.
    pub fn partition(user_id: UserId) -> Partition {
        Partition::user(user_id)
    }
}
