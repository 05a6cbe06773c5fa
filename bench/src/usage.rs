//! Usage events over HTTP, in batches of a hundred, through the whole platform.

use coder_platform::route_groups;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::client::Client;
use crate::clock::{now, rate};
use crate::scratch::Scratch;
use crate::table::Table;

const BATCH: usize = 100;
const CLIENTS: usize = 8;
const BATCHES: usize = 25;

fn batch(client: usize, number: usize, at: &str) -> Value {
    let event = |index: usize| {
        json!({
            "source": "bench",
            "eventId": format!("{client}-{number}-{index}"),
            "categoryCode": "ai.completion",
            "metrics": {"inputTokens": 1500, "outputTokens": 500, "requests": 1},
            "occurredAt": at,
        })
    };
    json!({"events": (0..BATCH).map(event).collect::<Vec<_>>()})
}

/// Several clients at once, each sending one batch after the other.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let scratch = Scratch::start(route_groups()).await?;
    let owner = Client::register(scratch.platform.url()).await?;
    let body = json!({"name": "Bench", "permissions": ["usage.event.create"]});
    let key = owner.post("/api/auth/api-keys", &body).await?;
    let reporter = owner.with_key(key["key"].as_str().unwrap_or_default());
    let at = scratch.platform.assembly.providers.ambient.now().to_string();
    let start = now();
    let send = async |client: usize| {
        for number in 0..BATCHES {
            reporter.send("/api/usage/events", &batch(client, number, &at)).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..CLIENTS).map(send)).await?;
    let rate = rate(CLIENTS * BATCHES * BATCH, start.elapsed());
    table.row("usage events taken in batches of 100", format!("{rate:.0} a second"));
    scratch.platform.stop().await;
    Ok(())
}
