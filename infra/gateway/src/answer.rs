//! Answers that the gateway makes itself, all of them `application/problem+json`.

use axum::body::Body;
use coder_core::{Ambient, Code, Problem};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// The header that carries the request id; behind the request chain it is always there.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The id to report a failure under: the request's own, or a new one where it has none that is fit to repeat.
pub(crate) fn request_id(headers: &HeaderMap, ambient: &Ambient) -> String {
    let plain = |id: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (8..=64).contains(&id.len()) && id.bytes().all(allowed)
    };
    let own = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    own.map_or_else(|| ambient.new_uuid().to_string(), str::to_owned)
}

/// The problem as an answer.
pub(crate) fn problem(problem: &Problem, request_id: &str) -> Response<Body> {
    let mut answer = Response::new(Body::from(problem.to_json(request_id).to_string()));
    *answer.status_mut() = status(problem.code);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_seconds {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// Gives a failure that no handler wrote (an empty or an HTML page, as hosts and routers make them) the shape
/// of a problem. What a handler wrote itself passes untouched.
pub(crate) fn explain(answer: Response<Body>, request_id: &str) -> Response<Body> {
    if !(answer.status().is_client_error() || answer.status().is_server_error()) || is_written(&answer) {
        return answer;
    }
    let Some(code) = code_of(answer.status()) else {
        return answer;
    };
    let (parts, _page) = answer.into_parts();
    let mut explained = problem(&Problem::new(code, format!("{}.", code.title())), request_id);
    for (name, value) in &parts.headers {
        let about_the_page = name.as_str().starts_with("content-") || name == header::TRANSFER_ENCODING;
        if !about_the_page && !explained.headers().contains_key(name) {
            explained.headers_mut().append(name, value.clone());
        }
    }
    *explained.extensions_mut() = parts.extensions;
    explained
}

/// Whether the body says something of its own: it has a media type, and that is not a web page.
fn is_written(answer: &Response<Body>) -> bool {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| !kind.as_bytes().to_ascii_lowercase().starts_with(b"text/html"))
}

/// The code that says no more than the status does.
fn code_of(status: StatusCode) -> Option<Code> {
    Some(match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        406 => Code::NotAcceptable,
        408 => Code::RequestTimeout,
        409 => Code::Conflict,
        410 => Code::Gone,
        412 => Code::EtagMismatch,
        413 => Code::BodyTooLarge,
        414 => Code::UriTooLong,
        415 => Code::UnsupportedMediaType,
        429 => Code::RateLimited,
        431 => Code::HeadersTooLarge,
        500 => Code::Internal,
        501 => Code::NotImplemented,
        502 => Code::UpstreamFailed,
        503 => Code::Unavailable,
        504 => Code::UpstreamTimeout,
        _ => return None,
    })
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
