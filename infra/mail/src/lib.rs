//! Sending mail: by SMTP where a server is configured, else into a file of the data directory.
//!
//! Entry points: [`choose`] for the mailer that the settings name, [`Mailer`] for those who send.

mod letter;
mod outbox_file;
mod smtp;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use coder_config::Settings;
use coder_core::Ambient;
use secrecy::SecretString;

pub use letter::{Letter, is_sender};
pub use outbox_file::{FILE_NAME, OutboxFileMailer};
pub use smtp::SmtpMailer;

/// A mail to one person.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The address, without a name.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text. It may carry a token, so it is never printed.
    pub text: SecretString,
    /// What it is about, such as `reset_password`.
    pub kind: &'static str,
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

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync + fmt::Debug {
    /// Hands a mail over; when this returns it is no longer ours to lose.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// The mailer that the settings name. Nothing is connected or opened yet.
pub fn choose(settings: &Settings, ambient: Ambient) -> Result<Arc<dyn Mailer>, MailError> {
    Ok(match &settings.smtp {
        Some(smtp) => Arc::new(SmtpMailer::new(smtp)?),
        None => Arc::new(OutboxFileMailer::new(&settings.data_dir, ambient)),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coder_config::Settings;
    use coder_core::Ambient;

    #[test]
    fn a_configured_server_is_used_and_else_the_file() {
        let name = |settings: &Settings| {
            format!("{:?}", super::choose(settings, Ambient::system()).unwrap())
                .split(['(', ' '])
                .next()
                .unwrap()
                .to_owned()
        };
        let mut settings = Settings::from_map(&BTreeMap::new()).unwrap();
        assert_eq!(name(&settings), "OutboxFileMailer");
        settings.smtp = Some(crate::smtp::tests::server("127.0.0.1:25".parse().unwrap()));
        assert_eq!(name(&settings), "SmtpMailer");
    }
}
