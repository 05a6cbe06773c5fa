//! `--seed`: a demonstration organization for a first look, made by ordinary requests.

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use coder_core::{Failure, Result};
use coder_users::seed::{SeedClient, Seeded, seed};
use http::Method;
use serde_json::{Value, json};

/// Who owns the demonstration. For development only, hence a password that everybody may know.
pub(crate) const EMAIL: &str = "demo@example.com";
/// The password of the demonstration's owner.
pub(crate) const PASSWORD: &str = "a look around the workshop";

struct Owner {
    url: String,
    http: reqwest::Client,
    token: String,
}

/// Makes the demonstration, or what is missing of it.
pub(crate) async fn run(url: &str) -> anyhow::Result<Seeded> {
    let mut owner = Owner { url: url.to_owned(), http: reqwest::Client::new(), token: String::new() };
    let person = json!({
        "email": EMAIL, "password": PASSWORD, "displayName": "Demo", "organizationName": "Demonstration",
    });
    let (status, mut tokens) = owner.call(Method::POST, "/api/auth/register", Some(&person)).await?;
    if status == 409 {
        let login = json!({"email": EMAIL, "password": PASSWORD});
        tokens = owner.call(Method::POST, "/api/auth/login", Some(&login)).await?.1;
    }
    let Some(token) = tokens["accessToken"].as_str() else {
        let detail =
            tokens["detail"].as_str().unwrap_or("registration must be open and need no confirmation");
        bail!("the demonstration's owner cannot sign in: {detail}");
    };
    token.clone_into(&mut owner.token);
    seed(&owner).await.map_err(|failure| anyhow::anyhow!("the demonstration is not whole: {failure}"))
}

impl Owner {
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = request.send().await.with_context(|| format!("`{path}` does not answer"))?;
        let status = reply.status().as_u16();
        Ok((status, reply.json().await.unwrap_or_default()))
    }
}

#[async_trait]
impl SeedClient for Owner {
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let path = format!("/api/users{path}");
        self.call(method, &path, body).await.map_err(|error| Failure::internal(format!("{error:#}")))
    }
}
