//! Who may do what with a secret, the evidence that handlers take, and the record of every use.

pub mod asker;
pub mod evidence;
pub mod principals;
pub mod rights;
pub mod trail;

use coder_core::Permission;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use asker::Asker;
pub use evidence::{InOrganization, OnSecret};
pub use rights::{Standing, Verdict};
pub use trail::{Note, Trail};

use crate::catalogue as permissions;
use crate::model::GrantAction;

/// What can be done with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// See the metadata.
    Read,
    /// Make it.
    Create,
    /// Change it, and set a value.
    Update,
    /// Delete it.
    Delete,
    /// Restore it.
    Restore,
    /// Destroy it for good.
    Purge,
    /// See the value.
    Reveal,
    /// Get the value by reference.
    Resolve,
    /// Give it a new value by rotation.
    Rotate,
    /// See with whom it is shared.
    SharesRead,
    /// Share it.
    Share,
    /// Stop sharing it.
    Unshare,
}

impl Action {
    /// What a caller is told of their own rights.
    pub const TOLD: [Self; 9] = [
        Self::Read,
        Self::Reveal,
        Self::Update,
        Self::Delete,
        Self::Restore,
        Self::Rotate,
        Self::Purge,
        Self::Share,
        Self::Unshare,
    ];

    /// The permission that allows it. A value by reference is a value: the right to see it is needed.
    pub fn permission(self) -> &'static str {
        match self {
            Self::Read => name::<permissions::SecretRead>(),
            Self::Create => name::<permissions::SecretCreate>(),
            Self::Update => name::<permissions::SecretUpdate>(),
            Self::Delete => name::<permissions::SecretDelete>(),
            Self::Restore => name::<permissions::SecretRestore>(),
            Self::Purge => name::<permissions::SecretPurge>(),
            Self::Reveal | Self::Resolve => name::<permissions::SecretReveal>(),
            Self::Rotate => name::<permissions::SecretRotate>(),
            Self::SharesRead => name::<permissions::GrantRead>(),
            Self::Share => name::<permissions::GrantCreate>(),
            Self::Unshare => name::<permissions::GrantDelete>(),
        }
    }

    /// The action of a grant that allows it too.
    fn by_grant(self) -> Option<GrantAction> {
        match self {
            Self::Read => Some(GrantAction::Read),
            Self::Update => Some(GrantAction::Update),
            Self::Delete => Some(GrantAction::Delete),
            Self::Reveal | Self::Resolve => Some(GrantAction::Reveal),
            Self::SharesRead | Self::Share | Self::Unshare => Some(GrantAction::Grant),
            Self::Create | Self::Restore | Self::Purge | Self::Rotate => None,
        }
    }

    /// Whether it comes with the role `member` where that role was granted to the person.
    fn by_granted_role(self) -> bool {
        matches!(self, Self::Reveal | Self::Resolve | Self::Rotate | Self::Restore)
    }
}

impl From<GrantAction> for Action {
    fn from(action: GrantAction) -> Self {
        match action {
            GrantAction::Read => Self::Read,
            GrantAction::Reveal => Self::Reveal,
            GrantAction::Update => Self::Update,
            GrantAction::Delete => Self::Delete,
            GrantAction::Grant => Self::Share,
        }
    }
}

fn name<P: Permission>() -> &'static str {
    P::DECLARATION.name
}

/// A permission for one action at a secret.
pub trait AtSecret: Permission {
    /// The action.
    const ACTION: Action;
}

macro_rules! at_secret {
    ($($permission:ident = $action:ident;)+) => {
        $(impl AtSecret for permissions::$permission { const ACTION: Action = Action::$action; })+
    };
}

at_secret! {
    SecretRead = Read;
    SecretUpdate = Update;
    SecretDelete = Delete;
    SecretRestore = Restore;
    SecretPurge = Purge;
    SecretReveal = Reveal;
    SecretRotate = Rotate;
    GrantRead = SharesRead;
    GrantCreate = Share;
    GrantDelete = Unshare;
}
