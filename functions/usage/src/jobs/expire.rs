//! Every minute: reservations that nobody committed or released in time.

use coder_core::Result;
use coder_database::Filter;
use coder_handler::Invocation;
use serde_json::json;

use crate::model::ReservationState;
use crate::service::{Acting, Usage, everywhere, owner, retried};

/// Ends reservations whose time is over, and frees what they held.
pub async fn expire(usage: Usage, run: Invocation) -> Result<()> {
    let over = Filter::Le("expiresAt".to_owned(), json!(usage.now()));
    let held = Filter::eq("state", "held").and(over);
    for (partition, reservation) in everywhere(&usage.reservations, &run.job, held).await? {
        let organization_id = owner(&partition)?;
        let id = &reservation.meta.id;
        retried(|| usage.end_reservation(Acting::Job(&run), organization_id, id, ReservationState::Expired))
            .await?;
    }
    Ok(())
}
