//! Login with an external OpenID provider: authorization code with PKCE, `state` and `nonce` (OpenID Connect
//! Core 1.0, RFC 7636, RFC 9207). What the provider says is checked here; what follows from it for an account is
//! in [`account`].

pub mod account;
mod authorization;
mod client;
mod id_token;
mod metadata;

pub use authorization::AuthorizationRequest;
pub use client::{OidcClient, Redemption};
pub use id_token::{Expected, ExternalIdentity, IdTokenFault, ProviderKeys, verify};
pub use metadata::ProviderMetadata;

use coder_core::{Code, Failure, Problem};

use coder_outbound::OutboundError;

/// Why a login with a provider does not go on.
#[derive(Debug, thiserror::Error)]
pub enum OidcFault {
    /// The provider cannot be reached.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// What the provider says of itself does not hold.
    #[error("the provider's configuration is not usable: {0}")]
    Metadata(&'static str),
    /// The provider answered something else than it should.
    #[error("the provider answered {what} with status {status}")]
    Answer {
        /// What was asked for.
        what: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// The provider does not take the code.
    #[error("the provider refuses the code")]
    CodeRefused,
    /// The ID token does not hold.
    #[error("the ID token does not hold: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The answer comes from another provider (RFC 9207).
    #[error("the answer comes from another issuer")]
    OtherIssuer,
}

impl From<OidcFault> for Failure {
    fn from(fault: OidcFault) -> Self {
        match fault {
            OidcFault::Outbound(error) => error.into(),
            OidcFault::Metadata(_) | OidcFault::Answer { .. } => {
                Problem::new(Code::UpstreamFailed, "The login provider did not give a usable answer.").into()
            }
            OidcFault::CodeRefused | OidcFault::IdToken(_) | OidcFault::OtherIssuer => Problem::new(
                Code::InvalidCredentials,
                "The login with the provider does not hold; start again.",
            )
            .into(),
        }
    }
}
