//! Step 5: sizes, and what the caller accepts.

use axum::body::Body;
use axum::extract::Request;
use coder_core::{Code, Problem};
use http::header::{ACCEPT, CONTENT_LENGTH};
use http_body_util::Limited;

/// Longest path and query, in bytes.
const URI_LIMIT: usize = 8 * 1024;

/// Refuses what is too large by its own account, and caps what turns out larger while it is read.
pub(super) fn check(request: &mut Request, body_limit: usize) -> Result<(), Problem> {
    let uri = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if uri > URI_LIMIT {
        return Err(Problem::new(Code::UriTooLong, format!("At most {URI_LIMIT} bytes are accepted.")));
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if declared.and_then(|text| text.parse::<usize>().ok()).is_some_and(|length| length > body_limit) {
        return Err(body_too_large(body_limit));
    }
    if !accepts_json(request) {
        return Err(Problem::new(Code::NotAcceptable, "Send `Accept: application/json`, or none."));
    }
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::new(Limited::new(body, body_limit));
    Ok(())
}

/// `413` with the limit.
pub fn body_too_large(limit: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("At most {limit} bytes are accepted here."))
}

/// Everything we answer is JSON of some kind, an event stream, or text that any reader takes.
fn accepts_json(request: &Request) -> bool {
    let mut values =
        request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if values.peek().is_none() {
        return true;
    }
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';');
        let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let refused =
            parts.any(|parameter| matches!(parameter.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        let known = matches!(
            media.as_str(),
            "*/*"
                | "application/*"
                | "application/json"
                | "application/problem+json"
                | "application/jwk-set+json"
                | "text/*"
                | "text/event-stream"
                | "text/html"
                | "text/plain"
        );
        known && !refused
    })
}
