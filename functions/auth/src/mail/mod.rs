//! Sending the few mails that carry a link.

mod outbox_file;
mod smtp;

pub use outbox_file::{FILE_NAME, OutboxFileMailer};
pub use smtp::SmtpMailer;

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::email::EmailAddress;

/// A mail to one person.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Who gets it.
    pub to: EmailAddress,
    /// One line.
    pub subject: String,
    /// Plain text. It may carry a token, so it is never printed.
    pub text: SecretString,
    /// What it is about.
    pub kind: MailKind,
}

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// A link that confirms the address of a new account.
    VerifyEmail,
    /// Somebody tried to register with the address of an account.
    AccountExists,
    /// A link that sets a new password.
    ResetPassword,
    /// A link that confirms a new address.
    ConfirmEmailChange,
    /// A warning to the old address that it is about to be replaced.
    EmailChangeWarning,
}

/// Why a mail did not leave. A retry makes sense except for `Address`.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No mail server takes such an address.
    #[error("the mail cannot be addressed: {0}")]
    Address(String),
    /// The mail server could not be reached or said no.
    #[error("the mail server did not take the mail: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// The file could not be written.
    #[error("the mail could not be written to its file")]
    File(#[from] std::io::Error),
}

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Hands a mail over; when this returns it is no longer ours to lose.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
