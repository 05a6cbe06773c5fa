//! Talking to providers: their configuration, their keys, and redeeming codes.

use std::sync::Arc;

use coder_core::Ambient;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::{Expected, ExternalIdentity, IdTokenFault, OidcFault, ProviderKeys, ProviderMetadata, verify};
use crate::recent::Recent;
use coder_outbound::{BasicCredentials, OutboundHttp, OutboundResponse};

/// For how long what providers say of themselves is remembered.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// Asks providers, and remembers what they say of themselves.
#[derive(Debug)]
pub struct OidcClient {
    http: Arc<dyn OutboundHttp>,
    ambient: Ambient,
    metadata: Recent<ProviderMetadata>,
    keys: Recent<ProviderKeys>,
}

/// A code, and what proves that it is ours.
#[derive(Debug, Clone, Copy)]
pub struct Redemption<'a> {
    /// The code that came back.
    pub code: &'a str,
    /// The callback that it came to.
    pub callback: &'a Url,
    /// The login transaction's verifier.
    pub code_verifier: &'a str,
    /// This platform's name at the provider.
    pub client_id: &'a str,
    /// Its password there; none for a public client.
    pub client_secret: Option<&'a SecretString>,
}

/// The part of a token answer that is used here. The access token is for the provider's own interfaces.
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: SecretString,
}

impl OidcClient {
    /// A client that calls out through `http`.
    pub fn new(http: Arc<dyn OutboundHttp>, ambient: Ambient) -> Self {
        Self { http, ambient, metadata: Recent::kept_for(KEPT), keys: Recent::kept_for(KEPT) }
    }

    /// The configuration of an issuer.
    pub async fn discover(&self, issuer: &str) -> Result<Arc<ProviderMetadata>, OidcFault> {
        if let Some(known) = self.metadata.get(issuer, self.ambient.now()) {
            return Ok(known);
        }
        let answer = self.http.get(&ProviderMetadata::address(issuer)?).await?;
        let metadata = ProviderMetadata::read(&expect_ok(answer, "the configuration")?, issuer)?;
        Ok(self.metadata.put(issuer, metadata, self.ambient.now()))
    }

    /// Redeems a code for the ID token, which is not checked yet.
    pub async fn redeem(
        &self,
        provider: &ProviderMetadata,
        redemption: Redemption<'_>,
    ) -> Result<SecretString, OidcFault> {
        let Redemption { code, callback, code_verifier, client_id, client_secret } = redemption;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback.as_str()),
            ("code_verifier", code_verifier),
        ];
        // RFC 6749, section 2.3.1: name and password are form-encoded before they go into the header.
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let (name, password) =
            (encoded(client_id), client_secret.map(|it| encoded(it.expose_secret()).into()));
        let mut credentials = None;
        match (client_secret, &password) {
            (Some(secret), _) if provider.wants_secret_in_form() => {
                form.extend([("client_id", client_id), ("client_secret", secret.expose_secret())]);
            }
            (_, Some(password)) => credentials = Some(BasicCredentials { name: &name, password }),
            (_, None) => form.push(("client_id", client_id)),
        }
        let answer = self.http.post_form(&provider.token_endpoint, &form, credentials).await?;
        if answer.status == 400 {
            return Err(OidcFault::CodeRefused);
        }
        let status = answer.status;
        let body = expect_ok(answer, "the code")?;
        let answer: TokenAnswer =
            serde_json::from_slice(&body).map_err(|_| OidcFault::Answer { what: "the code", status })?;
        Ok(answer.id_token)
    }

    /// Checks an ID token. A key that is not known is looked for once more at the provider, which may have
    /// changed its keys within the hour.
    pub async fn identify(
        &self,
        provider: &ProviderMetadata,
        id_token: &SecretString,
        expected: Expected<'_>,
    ) -> Result<ExternalIdentity, OidcFault> {
        let address = provider.jwks_uri.as_str();
        let id_token = id_token.expose_secret();
        if let Some(keys) = self.keys.get(address, self.ambient.now()) {
            match verify(id_token, &keys, expected, self.ambient.now()) {
                Err(IdTokenFault::UnknownKey) => {}
                settled => return Ok(settled?),
            }
        }
        let answer = self.http.get(&provider.jwks_uri).await?;
        let keys = ProviderKeys::read(&expect_ok(answer, "the keys")?)
            .ok_or(OidcFault::Metadata("its key set cannot be read"))?;
        let keys = self.keys.put(address, keys, self.ambient.now());
        Ok(verify(id_token, &keys, expected, self.ambient.now())?)
    }
}

fn expect_ok(answer: OutboundResponse, what: &'static str) -> Result<Vec<u8>, OidcFault> {
    match answer.status {
        200 => Ok(answer.body),
        status => Err(OidcFault::Answer { what, status }),
    }
}

#[cfg(test)]
mod tests;
