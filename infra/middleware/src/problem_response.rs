//! Problems as HTTP responses. The one place where a failure becomes bytes.

use axum::body::Body;
use axum::response::Response;
use coder_core::problem::RateLimit;
use coder_core::{Code, Failure, Problem, StoredAnswer};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The challenge that goes with a 401 unless the problem brings its own.
const CHALLENGE: &str = "Bearer realm=\"coder\"";
const CHALLENGE_INVALID: &str = "Bearer realm=\"coder\", error=\"invalid_token\"";

/// The problem as a response. Its code is among the response's extensions, for those who only watch.
pub fn problem_response(problem: &Problem, request_id: &str) -> Response {
    let mut response = Response::new(Body::from(problem.to_json(request_id).to_string()));
    *response.status_mut() =
        StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(problem.code);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = problem.retry_after_seconds {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(limit) = problem.rate_limit {
        write_rate_limit(limit, headers);
    }
    if problem.code.status() == 401 {
        let usual = if problem.code == Code::TokenExpired { CHALLENGE_INVALID } else { CHALLENGE };
        let challenge = problem.challenge.as_deref().unwrap_or(usual);
        if let Ok(value) = HeaderValue::from_str(challenge) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
    }
    response
}

/// Writes the `RateLimit-*` headers.
pub(crate) fn write_rate_limit(limit: RateLimit, headers: &mut HeaderMap) {
    let values = [
        ("ratelimit-limit", u64::from(limit.limit)),
        ("ratelimit-remaining", u64::from(limit.remaining)),
        ("ratelimit-reset", limit.reset_seconds),
    ];
    for (name, value) in values {
        headers.insert(name, HeaderValue::from(value));
    }
}

/// A `405` with the methods that the path has.
pub fn method_not_allowed(allowed: &str, request_id: &str) -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, format!("This path answers {allowed} only."));
    let mut response = problem_response(&problem, request_id);
    if let Ok(value) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// A failure as a response. A fault of ours is logged here, once, with the id that the caller gets.
pub fn failure_response(failure: Failure, request_id: &str) -> Response {
    match failure {
        Failure::Problem(problem) => problem_response(&problem, request_id),
        Failure::Replay(answer) => {
            let mut response = answer_response(*answer);
            response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
            response
        }
        Failure::Stale => {
            let detail = "Others kept changing the resource while the request ran; send it again.";
            problem_response(&Problem::new(Code::Conflict, detail).retry_after(1), request_id)
        }
        Failure::Internal(cause) => {
            tracing::error!(request.id = request_id, cause = %chain(cause.as_ref()), "a request failed");
            internal(request_id)
        }
    }
}

/// `500 internal`: tells nothing but the request id.
pub fn internal(request_id: &str) -> Response {
    let detail = "The fault is logged under this request id.";
    problem_response(&Problem::new(Code::Internal, detail), request_id)
}

/// A rendered answer as a response.
pub fn answer_response(answer: StoredAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// An error and all that caused it, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
