//! Mail by SMTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Mail, MailError, Mailer};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Hands mails to one server.
#[derive(Clone)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SmtpMailer(from {})", self.from)
    }
}

impl SmtpMailer {
    /// `url` names the server and the account, such as `smtps://name:password@mail.example.com` or
    /// `smtp://mail.example.com?tls=required`; `from` is what mails are sent as, such as
    /// `Coder <no-reply@example.com>`. Nothing is connected yet.
    pub fn new(url: &SecretString, from: &str) -> Result<Self, MailError> {
        let from = from.parse().map_err(|error| MailError::Address(format!("`{from}`: {error}")))?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())?;
        Ok(Self { transport: builder.timeout(Some(TIMEOUT)).build(), from })
    }

    fn message(&self, mail: &Mail) -> Result<Message, MailError> {
        let address = |error: &dyn fmt::Display| MailError::Address(error.to_string());
        let to = Address::new(mail.to.local_part(), mail.to.domain()).map_err(|error| address(&error))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.clone())
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.expose_secret().to_owned())
            .map_err(|error| address(&error))
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.transport.send(self.message(mail)?).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::thread::JoinHandle;

    use super::SmtpMailer;
    use crate::email::EmailAddress;
    use crate::mail::{Mail, MailError, MailKind, Mailer as _};

    /// A server for one mail; the thread's result is all that the client said.
    fn serve(answer_to_recipient: &'static str) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let (mut said, mut in_data) = (String::new(), false);
            stream.write_all(b"220 test\r\n").unwrap();
            for line in lines.map_while(Result::ok) {
                said.push_str(&line);
                said.push('\n');
                let answer = match line.get(..4).unwrap_or(&line) {
                    "." => "250 taken",
                    _ if in_data => continue,
                    "DATA" => "354 go on",
                    "RCPT" => answer_to_recipient,
                    "QUIT" => "221 bye",
                    _ => "250 fine",
                };
                in_data = answer.starts_with("354");
                stream.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
            }
            said
        });
        (address, server)
    }

    fn mail() -> Mail {
        Mail {
            to: EmailAddress::parse("ada@example.com").unwrap(),
            subject: "Réset\r\nBcc: eve@example.com".into(),
            text: "Follow https://app.example.com/reset-password#token=t0k3n".into(),
            kind: MailKind::ResetPassword,
        }
    }

    #[tokio::test]
    async fn hands_a_mail_over() {
        let (address, server) = serve("250 fine");
        let mailer = SmtpMailer::new(&format!("smtp://{address}").into(), "Coder <no-reply@example.com>").unwrap();
        mailer.send(&mail()).await.unwrap();
        let said = server.join().unwrap();
        assert!(said.contains("MAIL FROM:<no-reply@example.com>"), "{said}");
        assert!(said.contains("RCPT TO:<ada@example.com>"), "{said}");
        assert!(said.contains("#token=t0k3n"), "{said}");
        assert!(!said.lines().any(|line| line.starts_with("Bcc:")), "{said}");
    }

    #[tokio::test]
    async fn a_refused_recipient_is_an_error() {
        let (address, _server) = serve("550 nobody here");
        let mailer = SmtpMailer::new(&format!("smtp://{address}").into(), "no-reply@example.com").unwrap();
        assert!(matches!(mailer.send(&mail()).await, Err(MailError::Smtp(_))));
    }

    #[test]
    fn refuses_bad_settings_and_prints_no_password() {
        let url = "smtps://name:hunter2@mail.example.com".into();
        let mailer = SmtpMailer::new(&url, "no-reply@example.com").unwrap();
        assert_eq!(format!("{mailer:?}"), "SmtpMailer(from no-reply@example.com)");
        assert!(matches!(SmtpMailer::new(&url, "nobody"), Err(MailError::Address(_))));
        let error = SmtpMailer::new(&"http://name:hunter2@mail.example.com".into(), "a@example.com").unwrap_err();
        assert!(matches!(&error, MailError::Smtp(_)));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn mail_never_prints_its_text() {
        assert!(!format!("{:?}", mail()).contains("t0k3n"));
    }
}
