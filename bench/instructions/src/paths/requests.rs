//! What happens to a request before a handler has it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use coder_cache::{MemoryLimiter, Revocations};
use coder_config::Settings;
use coder_core::{Ambient, Caller, Failure};
use coder_gateway::{EdgeLayer, EdgeOptions, Gateway, RouteTable, Upstream};
use coder_handler::server::run_chain;
use coder_middleware::Identity;
use coder_middleware::chain::{ApiKeys, Authenticator, CallerCache, Chain};
use coder_middleware::token::{KeySource, ServiceTokens, TokenVerifier};
use coder_telemetry::Metrics;
use http::{Request, header};
use jsonwebtoken::jwk::Jwk;
use tower::{Layer as _, Service, ServiceExt as _};

use super::ambient;

/// An access token, signed by the key whose public half is [`KEY`]. Neither holds anywhere.
const TOKEN: &str = include_str!("../token.txt");
const KEY: &str = include_str!("../key.json");
const ISSUER: &str = "http://127.0.0.1:3001/api/auth";
const ANSWER: &str = r#"{"id":"01a20a2e-680a-7000-b622-549f2827096d","name":"Platform"}"#;
const BODY_LIMIT: usize = 1 << 20;

#[derive(Debug)]
struct Auth;

#[async_trait]
impl KeySource for Auth {
    async fn public_keys(&self) -> Result<Vec<Jwk>, Failure> {
        serde_json::from_str(KEY).map(|key| vec![key]).map_err(Failure::internal)
    }
}

#[async_trait]
impl ApiKeys for Auth {
    async fn introspect(&self, _: &str, _: &Identity) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }
}

fn verifier(ambient: &Ambient) -> TokenVerifier {
    TokenVerifier::new(ambient.clone(), ISSUER.to_owned(), Arc::new(Auth))
}

/// Verifies a token's signature and claims, each time anew.
pub(super) async fn verify_tokens(times: u64) -> anyhow::Result<()> {
    let verifier = verifier(&ambient()?);
    for _ in 0..times {
        let claims = verifier.verify(TOKEN).await;
        ensure!(claims.is_ok(), "the token does not hold: {claims:?}");
    }
    Ok(())
}

fn chain(ambient: Ambient) -> Arc<Chain> {
    let mut settings = Settings::for_tests(".");
    let limits = &mut settings.limits;
    (limits.address_per_minute, limits.user_per_minute) = (u32::MAX / 2, u32::MAX / 2);
    limits.organization_per_minute = u32::MAX / 2;
    let authenticator = Authenticator {
        ambient: ambient.clone(),
        verifier: verifier(&ambient),
        services: ServiceTokens::new(ambient.clone(), &[7; 32]),
        api_keys: Arc::new(Auth),
        revocations: Arc::new(Revocations::new(ambient.clone())),
        revokes_here: true,
        cache: CallerCache::default(),
        operators: BTreeSet::new(),
    };
    Arc::new(Chain {
        group: "users",
        ambient: ambient.clone(),
        settings: Arc::new(settings),
        metrics: Metrics::new(),
        limiter: Arc::new(MemoryLimiter::new(ambient)),
        authenticator: Arc::new(authenticator),
        deadline: Duration::from_secs(100),
        body_limit: BODY_LIMIT,
    })
}

fn handler() -> Router {
    Router::new().route("/api/users/teams", get(async || ANSWER))
}

fn request() -> anyhow::Result<Request<Body>> {
    let mut request = Request::get("/api/users/teams")
        .header(header::HOST, "127.0.0.1:3001")
        .header(header::USER_AGENT, "count")
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .body(Body::empty())?;
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000))));
    Ok(request)
}

async fn answer(
    times: u64,
    service: impl Service<Request<Body>, Response = Response, Error = Infallible> + Clone,
) -> anyhow::Result<()> {
    for _ in 0..times {
        let answer = service.clone().oneshot(request()?).await?;
        ensure!(answer.status().is_success(), "the request was refused: {answer:?}");
    }
    Ok(())
}

/// The whole request chain, with a token that was verified before.
pub(super) async fn pass_chain(times: u64) -> anyhow::Result<()> {
    answer(times, handler().layer(from_fn_with_state(chain(ambient()?), run_chain))).await
}

/// Edge and gateway, to a handler in this process.
pub(super) async fn route(times: u64) -> anyhow::Result<()> {
    let ambient = ambient()?;
    let gateway = Gateway::new(RouteTable::PLATFORM, ambient.clone(), |_| Upstream::InProcess(handler()));
    answer(times, EdgeLayer::new(EdgeOptions::new(ambient)).layer(gateway)).await
}
