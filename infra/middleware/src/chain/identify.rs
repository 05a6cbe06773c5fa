//! Step 1: request id, W3C trace context, and where the client is.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use http::{HeaderMap, HeaderValue};

use super::Chain;

/// What is known of a request before any credential is looked at.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Names the request in answers, logs and audit entries.
    pub request_id: String,
    /// W3C trace context of this hop.
    pub traceparent: String,
    /// The client's address, as far as a trusted peer says.
    pub client_address: Option<IpAddr>,
    /// What the client says it is; cut to 512 bytes, control characters removed.
    pub user_agent: Option<String>,
}

pub(super) fn identify(chain: &Chain, request: &mut Request) -> Identity {
    let headers = request.headers();
    let request_id = text(headers, "x-request-id")
        .filter(|id| valid_request_id(id))
        .map_or_else(|| chain.ambient.new_uuid().to_string(), str::to_owned);
    let traceparent = next_traceparent(chain, text(headers, "traceparent"));
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let client_address = client_address(chain, headers, peer);
    let user_agent = text(headers, "user-agent")
        .map(|agent| agent.chars().filter(|c| !c.is_control()).take(512).collect());
    let identity = Identity { request_id, traceparent, client_address, user_agent };
    // A handler at an address of its own sees the same id and trace.
    for (name, value) in [("x-request-id", &identity.request_id), ("traceparent", &identity.traceparent)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            request.headers_mut().insert(name, value);
        }
    }
    identity
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn valid_request_id(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The trace goes on with a span of our own; a header that is none of W3C's starts a new trace.
fn next_traceparent(chain: &Chain, received: Option<&str>) -> String {
    let span = hex(&chain.ambient.random::<8>());
    let (trace, flags) = received
        .and_then(parse_traceparent)
        .unwrap_or_else(|| (hex(&chain.ambient.random::<16>()), "01".into()));
    format!("00-{trace}-{span}-{flags}")
}

fn parse_traceparent(text: &str) -> Option<(String, String)> {
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hexadecimal = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    let good = hexadecimal(version, 2)
        && version != "ff"
        && hexadecimal(trace, 32)
        && !zero(trace)
        && hexadecimal(parent, 16)
        && !zero(parent)
        && hexadecimal(flags, 2);
    (good && (version != "00" || parts.next().is_none())).then(|| (trace.to_owned(), flags.to_owned()))
}

/// The peer itself, or what a trusted proxy says of the client: the last address that no trusted proxy added.
fn client_address(chain: &Chain, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
    let trusted = |address: &IpAddr| chain.settings.trusted_proxies.iter().any(|net| net.contains(address));
    let peer = peer?;
    if !trusted(&peer) {
        return Some(peer);
    }
    // Read from the right: each proxy adds the address that it saw. What cannot be read ends the search, since
    // whatever stands left of it is nobody's word.
    let lists: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let mut client = peer;
    for entry in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
        let Some(address) = forwarded_address(entry.trim()) else { break };
        client = address;
        if !trusted(&address) {
            break;
        }
    }
    Some(client)
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let bare = text.parse().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{parse_traceparent, valid_request_id};

    #[test]
    fn accepts_only_well_formed_traces() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(parse_traceparent(good).is_some());
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert!(parse_traceparent(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn request_ids_are_short_and_plain() {
        assert!(valid_request_id("0199-abc_D.9"));
        for bad in ["", "short", "with space", "line\nbreak", "äöüäöüäöü", &"x".repeat(65)] {
            assert!(!valid_request_id(bad), "{bad:?}");
        }
    }
}
