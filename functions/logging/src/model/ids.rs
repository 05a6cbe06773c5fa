//! Ids. Those of entries say in which month to look, and are made from the event, so that one event cannot become two
//! entries of a month.

use coder_core::id::Uuid;

use super::trail::{Month, Trail};
use crate::chain::sha256;

coder_core::id_type!(/// An entry.
    EntryId);
coder_core::id_type!(/// A checkpoint.
    CheckpointId);
coder_core::id_type!(/// An export.
    ExportId);
coder_core::id_type!(/// A retention policy.
    PolicyId);
coder_core::id_type!(/// An alert rule.
    RuleId);
coder_core::id_type!(/// An alert.
    AlertId);
coder_core::id_type!(/// A verification.
    VerificationId);
coder_core::id_type!(/// An erasure.
    ErasureId);

/// A UUID (version 8, RFC 9562) that is the same for the same parts.
pub fn derived(parts: &[&str]) -> Uuid {
    let lengths: Vec<_> = parts.iter().map(|part| part.len().to_be_bytes()).collect();
    let bytes = parts.iter().zip(&lengths).flat_map(|(part, length)| [&length[..], part.as_bytes()]);
    let hash = sha256(&bytes.collect::<Vec<_>>());
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    coder_core::id::uuid::Builder::from_custom_bytes(first).into_uuid()
}

impl EntryId {
    /// The id of an event's entry in a month: its first 16 bits are the month, the rest is a hash.
    pub fn of_event(trail: Trail, month: Month, event_id: &str) -> Self {
        let mut bytes = *derived(&[&trail.name(), event_id]).as_bytes();
        bytes[..2].copy_from_slice(&month.number().to_be_bytes());
        Uuid::from_bytes(bytes).into()
    }

    /// The month in whose bucket the entry is.
    pub fn month(self) -> Month {
        let [high, low, ..] = *self.uuid().as_bytes();
        Month::from_number(u16::from_be_bytes([high, low]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_id_is_the_events_and_names_its_month() {
        let month: Month = "2026-11".parse().unwrap();
        let id = EntryId::of_event(Trail::Platform, month, "event");
        assert_eq!(id.month(), month);
        assert_eq!(id.uuid().get_version_num(), 8);
        assert_eq!(EntryId::of_event(Trail::Platform, month, "event"), id);
        let other = Trail::Organization(coder_core::id::EXAMPLE.into());
        let ids = [
            EntryId::of_event(Trail::Platform, month.next(), "event"),
            EntryId::of_event(Trail::Platform, month, "another"),
            EntryId::of_event(other, month, "event"),
        ];
        assert!(ids.iter().all(|one| *one != id));
        assert_ne!(derived(&["ab", "c"]), derived(&["a", "bc"]));
    }
}
