//! Calls from one group to another: in process where both run in one, else over HTTP with a service token.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use coder_core::{Failure, Problem};
use coder_middleware::chain::{ASSERTION, Chain};
use coder_middleware::token::{Acting, ServiceTokens};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// Longest call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a group is.
#[derive(Debug, Clone)]
pub enum Peer {
    /// In this process.
    InProcess(Router),
    /// At an address: scheme, host and port, without a path.
    Remote(String),
}

/// What lets a call into another app, where a door stands before it that knows nothing of service tokens.
#[async_trait]
pub trait Admission: Send + Sync + fmt::Debug {
    /// A bearer token for the door. It says which app calls; for whom, only the service token does.
    async fn token(&self) -> Result<String, Failure>;
}

/// The other groups, as one group sees them.
pub struct Peers {
    me: &'static str,
    tokens: Arc<ServiceTokens>,
    admission: Option<Arc<dyn Admission>>,
    client: reqwest::Client,
    known: Arc<RwLock<BTreeMap<String, Peer>>>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Peers").field("me", &self.me).finish_non_exhaustive()
    }
}

/// What a peer answered.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerAnswer {
    /// HTTP status.
    pub status: StatusCode,
    /// The JSON body; null for an empty one.
    pub body: Value,
}

impl PeerAnswer {
    /// The body of a successful answer as a `T`; anything else is `502 upstream_failed`.
    pub fn success<T: serde::de::DeserializeOwned>(self, group: &str) -> Result<T, Failure> {
        if !self.status.is_success() {
            tracing::warn!(peer.group = group, http.status = self.status.as_u16(), "a peer refused");
            return Err(failed(group));
        }
        T::deserialize(self.body)
            .map_err(|error| Failure::internal(format!("`{group}` answered unreadably: {error}")))
    }
}

impl Peers {
    /// Knows nobody yet. Views for several groups share what they know.
    pub fn new(me: &'static str, tokens: Arc<ServiceTokens>, client: reqwest::Client) -> Self {
        Self { me, tokens, admission: None, client, known: Arc::default() }
    }

    /// The same peers, whose apps are entered with this, if with anything.
    pub fn admitted_by(self, admission: Option<Arc<dyn Admission>>) -> Self {
        Self { admission, ..self }
    }

    /// The same peers, seen by another group.
    pub fn seen_by(&self, me: &'static str) -> Self {
        Self {
            me,
            tokens: self.tokens.clone(),
            admission: self.admission.clone(),
            client: self.client.clone(),
            known: self.known.clone(),
        }
    }

    /// Tells where a group is.
    pub fn register(&self, group: &str, peer: Peer) {
        let mut known = self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.insert(group.to_owned(), peer);
    }

