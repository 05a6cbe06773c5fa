//! What may not pass the gateway: requests that two servers could read differently, headers that only the
//! platform itself may set, and headers that are meant for one hop.

use coder_core::{Code, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Version, header};

use crate::answer::REQUEST_ID;

/// The longest request target, in bytes.
const TARGET_LIMIT: usize = 8 * 1024;
/// The largest header section, in bytes.
const HEADER_BYTES_LIMIT: usize = 32 * 1024;
/// The most header lines.
const HEADER_LINES_LIMIT: usize = 100;

/// The methods that the platform knows.
pub(crate) const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Headers that concern one connection only (RFC 9110, section 7.6.1, and what is customary).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that say who calls or where to route: nobody outside may set them.
const FORGED: &[&str] = &[
    "x-coder-assertion",
    "x-coder-context",
    "x-forwarded-user",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "proxy",
];
const FORGED_PREFIXES: &[&str] = &[
    "x-user-",
    "x-organization-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-azure-",
    "x-functions-",
    "x-arr-",
    "x-waws-",
];

/// Headers that a proxy in front may set, and nobody else.
const FORWARDING: &[&str] = &[
    "client-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-original-host",
    "x-real-ip",
];

/// Headers whose repetition would leave it open which one counts.
const SINGLE: &[&str] =
    &["authorization", "content-length", "content-type", "host", "transfer-encoding", "x-api-key"];

/// Headers that a caller cannot have dropped by naming them in `Connection`.
const KEPT: &[&str] = &["content-length", "host", "traceparent", REQUEST_ID];

/// Refuses what the platform does not take, before anything looks at it.
pub(crate) fn admit(parts: &Parts) -> Result<(), Problem> {
    method(&parts.method)?;
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_LIMIT {
        let detail = format!("The request address has {target} bytes; {TARGET_LIMIT} are allowed.");
        return Err(Problem::new(Code::UriTooLong, detail));
    }
    let lines = parts.headers.len();
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if lines > HEADER_LINES_LIMIT || bytes > HEADER_BYTES_LIMIT {
        let detail = format!(
            "{lines} headers of {bytes} bytes; {HEADER_LINES_LIMIT} headers and {HEADER_BYTES_LIMIT} bytes are allowed."
        );
        return Err(Problem::new(Code::HeadersTooLarge, detail));
    }
    framing(&parts.headers)?;
    authority(parts)?;
    if parts.headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        let detail = "WebSockets are not supported; use the event streams.";
        return Err(Problem::new(Code::NotImplemented, detail));
    }
    Ok(())
}

fn method(method: &Method) -> Result<(), Problem> {
    match method.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => Ok(()),
        "TRACE" | "CONNECT" => {
            Err(Problem::new(Code::MethodNotAllowed, format!("`{method}` is not allowed; {METHODS} are.")))
        }
        _ => Err(Problem::new(Code::NotImplemented, format!("Only {METHODS} are supported."))),
    }
}

/// A body whose end is in doubt, or a credential that comes twice, is never passed on.
fn framing(headers: &HeaderMap) -> Result<(), Problem> {
    for name in SINGLE {
        if headers.get_all(*name).iter().count() > 1 {
            return Err(invalid_header(format!("`{name}` may come only once.")));
        }
    }
    let length = headers.get(header::CONTENT_LENGTH);
    if length.is_some() && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(invalid_header(
            "`content-length` and `transfer-encoding` exclude each other.".to_owned(),
        ));
    }
    let digits = |value: &http::HeaderValue| value.as_bytes().iter().all(u8::is_ascii_digit);
    if length.is_some_and(|length| length.is_empty() || !digits(length)) {
        return Err(invalid_header("`content-length` must be a number.".to_owned()));
    }
    Ok(())
}

/// The host is named once, and the same in an absolute target and in the header.
fn authority(parts: &Parts) -> Result<(), Problem> {
    let host = parts.headers.get(header::HOST);
    match (parts.uri.authority(), host) {
        (None, None) if parts.version == Version::HTTP_11 => {
            Err(invalid_header("`host` is missing.".to_owned()))
        }
        (Some(target), Some(host)) if !target.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            Err(invalid_header("The request address names another host than `host`.".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Drops what the outside may not set. Forwarding headers stay when a trusted proxy sent them.
pub(crate) fn clean_request(headers: &mut HeaderMap, from_trusted_proxy: bool) {
    drop_hop_by_hop(headers);
    // The server has answered `100-continue` itself.
    headers.remove(header::EXPECT);
    drop_names(headers, |name| {
        // Some servers read `X_User_Id` as `X-User-Id`.
        let spelled = name.as_str();
        let dashed = if spelled.contains('_') { &spelled.replace('_', "-") } else { spelled };
        FORGED.contains(&dashed)
            || FORGED_PREFIXES.iter().any(|prefix| dashed.starts_with(prefix))
            || (FORWARDING.contains(&dashed) && (!from_trusted_proxy || dashed != spelled))
    });
}

/// Drops from an answer what is meant for one hop, what tells which software runs, and what the gateway alone
/// writes.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    drop_hop_by_hop(headers);
    drop_names(headers, |name| {
        let name = name.as_str();
        matches!(name, "server" | "via" | "request-context" | "alt-svc")
            || ["x-powered-by", "x-aspnet", "x-azure-", "x-ms-", "x-functions-", "access-control-"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
    });
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named = |value: &http::HeaderValue| -> Vec<HeaderName> {
        let value = value.to_str().unwrap_or_default();
        value.split(',').filter_map(|name| name.trim().parse().ok()).collect()
    };
    let listed: Vec<HeaderName> = headers.get_all(header::CONNECTION).iter().flat_map(named).collect();
    for name in listed.iter().filter(|name| !KEPT.contains(&name.as_str())) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

fn drop_names(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn invalid_header(detail: String) -> Problem {
    Problem::new(Code::InvalidHeader, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};

    fn parts(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut parts = Request::get("/api/ai").header("host", "here").body(()).unwrap().into_parts().0;
        for (name, value) in headers {
            parts.headers.append(*name, HeaderValue::from_static(value));
        }
        parts
    }

    /// The server resolves these itself; behind another server they would arrive.
    #[test]
    fn ambiguous_framing_is_refused() {
        let doubtful: [&[(&str, &str)]; 4] = [
            &[("content-length", "3"), ("transfer-encoding", "chunked")],
            &[("content-length", "3"), ("content-length", "3")],
            &[("content-length", "+3")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "identity")],
        ];
        for headers in doubtful {
            assert_eq!(admit(&parts(headers)).map_err(|problem| problem.code), Err(Code::InvalidHeader));
        }
        assert_eq!(admit(&parts(&[("content-length", "3")])), Ok(()));
    }

    #[test]
    fn connection_cannot_name_what_the_platform_needs() {
        let mut headers = parts(&[("connection", "x-request-id, x-mine, host"), ("x-mine", "1")]).headers;
        headers.insert(REQUEST_ID, HeaderValue::from_static("r1"));
        clean_request(&mut headers, false);
        assert_eq!(headers.len(), 2);
        assert!(headers.contains_key(REQUEST_ID) && headers.contains_key(header::HOST));
    }
}
