//! What the `auth` group knows of a person's e-mail address. It is asked each time: only it knows whether an
//! address was confirmed, and an event about that can be late.

use coder_core::{Failure, Timestamp, UserId};
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::names;
use crate::service::Users;

/// The address of an account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Address {
    /// The address.
    pub(crate) email: String,
    /// When it was confirmed; null if it never was.
    pub(crate) email_verified_at: Option<Timestamp>,
}

impl Address {
    /// The address in its stored form, if it was confirmed.
    fn verified(self) -> Option<String> {
        self.email_verified_at.and_then(|_| names::email(&self.email))
    }
}

impl Users {
    /// The address of the person's account; `None` without an account.
    pub(crate) async fn address(&self, user_id: UserId) -> Result<Option<Address>, Failure> {
        let path = format!("/internal/identities/{user_id}");
        let answer = self.peers.call("auth", Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.success("auth").map(Some)
    }

    /// The person's e-mail address, if they have shown that it is theirs.
    pub(crate) async fn verified_email(&self, user_id: UserId) -> Result<Option<String>, Failure> {
        Ok(self.address(user_id).await?.and_then(Address::verified))
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn an_address_counts_once_it_is_confirmed() {
        let address = |text: &str| serde_json::from_str::<Address>(text).unwrap().verified();
        assert_eq!(address(r#"{"email": "ada@example.com"}"#), None);
        assert_eq!(
            address(r#"{"email": "Ada@Example.com", "emailVerifiedAt": "2026-01-31T09:30:00Z"}"#).as_deref(),
            Some("ada@example.com")
        );
    }
}