    /// Calls `/api/<group><path>` as a service for itself. A peer that cannot be reached is `503 unavailable`.
    pub async fn call(
        &self,
        group: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<PeerAnswer, Failure> {
        self.call_for(None, group, method, path, body).await
    }

    /// Calls `/api/<group><path>` on somebody's behalf: the callee applies that person's rights.
    pub async fn call_for(
        &self,
        acting: Option<Acting>,
        group: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<PeerAnswer, Failure> {
        let peer = {
            let known = self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            known.get(group).cloned()
        };
        let path = format!("/api/{group}{path}");
        match peer {
            Some(Peer::InProcess(router)) => self.call_here(acting, group, router, method, &path, body).await,
            Some(Peer::Remote(address)) => {
                self.call_there(acting, group, &address, method, &path, body).await
            }
            None => Err(away(group)),
        }
    }

    async fn call_here(
        &self,
        acting: Option<Acting>,
        group: &str,
        router: Router,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<PeerAnswer, Failure> {
        let content = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(content)
            .map_err(Failure::internal)?;
        Chain::admit_service(&mut request, self.me, acting);
        let answer = tokio::time::timeout(TIMEOUT, router.oneshot(request)).await;
        let Ok(Ok(response)) = answer else { return Err(away(group)) };
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(Failure::internal)?.to_bytes();
        decode(status, &bytes)
    }

    async fn call_there(
        &self,
        acting: Option<Acting>,
        group: &str,
        address: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<PeerAnswer, Failure> {
        let token = self.tokens.issue(self.me, group, acting)?;
        let request = self.client.request(method, format!("{address}{path}")).timeout(TIMEOUT);
        // The door takes `Authorization` for itself, as it does from the gateway.
        let mut request = match &self.admission {
            Some(door) => {
                let ticket = door.token().await.map_err(|failure| {
                    tracing::warn!(peer.group = group, cause = %failure, "nothing lets this call in");
                    away(group)
                })?;
                request.bearer_auth(ticket).header(ASSERTION, format!("Bearer {token}"))
            }
            None => request.bearer_auth(token),
        };
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| {
            tracing::warn!(peer.group = group, cause = %error, "a peer cannot be reached");
            away(group)
        })?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|_| away(group))?;
        decode(status, &bytes)
    }
}

fn decode(status: StatusCode, bytes: &[u8]) -> Result<PeerAnswer, Failure> {
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(bytes).map_err(Failure::internal)?
    };
    Ok(PeerAnswer { status, body })
}

fn away(group: &str) -> Failure {
    Problem::unavailable(format!("The `{group}` service is not available; try again shortly."), 5).into()
}

fn failed(group: &str) -> Failure {
    Failure::problem(
        coder_core::Code::UpstreamFailed,
        format!("The `{group}` service failed; try again shortly."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::any;
    use coder_core::Ambient;
    use http::HeaderMap;
    use http::header::AUTHORIZATION;
    use tokio::sync::mpsc;

    #[derive(Debug)]
    struct Door(Option<&'static str>);

    #[async_trait]
    impl Admission for Door {
        async fn token(&self) -> Result<String, Failure> {
            self.0.map(str::to_owned).ok_or_else(|| Failure::internal("no identity"))
        }
    }

    /// Calls a group that is elsewhere; gives the answer, and `Authorization` and [`ASSERTION`] as they arrive.
    async fn called(door: Option<Door>) -> (Result<PeerAnswer, Failure>, Option<[Option<String>; 2]>) {
        let (seen, mut arrived) = mpsc::channel(1);
        let router = Router::new().fallback(any(move |headers: HeaderMap| {
            let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
            seen.try_send([header(AUTHORIZATION.as_str()), header(ASSERTION)]).ok();
            std::future::ready("{}")
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let tokens = Arc::new(ServiceTokens::new(Ambient::system(), &[7; 32]));
        let door = door.map(|door| Arc::new(door) as Arc<dyn Admission>);
        let peers = Peers::new("platform", tokens, reqwest::Client::new()).admitted_by(door).seen_by("auth");
        peers.register("users", Peer::Remote(address));
        let answer = peers.call("users", Method::GET, "/anything", None).await;
        (answer, arrived.try_recv().ok())
    }

    #[tokio::test]
    async fn a_door_takes_the_place_of_the_service_token() {
        let (answer, open) = called(None).await;
        assert_eq!(answer.unwrap().status, StatusCode::OK);
        let [Some(token), None] = open.unwrap() else { panic!("no service token alone") };
        assert!(token.strip_prefix("Bearer ").is_some_and(ServiceTokens::is_service_token), "{token}");

        let (answer, closed) = called(Some(Door(Some("of-the-app")))).await;
        assert_eq!(answer.unwrap().status, StatusCode::OK);
        let [Some(ticket), Some(token)] = closed.unwrap() else { panic!("not both") };
        assert_eq!(ticket, "Bearer of-the-app");
        assert!(token.strip_prefix("Bearer ").is_some_and(ServiceTokens::is_service_token), "{token}");
    }

    #[tokio::test]
    async fn without_a_ticket_nobody_is_called() {
        let (answer, seen) = called(Some(Door(None))).await;
        assert_eq!(answer.unwrap_err().code(), Some(coder_core::Code::Unavailable));
        assert_eq!(seen, None);
    }
}
