//! The lease on a run: who works on it, and until when nobody else may.

use coder_core::Timestamp;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How long a lease holds without being renewed. A run renews every third of it; one whose process was killed
/// is taken over when it has passed.
pub const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// A lease that ends later than this from now was taken by a wrong clock, and counts for nothing.
const CLOCK_FAULT: SignedDuration = SignedDuration::from_mins(10);

/// A run's claim on its record. It holds even after its end until somebody else takes the record, since nobody
/// else has run in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The run, by an id that no other run ever has: it fences the writes of runs that were taken over from.
    pub owner: String,
    /// Until when nobody else may take the record.
    pub expires_at: Timestamp,
}

impl Lease {
    /// A lease from now on.
    pub fn from(owner: impl Into<String>, now: Timestamp) -> Self {
        Self { owner: owner.into(), expires_at: end(now) }
    }

    /// Whether others must keep off.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at > now && self.expires_at.duration_since(now) <= CLOCK_FAULT
    }

    /// Makes it last from now on.
    pub fn renew(&mut self, now: Timestamp) {
        self.expires_at = end(now);
    }
}

fn end(now: Timestamp) -> Timestamp {
    now.saturating_add(LEASE).unwrap_or(Timestamp::MAX)
}
