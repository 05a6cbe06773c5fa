//! A vault on a port of this machine: real RSA keys, the challenge of the real one, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey};
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions};
use azure_core::time::{Duration, OffsetDateTime};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_azure::key_vault::Vault;
use coder_core::Ambient;
use http::StatusCode;
use serde_json::{Value, json};

use super::transport::Loopback;

pub(crate) const HOST: &str = "coder.vault.azure.net";

/// What the vault has, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Double {
    /// By name, the versions of a key, oldest first.
    pub(crate) keys: Mutex<BTreeMap<String, Vec<usize>>>,
    pub(crate) secrets: Mutex<BTreeMap<String, String>>,
    /// Answers to give instead, one a request that has a token.
    pub(crate) faults: Mutex<VecDeque<(StatusCode, &'static str)>>,
    /// Method, path, and whether there was a token and a body.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Scopes that tokens were asked for.
    pub(crate) scopes: Mutex<Vec<String>>,
    /// What the challenge names.
    pub(crate) resource: Mutex<Option<&'static str>>,
}

/// Key pairs are dear to make, so that all tests share two.
fn pair(number: usize) -> &'static KeyPair {
    static PAIRS: [OnceLock<KeyPair>; 2] = [const { OnceLock::new() }; 2];
    PAIRS[number].get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// The modulus of a key, out of the fixed frame that DER has for 2,048 bits.
pub(crate) fn modulus(number: usize) -> [u8; 256] {
    let der = pair(number).public_key().as_ref().to_vec();
    assert_eq!((der.len(), &der[der.len() - 5..]), (270, &[2, 3, 1, 0, 1][..]));
    der[9..265].try_into().unwrap()
}

fn version(number: usize) -> String {
    format!("{number:032x}")
}

impl Double {
    /// Starts one, and gives the vault as the platform sees it.
    pub(crate) async fn start(ambient: &Ambient) -> (Arc<Self>, Vault) {
        let double = Arc::new(Self::default());
        let router = double.router();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (double.clone(), vault(double, port, ambient))
    }

    pub(crate) fn router(self: &Arc<Self>) -> axum::Router {
        axum::Router::new()
            .route("/keys/{name}/", axum::routing::get(newest))
            .route("/keys/{name}/{version}", axum::routing::get(certain))
            .route("/keys/{name}/{version}/{operation}", axum::routing::post(operation))
            .route("/secrets/{name}/", axum::routing::get(secret))
            .fallback(|| async { refusal(StatusCode::NOT_FOUND, "NotFound") })
            .layer(axum::middleware::from_fn_with_state(self.clone(), guard))
            .with_state(self.clone())
    }

    /// Adds a version to a key.
    pub(crate) fn rotate(&self, key: &str) {
        let mut keys = self.keys.lock().unwrap();
        let versions = keys.entry(key.to_owned()).or_default();
        versions.push(versions.len());
    }

