//! A client of a scratch platform.

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

/// Somebody with a credential.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    credential: (&'static str, String),
}

impl Client {
    /// Nobody in particular.
    pub(crate) fn nobody(url: impl Into<String>) -> Self {
        let credential = ("accept", "application/json".to_owned());
        Self { http: reqwest::Client::new(), url: url.into(), credential }
    }

    /// Registers the owner of a new organization; their access token.
    pub(crate) async fn new_owner(&self, number: usize) -> anyhow::Result<String> {
        let body = json!({
            "email": format!("owner-{number}@example.com"), "password": "correct horse battery staple 7",
            "displayName": "Owner", "organizationName": format!("Acme {number}"),
        });
        let registered = self.post("/api/auth/register", &body).await?;
        Ok(registered["accessToken"].as_str().unwrap_or_default().to_owned())
    }

    /// Registers the owner of a new organization.
    pub(crate) async fn register(url: String) -> anyhow::Result<Self> {
        let nobody = Self::nobody(url);
        let token = nobody.new_owner(0).await?;
        Ok(Self { credential: ("authorization", format!("Bearer {token}")), ..nobody })
    }

    /// The same client with an API key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        let (http, url) = (self.http.clone(), self.url.clone());
        Self { http, url, credential: ("x-api-key", key.to_owned()) }
    }

    /// Posts, and reads the answer as JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(self.send(path, body).await?.json().await?)
    }

    /// Posts; a refusal is an error.
    pub(crate) async fn send(&self, path: &str, body: &Value) -> anyhow::Result<Response> {
        Ok(self.request(path).json(body).send().await?.error_for_status()?)
    }

    fn request(&self, path: &str) -> RequestBuilder {
        let (name, value) = &self.credential;
        self.http.post(format!("{}{path}", self.url)).header(*name, value)
    }
}
