//! One request to the namespace: with a token, within a time, and again if the fault may have passed in a moment.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{
    ClientOptions, Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request, RetryOptions, Url,
};
use coder_core::Ambient;

use super::refusal::Refusal;
use crate::credential::scope::SERVICE_BUS;
use crate::fault::chain;

/// Tries of one request.
const TRIES: u32 = 3;

/// Wait after the first failed try; it doubles, and up to as much again is added by chance.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How long one try may take, with getting a token and connecting.
const TRY_LIMIT: Duration = Duration::from_secs(10);

/// A text that is not the host name of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host name of a Service Bus namespace, such as `coder.servicebus.windows.net`")]
pub struct InvalidNamespace(String);

/// Connections to a namespace.
pub(super) struct Client {
    endpoint: Url,
    credential: Arc<dyn TokenCredential>,
    ambient: Ambient,
    options: ClientOptions,
    /// Made at the first request: it reads the root certificates.
    pipeline: OnceLock<Pipeline>,
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(
        namespace: &str,
        credential: Arc<dyn TokenCredential>,
        ambient: Ambient,
        options: ClientOptions,
    ) -> Result<Self, InvalidNamespace> {
        let endpoint = Url::parse(&format!("https://{namespace}/")).ok();
        let endpoint = endpoint.filter(|url| url.host_str() == Some(namespace));
        let endpoint = endpoint.ok_or_else(|| InvalidNamespace(namespace.to_owned()))?;
        Ok(Self { endpoint, credential, ambient, options, pipeline: OnceLock::new() })
    }

    /// A request for a path of the namespace; segments are escaped.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> Request {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        Request::new(url, method)
    }

    /// A request for an address that the service gave, unless that would take the token elsewhere.
    pub(super) fn request_at(&self, method: Method, address: &str) -> Option<Request> {
        let url = self.endpoint.join(address).ok()?;
        (url.origin() == self.endpoint.origin()).then(|| Request::new(url, method))
    }

    /// Gets a token, from the credential's cache if it has one.
    pub(super) async fn token(&self) -> Result<(), Refusal> {
        let token = tokio::time::timeout(TRY_LIMIT, self.credential.get_token(&[SERVICE_BUS], None));
        match token.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Refusal::later(format!("no token can be had: {}", chain(&error)))),
            Err(_) => Err(Refusal::later("no token can be had in time")),
        }
    }

    /// Sends a request; the answer is a success.
    pub(super) async fn send(&self, request: &Request) -> Result<RawResponse, Refusal> {
        let mut tries = 1;
        loop {
            // A try that was given up has taken long enough.
            let outcome = tokio::time::timeout(TRY_LIMIT, self.try_once(request.clone())).await;
            let refusal = match outcome.unwrap_or_else(|_| Err(Refusal::later("there was no answer in time")))
            {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            if tries == TRIES || !matches!(refusal, Refusal::Later { passing: true, .. }) {
                return Err(refusal);
            }
            tokio::time::sleep(self.wait(tries)).await;
            tries += 1;
        }
    }

    async fn try_once(&self, mut request: Request) -> Result<RawResponse, Refusal> {
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        match self.pipeline().send(&Context::new(), &mut request, Some(options)).await {
            Ok(answer) => match Refusal::of(&answer, self.ambient.now()) {
                None => Ok(answer),
                Some(refusal) => Err(refusal),
            },
            Err(error) => Err(unsent(&error)),
        }
    }

    /// The token's policy keeps one token and gets the next before it ends; the tries are counted here, where it is
    /// known what the answer means.
    fn pipeline(&self) -> &Pipeline {
        self.pipeline.get_or_init(|| {
            let bearer = BearerTokenAuthorizationPolicy::new(self.credential.clone(), [SERVICE_BUS]);
            let options = ClientOptions { retry: RetryOptions::none(), ..self.options.clone() };
            let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
            Pipeline::new(name, version, options, Vec::new(), vec![Arc::new(bearer)], None)
        })
    }

    fn wait(&self, failed: u32) -> Duration {
        let doubled = FIRST_WAIT * (1 << failed.saturating_sub(1).min(8));
        let chance = u32::from(self.ambient.random::<1>()[0]);
        doubled + doubled * chance / 256
    }
}

/// There is no answer.
fn unsent(error: &Error) -> Refusal {
    let reason = chain(error);
    match error.kind() {
        ErrorKind::Connection | ErrorKind::Io => Refusal::passing(format!("it cannot be reached: {reason}")),
        ErrorKind::Credential => Refusal::later(format!("no token can be had: {reason}")),
        _ => Refusal::later(reason),
    }
}
