//! The mail of an invitation. The narrow trait stands for the notifications group until that takes mails over.

use std::sync::Arc;

use async_trait::async_trait;
use coder_core::Timestamp;
use coder_mail::{Mail, MailError, Mailer};
use secrecy::{ExposeSecret as _, SecretString};

/// What the mail of an invitation tells.
#[derive(Debug, Clone)]
pub struct InvitationMail {
    /// The invited address.
    pub to: String,
    /// Name of the organization.
    pub organization: String,
    /// Name of the person who invites; `None` where a program does.
    pub inviter: Option<String>,
    /// A word from the inviter.
    pub message: Option<String>,
    /// Where to accept; carries the token.
    pub accept_url: SecretString,
    /// When the invitation lapses.
    pub expires_at: Timestamp,
}

/// Sends the mails of invitations.
#[async_trait]
pub trait InvitationMailer: Send + Sync {
    /// Hands the mail over; when this returns it is no longer ours to lose.
    async fn send(&self, mail: &InvitationMail) -> Result<(), MailError>;
}

/// Sends them as plain text by the platform's mailer.
#[derive(Debug, Clone)]
pub struct PlainMailer(pub Arc<dyn Mailer>);

#[async_trait]
impl InvitationMailer for PlainMailer {
    async fn send(&self, mail: &InvitationMail) -> Result<(), MailError> {
        self.0.send(&mail.compose()).await
    }
}

impl InvitationMail {
    /// The mail as it is read.
    fn compose(&self) -> Mail {
        let Self { to, organization, inviter, message, accept_url, expires_at } = self;
        let who = inviter.as_deref().unwrap_or("An administrator");
        let word =
            message.as_ref().map_or_else(String::new, |message| format!("{who} writes:\n\n{message}\n\n"));
        let text = format!(
            "{who} invites you to join {organization}.\n\n{word}Accept or decline here:\n{}\n\n\
             The link holds until {} (UTC). Sign in or register with this e-mail address, {to}. If you did not \
             expect this invitation, ignore it: nothing happens without you.\n",
            accept_url.expose_secret(),
            expires_at.strftime("%-d %B %Y, %H:%M"),
        );
        Mail {
            to: to.clone(),
            subject: format!("Invitation to {organization}"),
            text: text.into(),
            kind: "invitation",
        }
    }
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use secrecy::ExposeSecret as _;

    use super::InvitationMail;

    #[test]
    fn tells_who_invites_where_to_answer_and_until_when() {
        let mut mail = InvitationMail {
            to: "ada@example.com".into(),
            organization: "Acme".into(),
            inviter: Some("Grace".into()),
            message: Some("Join us!".into()),
            accept_url: "https://app.example.com/invitations#token=t0k3n".to_owned().into(),
            expires_at: Timestamp::UNIX_EPOCH,
        };
        let composed = mail.compose();
        let text = composed.text.expose_secret();
        assert_eq!(
            (composed.to.as_str(), composed.subject.as_str()),
            ("ada@example.com", "Invitation to Acme")
        );
        for part in ["Grace invites you to join Acme", "Join us!", "#token=t0k3n", "1 January 1970, 00:00"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!format!("{mail:?} {composed:?}").contains("t0k3n"));
        (mail.inviter, mail.message) = (None, None);
        let text = mail.compose().text.expose_secret().to_owned();
        assert!(text.starts_with("An administrator invites") && !text.contains("writes"), "{text}");
    }
}
