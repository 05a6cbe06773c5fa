//! What a provider says of itself (OpenID Connect Discovery 1.0).

use serde::Deserialize;
use url::Url;

use super::OidcFault;

/// Where a configuration is, beside the issuer.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The part of a provider's configuration that is used here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProviderMetadata {
    /// The address that identifies the provider.
    pub issuer: String,
    /// Where people are sent.
    pub authorization_endpoint: Url,
    /// Where codes are redeemed.
    pub token_endpoint: Url,
    /// Where the keys are.
    pub jwks_uri: Url,
    /// How a client may authenticate; empty means with `client_secret_basic`.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether the provider names itself when it sends people back (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// Where an issuer's configuration is.
    pub fn address(issuer: &str) -> Result<Url, OidcFault> {
        let address = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
        match Url::parse(&address) {
            // An issuer without a host, such as `https://`, would make a host of the path's beginning.
            Ok(url)
                if url.path().ends_with(WELL_KNOWN) && url.query().is_none() && url.fragment().is_none() =>
            {
                Ok(url)
            }
            _ => Err(OidcFault::Metadata("the issuer is no address")),
        }
    }

    /// Reads a configuration, which must be the one of this very issuer: otherwise one provider could speak for
    /// another.
    pub fn read(body: &[u8], issuer: &str) -> Result<Self, OidcFault> {
        let metadata: Self = serde_json::from_slice(body)
            .map_err(|_| OidcFault::Metadata("it is no OpenID configuration with all endpoints"))?;
        if metadata.issuer != issuer {
            return Err(OidcFault::Metadata("it names another issuer"));
        }
        // The other endpoints are called by the outbound client, which looks for itself.
        let is_loopback = match metadata.authorization_endpoint.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match metadata.authorization_endpoint.scheme() {
            "https" => Ok(metadata),
            "http" if is_loopback => Ok(metadata),
            _ => Err(OidcFault::Metadata("its authorization endpoint is not https")),
        }
    }

    /// Whether the client's secret goes into the form instead of a header.
    pub fn wants_secret_in_form(&self) -> bool {
        let methods = &self.token_endpoint_auth_methods_supported;
        let has = |name: &str| methods.iter().any(|method| method == name);
        has("client_secret_post") && !has("client_secret_basic")
    }

    /// Checks who sent the person back, as far as the provider tells (RFC 9207).
    pub fn check_response_issuer(&self, iss: Option<&str>) -> Result<(), OidcFault> {
        match iss {
            Some(iss) if iss == self.issuer => Ok(()),
            None if !self.authorization_response_iss_parameter_supported => Ok(()),
            _ => Err(OidcFault::OtherIssuer),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::{OidcFault, ProviderMetadata};

    pub(crate) const ISSUER: &str = "https://id.example.com/tenant";

    pub(crate) fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.com/authorize?tenant=a",
            "token_endpoint": "https://id.example.com/token",
            "jwks_uri": "https://id.example.com/keys",
            "userinfo_endpoint": "https://id.example.com/me",
        })
    }

    pub(crate) fn metadata() -> ProviderMetadata {
        ProviderMetadata::read(document().to_string().as_bytes(), ISSUER).unwrap()
    }

    #[track_caller]
    fn refused(document: &Value) {
        let result = ProviderMetadata::read(document.to_string().as_bytes(), ISSUER);
        assert!(matches!(result, Err(OidcFault::Metadata(_))), "{document}");
    }

    #[test]
    fn is_found_beside_the_issuer() {
        for issuer in [ISSUER, "https://id.example.com/tenant/"] {
            let address = ProviderMetadata::address(issuer).unwrap();
            assert_eq!(address.as_str(), "https://id.example.com/tenant/.well-known/openid-configuration");
        }
        for issuer in
            ["", "https://", "id.example.com", "https://id.example.com/?a=b", "https://id.example.com/#a"]
        {
            assert!(ProviderMetadata::address(issuer).is_err(), "{issuer}");
        }
    }

    #[test]
    fn must_be_the_issuers_own_and_complete() {
        let mut other = document();
        other["issuer"] = json!("https://id.example.com/tenant/");
        refused(&other);
        other["issuer"] = json!("https://login.example.com/{tenantid}/v2.0");
        refused(&other);
        for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            let mut lacking = document();
            lacking.as_object_mut().unwrap().remove(endpoint);
            refused(&lacking);
        }
        refused(&json!([]));
        assert!(ProviderMetadata::read(b"<html>", ISSUER).is_err());
    }

    #[test]
    fn people_are_sent_by_https_only() {
        for endpoint in
            ["http://id.example.com/authorize", "javascript:alert(1)", "http://localhost.example.com/"]
        {
            let mut document = document();
            document["authorization_endpoint"] = json!(endpoint);
            refused(&document);
        }
        let mut local = document();
        local["authorization_endpoint"] = json!("http://127.0.0.1:9000/authorize");
        assert!(ProviderMetadata::read(local.to_string().as_bytes(), ISSUER).is_ok());
    }

    #[test]
    fn the_secret_goes_where_the_provider_wants_it() {
        let mut metadata = metadata();
        assert!(!metadata.wants_secret_in_form());
        metadata.token_endpoint_auth_methods_supported = vec!["client_secret_post".into()];
        assert!(metadata.wants_secret_in_form());
        metadata.token_endpoint_auth_methods_supported.push("client_secret_basic".into());
        assert!(!metadata.wants_secret_in_form());
    }

    #[test]
    fn a_foreign_sender_is_found() {
        let mut metadata = metadata();
        assert!(metadata.check_response_issuer(None).is_ok());
        assert!(metadata.check_response_issuer(Some(ISSUER)).is_ok());
        assert!(metadata.check_response_issuer(Some("https://evil.example.com")).is_err());
        metadata.authorization_response_iss_parameter_supported = true;
        assert!(metadata.check_response_issuer(None).is_err());
    }
}
