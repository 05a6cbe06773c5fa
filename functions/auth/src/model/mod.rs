//! The documents of the container `auth`. Most belong to a person or to a looked-up thing and to no single
//! organization; each entity says in which partition it lives.

mod api_key;
mod api_key_slots;
mod auth_policy;
mod external;
mod identity;
mod known_device;
mod one_time_token;
mod organization_alias;
mod session;
mod signing_key;
mod throttle;
mod totp_factor;

pub use api_key::{ApiKey, ApiKeyDetails, ApiKeyListing, ApiKeyStatus};
pub use api_key_slots::ApiKeySlots;
pub use auth_policy::{AuthPolicy, LoginMethod};
pub use external::{
    ExternalLogin, ExternalProvider, LoginTransaction, ProviderId, ProviderKind, ProviderOwner, RoleMapping,
};
pub use identity::{ClaimState, EmailClaim, Identity, IdentityStatus, Mfa};
pub use known_device::KnownDevice;
pub use one_time_token::{OneTimeToken, Purpose};
pub use organization_alias::{Alias, OrganizationAlias};
pub use session::{ClientKind, RevokedReason, Session};
pub use signing_key::{KeyState, SigningKey};
pub use throttle::Throttle;
pub use totp_factor::{FactorState, RecoveryCode, TotpFactor};

/// The container of every document here; partitioned by `/partitionKey`.
pub const CONTAINER: &str = "auth";
