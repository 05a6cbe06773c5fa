//! Where a route group is: in this process, at an address, or nowhere. One call to it, with its failures told
//! apart.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt;
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri, Version, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::ServiceExt;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than servers keep an idle connection, so that none is closed just as it is used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest header section of an answer, in bytes.
const ANSWER_HEADER_LIMIT: usize = 64 * 1024;

/// Where a group is reached.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// In this process. Requests keep their extensions.
    InProcess(Router),
    /// At an address. Requests are sent without their extensions.
    Remote(Address),
    /// Not at all; callers are told so.
    Absent,
}

/// The address of a handler or a Functions host: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Authority);

/// Why a URL is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Upstreams are on this machine or in a private network.
    #[error("`{0}` is not supported for a route group; use `http://host:port`")]
    Scheme(String),
    /// There is no host.
    #[error("the address of a route group needs a host: `http://host:port`")]
    Host,
    /// The gateway passes the caller's path on as it is, and sends no credential of its own.
    #[error("the address of a route group has no path, query, user or password: `http://host:port`")]
    Extra,
}

impl TryFrom<&Url> for Address {
    type Error = AddressError;

    fn try_from(url: &Url) -> Result<Self, AddressError> {
        if url.scheme() != "http" {
            return Err(AddressError::Scheme(url.scheme().to_owned()));
        }
        let credentials = !url.username().is_empty() || url.password().is_some();
        if credentials || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::Extra);
        }
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        authority.parse().map(Self).map_err(|_| AddressError::Host)
    }
}

/// How a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the handler panicked")]
    Panicked,
    #[error("no connection: {0}")]
    Unreachable(hyper_util::client::legacy::Error),
    #[error("the connection broke before the answer: {0}")]
    Broken(hyper_util::client::legacy::Error),
    #[error("the answer is none to this request: status {0}")]
    Unexpected(StatusCode),
}

/// Calls upstreams; shared by all groups.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client: Client<HttpConnector, Body>,
}

impl Caller {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http1_max_buf_size(ANSWER_HEADER_LIMIT)
            .build(connector);
        Self { client }
    }

    /// Waits for the head of the answer; its body comes as a stream. Dropping either ends the call.
    pub(crate) async fn remote(
        &self,
        address: &Address,
        request: Request<Body>,
    ) -> Result<Response<Body>, CallError> {
        let (mut parts, body) = request.into_parts();
        parts.extensions.clear();
        parts.headers.remove(header::HOST);
        parts.version = Version::HTTP_11;
        parts.uri = at(address, parts.uri);
        let answer = self.client.request(Request::from_parts(parts, body)).await.map_err(|error| {
            if error.is_connect() { CallError::Unreachable(error) } else { CallError::Broken(error) }
        })?;
        if answer.status().is_informational() {
            return Err(CallError::Unexpected(answer.status()));
        }
        let (mut parts, body) = answer.into_parts();
        parts.extensions.clear();
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

/// Calls a group in this process. A panic ends the call, not the connection.
pub(crate) async fn in_process(router: Router, request: Request<Body>) -> Result<Response<Body>, CallError> {
    let call = async move { router.oneshot(request).await };
    // Nothing that the panic may have left half-done is looked at afterwards.
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(never)) => match never {},
        Err(_) => Err(CallError::Panicked),
    }
}

fn at(address: &Address, uri: Uri) -> Uri {
    let mut parts = uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(address.0.clone());
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address, AddressError> {
        Address::try_from(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_plain_addresses_are_taken() {
        assert!(address("http://127.0.0.1:7071").is_ok());
        assert!(address("http://[::1]:7071/").is_ok());
        assert!(matches!(address("https://example.net"), Err(AddressError::Scheme(_))));
        for extra in ["http://h/api", "http://h/?q", "http://u@h/", "http://u:p@h/", "http://h/#f"] {
            assert_eq!(address(extra), Err(AddressError::Extra), "{extra}");
        }
    }
}
