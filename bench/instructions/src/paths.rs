//! The hot paths that are counted, each with how often it is taken.

mod documents;
mod requests;

use anyhow::bail;
use coder_core::{Ambient, ManualClock, OsEntropy, Timestamp};
use coder_jobs::Schedule;
use coder_queue::{Entity, Message, cloud_event};
use serde_json::json;

/// Names, and how often each is taken at least.
pub(crate) const PATHS: &[(&str, u64)] = &[
    ("token-verification", 100),
    ("chain", 3_000),
    ("routing", 5_000),
    ("document-write", 500),
    ("document-read", 3_000),
    ("filtered-page", 100),
    ("ncrontab-parse", 1_000),
    ("event-envelope", 1_000),
];

/// Takes a path so many times.
pub(crate) fn take(path: &str, times: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match path {
        "token-verification" => runtime.block_on(requests::verify_tokens(times)),
        "chain" => runtime.block_on(requests::pass_chain(times)),
        "routing" => runtime.block_on(requests::route(times)),
        "document-write" => runtime.block_on(documents::write(times)),
        "document-read" => runtime.block_on(documents::read(times)),
        "filtered-page" => runtime.block_on(documents::page(times)),
        "ncrontab-parse" => parse_schedules(times),
        "event-envelope" => make_events(times),
        other => bail!("there is no path `{other}`"),
    }
}

/// When everything happens: while the token holds.
pub(crate) const NOW: &str = "2026-01-05T12:01:00Z";

/// A clock that stands still.
pub(crate) fn ambient() -> anyhow::Result<Ambient> {
    Ok(Ambient::new(ManualClock::at(NOW.parse::<Timestamp>()?), OsEntropy))
}

fn parse_schedules(times: u64) -> anyhow::Result<()> {
    for _ in 0..times {
        std::hint::black_box(Schedule::parse(std::hint::black_box("0 */10 8-18 * * Mon-Fri"))?);
    }
    Ok(())
}

/// Checks an event and makes the message that carries it.
fn make_events(times: u64) -> anyhow::Result<()> {
    let event = json!({
        "specversion": "1.0", "id": "01a20a2e-680a-7000-b622-549f2827096d", "source": "/functions/users",
        "type": "coder.users.team.created", "subject": "01a20a2e-680a-7000-b622-549f2827096e", "time": NOW,
        "organizationid": "01a20a2e-680a-7000-b622-549f2827096f", "datacontenttype": "application/json",
        "data": {"teamId": "01a20a2e-680a-7000-b622-549f2827096e", "name": "Platform", "parentTeamId": null},
    });
    for _ in 0..times {
        let faults = cloud_event::faults(&event);
        if !faults.is_empty() {
            bail!("{}", cloud_event::sentence(&faults));
        }
        std::hint::black_box(Message::of_event("event", Entity::Events, &event));
    }
    Ok(())
}
