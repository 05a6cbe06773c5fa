//! What verifiers and other programs learn about this issuer.

use coder_core::{Result, StoredAnswer};
use coder_handler::Routes;
use coder_middleware::answer::{Answer, Documented, describe_json, render_json};
use coder_middleware::token::KeySource as _;
use coder_middleware::{Anyone, Example, OperationDescription, State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Auth;

pub(crate) fn routes(routes: Routes<Auth>) -> Routes<Auth> {
    routes.get("/.well-known/jwks.json", "get_jwks", "The public keys of access tokens", jwks).get(
        "/.well-known/openid-configuration",
        "get_openid_configuration",
        "What this issuer offers",
        metadata,
    )
}

/// `200` that may be kept for five minutes.
#[derive(Debug, Clone)]
pub(crate) struct Public<T>(T);

impl<T: Documented> Answer for Public<T> {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<T>(operation, 200, "Done.", &["Cache-Control"]);
    }

    fn render(&self) -> Result<StoredAnswer> {
        render_json(200, &self.0, vec![("cache-control".into(), "public, max-age=300".into())])
    }
}

/// A key set (RFC 7517).
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct KeySet {
    /// RSA keys for RS256.
    #[schemars(with = "Vec<std::collections::BTreeMap<String, String>>")]
    keys: Vec<Value>,
}

impl Example for KeySet {
    fn example() -> Self {
        let key = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "u3gRkhkPzvX3zV1nBb9TzQ", "n": "0vx7ag…", "e": "AQAB",
        });
        Self { keys: vec![key] }
    }
}

/// Metadata of the issuer (RFC 8414); only what exists is named.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Metadata {
    /// What access tokens name as `iss`.
    issuer: String,
    /// Where the keys are.
    jwks_uri: String,
    /// Where services of the platform ask for the worth of a credential.
    introspection_endpoint: String,
    /// Algorithms of tokens.
    id_token_signing_alg_values_supported: Vec<String>,
    /// Kinds of subject.
    subject_types_supported: Vec<String>,
}

impl Metadata {
    fn of(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: format!("{issuer}/.well-known/jwks.json"),
            introspection_endpoint: format!("{issuer}/introspect"),
            id_token_signing_alg_values_supported: vec!["RS256".into()],
            subject_types_supported: vec!["public".into()],
        }
    }
}

impl Example for Metadata {
    fn example() -> Self {
        Self::of("https://coder.example.com/api/auth")
    }
}

async fn jwks(State(auth): State<Auth>, _: Anyone) -> Result<Public<KeySet>> {
    let keys = auth.keys.public_keys().await?;
    let keys = keys.iter().map(|key| serde_json::to_value(key).map_err(coder_core::Failure::internal));
    Ok(Public(KeySet { keys: keys.collect::<Result<_>>()? }))
}

async fn metadata(State(auth): State<Auth>, _: Anyone) -> Result<Public<Metadata>> {
    Ok(Public(Metadata::of(auth.issuer.issuer())))
}
