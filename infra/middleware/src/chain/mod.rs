//! The order in which every request is looked at, written once. [`Chain::run`] is that order; each step lives in
//! its own file. What comes after (routing, permission, validation, idempotency, handler) is the endpoint's.

mod authenticate;
mod identify;
mod size;
mod throttle;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use coder_cache::RateLimiter;
use coder_config::Settings;
use coder_core::{Ambient, Code, Problem};
use coder_telemetry::Metrics;
use futures_util::FutureExt as _;
use http::HeaderValue;

pub use authenticate::{ASSERTION, ApiKeys, Authentication, Authenticator, CallerCache};
pub use identify::Identity;
pub use size::body_too_large;

use crate::problem_response::{internal, problem_response, write_rate_limit};
use crate::token::Acting;

/// Longest segment of a path that a log shows, in bytes.
const LONGEST_NAME: usize = 40;

/// What the steps of the chain need.
#[derive(Debug)]
pub struct Chain {
    /// The group that the chain guards, or `gateway`.
    pub group: &'static str,
    /// Time and ids.
    pub ambient: Ambient,
    /// Settings.
    pub settings: Arc<Settings>,
    /// Counters.
    pub metrics: Metrics,
    /// Token buckets.
    pub limiter: Arc<dyn RateLimiter>,
    /// Checks credentials and sessions.
    pub authenticator: Arc<Authenticator>,
    /// Longest time for an answer to begin.
    pub deadline: Duration,
    /// Largest body that any operation accepts.
    pub body_limit: usize,
}

/// Set once the chain has been passed: a group in the gateway's process does not run it again. It is a type of
/// this process and cannot come over a wire.
#[derive(Debug, Clone, Copy)]
struct Admitted(());

