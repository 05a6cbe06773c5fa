//! A person's credentials, and the claim that makes an e-mail address theirs alone.

use coder_core::{OrganizationId, Timestamp, UserId};
use coder_database::{Entity, Partition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::email::EmailAddress;

/// What is known of a person for signing in. Lives in the person's partition; the id is the user id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The address that they sign in with.
    pub email: EmailAddress,
    /// When they proved to read mail there.
    pub email_verified_at: Option<Timestamp>,
    /// Whether they can sign in at all.
    pub status: IdentityStatus,
    /// When the event happened that the status comes from; older ones change nothing.
    #[serde(default)]
    pub status_since: Option<Timestamp>,
    /// PHC string; none for those who sign in elsewhere only.
    pub password_hash: Option<String>,
    /// When the password was last set.
    pub password_changed_at: Option<Timestamp>,
    /// PHC strings of the last passwords, the present one included, newest first.
    pub password_history: Vec<String>,
    /// The second factor.
    pub mfa: Mfa,
    /// The organization that has verified the address's domain, and may reset this person's credentials.
    pub managed_by_organization_id: Option<OrganizationId>,
    /// Grows when all tokens must die at once.
    pub token_epoch: u64,
}

/// Whether a person can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityStatus {
    /// Yes.
    Active,
    /// Not until somebody activates them again.
    Deactivated,
    /// Everything of theirs is about to be erased.
    PendingDeletion,
}

/// The second factor of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mfa {
    /// None is set up.
    None,
    /// One-time passwords by time (RFC 6238).
    Totp,
}

impl Entity for Identity {
    const TYPE: &'static str = "identity";
    const SECRET: &'static [&'static str] = &["passwordHash", "passwordHistory"];
}

impl Identity {
    /// Passwords that may not be used again, the present one included.
    pub const PASSWORD_HISTORY: usize = 5;

    /// A new active identity without credentials.
    pub fn new(email: EmailAddress) -> Self {
        Self {
            email,
            email_verified_at: None,
            status: IdentityStatus::Active,
            status_since: None,
            password_hash: None,
            password_changed_at: None,
            password_history: Vec::new(),
            mfa: Mfa::None,
            managed_by_organization_id: None,
            token_epoch: 0,
        }
    }

    /// The person's partition.
    pub fn partition(user_id: UserId) -> Partition {
        Partition::user(user_id)
    }

    /// Sets a new password and remembers it.
    pub fn set_password(&mut self, phc: String, now: Timestamp) {
        self.password_history.insert(0, phc.clone());
        self.password_history.truncate(Self::PASSWORD_HISTORY);
        self.password_hash = Some(phc);
        self.password_changed_at = Some(now);
    }

    /// Replaces the hash of the same password by one with today's parameters.
    pub fn renew_password_hash(&mut self, phc: String) {
        if let Some(newest) = self.password_history.first_mut() {
            newest.clone_from(&phc);
        }
        self.password_hash = Some(phc);
    }
}

/// Makes an address unique: it is created, never overwritten. The id is the partition's hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailClaim {
    /// Who holds the address.
    pub user_id: UserId,
    /// Whether the registration was finished.
    pub state: ClaimState,
}

/// How far a claim has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// Lapses by itself after [`EmailClaim::PENDING_SECONDS`].
    Pending,
    /// Holds until released.
    Active,
}

impl Entity for EmailClaim {
    const TYPE: &'static str = "email-claim";
}

impl EmailClaim {
    /// Seconds that a registration may take before its claim lapses.
    pub const PENDING_SECONDS: i64 = 900;

    /// The partition of an address.
    pub fn partition(email: &EmailAddress) -> Partition {
        Partition::keyed("email", email.hash())
    }

    /// The document id of an address's claim.
    pub fn id(email: &EmailAddress) -> String {
        email.hash()
    }
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;

    use super::Identity;
    use crate::email::EmailAddress;

    #[test]
    fn remembers_the_last_five_passwords() {
        let mut identity = Identity::new(EmailAddress::parse("ada@example.com").unwrap());
        for n in 1..=7 {
            identity.set_password(format!("hash {n}"), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(identity.password_history, ["hash 7", "hash 6", "hash 5", "hash 4", "hash 3"]);
        identity.renew_password_hash("hash 7 renewed".into());
        assert_eq!(identity.password_hash.as_deref(), Some("hash 7 renewed"));
        assert_eq!(identity.password_history[..2], ["hash 7 renewed", "hash 6"]);
    }
}
