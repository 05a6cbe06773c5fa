//! The HTTP surface of one group alone, as the Functions host calls it: `GET /`, `POST /<function>`,
//! `/api/<group>/…`, and `/metrics` and `/health/ready` for whoever runs on the same machine.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use coder_core::Problem;
use coder_middleware::Identity;
use coder_middleware::chain::Chain;
use coder_middleware::problem_response::problem_response;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::functions::{ENVELOPE_LIMIT, Functions, Outcome};
use crate::group::Running;
use crate::health::Health;

/// The whole surface of a running group. Only `/api/…` can be reached from outside: the host proxies nothing
/// else, hence only it goes through the request chain.
pub fn surface(group: &Running, chain: Arc<Chain>, health: Arc<Health>) -> Router {
    let metrics = chain.metrics.clone();
    Router::new()
        .route("/", get(|| async { json_response(StatusCode::OK, &json!({"status": "ok"})) }))
        .route("/metrics", get(move || std::future::ready(metrics_response(&metrics))))
        .route("/health/ready", get(async move || health.answer().await))
        .route("/{function}", post(invoke).layer(DefaultBodyLimit::max(ENVELOPE_LIMIT)))
        .with_state(group.functions.clone())
        .merge(api(group).layer(from_fn_with_state(chain, run_chain)))
}

/// `/api/<group>/…` of a running group, with its own answers for what it does not have.
pub fn api(group: &Running) -> Router {
    group.router.clone().fallback(not_found)
}

/// The request chain as an axum middleware.
pub async fn run_chain(State(chain): State<Arc<Chain>>, request: Request, next: Next) -> Response {
    Chain::run(chain, request, next).await
}

/// `404` for a path that no route has.
pub async fn not_found(request: Request) -> Response {
    let identity = request.extensions().get::<Identity>().cloned().unwrap_or_default();
    let detail = "There is no such path; the API documentation lists those that are.";
    problem_response(&Problem::new(coder_core::Code::NotFound, detail), &identity.request_id)
}

async fn invoke(
    State(functions): State<Functions>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !functions.has(&name) {
        return json_response(
            StatusCode::NOT_FOUND,
            &json!({"error": format!("there is no function `{name}`")}),
        );
    }
    let Ok(envelope) = serde_json::from_slice::<Value>(&body) else {
        return json_response(StatusCode::BAD_REQUEST, &json!({"error": "the envelope is no JSON"}));
    };
    let id = headers
        .get("x-azure-functions-invocationid")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("unknown");
    let outcome = functions.invoke_patiently(&name, envelope, id).await;
    answer(&name, id, outcome)
}

/// Never an empty 2xx: the host would wait for ever.
fn answer(name: &str, invocation_id: &str, outcome: Outcome) -> Response {
    match outcome {
        Outcome::Done(value) => {
            json_response(StatusCode::OK, &json!({"Outputs": {}, "Logs": [], "ReturnValue": value}))
        }
        Outcome::Retry(reason) => {
            tracing::warn!(function = name, invocation.id = invocation_id, reason, "a delivery failed");
            json_response(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": reason, "retry": true}))
        }
        Outcome::Reject(reason) => {
            tracing::error!(
                function = name,
                invocation.id = invocation_id,
                reason,
                "a delivery was rejected"
            );
            json_response(StatusCode::UNPROCESSABLE_ENTITY, &json!({"error": reason, "retry": false}))
        }
    }
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The counters in Prometheus' text format.
pub fn metrics_response(metrics: &coder_telemetry::Metrics) -> Response {
    let mut response = Response::new(Body::from(metrics.render()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(coder_telemetry::METRICS_CONTENT_TYPE));
    response
}
