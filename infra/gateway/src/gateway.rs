//! From a clean request to a group and back: routing, the circuit, limits, time, and the naming of failures.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use coder_core::{Ambient, Code, Problem};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::time::timeout;
use tower::Service;

use crate::body::{self, Watch};
use crate::breaker::{Breaker, CircuitState, Permit, Refused};
use crate::table::{Group, RouteTable};
use crate::upstream::{CallError, Caller, Upstream, in_process};
use crate::{answer, path};

/// Tells a caller of an absent group when to look again, in seconds.
const ABSENT_RETRY: u64 = 30;

/// Routes requests to their groups. It takes requests as [`crate::EdgeLayer`] leaves them and must not be
/// reachable otherwise.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    table: RouteTable,
    routes: HashMap<&'static str, Route>,
    caller: Caller,
    ambient: Ambient,
}

struct Route {
    group: &'static Group,
    upstream: Upstream,
    breaker: Breaker,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.states().map(|(group, state)| (group.name, state))).finish()
    }
}

impl Gateway {
    /// A gateway to the groups of `table`, each where `upstream` says.
    pub fn new(table: RouteTable, ambient: Ambient, mut upstream: impl FnMut(&Group) -> Upstream) -> Self {
        let route = |group: &'static Group| {
            let breaker = Breaker::new(ambient.clone());
            (group.name, Route { group, upstream: upstream(group), breaker })
        };
        let routes = table.groups().map(route).collect();
        let shared = Shared { table, routes, caller: Caller::new(), ambient };
        Self { shared: Arc::new(shared) }
    }

    /// The circuit of every group, in the order of the table.
    pub fn states(&self) -> impl Iterator<Item = (&'static Group, CircuitState)> {
        let shared = &self.shared;
        shared
            .table
            .groups()
            .filter_map(|group| Some((group, shared.routes.get(group.name)?.breaker.state())))
    }
}

impl Service<Request<Body>> for Gateway {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        async move { Ok(shared.answer(request).await) }.boxed()
    }
}

impl Shared {
    async fn answer(&self, mut request: Request<Body>) -> Response<Body> {
        let request_id = answer::request_id(request.headers(), &self.ambient);
        // Not every handler and host knows HEAD; all know GET.
        let head = request.method() == Method::HEAD;
        if head {
            *request.method_mut() = Method::GET;
        }
        let answer = match self.route(request).await {
            Ok(answer) => answer::explain(answer, &request_id),
            Err(problem) => answer::problem(&problem, &request_id),
        };
        if head { without_body(answer) } else { answer }
    }

    async fn route(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let path = request.uri().path();
        if path == "/health/live" {
            return live(request.method());
        }
        let Some(route) = path::group(path).and_then(|name| self.routes.get(name)) else {
            let detail = "There is nothing at this address; every API is under `/api/<group>`.";
            return Err(Problem::new(Code::NotFound, detail));
        };
        let limit = route.group.body_limit;
        if announced_length(request.headers()).is_some_and(|length| length > limit) {
            return Err(body::too_large(limit));
        }
        self.forward(route, request).await
    }

    async fn forward(&self, route: &Route, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let Group { name, header_timeout, body_limit, .. } = *route.group;
        if matches!(route.upstream, Upstream::Absent) {
            return Err(Problem::unavailable(format!("The group `{name}` does not run here."), ABSENT_RETRY));
        }
        let permit = route.breaker.admit().map_err(|Refused { retry_after_seconds }| {
            let detail = format!("The group `{name}` keeps failing and is left alone for a moment.");
            Problem::unavailable(detail, retry_after_seconds)
        })?;
        let (request, watch) = {
            let (parts, incoming) = request.into_parts();
            let (guarded, watch) = body::guard(incoming, body_limit);
            (Request::from_parts(parts, guarded), watch)
        };
        let outcome = match timeout(header_timeout, self.call(&route.upstream, request)).await {
            Ok(Ok(answer)) => Outcome::Answered(answer),
            Ok(Err(error)) => Outcome::Failed(error),
            Err(_) => Outcome::TimedOut,
        };
        judge(route.group, outcome, &watch, permit)
    }

    async fn call(&self, upstream: &Upstream, request: Request<Body>) -> Result<Response<Body>, CallError> {
        match upstream {
            Upstream::InProcess(router) => in_process(router.clone(), request).await,
            Upstream::Remote(address) => self.caller.remote(address, request).await,
            Upstream::Absent => Ok(Response::new(Body::empty())),
        }
    }
}

enum Outcome {
    Answered(Response<Body>),
    Failed(CallError),
    TimedOut,
}

/// Names what happened, and tells the circuit whose fault it was. A caller's fault counts for nothing.
fn judge(
    group: &Group,
    outcome: Outcome,
    watch: &Watch,
    permit: Permit<'_>,
) -> Result<Response<Body>, Problem> {
    let fault = match &outcome {
        Outcome::TimedOut => watch.fault_at_timeout(group.body_limit),
        _ => watch.fault(group.body_limit),
    };
    if let Some(problem) = fault {
        return Err(problem);
    }
    let name = group.name;
    match outcome {
        Outcome::Answered(answer) => {
            if is_gone(&answer) {
                permit.failed();
            } else {
                permit.succeeded();
            }
            Ok(answer)
        }
        Outcome::Failed(CallError::Panicked) => {
            // The group is there: the next request may well succeed.
            permit.succeeded();
            tracing::error!(group = name, "the handler of group `{name}` panicked");
            Err(Problem::new(Code::Internal, "Something went wrong on our side; the request id names it."))
        }
        Outcome::Failed(error) => {
            permit.failed();
            tracing::warn!(group = name, %error, "the call to group `{name}` failed");
            let detail = format!("The group `{name}` cannot be reached or broke off; try again.");
            Err(Problem::new(Code::UpstreamFailed, detail))
        }
        Outcome::TimedOut => {
            permit.failed();
            let seconds = group.header_timeout.as_secs();
            tracing::warn!(group = name, seconds, "the group `{name}` did not answer in {seconds} s");
            let detail = format!("The group `{name}` did not answer within {seconds} seconds.");
            Err(Problem::new(Code::UpstreamTimeout, detail))
        }
    }
}

/// Whether the answer means that there is no handler behind it. A handler that says in JSON why *it* cannot
/// serve one request (no model configured, a tool server down) is alive, and closing the group to everybody
/// else for that would let one tenant shut out all.
fn is_gone(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let json = kind.starts_with(b"application/json") || kind.starts_with(b"application/problem+json");
    matches!(answer.status().as_u16(), 502..=504) && !json
}

fn live(method: &Method) -> Result<Response<Body>, Problem> {
    if method != Method::GET {
        return Err(Problem::new(Code::MethodNotAllowed, "Only `GET` and `HEAD` are allowed here."));
    }
    let mut answer = Response::new(Body::from(r#"{"status":"live"}"#));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The answer to HEAD: that to GET, whose length stays known, without its body.
fn without_body(answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let length = http_body::Body::size_hint(&body).exact();
    if let Some(length) = length.filter(|_| parts.status != StatusCode::NO_CONTENT) {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}
