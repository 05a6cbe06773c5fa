//! Whose an e-mail address is. Accounts are the `auth` group's; a person's document mirrors the address and
//! whether it was confirmed.

use std::collections::HashMap;

use coder_config::EmailVerification;
use coder_core::{Failure, UserId};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::model::User;
use crate::service::Users;

/// The address of an account, as `auth` knows it.
#[derive(Debug, Clone, Deserialize)]
struct Address {
    email: String,
}

/// Who has an account with an address, in the order of the addresses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holders {
    user_ids: Vec<Option<UserId>>,
}

impl Users {
    /// The address that counts as the person's own: one that was confirmed, or any where the platform demands no
    /// confirmation.
    pub(crate) fn own_email<'a>(&self, person: &'a User) -> Option<&'a str> {
        let trusted = self.runtime.settings.email_verification == EmailVerification::Optional;
        person.email.as_deref().filter(|_| trusted || person.email_verified)
    }

    /// Asks `auth` who has an account with one of these addresses. What the answer is for can do without it, so that
    /// nobody is known while `auth` is away.
    pub(crate) async fn account_holders(&self, emails: &[&str]) -> HashMap<String, UserId> {
        if emails.is_empty() {
            return HashMap::new();
        }
        let body = json!({"emails": emails});
        let answer = self.peers.call("auth", Method::POST, "/internal/identities", Some(&body)).await;
        match answer.and_then(|answer| answer.success::<Holders>("auth")) {
            Ok(Holders { user_ids }) => {
                let held = emails.iter().zip(user_ids);
                held.filter_map(|(email, user_id)| Some(((*email).to_owned(), user_id?))).collect()
            }
            Err(failure) => {
                tracing::warn!(cause = %failure, "whose the addresses are is not known");
                HashMap::new()
            }
        }
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
