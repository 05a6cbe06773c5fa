//! Two ways from the SDK's pipeline to a double: over a socket of this machine, and without one.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::Bytes;
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body, ClientOptions, HttpClient, Request, Transport, new_http_client,
};
use tower::ServiceExt as _;

/// Sends what is meant for a service to a port of this machine instead, in clear text.
#[derive(Debug)]
pub(crate) struct Loopback {
    host: &'static str,
    port: u16,
    client: Arc<dyn HttpClient>,
}

/// Gives requests to a router in this process, so that the paused clock of a test is the only clock.
#[derive(Debug)]
pub(crate) struct InProcess {
    host: &'static str,
    router: axum::Router,
}

impl Loopback {
    pub(crate) fn to(host: &'static str, port: u16) -> ClientOptions {
        options(Self { host, port, client: new_http_client(None) })
    }
}

impl InProcess {
    pub(crate) fn to(host: &'static str, router: axum::Router) -> ClientOptions {
        options(Self { host, router })
    }
}

fn options(transport: impl HttpClient + 'static) -> ClientOptions {
    ClientOptions { transport: Some(Transport::new(Arc::new(transport))), ..ClientOptions::default() }
}

#[async_trait]
impl HttpClient for Loopback {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        let url = request.url_mut();
        assert_eq!((url.scheme(), url.host_str()), ("https", Some(self.host)));
        url.set_scheme("http").unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        self.client.execute_request(&request).await
    }
}

#[async_trait]
impl HttpClient for InProcess {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        assert_eq!((request.url().scheme(), request.url().host_str()), ("https", Some(self.host)));
        let Body::Bytes(body) = request.body() else { panic!("a body of unknown length") };
        let mut given =
            http::Request::builder().method(request.method().as_str()).uri(request.path_and_query());
        for (name, value) in request.headers().iter() {
            given = given.header(name.as_str(), value.as_str());
        }
        let given = given.body(axum::body::Body::from(body.clone())).unwrap();
        let (parts, body) = self.router.clone().oneshot(given).await.unwrap().into_parts();
        let mut headers = Headers::new();
        for (name, value) in &parts.headers {
            headers.insert(name.as_str().to_owned(), value.to_str().unwrap().to_owned());
        }
        let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Ok(AsyncRawResponse::from_bytes(parts.status.as_u16().into(), headers, body))
    }
}
