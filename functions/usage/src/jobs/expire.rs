//! Every minute: reservations that nobody committed or released in time.

use coder_core::Result;
use coder_database::Filter;
use coder_handler::{Cause, Invocation, retry_stale_up_to};
use serde_json::json;

use crate::model::ReservationState;
use crate::service::{TRIES, Usage, everywhere, owner};

/// Ends reservations whose time is over, and frees what they held.
pub async fn expire(usage: Usage, run: Invocation) -> Result<()> {
    let over = Filter::Le("expiresAt".to_owned(), json!(usage.now()));
    let held = Filter::eq("state", "held").and(over);
    for (partition, reservation) in everywhere(&usage.reservations, &run.job, held).await? {
        let organization_id = owner(&partition)?;
        let id = &reservation.meta.id;
        retry_stale_up_to(TRIES, || {
            usage.end_reservation(Cause::Job(&run), organization_id, id, ReservationState::Expired)
        })
        .await?;
    }
    Ok(())
}
