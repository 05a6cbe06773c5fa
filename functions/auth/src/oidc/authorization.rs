//! Sending a person to a provider.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coder_core::Ambient;
use url::Url;

use super::ProviderMetadata;

/// What a login is recognised by when the person comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Comes back with the code; the login transaction's id.
    pub state: String,
    /// Comes back in the ID token.
    pub nonce: String,
    /// Shown when the code is redeemed (RFC 7636).
    pub code_verifier: String,
}

impl AuthorizationRequest {
    /// Makes three secrets of 256 bits.
    pub fn generate(ambient: &Ambient) -> Self {
        let secret = || URL_SAFE_NO_PAD.encode(ambient.random::<32>());
        Self { state: secret(), nonce: secret(), code_verifier: secret() }
    }

    /// Where the person is sent.
    pub fn url(&self, provider: &ProviderMetadata, client_id: &str, callback: &Url, scopes: &str) -> Url {
        let mut url = provider.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", callback.as_str())
            .append_pair("scope", scopes)
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &code_challenge(&self.code_verifier))
            .append_pair("code_challenge_method", "S256");
        url
    }
}

fn code_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coder_core::Ambient;
    use url::Url;

    use super::{AuthorizationRequest, code_challenge};
    use crate::oidc::metadata::tests::metadata;

    #[test]
    fn computes_the_challenge_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(code_challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn secrets_are_long_enough_and_differ() {
        let request = AuthorizationRequest::generate(&Ambient::system());
        assert_eq!(request.code_verifier.len(), 43);
        assert_ne!(request.state, request.nonce);
        assert_ne!(request.nonce, request.code_verifier);
        assert_ne!(request, AuthorizationRequest::generate(&Ambient::system()));
    }

    #[test]
    fn the_url_has_every_parameter_and_keeps_the_providers_own() {
        let request = AuthorizationRequest::generate(&Ambient::system());
        let callback = Url::parse("https://coder.example.com/api/auth/external/p/callback").unwrap();
        let url = request.url(&metadata(), "client & co", &callback, "openid email");
        assert!(
            url.as_str().starts_with("https://id.example.com/authorize?tenant=a&response_type=code&"),
            "{url}"
        );
        let parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(parameters["client_id"], "client & co");
        assert_eq!(parameters["redirect_uri"], callback.as_str());
        assert_eq!(parameters["scope"], "openid email");
        assert_eq!((&parameters["state"], &parameters["nonce"]), (&request.state, &request.nonce));
        assert_eq!(parameters["code_challenge"], code_challenge(&request.code_verifier));
        assert_eq!(parameters["code_challenge_method"], "S256");
        assert!(!url.as_str().contains(&request.code_verifier));
    }
}
