//! The embedded broker alone: messages published durably, then received and completed.

use coder_core::Ambient;
use coder_embedded::broker::{Source, Subscription};
use coder_embedded::{Options, SqliteBroker};
use coder_queue::{Entity, Message, Publisher as _};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::clock::{now, rate};
use crate::table::Table;

const MESSAGES: usize = 20_000;
const BATCH: usize = 100;
const AT_ONCE: usize = 10;

fn message(number: usize) -> Message {
    let event = json!({
        "specversion": "1.0", "id": format!("bench-{number}"), "source": "/functions/bench",
        "type": "coder.bench.thing.made", "subject": format!("thing-{number}"),
        "time": "2026-01-05T12:00:00Z", "organizationid": "platform", "data": {"number": number},
    });
    Message::of_event(format!("bench-{number}"), Entity::Events, &event)
}

/// Publishes in batches, several at once; then empties the subscription the same way.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let broker = SqliteBroker::open(directory.path(), &Options::default(), Ambient::system())?;
    broker.subscribe(&[Subscription::new("bench", ["coder.*"])]).await?;
    let start = now();
    for round in 0..MESSAGES / BATCH / AT_ONCE {
        let batches = (0..AT_ONCE).map(async |batch| {
            let first = (round * AT_ONCE + batch) * BATCH;
            let messages: Vec<Message> = (first..first + BATCH).map(message).collect();
            broker.publish(&messages).await
        });
        try_join_all(batches).await?;
    }
    let published = start.elapsed();
    let source = Source::subscription("bench");
    let start = now();
    let mut received = 0;
    while received < MESSAGES {
        let deliveries = broker.receive(&source, BATCH).await?;
        received += deliveries.len();
        try_join_all(deliveries.iter().map(|delivery| broker.complete(&delivery.lock))).await?;
    }
    let taken = start.elapsed();
    table.row(
        "events published durably in batches of 100",
        format!("{:.0} a second", rate(MESSAGES, published)),
    );
    table.row("events received and completed, 100 at once", format!("{:.0} a second", rate(MESSAGES, taken)));
    Ok(())
}
