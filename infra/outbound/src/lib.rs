//! Calls to an address that a customer typed: https only, to public addresses only, without redirects, with a
//! limit on time and size. Entry point: [`SafeHttp`]. Clients for our own services begin with [`client_builder`].

mod address;
mod http;
mod tls;

pub use address::is_public;
pub use http::{BasicCredentials, OutboundError, OutboundHttp, OutboundResponse, SafeHttp};
pub use tls::client_builder;
