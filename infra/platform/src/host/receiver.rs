//! Whoever has the functions of a group: this process, or a handler at an address of its own.

use std::time::Duration;

use coder_config::Settings;
use coder_handler::Running;
use coder_handler::functions::{DEADLINE, Functions, Outcome};
use coder_startup::StartError;
use http::header::{CONTENT_TYPE, USER_AGENT};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

/// What the host calls itself.
const HOST_VERSION: &str = "4.1052.100.0";

/// What a handler at an address is given beyond its own deadline.
const MARGIN: Duration = Duration::from_secs(45);

/// Runs a group's functions.
#[derive(Debug, Clone)]
pub(crate) enum Receiver {
    /// In this process.
    InProcess(Functions),
    /// At an address: under a debugger, or in the real Functions host.
    Remote { client: reqwest::Client, address: Url },
}

/// The client for handlers at an address.
pub(crate) fn client() -> Result<reqwest::Client, StartError> {
    let client = coder_outbound::client_builder().redirect(reqwest::redirect::Policy::none()).build();
    client.map_err(|error| StartError::Other(format!("the HTTP client cannot be made: {error}")))
}

impl Receiver {
    /// Wherever the settings say that the group's functions are.
    pub(crate) fn of(group: &Running, settings: &Settings, client: &reqwest::Client) -> Self {
        match settings.upstreams.get(group.name) {
            Some(address) => Self::Remote { client: client.clone(), address: address.clone() },
            None => Self::InProcess(group.functions.clone()),
        }
    }

    /// Calls a function and gives back what it returned; the error says why the call has failed. Only a 2xx
    /// answer with a JSON object is a success, as for the Functions host.
    pub(crate) async fn call(
        &self,
        function: &str,
        envelope: &impl Serialize,
        call: &str,
    ) -> Result<Value, String> {
        match self {
            Self::InProcess(functions) => {
                let envelope = serde_json::to_value(envelope).map_err(|error| error.to_string())?;
                match functions.invoke(function, envelope, call).await {
                    Outcome::Done(value) => Ok(value),
                    Outcome::Retry(reason) | Outcome::Reject(reason) => Err(reason),
                }
            }
            Self::Remote { client, address } => {
                let url = address.join(function).map_err(|error| error.to_string())?;
                let request = client
                    .post(url)
                    .timeout(DEADLINE + MARGIN)
                    .header(CONTENT_TYPE, "application/json; charset=utf-8")
                    .header(USER_AGENT, format!("Azure-Functions-Host/{HOST_VERSION}"))
                    .header("x-azure-functions-invocationid", call)
                    .header("x-azure-functions-hostversion", HOST_VERSION)
                    .body(serde_json::to_string(envelope).map_err(|error| error.to_string())?);
                let answer = request.send().await.map_err(|error| error.to_string())?;
                let (status, media) = (answer.status(), media_type(&answer));
                let body = answer.bytes().await.map_err(|error| error.to_string())?;
                if !status.is_success() {
                    let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
                    return Err(format!("the handler answered {status}: {text}"));
                }
                let object = serde_json::from_slice::<Map<String, Value>>(&body).ok();
                match (media.as_str(), object) {
                    ("application/json" | "text/json", Some(mut object)) => {
                        Ok(object.remove("ReturnValue").unwrap_or_default())
                    }
                    _ => Err(format!("the handler answered {status} without a JSON object")),
                }
            }
        }
    }
}

fn media_type(answer: &reqwest::Response) -> String {
    let value = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
