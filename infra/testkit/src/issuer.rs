//! A login provider on this machine that says what a test wants.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Clock as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use url::Url;

use crate::client::{Client, Reply};
use crate::platform::TestPlatform;

/// Where logins end.
pub const CALLBACK: &str = "http://localhost:3000/auth/callback";

/// The provider.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Its name.
    pub address: String,
    said: Arc<Mutex<Said>>,
}

#[derive(Debug, Default)]
struct Said {
    claims: Value,
    redeemed: Vec<Value>,
}

#[derive(Clone)]
struct Parts {
    address: String,
    key: Arc<EncodingKey>,
    public: Value,
    said: Arc<Mutex<Said>>,
}

impl Issuer {
    /// Listens on a free port until the test ends.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one",
            "x": coordinate(&point[1..33]), "y": coordinate(&point[33..65]),
        });
        let document = pair.to_pkcs8v1().unwrap();
        let key = Arc::new(EncodingKey::from_ec_der(document.as_ref()));
        let said = Arc::<Mutex<Said>>::default();
        let parts = Parts { address: address.clone(), key, public, said: said.clone() };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(parts);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, said }
    }

    /// What the next ID token says besides issuer, audience and times.
    pub fn say(&self, platform: &TestPlatform, claims: &Value) {
        let now = platform.clock.now().as_second();
        let mut whole =
            json!({"iss": self.address, "aud": "coder", "sub": "248289761001", "iat": now, "exp": now + 300});
        for (name, value) in claims.as_object().unwrap() {
            whole[name] = value.clone();
        }
        self.said.lock().unwrap().claims = whole;
    }

    /// The forms that codes were redeemed with.
    pub fn redeemed(&self) -> Vec<Value> {
        self.said.lock().unwrap().redeemed.clone()
    }

    /// A provider of the client's organization that leads here; answers its id.
    pub async fn register(&self, owner: &Client, more: Value) -> String {
        let mut body = json!({"displayName": "Acme", "issuer": self.address, "clientId": "coder"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        owner.post("/api/auth/providers", body).await.expect(201).text("/id")
    }

    /// A whole way out and back; the ID token says the claims, with the right nonce unless they name another.
    pub async fn come_back(&self, platform: &TestPlatform, provider: &str, claims: Value) -> Reply {
        let start = format!("/api/auth/external/{provider}/start?redirectUri={CALLBACK}&state=mine");
        let out = platform.nobody().get(&start).await.expect(302);
        self.return_from(platform, provider, out.header("location"), claims).await
    }

    /// Links the account with the client's.
    pub async fn link(&self, platform: &TestPlatform, provider: &str, client: &Client) {
        let body = json!({"redirectUri": CALLBACK, "state": "mine"});
        let out = client.post(&format!("/api/auth/external/{provider}/start"), body).await.expect(200);
        let out = out.text("/authorizationUrl");
        let back = self.return_from(platform, provider, &out, json!({})).await.expect(302);
        assert!(back.header("location").contains("linked="), "{back:?}");
    }

    /// The way back of somebody who was sent to this address.
    pub async fn return_from(
        &self,
        platform: &TestPlatform,
        provider: &str,
        sent_to: &str,
        mut claims: Value,
    ) -> Reply {
        let sent_to = Url::parse(sent_to).unwrap();
        assert!(sent_to.as_str().starts_with(&format!("{}/authorize?", self.address)), "{sent_to}");
        if claims.get("nonce").is_none() {
            claims["nonce"] = json!(parameter(&sent_to, "nonce").unwrap());
        }
        self.say(platform, &claims);
        let state = parameter(&sent_to, "state").unwrap();
        let back = format!("/api/auth/external/{provider}/callback?code=c0de&state={state}&session_state=x");
        platform.nobody().get(&back).await
    }
}

/// A parameter of an address.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn configuration(State(parts): State<Parts>) -> Json<Value> {
    let address = &parts.address;
    Json(json!({
        "issuer": address,
        "authorization_endpoint": format!("{address}/authorize"),
        "token_endpoint": format!("{address}/token"),
        "jwks_uri": format!("{address}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    }))
}

async fn keys(State(parts): State<Parts>) -> Json<Value> {
    Json(json!({"keys": [parts.public]}))
}

async fn token(State(parts): State<Parts>, body: String) -> Json<Value> {
    let form: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut said = parts.said.lock().unwrap();
    said.redeemed.push(json!(form));
    let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::ES256) };
    let id_token = jsonwebtoken::encode(&header, &said.claims, &parts.key).unwrap();
    Json(json!({"id_token": id_token, "access_token": "unused", "token_type": "Bearer"}))
}
