//! This platform's passwords at external providers, which the secrets group keeps. A provider only names one
//! (`secret:<secretId>[#<field>]`); its value is never in this group's documents, answers or logs.

use std::sync::Arc;

use coder_core::{Ambient, Failure, OrganizationId};
use coder_handler::Peers;
use coder_middleware::token::Acting;
use http::Method;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::recent::Recent;

/// For how long a value is used without asking again.
const KEPT: SignedDuration = SignedDuration::from_secs(60);

/// Finds the values that references name.
#[derive(Debug)]
pub(crate) struct ClientSecrets {
    peers: Arc<Peers>,
    ambient: Ambient,
    values: Recent<SecretString>,
}

/// What the secrets group answers to one reference. It has no `Debug`, since it holds the value.
#[derive(Deserialize)]
struct Answer {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    value: Value,
}

impl ClientSecrets {
    /// Those that this peer keeps.
    pub(crate) fn new(peers: Arc<Peers>, ambient: Ambient) -> Self {
        Self { peers, ambient, values: Recent::kept_for(KEPT) }
    }

    /// The value, if the organization has such a secret, it is a text, and its owner lets the platform itself use it
    /// (`systemUse`). The platform's own providers are public clients: no secret belongs to the platform.
    pub(crate) async fn resolve(
        &self,
        owner: Option<OrganizationId>,
        reference: &str,
    ) -> Result<Option<Arc<SecretString>>, Failure> {
        let Some(organization_id) = owner else { return Ok(None) };
        let (now, key) = (self.ambient.now(), format!("{organization_id} {reference}"));
        if let Some(value) = self.values.get(&key, now) {
            return Ok(Some(value));
        }
        let acting = Some(Acting { organization_id, user_id: None });
        let body = json!({"references": [reference]});
        let answer = self.peers.call_for(acting, "secrets", Method::POST, "/resolve", Some(&body)).await?;
        let answer: Answer = answer.success("secrets")?;
        match answer.results.into_iter().next().map(|outcome| outcome.value) {
            Some(Value::String(value)) => Ok(Some(self.values.put(&key, value.into(), now))),
            _ => Ok(None),
        }
    }
}
