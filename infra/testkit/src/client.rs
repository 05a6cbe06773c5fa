//! A caller over HTTP, with the credential of one role.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coder_core::{OrganizationId, UserId};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::platform;
use crate::stream::LiveStream;

/// How long a stream is read; the platform ends it earlier.
const STREAM: Duration = Duration::from_mins(5);

/// What was answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The JSON body; null for an empty one, a string for other text.
    pub body: Value,
}

impl Reply {
    /// The problem's code, or nothing.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header as text, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A text field at a JSON pointer; the test fails without it.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        match self.body.pointer(pointer).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => panic!("no text at {pointer}: {self:?}"),
        }
    }

    /// The test fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self
    }

    /// The test fails unless status and problem code are these.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{:#}", self.body);
        self
    }
}

/// The credential that a client sends.
#[derive(Debug, Clone)]
enum Credential {
    None,
    Token(String),
    Key(String),
}

/// A caller. Clones share nothing but the connection pool.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    credential: Arc<Mutex<Credential>>,
    /// The address that the person signs in with; empty for nobody.
    pub email: String,
    /// The person's password.
    pub password: String,
    /// The last refresh token.
    pub refresh_token: String,
    /// The person; nil for nobody.
    pub user_id: Option<UserId>,
    /// The organization of the token.
    pub organization_id: Option<OrganizationId>,
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("email", &self.email).finish_non_exhaustive()
    }
}

impl Client {
    /// Nobody: no credential.
    pub fn nobody(base: impl Into<String>, http: reqwest::Client) -> Self {
        Self {
            base: base.into(),
            http,
            credential: Arc::new(Mutex::new(Credential::None)),
            email: String::new(),
            password: String::new(),
            refresh_token: String::new(),
            user_id: None,
            organization_id: None,
        }
    }

    /// Nobody, with connections of its own.
    pub fn at(base: impl Into<String>) -> Self {
        Self::nobody(base, platform::client())
    }

    /// The same caller with another access token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { credential: Arc::new(Mutex::new(Credential::Token(token.into()))), ..self.clone() }
    }

    /// The same caller with an API key instead.
    pub fn with_api_key(&self, key: impl Into<String>) -> Self {
        Self { credential: Arc::new(Mutex::new(Credential::Key(key.into()))), ..self.clone() }
    }

    /// The access token; empty without one.
    pub fn token(&self) -> String {
        match &*self.credential.lock().unwrap_or_else(PoisonError::into_inner) {
            Credential::Token(token) => token.clone(),
            Credential::None | Credential::Key(_) => String::new(),
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None, &[]).await
    }

    /// Everything of a list, page by page; a refusal ends the test.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{joint}limit=200{cursor}")).await.expect(200);
            let Some(found) = page.body["items"].as_array() else { panic!("this is no list: {page:?}") };
            items.extend(found.iter().cloned());
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(&body), &[]).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, Some(&body), &[]).await
    }

    /// `PATCH` with a merge patch.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, Some(&body), &[]).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None, &[]).await
    }

    /// Any request with a JSON body and further headers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        self.send_bytes(method, path, body.map(|body| body.to_string().into_bytes()), headers).await
    }

    /// Any request with any bytes as a body that says it is JSON.
    pub async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Reply {
        match self.try_send(method, path, body, headers).await {
            Ok(reply) => reply,
            Err(error) => panic!("no answer from {path}: {error:?}"),
        }
    }

    /// The same; without a whole answer, the error.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Reply, reqwest::Error> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request = request.header("content-type", "application/json");
            }
            request = request.body(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        // A stream ends when its client leaves: whoever wants what is in it opens it with `stream`.
        let streams = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let bytes = if streams { Vec::new() } else { response.bytes().await?.to_vec() };
        let body = match serde_json::from_slice(&bytes) {
            Ok(value) => value,
            Err(_) if bytes.is_empty() => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
        };
        Ok(Reply { status, headers, body })
    }

    /// Opens a stream of events, after the one with this id.
    pub async fn stream(&self, path: &str, last_event_id: Option<&str>) -> LiveStream {
        let request = self.request(Method::GET, path).timeout(STREAM);
        let request =
            last_event_id.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        match request.send().await {
            Ok(response) if response.status().is_success() => LiveStream::of(response),
            other => panic!("no stream from {path}: {other:?}"),
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match self.credential.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Credential::None => request,
            Credential::Token(token) => request.bearer_auth(token),
            Credential::Key(key) => request.header("x-api-key", key),
        }
    }
}
