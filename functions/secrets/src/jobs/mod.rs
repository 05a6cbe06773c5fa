//! What runs by the clock, and what is started once. Every run reads what is due, takes one thing at a time, and
//! leaves to the next run what others changed meanwhile.

mod expiry;
mod keys;
mod nightly;
mod reencrypt;
mod rotations;

use coder_core::{Failure, Result};
use coder_database::{Entity, Filter, Partition, PlatformJob, Query, Record, Repository};

pub use expiry::expire;
pub use keys::maintain_keys;
pub use nightly::purge;
pub use reencrypt::{REENCRYPT, reencrypt};
pub use rotations::rotate;

/// Documents that a job reads at a time.
const PAGE: u32 = 200;

/// Leaves to the next run what somebody else changed meanwhile.
fn unless_stale(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(Failure::Stale) => Ok(()),
        outcome => outcome,
    }
}

/// Everything that is due at the start, read page by page before anything changes, so that a change cannot move the
/// next page.
pub(crate) async fn due<T: Entity>(
    repository: &Repository<T>,
    job: &PlatformJob,
    filter: impl Into<Option<Filter>>,
) -> Result<Vec<(Partition, Record<T>)>> {
    let mut query = Query::new(filter).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let (page, next) = repository.page_across(job, &query).await?;
        found.extend(page);
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(found),
        }
    }
}
