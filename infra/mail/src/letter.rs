//! A mail with everything that mail programs look at: two bodies, an identity, a thread, further headers.

use std::fmt;

use coder_core::Timestamp;
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use secrecy::{ExposeSecret as _, SecretString};

use super::MailError;

/// A mail to one person, as plain text and perhaps as HTML.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The sender: an address, or `Name <address>`; `None` for the mailer's own.
    pub from: Option<String>,
    /// The address, without a name.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: SecretString,
    /// The same as HTML.
    pub html: Option<SecretString>,
    /// What the mail is known by, as `<id@domain>`.
    pub message_id: String,
    /// When it was written.
    pub date: Timestamp,
    /// Further headers: name and value.
    pub headers: Vec<(String, String)>,
}

impl Letter {
    /// The mail in the form of RFC 5322. Line breaks in headers do not survive.
    pub(crate) fn message(&self, own: &Mailbox) -> Result<Message, MailError> {
        let fault = |error: &dyn fmt::Display| MailError::Address(error.to_string());
        let to: Address = self.to.parse().map_err(|error| fault(&error))?;
        let from = match &self.from {
            Some(from) => from.parse().map_err(|error| fault(&error))?,
            None => own.clone(),
        };
        let mut builder = Message::builder()
            .from(from)
            .to(Mailbox::new(None, to))
            .subject(self.subject.clone())
            .date(self.date.into())
            .message_id(Some(self.message_id.clone()));
        for (name, value) in &self.headers {
            let name = HeaderName::new_from_ascii(name.clone()).map_err(|error| fault(&error))?;
            builder = builder.raw_header(HeaderValue::new(name, value.clone()));
        }
        let text = self.text.expose_secret().to_owned();
        match &self.html {
            Some(html) => {
                builder.multipart(MultiPart::alternative_plain_html(text, html.expose_secret().to_owned()))
            }
            None => builder.header(ContentType::TEXT_PLAIN).body(text),
        }
        .map_err(|error| fault(&error))
    }
}

/// Whether a mail can be sent from it: an address, or `Name <address>`.
pub fn is_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use coder_core::Timestamp;

    use super::Letter;

    /// A letter for tests.
    pub(crate) fn letter() -> Letter {
        Letter {
            from: None,
            to: "ada@example.com".into(),
            subject: "Réview\r\nBcc: eve@example.com".into(),
            text: "plain words".into(),
            html: Some("<p>rich words</p>".into()),
            message_id: "<1@app.example.com>".into(),
            date: Timestamp::UNIX_EPOCH,
            headers: vec![
                ("List-Unsubscribe".into(), "<https://app.example.com/u/1>".into()),
                ("X-Note".into(), "one\r\nBcc: eve@example.com".into()),
            ],
        }
    }

    fn written(letter: &Letter) -> String {
        let own = "Coder <no-reply@example.com>".parse().unwrap();
        String::from_utf8(letter.message(&own).unwrap().formatted()).unwrap()
    }

    #[test]
    fn has_both_bodies_and_the_headers() {
        let text = written(&letter());
        for part in [
            "Content-Type: multipart/alternative",
            "plain words",
            "<p>rich words</p>",
            "Message-ID: <1@app.example.com>",
            "Date: Thu, 01 Jan 1970 00:00:00",
            "List-Unsubscribe: <https://app.example.com/u/1>",
            "From: Coder <no-reply@example.com>",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let plain =
            written(&Letter { html: None, from: Some("Acme <mail@acme.example>".into()), ..letter() });
        assert!(
            plain.contains("Content-Type: text/plain") && plain.contains("From: Acme <mail@acme.example>")
        );
    }

    #[test]
    fn no_value_becomes_a_header_of_its_own() {
        let text = written(&letter());
        assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
    }
}
