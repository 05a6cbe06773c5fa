//! The outer skin of the gateway, around authentication and limits: nothing behind it sees a forged header or a
//! path that can be read in two ways, and every answer, whichever layer made it, leaves in the same shape.

use std::borrow::Cow;
use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use coder_core::{Ambient, Code, Problem};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use ipnet::IpNet;
use tower::{Layer, Service};

use crate::cors::Cors;
use crate::{answer, forwarded, hygiene, path};

/// What the edge is told at start.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    /// Gives an id to the refusals of requests that bring none.
    pub ambient: Ambient,
    /// The web pages that may call with credentials: exact origins such as `http://localhost:3000`.
    pub origins: Vec<String>,
    /// The proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether callers reach the platform by https; then they are told to stay with it.
    pub public_https: bool,
}

impl EdgeOptions {
    /// Plain http, no proxy, no web page.
    pub fn new(ambient: Ambient) -> Self {
        Self { ambient, origins: Vec::new(), trusted_proxies: Vec::new(), public_https: false }
    }
}

#[derive(Debug)]
struct Rules {
    ambient: Ambient,
    cors: Cors,
    trusted_proxies: Vec<IpNet>,
    public_https: bool,
}

/// Makes [`Edge`]s. Stands outside of every layer that reads a credential, an address or a request id.
#[derive(Debug, Clone)]
pub struct EdgeLayer {
    rules: Arc<Rules>,
}

impl EdgeLayer {
    /// The layer with these options.
    pub fn new(options: EdgeOptions) -> Self {
        let EdgeOptions { ambient, origins, trusted_proxies, public_https } = options;
        let rules = Rules { ambient, cors: Cors::new(&origins), trusted_proxies, public_https };
        Self { rules: Arc::new(rules) }
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { rules: Arc::clone(&self.rules), inner }
    }
}

/// A service behind the edge. It reads the peer's address from the extension `ConnectInfo<SocketAddr>`, which
/// the server sets, and reports it in `X-Forwarded-For`.
#[derive(Debug, Clone)]
pub struct Edge<S> {
    rules: Arc<Rules>,
    inner: S,
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let rules = Arc::clone(&self.rules);
        // The clone is not known to be ready; the one that was polled must do the work.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        async move {
            let (mut parts, body) = request.into_parts();
            let origin = rules.cors.allowed(&parts.headers);
            let mut answer = match rules.admit(&mut parts) {
                Err(problem) => rules.refuse(&problem, &parts.headers),
                Ok(Some(preflight)) => preflight,
                Ok(None) => {
                    let mut answer = inner.call(Request::from_parts(parts, body)).await?;
                    hygiene::clean_answer(answer.headers_mut());
                    answer
                }
            };
            rules.finish(origin, answer.headers_mut());
            Ok(answer)
        }
        .boxed()
    }
}

impl Rules {
    /// Refuses the request, or leaves it clean. A preflight is answered at once.
    fn admit(&self, parts: &mut Parts) -> Result<Option<Response<Body>>, Problem> {
        hygiene::admit(parts)?;
        let path = path::normalize(parts.uri.path())?;
        if matches!(path, Cow::Owned(_)) || parts.uri.authority().is_some() {
            parts.uri = with_path(&parts.uri, &path)?;
        }
        let peer = forwarded::peer(&parts.extensions);
        let trusted = peer.is_some_and(|peer| forwarded::is_trusted(&self.trusted_proxies, peer));
        hygiene::clean_request(&mut parts.headers, trusted);
        if let Some(peer) = peer {
            forwarded::append(&mut parts.headers, peer);
        }
        Ok(self.cors.preflight(&parts.method, &parts.headers))
    }

    fn refuse(&self, problem: &Problem, headers: &HeaderMap) -> Response<Body> {
        let request_id = answer::request_id(headers, &self.ambient);
        let mut answer = answer::problem(problem, &request_id);
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            answer.headers_mut().insert(answer::REQUEST_ID, id);
        }
        if problem.code == Code::MethodNotAllowed {
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(hygiene::METHODS));
        }
        answer
    }

    fn finish(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        self.cors.apply(origin, headers);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        if self.public_https {
            let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
        }
    }
}

/// The address in origin form with `path` for its path.
fn with_path(uri: &Uri, path: &str) -> Result<Uri, Problem> {
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    target.parse().map_err(|_| Problem::new(Code::InvalidPath, "The request address cannot be read."))
}
