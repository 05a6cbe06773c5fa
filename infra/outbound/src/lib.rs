//! Calls to an address that a customer typed: https only, to public addresses only, without redirects, with a
//! limit on time and size. Entry point: [`SafeHttp`].

mod address;
mod http;

pub use address::is_public;
pub use http::{BasicCredentials, OutboundError, OutboundHttp, OutboundResponse, SafeHttp};