    pub(crate) fn fail(&self, times: usize, status: StatusCode, code: &'static str) {
        self.faults.lock().unwrap().extend(std::iter::repeat_n((status, code), times));
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// The vault behind a port; the tries wait a moment only.
pub(crate) fn vault(double: Arc<Double>, port: u16, ambient: &Ambient) -> Vault {
    let retry = ExponentialRetryOptions {
        initial_delay: Duration::milliseconds(1),
        max_retries: 3,
        ..ExponentialRetryOptions::default()
    };
    let options = ClientOptions { retry: RetryOptions::exponential(retry), ..Loopback::to(HOST, port) };
    Vault::with_options(&format!("https://{HOST}/"), double, ambient.clone(), options).unwrap()
}

#[async_trait]
impl TokenCredential for Double {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.scopes.lock().unwrap().push(scopes.join(" "));
        // The SDK compares it with the machine's clock.
        let end = OffsetDateTime::from_unix_timestamp(4_000_000_000).unwrap();
        Ok(AccessToken::new("token-1", end))
    }
}

fn refusal(status: StatusCode, code: &str) -> Response {
    let body = json!({"error": {"code": code, "message": format!("The double says {code}.")}});
    (status, axum::Json(body)).into_response()
}

/// Nobody comes in without a token; who has none is told whose.
async fn guard(
    State(double): State<Arc<Double>>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    let token = request.headers().get("authorization").cloned();
    let length = request.headers().get("content-length").and_then(|value| value.to_str().ok()).unwrap_or("0");
    let line = format!(
        "{} {} {}{}",
        request.method(),
        request.uri(),
        if token.is_some() { "token" } else { "nobody" },
        if length == "0" { "" } else { " body" },
    );
    double.asked.lock().unwrap().push(line);
    if token.is_none_or(|token| token != "Bearer token-1") {
        let resource = double.resource.lock().unwrap().unwrap_or("https://vault.azure.net");
        let challenge = format!(
            r#"Bearer authorization="https://login.microsoftonline.com/tenant", resource="{resource}""#
        );
        let mut answer = refusal(StatusCode::UNAUTHORIZED, "Unauthorized");
        answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
        return answer;
    }
    let fault = double.faults.lock().unwrap().pop_front();
    match fault {
        Some((status, code)) => {
            let mut answer = refusal(status, code);
            answer.headers_mut().insert("retry-after-ms", http::HeaderValue::from_static("2"));
            answer
        }
        None => next.run(request).await,
    }
}

fn key_of(double: &Double, name: &str, wanted: Option<&str>) -> Option<usize> {
    let keys = double.keys.lock().unwrap();
    let versions = keys.get(name)?;
    let found = match wanted {
        Some(wanted) => versions.iter().find(|number| version(**number) == wanted),
        None => versions.last(),
    };
    found.copied()
}

fn no_key() -> Response {
    refusal(StatusCode::NOT_FOUND, "KeyNotFound")
}

fn shown(name: &str, number: usize) -> Response {
    let (n, kid) = (URL_SAFE_NO_PAD.encode(modulus(number)), kid(name, number));
    let key =
        json!({"kid": kid, "kty": "RSA", "key_ops": ["sign", "wrapKey", "unwrapKey"], "n": n, "e": "AQAB"});
    axum::Json(json!({"key": key, "attributes": {"enabled": true, "created": 1, "updated": 1}}))
        .into_response()
}

fn kid(name: &str, number: usize) -> String {
    format!("https://{HOST}/keys/{name}/{}", version(number))
}

async fn newest(State(double): State<Arc<Double>>, Path(name): Path<String>) -> Response {
    key_of(&double, &name, None).map_or_else(no_key, |number| shown(&name, number))
}

async fn certain(
    State(double): State<Arc<Double>>,
    Path((name, version)): Path<(String, String)>,
) -> Response {
    key_of(&double, &name, Some(&version)).map_or_else(no_key, |number| shown(&name, number))
}

async fn operation(
    State(double): State<Arc<Double>>,
    Path((name, version, operation)): Path<(String, String, String)>,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let Some(number) = key_of(&double, &name, Some(&version)) else { return no_key() };
    let value = URL_SAFE_NO_PAD.decode(body["value"].as_str().unwrap()).unwrap();
    let result = match (operation.as_str(), body["alg"].as_str()) {
        ("sign", Some("RS256")) => sign(number, &value),
        ("wrapkey", Some("RSA-OAEP-256")) => wrap(number, &value),
        ("unwrapkey", Some("RSA-OAEP-256")) => unwrap(number, &value),
        _ => None,
    };
    match result {
        Some(result) => {
            let value = URL_SAFE_NO_PAD.encode(result);
            axum::Json(json!({"kid": kid(&name, number), "value": value})).into_response()
        }
        None => refusal(StatusCode::BAD_REQUEST, "BadParameter"),
    }
}

fn sign(number: usize, digest: &[u8]) -> Option<Vec<u8>> {
    let digest = Digest::import_less_safe(digest, &SHA256).ok()?;
    let mut signature = vec![0; pair(number).public_modulus_len()];
    pair(number).sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).ok()?;
    Some(signature)
}

fn wrap(number: usize, plaintext: &[u8]) -> Option<Vec<u8>> {
    let der = pair(number).public_key().as_der().unwrap();
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(der.as_ref()).unwrap()).unwrap();
    let mut out = vec![0; key.ciphertext_size()];
    Some(key.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut out, None).ok()?.to_vec())
}

fn unwrap(number: usize, ciphertext: &[u8]) -> Option<Vec<u8>> {
    let der: Pkcs8V1Der<'_> = pair(number).as_der().unwrap();
    let key = OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap()).unwrap();
    let mut out = vec![0; key.min_output_size()];
    Some(key.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut out, None).ok()?.to_vec())
}

async fn secret(State(double): State<Arc<Double>>, Path(name): Path<String>) -> Response {
    match double.secrets.lock().unwrap().get(&name) {
        Some(value) => {
            let id = format!("https://{HOST}/secrets/{name}/{}", version(0));
            axum::Json(json!({"value": value, "id": id, "attributes": {"enabled": true}})).into_response()
        }
        None => refusal(StatusCode::NOT_FOUND, "SecretNotFound"),
    }
}
