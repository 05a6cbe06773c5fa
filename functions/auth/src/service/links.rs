//! One-time tokens in the store: put there, opened, used up.

use coder_core::{Code, Failure, Problem, UserId};
use coder_database::{Record, Transaction};
use coder_handler::Cause;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::Auth;
use crate::email::EmailAddress;
use crate::model::{CONTAINER, OneTimeToken, Purpose};
use crate::one_time_token::{NewToken, PresentedToken};
use crate::service::mail::MailKind;

/// A token that somebody holds.
pub(crate) type StoredToken = Record<OneTimeToken>;

impl Auth {
    /// The token that was presented, if it is good for this purpose now.
    pub(crate) async fn open_token(
        &self,
        text: &str,
        purpose: Purpose,
    ) -> Result<Option<StoredToken>, Failure> {
        let Some(presented) = PresentedToken::parse(text) else { return Ok(None) };
        let found = self.tokens.find(&OneTimeToken::partition(&presented.id), &presented.id).await?;
        let now = self.runtime.ambient.now();
        Ok(found.filter(|found| found.data.admit(&presented, purpose, now).is_ok()))
    }

    /// The token of a link and its person; `410` if it was used, is too old, or is none at all.
    pub(crate) async fn open_link(
        &self,
        text: &str,
        purpose: Purpose,
    ) -> Result<(StoredToken, UserId), Failure> {
        let token = self.open_token(text, purpose).await?;
        let owned = token.and_then(|token| token.data.user_id.map(|user_id| (token, user_id)));
        owned.ok_or_else(link_expired)
    }

    /// Uses a token up. Of two that do so at once, one runs again and finds it used.
    pub(crate) async fn consume(&self, cause: Cause<'_>, token: &StoredToken) -> Result<(), Failure> {
        let mut unit = cause.begin(CONTAINER, OneTimeToken::partition(&token.meta.id)).without_audit();
        let data = OneTimeToken { consumed_at: Some(self.runtime.ambient.now()), ..token.data.clone() };
        unit.replace(token, data)?;
        cause.commit(unit).await
    }

    /// Stores a token for a person and has its link mailed. Without a person the same is written but for the
    /// mail, so that the time tells nothing.
    pub(crate) async fn send_link(
        &self,
        cause: Cause<'_>,
        purpose: Purpose,
        to: &EmailAddress,
        user_id: Option<UserId>,
        data: Value,
        mail: bool,
    ) -> Result<(), Failure> {
        let token = NewToken::generate(&self.runtime.ambient, purpose, user_id, data);
        let mut unit = cause.begin(CONTAINER, OneTimeToken::partition(&token.id)).without_audit();
        put_token(&mut unit, &token)?;
        if mail && user_id.is_some() {
            let (kind, page) = page(purpose);
            self.postbox.post(&mut unit, &self.runtime, to, kind, &token.link(&self.application(), page))?;
        }
        cause.commit(unit).await
    }

    /// The address of a page of the application, for mails without a token.
    pub(crate) fn page(&self, page: &str) -> SecretString {
        format!("{}/{page}", self.application().as_str().trim_end_matches('/')).into()
    }

    /// Where the application is: the first allowed origin, since the platform's own address serves no pages.
    fn application(&self) -> Url {
        let settings = &self.runtime.settings;
        let origin = settings.allowed_origins.first().and_then(|origin| Url::parse(origin).ok());
        origin.unwrap_or_else(|| settings.public_url.clone())
    }
}

/// Stores a new token in a transaction on its own partition.
pub(crate) fn put_token(unit: &mut Transaction, token: &NewToken) -> Result<(), Failure> {
    let mut record = unit.record(&token.id, token.document.clone());
    record.expires_at = token.document.expires_at;
    unit.insert(&record)
}

/// The mail and the page of a link.
fn page(purpose: Purpose) -> (MailKind, &'static str) {
    match purpose {
        Purpose::EmailChange => (MailKind::ChangeEmail, "confirm-email"),
        Purpose::PasswordReset => (MailKind::ResetPassword, "reset-password"),
        _ => (MailKind::VerifyEmail, "verify-email"),
    }
}

/// `410` for a link that does not hold, whatever the cause.
pub(crate) fn link_expired() -> Failure {
    Problem::new(Code::LinkExpired, "Ask for a new link; this one was used or is too old.").into()
}

/// For a write that follows a link which is used up already, so that the request can't run again.
pub(crate) fn busy_if_stale(failure: Failure) -> Failure {
    match failure {
        Failure::Stale => {
            Problem::unavailable("The account is being changed by others; ask for a new link.", 1).into()
        }
        failure => failure,
    }
}
