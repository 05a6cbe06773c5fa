//! Reservations: holding use before it happens, and letting go of it.

use coder_core::{Code, Failure, OrganizationId, Problem, Result, Timestamp};
use coder_database::{Record, Transaction};
use coder_handler::Cause;

use super::{Standing, Usage};
use crate::model::{CONTAINER, Hold, HoldEntry, Reservation, ReservationState, config};
use crate::period::days_after;

/// Days that a reservation is kept after its end.
const KEPT_DAYS: i64 = 7;
/// Reservations that hold units of one quota at once.
const MAX_HELD: usize = 5000;

impl Usage {
    /// Changes the state of a reservation that is held, and frees what it held, in one transaction. Nothing happens
    /// to one that ended before.
    pub(crate) async fn end_reservation(
        &self,
        by: Cause<'_>,
        organization_id: OrganizationId,
        id: &str,
        state: ReservationState,
    ) -> Result<Option<Record<Reservation>>> {
        let partition = config(organization_id);
        let Some(before) = self.reservations.find(&partition, id).await? else { return Ok(None) };
        if before.data.state != ReservationState::Held {
            return Ok(Some(before));
        }
        let mut unit = by.begin(CONTAINER, partition.clone()).without_audit();
        for hold_id in &before.data.holds {
            let Some(hold) = self.holds.find(&partition, hold_id).await? else { continue };
            let mut entries = hold.data.entries.clone();
            if entries.remove(id).is_some() {
                unit.replace(&hold, Hold { entries })?;
            }
        }
        let (record, _) = unit.replace(&before, Reservation { state, ..before.data.clone() })?;
        by.commit(unit).await?;
        Ok(Some(record))
    }
}

/// Writes a reservation and its holds; a hold that changed since it was read makes the transaction stale.
pub(crate) fn hold(
    unit: &mut Transaction,
    standings: &[Standing],
    mut reservation: Reservation,
    id: &str,
    now: Timestamp,
) -> Result<Record<Reservation>> {
    for standing in standings.iter().filter(|standing| standing.estimate > crate::decimal::Decimal::ZERO) {
        let entry = HoldEntry { amount: standing.estimate, expires_at: reservation.expires_at };
        let mut hold = standing.hold.as_ref().map(|hold| hold.data.clone()).unwrap_or_default();
        hold.entries.retain(|_, entry| entry.expires_at > now);
        hold.entries.insert(id.to_owned(), entry);
        if hold.entries.len() > MAX_HELD {
            let detail =
                format!("The quota `{}` has {MAX_HELD} reservations; commit some first.", standing.rule.name);
            return Err(Problem::new(Code::LimitReached, detail).into());
        }
        match &standing.hold {
            Some(before) => drop(unit.replace(before, hold)?),
            None => {
                let mut record = unit.record(&standing.hold_id, hold);
                record.expires_at = Some(days_after(standing.span.to, KEPT_DAYS));
                unit.insert(&record)?;
            }
        }
        reservation.holds.push(standing.hold_id.clone());
    }
    let mut record = unit.record(id, reservation);
    record.expires_at = Some(days_after(record.data.expires_at, KEPT_DAYS));
    unit.insert(&record)?;
    Ok(record)
}

/// A write that found an id taken runs again like one that found a document changed.
pub(crate) fn taken_is_stale(failure: Failure) -> Failure {
    match failure.code() {
        Some(Code::AlreadyExists) => Failure::Stale,
        _ => failure,
    }
}
