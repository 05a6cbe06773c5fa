//! What is stored, all of it in the partition of its organization.

pub mod access;
pub mod data_key;
pub mod grant;
pub mod rotation;
pub mod secret;
pub mod version;

pub use access::{AccessRecord, Outcome};
pub use data_key::{DataKeyRecord, DataKeyState, KeyRing};
pub use grant::{Grant, GrantAction, GrantId, Principal, PrincipalKind};
pub use rotation::{Alphabet, Generator, Rotation, RotationMode, RotationState};
pub use secret::{Secret, SecretId, SecretScope, SecretState, Tally};
pub use version::{Version, VersionState};

/// The group's container.
pub const CONTAINER: &str = "secrets";

/// The kinds of claims.
pub mod claims {
    /// Scope, scope's id, environment, folder and name of a secret that is not deleted.
    pub const NAME: &str = "secret-name";
    /// Secret and principal of a grant.
    pub const GRANT: &str = "secret-grant";
}