/// The operation that answered, for metrics; set by the endpoint on its response.
#[derive(Debug, Clone, Copy)]
pub struct Operation(pub &'static str);

/// The group that answered, for metrics; set by the endpoint on its response.
#[derive(Debug, Clone, Copy)]
pub struct Group(pub &'static str);

impl Chain {
    /// Runs a request through the chain and on to `next`. For `axum::middleware::from_fn_with_state`.
    pub async fn run(chain: Arc<Self>, mut request: Request, next: Next) -> Response {
        if request.extensions().get::<Admitted>().is_some() {
            return next.run(request).await;
        }
        // 1. Identify: every later step, log line and problem carries the request id and the trace.
        let identity = identify::identify(&chain, &mut request);
        let request_id = identity.request_id.clone();
        let span =
            tracing::info_span!("request", request.id = %request_id, trace.parent = %identity.traceparent);
        // 2. Measure: from here on, whatever happens is counted, refusals included.
        let began = chain.ambient.now();
        let measure = chain.metrics.start(began);
        let (method, path) = (request.method().clone(), without_tokens(request.uri().path()));
        request.extensions_mut().insert(identity.clone());
        let mut response = {
            let work = AssertUnwindSafe(tracing::Instrument::instrument(
                chain.admit(request, next, &identity),
                span,
            ));
            // 3. Rescue: a panic below becomes an answer and a log line, not a dropped connection.
            match work.catch_unwind().await {
                Ok(response) => response,
                Err(_) => {
                    tracing::error!(request.id = %request_id, "a handler panicked");
                    internal(&request_id)
                }
            }
        };
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-request-id", value);
        }
        let operation = response.extensions().get::<Operation>().map_or("none", |operation| operation.0);
        let group = response.extensions().get::<Group>().map_or(chain.group, |group| group.0);
        let status = response.status().as_u16();
        let now = chain.ambient.now();
        let took_ms = now.duration_since(began).as_millis();
        // The query is left out: it can carry what a log must not keep.
        tracing::debug!(request.id = %request_id, group, operation, http.method = %method, http.path = %path, http.status = status, took_ms, "answered");
        measure.finish(now, group, operation, &method, status);
        response
    }

    async fn admit(&self, request: Request, next: Next, identity: &Identity) -> Response {
        // 4. Time: an answer begins within the deadline, or the caller is told. The host would kill the process.
        let work = self.check(request, next, identity);
        match tokio::time::timeout(self.deadline, work).await {
            Ok(response) => response,
            Err(_) => {
                let detail = "The work took too long and was given up; nothing half done was kept.";
                let problem = Problem::new(Code::UpstreamTimeout, detail).retry_after(5);
                problem_response(&problem, &identity.request_id)
            }
        }
    }

    async fn check(&self, mut request: Request, next: Next, identity: &Identity) -> Response {
        let refuse = |problem: &Problem| problem_response(problem, &identity.request_id);
        // 5. Size: the cheapest check, before anything is read or looked up.
        if let Err(problem) = size::check(&mut request, self.body_limit) {
            return refuse(&problem);
        }
        // 6. Address limit: before authentication, so that guessing costs the guesser.
        if let Err(problem) = throttle::address(self, identity).await {
            return refuse(&problem);
        }
        // 7. Authentication and session check: who is asking, and is the session still alive. A bad credential
        //    is refused by the operations that need one; a public operation does not care.
        let authentication =
            self.authenticator.authenticate(request.headers(), identity, asked(request.uri().path())).await;
        if let Authentication::Refused(problem) = &authentication {
            self.metrics.authentication_failed(problem.code);
        }
        // 8. Caller limits: after authentication, so that they count the person and the tenant, not the address.
        let allowance = match throttle::caller(self, &authentication).await {
            Ok(allowance) => allowance,
            Err(problem) => return refuse(&problem),
        };
        request.extensions_mut().insert(authentication);
        request.extensions_mut().insert(Admitted(()));
        // 9. Routing, permission, validation, idempotency, handler: the endpoint.
        let mut response = next.run(request).await;
        // A limit that an inner step found reached matters more than one with room.
        if let Some(allowance) = allowance.filter(|_| !response.headers().contains_key("ratelimit-limit")) {
            write_rate_limit(allowance, response.headers_mut());
        }
        response
    }
}

impl Chain {
    /// Marks a request that one group makes to another in this process: it is the calling service's, on
    /// somebody's behalf or its own.
    pub fn admit_service(request: &mut Request, group: &str, acting: Option<Acting>) {
        let credential = coder_core::Credential::Service { group: group.to_owned() };
        let caller = coder_core::Caller {
            user_id: acting.and_then(|acting| acting.user_id),
            organization_id: acting.map(|acting| acting.organization_id),
            operator: false,
            credential,
        };
        let extensions = request.extensions_mut();
        extensions.insert(Identity { request_id: format!("{group}-internal"), ..Identity::default() });
        extensions.insert(Authentication::Verified(Arc::new(caller)));
        extensions.insert(Admitted(()));
    }
}

/// Takes one request of a public operation from the strict bucket of the caller's address.
pub async fn guard_public(context: &crate::RequestContext) -> Result<(), coder_core::Failure> {
    let Some(address) = context.identity().client_address else { return Ok(()) };
    let limit = throttle::per_minute(context.runtime().settings.limits.public_per_minute);
    throttle::operation(context, &format!("public:{address}"), limit, "address").await
}

/// Takes one change from the bucket of the caller's organization; three seconds' worth may come at once.
pub async fn limit_writes(context: &crate::RequestContext) -> Result<(), coder_core::Failure> {
    let Authentication::Verified(caller) = context.authentication() else { return Ok(()) };
    let Some(organization) = caller.organization_id else { return Ok(()) };
    let per_minute = context.runtime().settings.limits.writes_per_minute;
    let limit = coder_cache::Limit { per_minute, burst: (per_minute / 20).max(1) };
    let key = format!("writes:{}:{organization}", context.runtime().group);
    throttle::operation(context, &key, limit, "organization").await
}

/// The path as a log may keep it: a segment that is longer than any id or name can be a token.
fn without_tokens(path: &str) -> String {
    let shown =
        path.split('/').map(|part| if part.len() > LONGEST_NAME { coder_telemetry::REDACTED } else { part });
    shown.collect::<Vec<_>>().join("/")
}

/// The group that a path is for: the audience of a service token.
fn asked(path: &str) -> &str {
    path.strip_prefix("/api/").and_then(|rest| rest.split('/').next()).unwrap_or_default()
}
