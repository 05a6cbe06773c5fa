//! Reservations: use that is about to happen, and the documents on which it is held.

use std::collections::BTreeMap;

use coder_core::Timestamp;
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dimensions, Subject};
use crate::decimal::{Decimal, Quantity};

coder_core::id_type!(/// A reservation of an organization.
    ReservationId);

/// Use that is about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// What kind of use.
    pub category_code: String,
    /// How much at most.
    pub estimate: BTreeMap<String, Quantity>,
    /// Particulars.
    pub dimensions: Dimensions,
    /// Who or what will use it.
    pub subject: Subject,
    /// Where it stands.
    pub state: ReservationState,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// The caller that may commit and release it.
    pub holder: String,
    /// The documents on which it is held.
    pub holds: Vec<String>,
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// The units are held.
    Held,
    /// The use happened.
    Committed,
    /// It did not.
    Released,
    /// Nobody said in time.
    Expired,
}

/// What is held of one quota or budget in one period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// By reservation.
    pub entries: BTreeMap<String, HoldEntry>,
}

/// What one reservation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldEntry {
    /// How much.
    pub amount: Decimal,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Hold {
    /// What is held at this time.
    pub fn held(&self, now: Timestamp) -> Decimal {
        self.entries.values().filter(|entry| entry.expires_at > now).map(|entry| entry.amount).sum()
    }
}

impl Entity for Reservation {
    const TYPE: &'static str = "reservation";
}

impl Entity for Hold {
    const TYPE: &'static str = "hold";
}
