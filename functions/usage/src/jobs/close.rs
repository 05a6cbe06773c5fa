//! In the first days of a month: statements of the months before, from the third day on, when late events are in.

use std::collections::BTreeSet;

use coder_core::Result;
use coder_database::Filter;
use coder_handler::{Cause, Invocation};
use serde_json::json;

use crate::period::{Granularity, Month, days_after};
use crate::series;
use crate::service::{Usage, everywhere, owner};

/// Days that a month stays open for late events.
const OPEN_DAYS: i64 = 2;
/// Months that are looked back, should statements have been missed.
const LOOK_BACK: usize = 6;

/// Closes every month that waits for it, the earliest first.
pub async fn close(usage: Usage, run: Invocation) -> Result<()> {
    let now = usage.now();
    let this = Month::of(now);
    let first =
        std::iter::successors(Some(this), |month| Some(month.previous())).nth(LOOK_BACK).unwrap_or(this);
    let rated = Filter::StartsWith("series".to_owned(), series::prefix(Granularity::Month, "price"))
        .and(Filter::Ge("start".to_owned(), json!(first.start())))
        .and(Filter::Lt("start".to_owned(), json!(this.start())));
    let mut open = BTreeSet::new();
    for (partition, counter) in everywhere(&usage.counters, &run.job, rated).await? {
        let month = Month::of(counter.data.start);
        if now >= days_after(month.next().start(), OPEN_DAYS) {
            open.insert((month, owner(&partition)?));
        }
    }
    for (month, organization_id) in open {
        usage.close(Cause::Job(&run), organization_id, month).await?;
    }
    Ok(())
}
