//! Ids. One type for each kind of thing, so that a team's id is never taken for a person's.

/// Declares an id type: a `UUIDv7` that is written as a lower-case string.
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord,
                 $crate::id::serde::Serialize, $crate::id::serde::Deserialize, $crate::id::schemars::JsonSchema)]
        #[serde(crate = "coder_core::id::serde", transparent)]
        #[schemars(crate = "coder_core::id::schemars", inline)]
        pub struct $name(#[schemars(with = "String", extend("format" = "uuid"))] $crate::id::Uuid);

        impl From<$crate::id::Uuid> for $name {
            fn from(value: $crate::id::Uuid) -> Self { Self(value) }
        }
        impl $name {
            /// The bare UUID.
            pub fn uuid(self) -> $crate::id::Uuid { self.0 }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(out) }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::id::uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> { $crate::id::parse(text).map(Self) }
        }
    };
}

pub use schemars;
pub use serde;
pub use uuid;
pub use uuid::Uuid;

// The macro names this crate by its outside name; inside it needs the alias.
use crate as coder_core;

/// Reads an id in its one accepted form: 36 lower-case characters with hyphens. Another spelling of the same
/// UUID is refused, because it would be another document id.
pub fn parse(text: &str) -> Result<Uuid, uuid::Error> {
    let id = Uuid::try_parse(text)?;
    if id.hyphenated().to_string() == text {
        Ok(id)
    } else {
        // Any text that cannot be a UUID yields the error type, which has no public constructor.
        Uuid::try_parse("").map(|_| id)
    }
}

id_type!(/// A person, an agent or a service.
    UserId);
id_type!(/// A tenant.
    OrganizationId);
id_type!(/// A team of an organization.
    TeamId);
id_type!(/// A project of an organization.
    ProjectId);
id_type!(/// A signed-in session.
    SessionId);

/// The id that documentation shows wherever an id stands.
pub const EXAMPLE: Uuid = Uuid::from_u128(0x0199_0c3a_7e3a_7c11_9d2f_5b6a_7c8d_9e0f);
