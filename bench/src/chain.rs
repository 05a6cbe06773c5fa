//! What the request chain costs: a handler behind it, alone and behind the gateway in one process, beside the same
//! handler without anything around it.

use std::time::Duration;

use crate::compare::{Subject, alternate};
use crate::load::{Until, get};
use crate::process::Process;
use crate::table::Table;
use crate::teams::Site;

const ROUNDS: usize = 9;
const ROUND: Until = Until::Time(Duration::from_millis(500));
/// What the chain may cost, in microseconds.
const CHAIN: f64 = 35.0;
/// What the gateway may add in one process, in microseconds.
const GATEWAY: f64 = 15.0;

/// Identification, limits, authentication and all the rest, without a store.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let site = Site::whole(1).await?;
    let bare = Process::own(&["bare"])?;
    let token = &site.tokens[0];
    let message = |_| get("/api/calendar/answer", token);
    let [platform] = site.processes.as_slice() else { anyhow::bail!("one process was wanted") };
    let [through, alone] = platform.urls.as_slice() else { anyhow::bail!("two addresses were wanted") };
    let subjects = [
        Subject::new(through, [platform], message),
        Subject::new(alone, [platform], message),
        Subject::new(bare.url(), [&bare], message),
    ];
    let [through, alone, bare] = alternate(subjects, ROUNDS, ROUND).await?;
    let cost = alone.microseconds - bare.microseconds;
    table
        .row("the chain around a handler", alone.to_string())
        .beside(format!("axum {bare}"))
        .figure(cost, " µs CPU more")
        .at_most(CHAIN);
    table
        .row("the gateway before them, in one process", through.to_string())
        .beside(format!("without it {alone}"))
        .figure(through.microseconds - alone.microseconds, " µs CPU more")
        .at_most(GATEWAY);
    Ok(())
}
