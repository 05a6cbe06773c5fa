//! Handlers and platforms that run somewhere: what they say of the services that they stand on.

use coder_config::Settings;
use coder_gateway::RouteTable;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::Value;

use super::{Finding, PATIENCE, Verdict, services};

/// What `GET /health/ready` says of one service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    name: String,
    up: bool,
    needed: bool,
    latency_ms: u64,
}

/// The groups that the settings place elsewhere.
pub(super) async fn upstreams(settings: &Settings) -> Vec<Finding> {
    let asked = settings.upstreams.iter().map(async |(group, address)| {
        if RouteTable::PLATFORM.group(group).is_none() {
            let what = format!("there is no route group `{group}`");
            let known: Vec<&str> = RouteTable::PLATFORM.groups().map(|group| group.name).collect();
            let mend = format!("remove it, or name one of {}", known.join(", "));
            return vec![Finding::faulty(group, what, mend)];
        }
        ask(group, address.as_str()).await
    });
    let mut findings: Vec<Finding> = join_all(asked).await.into_iter().flatten().collect();
    for finding in findings.iter_mut().filter(|finding| finding.setting.is_none()) {
        let group = finding.check.split(": ").next().unwrap_or_default().to_ascii_uppercase();
        finding.set_in = Some(format!("`CODER_UPSTREAM_{group}`"));
    }
    findings
}

/// The services behind each of these addresses.
pub(super) async fn ask_all(addresses: &[String]) -> Vec<Finding> {
    let asked = addresses.iter().map(|address| ask(address, address));
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether a platform or a handler listens there.
pub(super) async fn is_platform(address: &str) -> bool {
    health(address).await.is_ok()
}

async fn ask(name: &str, address: &str) -> Vec<Finding> {
    match health(address).await {
        Ok((_, states)) if !states.is_empty() => states.into_iter().map(|state| told(name, state)).collect(),
        Ok((detail, _)) => {
            vec![Finding::faulty(name, detail, "run `coder doctor` with the settings of that process")]
        }
        Err(cause) => {
            let what = format!("{address} does not answer as a handler does: {cause}");
            vec![Finding::faulty(name, what, "start the handler, or correct the address")]
        }
    }
}

fn told(name: &str, state: State) -> Finding {
    let check = format!("{name}: {}", state.name);
    let verdict = match (state.up, state.needed) {
        (true, _) => Verdict::Good,
        (false, false) => Verdict::Poor,
        (false, true) => Verdict::Faulty,
    };
    let finding = Finding::new(&check, verdict, if state.up { "it answers" } else { "it does not answer" });
    let finding = Finding { latency_ms: Some(state.latency_ms), ..finding };
    if state.up { finding } else { services::with_advice(finding, &state.name) }
}

/// What a process says of itself: a sentence, and its services.
async fn health(address: &str) -> Result<(String, Vec<State>), String> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|error| chain(&error))?;
    let url = format!("{}/health/ready", address.trim_end_matches('/'));
    let answer = client.get(url).send().await.map_err(|error| chain(&error))?;
    let code = answer.status();
    let body: Value = answer.json().await.map_err(|_| format!("it answers {code}, and no JSON"))?;
    let states = serde_json::from_value(body["dependencies"].clone()).unwrap_or_default();
    let detail = body["detail"].as_str().or(body["status"].as_str());
    let detail = detail.ok_or_else(|| format!("it answers {code}"))?;
    Ok((detail.to_owned(), states))
}

/// The cause says more than the error: that a connection was refused, say.
fn chain(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
