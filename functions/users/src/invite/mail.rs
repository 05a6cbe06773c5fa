//! The mail of an invitation, as the notifications group takes it.

use coder_core::{OrganizationId, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// What the mail of an invitation tells.
#[derive(Debug, Clone)]
pub(super) struct InvitationMail {
    /// Who invites; the mail is in the organization's outbox, and its own mail servers carry it.
    pub(super) organization_id: OrganizationId,
    /// Name of the organization.
    pub(super) organization: String,
    /// The invited address.
    pub(super) to: String,
    /// Name of the person who invites; `None` where a program does.
    pub(super) inviter: Option<String>,
    /// A word from the inviter.
    pub(super) message: Option<String>,
    /// Where to accept; carries the token.
    pub(super) accept_url: SecretString,
    /// When the invitation lapses.
    pub(super) expires_at: Timestamp,
    /// The same for every try to hand this mail over, and for no other mail.
    pub(super) key: String,
}

impl InvitationMail {
    /// The body of `POST /internal/messages`.
    pub(super) fn compose(&self) -> Value {
        let who = self.inviter.as_deref().unwrap_or("An administrator");
        let word = self.message.as_ref();
        let word = word.map_or_else(String::new, |message| format!("{who} writes:\n\n{message}\n\n"));
        let body = format!(
            "{who} invites you to join {}.\n\n{word}The link below holds until {} (UTC). Sign in or register with \
             this e-mail address, {}. If you did not expect this invitation, ignore it: nothing happens without you.",
            self.organization,
            self.expires_at.strftime("%-d %B %Y, %H:%M"),
            self.to,
        );
        json!({
            "organizationId": self.organization_id,
            "topic": "invitation.mail",
            "criticality": "high",
            "title": format!("Invitation to {}", self.organization),
            "body": body,
            "actionUrl": self.accept_url.expose_secret(),
            "actionLabel": "Accept or decline",
            "recipients": [format!("email:{}", self.to)],
            "sensitive": true,
            "dedupKey": self.key,
        })
    }
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use coder_core::id::EXAMPLE;

    use super::InvitationMail;

    #[test]
    fn tells_who_invites_where_to_answer_and_until_when() {
        let mut mail = InvitationMail {
            organization_id: EXAMPLE.into(),
            organization: "Acme".into(),
            to: "ada@example.com".into(),
            inviter: Some("Grace".into()),
            message: Some("Join us!".into()),
            accept_url: "https://app.example.com/invitations#token=t0k3n".to_owned().into(),
            expires_at: Timestamp::UNIX_EPOCH,
            key: "k".into(),
        };
        let composed = mail.compose();
        let text = composed["body"].as_str().unwrap();
        assert_eq!(composed["title"], "Invitation to Acme");
        assert_eq!(composed["recipients"][0], "email:ada@example.com");
        assert_eq!(composed["sensitive"], true);
        for part in ["Grace invites you to join Acme", "Join us!", "1 January 1970, 00:00"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(composed["actionUrl"].as_str().unwrap().ends_with("#token=t0k3n"));
        assert!(!format!("{mail:?} {text}").contains("t0k3n"));
        (mail.inviter, mail.message) = (None, None);
        let composed = mail.compose();
        let text = composed["body"].as_str().unwrap();
        assert!(text.starts_with("An administrator invites") && !text.contains("writes"), "{text}");
    }
}
