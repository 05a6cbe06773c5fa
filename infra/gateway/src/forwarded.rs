//! Who stands at the other end of the connection, and what the groups are told of it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap, HeaderValue};
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of the other end of the connection, if the request came by one.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip().to_canonical())
}

/// Whether `address` belongs to a proxy of the operator.
pub(crate) fn is_trusted(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(&address))
}

/// Reports `peer` to the group, behind what trusted proxies reported.
pub(crate) fn append(headers: &mut HeaderMap, peer: IpAddr) {
    let mut chain: Vec<String> = Vec::new();
    for line in headers.get_all(FORWARDED_FOR) {
        chain.extend(line.to_str().map(str::to_owned));
    }
    chain.push(peer.to_string());
    if let Ok(value) = HeaderValue::from_str(&chain.join(", ")) {
        headers.insert(FORWARDED_FOR, value);
    }
}
