//! The client for such calls. Names are resolved by the client's own resolver, which refuses an answer that is
//! not public; the connection goes to the very addresses that were looked at, so that a name cannot change its
//! mind in between.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use coder_core::{Code, Failure, Problem};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url, form_urlencoded};

use crate::address::is_public;
use crate::tls::client_builder;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1024 * 1024;

/// Calls to foreign addresses; a trait, so that tests can stand in for the internet.
#[async_trait]
pub trait OutboundHttp: Send + Sync + fmt::Debug {
    /// `GET` of a JSON document.
    async fn get(&self, url: &Url) -> Result<OutboundResponse, OutboundError>;

    /// `POST` of a form.
    async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        credentials: Option<BasicCredentials<'_>>,
    ) -> Result<OutboundResponse, OutboundError>;
}

/// A name and password for the `Authorization` header.
#[derive(Debug, Clone, Copy)]
pub struct BasicCredentials<'a> {
    /// The name.
    pub name: &'a str,
    /// The password.
    pub password: &'a SecretString,
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundResponse {
    /// HTTP status; a redirect is one like any other.
    pub status: u16,
    /// At most 1 MiB.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The address may not be called at all.
    #[error("the address is refused: {0}")]
    Refused(&'static str),
    /// No whole answer in time.
    #[error("no answer within the time limit")]
    Timeout,
    /// The answer is larger than allowed.
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    /// Name, connection, TLS or protocol failed.
    #[error("the call failed: {0}")]
    Failed(String),
}

impl From<OutboundError> for Failure {
    fn from(error: OutboundError) -> Self {
        let code = match error {
            OutboundError::Timeout => Code::UpstreamTimeout,
            _ => Code::UpstreamFailed,
        };
        // The cause may describe our network: the caller does not see it.
        Problem::new(code, "The external service did not give a usable answer; try again later.").into()
    }
}

/// The client for the internet.
#[derive(Debug, Clone)]
pub struct SafeHttp {
    client: Client,
    allow_loopback: bool,
    max_bytes: usize,
}

impl SafeHttp {
    /// A client that calls public addresses by https. For development it may also call this machine, by http
    /// too.
    pub fn new(allow_loopback: bool) -> Result<Self, OutboundError> {
        Self::with_limits(allow_loopback, TIMEOUT, MAX_BYTES)
    }

    /// A client whose calls take at most so long.
    pub fn with_timeout(allow_loopback: bool, timeout: Duration) -> Result<Self, OutboundError> {
        Self::with_limits(allow_loopback, timeout, MAX_BYTES)
    }

    fn with_limits(allow_loopback: bool, timeout: Duration, max_bytes: usize) -> Result<Self, OutboundError> {
        let client = client_builder()
            .dns_resolver(GuardedResolver { allow_loopback })
            // A proxy from the environment would resolve names for itself.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .https_only(!allow_loopback)
            .timeout(timeout)
            .user_agent("coder")
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self { client, allow_loopback, max_bytes })
    }

    /// `POST` of a body with these headers, its media type among them.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<OutboundResponse, OutboundError> {
        let mut request = self.client.post(url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.send(url, request).await
    }

    /// Whether the address may be called, for the answer when somebody saves it: the name is resolved, nothing
    /// is sent.
    pub async fn check(&self, url: &Url) -> Result<(), OutboundError> {
        self.admit(url)?;
        let Some(name) = url.domain() else { return Ok(()) };
        let unknown = |error: std::io::Error| OutboundError::Failed(error.to_string());
        let lookup = tokio::net::lookup_host((name, 0));
        let found = tokio::time::timeout(TIMEOUT, lookup).await.map_err(|_| OutboundError::Timeout)?;
        if found.map_err(unknown)?.all(|found| may_connect(found.ip(), self.allow_loopback)) {
            Ok(())
        } else {
            Err(OutboundError::Refused(NOT_PUBLIC))
        }
    }

    /// What the address itself tells; a name is looked at again when it is resolved.
    fn admit(&self, url: &Url) -> Result<(), OutboundError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Refused("it carries a password"));
        }
        let literal = match url.host() {
            None => return Err(OutboundError::Refused("it has no host")),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        if literal.is_some_and(|address| !may_connect(address, self.allow_loopback)) {
            return Err(OutboundError::Refused(NOT_PUBLIC));
        }
        let own = literal
            .map_or_else(|| url.domain().is_some_and(is_this_machine), |address| address.is_loopback());
        if own && !self.allow_loopback {
            return Err(OutboundError::Refused(NOT_PUBLIC));
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.allow_loopback && own => Ok(()),
            _ => Err(OutboundError::Refused("it is not https")),
        }
    }

    async fn send(&self, url: &Url, request: RequestBuilder) -> Result<OutboundResponse, OutboundError> {
        self.admit(url)?;
        let request = request.header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // The length that is announced may lie, so what arrives is counted.
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > self.max_bytes {
                return Err(OutboundError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(OutboundResponse { status, body })
    }
}

#[async_trait]
impl OutboundHttp for SafeHttp {
    async fn get(&self, url: &Url) -> Result<OutboundResponse, OutboundError> {
        self.send(url, self.client.get(url.clone())).await
    }

    async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        credentials: Option<BasicCredentials<'_>>,
    ) -> Result<OutboundResponse, OutboundError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut request = request.body(body);
        if let Some(BasicCredentials { name, password }) = credentials {
            request = request.basic_auth(name, Some(password.expose_secret()));
        }
        self.send(url, request).await
    }
}

const NOT_PUBLIC: &str = "it is not a public one";

fn may_connect(address: IpAddr, allow_loopback: bool) -> bool {
    is_public(address) || (allow_loopback && address.is_loopback())
}

/// Whether a name means this machine wherever it is asked for (RFC 6761), even where no resolver knows it.
fn is_this_machine(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Resolves like the system and refuses the whole answer when any address in it is not public.
#[derive(Debug)]
struct GuardedResolver {
    allow_loopback: bool,
}

/// Marks a refusal on its way through the client's errors.
#[derive(Debug, thiserror::Error)]
#[error("{NOT_PUBLIC}")]
struct RefusedAnswer;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_loopback = self.allow_loopback;
        Box::pin(async move {
            // The port is replaced by the address's own.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().all(|found| may_connect(found.ip(), allow_loopback)) {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(RefusedAnswer.into())
            }
        })
    }
}

/// What the client's error means here. Its text names the address but no header and no body.
fn failed(error: &reqwest::Error) -> OutboundError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        if one.is::<RefusedAnswer>() {
            return OutboundError::Refused(NOT_PUBLIC);
        }
        cause = one.source();
    }
    if error.is_timeout() { OutboundError::Timeout } else { OutboundError::Failed(error.to_string()) }
}

#[cfg(test)]
mod tests;
