//! Whose an e-mail address is. Accounts are the `auth` group's; a person's document mirrors the address and
//! whether it was confirmed.

use coder_config::EmailVerification;
use coder_core::{Failure, UserId};
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::model::User;
use crate::service::Users;

/// The address of an account, as `auth` knows it.
#[derive(Debug, Clone, Deserialize)]
struct Address {
    email: String,
}

impl Users {
    /// The address that counts as the person's own: one that was confirmed, or any where the platform demands no
    /// confirmation.
    pub(crate) fn own_email<'a>(&self, person: &'a User) -> Option<&'a str> {
        let trusted = self.runtime.settings.email_verification == EmailVerification::Optional;
        person.email.as_deref().filter(|_| trusted || person.email_verified)
    }

    /// Asks `auth` for the address of the person's account; `None` without an account.
    pub(crate) async fn account_email(&self, user_id: UserId) -> Result<Option<String>, Failure> {
        let path = format!("/internal/identities/{user_id}");
        let answer = self.peers.call("auth", Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.success::<Address>("auth").map(|address| Some(address.email))
    }
}
