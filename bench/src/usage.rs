//! Usage events over HTTP, in batches of a hundred, through the whole platform.

use coder_platform::route_groups;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::clock::{now, rate};
use crate::scratch::Scratch;
use crate::table::Table;

const BATCH: usize = 100;
const CLIENTS: usize = 8;
const BATCHES: usize = 25;

struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// An API key that may report usage.
    async fn key(&self) -> anyhow::Result<String> {
        let body = json!({"name": "Bench", "permissions": ["usage.event.create"]});
        let made = self.post("/api/auth/api-keys", &body).await?;
        Ok(made["key"].as_str().unwrap_or_default().to_owned())
    }
}

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
    let mut owner =
        Client { http: reqwest::Client::new(), url: scratch.platform.url(), token: String::new() };
    let body = json!({
        "email": "owner@example.com", "password": "correct horse battery staple 7",
        "displayName": "Owner", "organizationName": "Acme",
    });
    let registered = owner.post("/api/auth/register", &body).await?;
    registered["accessToken"].as_str().unwrap_or_default().clone_into(&mut owner.token);
    let key = owner.key().await?;
    let at = scratch.platform.assembly.providers.ambient.now().to_string();
    let start = now();
    let send = async |client: usize| {
        for number in 0..BATCHES {
            let request =
                owner.http.post(format!("{}/api/usage/events", owner.url)).header("x-api-key", &key);
            request.json(&batch(client, number, &at)).send().await?.error_for_status()?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..CLIENTS).map(send)).await?;
    let rate = rate(CLIENTS * BATCHES * BATCH, start.elapsed());
    table.row("usage events taken in batches of 100", format!("{rate:.0} a second"));
    scratch.platform.stop().await;
    Ok(())
}
