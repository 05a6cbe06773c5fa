//! Sending mail by SMTP, and keeping it in a file of the data directory where no server is configured.
//!
//! Entry points: [`Letter`] for what is sent, [`SmtpMailer`] for what sends it, [`OutboxFile`] for what is kept.

mod letter;
mod outbox_file;
mod smtp;

pub use letter::{Letter, is_sender};
pub use outbox_file::{FILE_NAME, OutboxFile};
pub use smtp::SmtpMailer;

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
    #[error("the mail could not be written to its file: {0}")]
    File(#[from] std::io::Error),
}

impl MailError {
    /// Whether the same mail by the same way fails again.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Smtp(error) => error.is_permanent(),
            Self::File(_) => false,
        }
    }

    /// Whether nobody reads mail at the address, so that no other way leads to it either. A server that refuses
    /// for a rule of its own says so by `5.7` (RFC 3463, 3.8); that is the sender's fault, not the address's.
    pub fn is_bounce(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Smtp(error) => {
                let code = error.status().filter(|_| error.is_permanent()).map(u16::from);
                matches!(code, Some(550 | 551 | 553)) && !error.to_string().contains("5.7.")
            }
            Self::File(_) => false,
        }
    }
}
