//! Mail by SMTP.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use coder_config::{Smtp, SmtpSecurity};
use lettre::message::Mailbox;
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::ExposeSecret as _;

use super::{Letter, MailError};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Hands mails to one server.
#[derive(Clone)]
pub struct SmtpMailer {
    transport: Transport,
    from: Mailbox,
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SmtpMailer(from {})", self.from)
    }
}

impl SmtpMailer {
    /// A mailer for a configured server. Nothing is connected yet.
    pub fn new(smtp: &Smtp) -> Result<Self, MailError> {
        let builder = match smtp.security {
            SmtpSecurity::Tls => Transport::relay(&smtp.host)?,
            SmtpSecurity::StartTls => Transport::starttls_relay(&smtp.host)?,
            SmtpSecurity::Plain => Transport::builder_dangerous(&smtp.host),
        };
        Self::build(builder, smtp)
    }

    /// A mailer for a server whose name was resolved before: the connection goes to this address, the
    /// certificate must be the name's.
    pub fn pinned(smtp: &Smtp, address: IpAddr) -> Result<Self, MailError> {
        let tls = || TlsParameters::new(smtp.host.clone());
        let tls = match smtp.security {
            SmtpSecurity::Tls => Tls::Wrapper(tls()?),
            SmtpSecurity::StartTls => Tls::Required(tls()?),
            SmtpSecurity::Plain => Tls::None,
        };
        Self::build(Transport::builder_dangerous(address.to_string()).tls(tls), smtp)
    }

    fn build(mut builder: AsyncSmtpTransportBuilder, smtp: &Smtp) -> Result<Self, MailError> {
        let from =
            smtp.from.parse().map_err(|error| MailError::Address(format!("`{}`: {error}", smtp.from)))?;
        if let Some(account) = &smtp.credentials {
            let password = account.password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(account.username.clone(), password));
        }
        Ok(Self { transport: builder.port(smtp.port).timeout(Some(TIMEOUT)).build(), from })
    }

    /// Hands a letter over.
    pub async fn send_letter(&self, letter: &Letter) -> Result<(), MailError> {
        self.transport.send(letter.message(&self.from)?).await?;
        Ok(())
    }

    /// Asks the server whether it is there and takes the name and password; nothing is sent.
    pub async fn probe(&self) -> Result<(), MailError> {
        self.transport.test_connection().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::thread::JoinHandle;

    use coder_config::{Smtp, SmtpCredentials, SmtpSecurity};

    use super::SmtpMailer;
    use crate::letter::tests::letter;
    use crate::{Letter, MailError};

    fn server(address: SocketAddr) -> Smtp {
        Smtp {
            host: address.ip().to_string(),
            port: address.port(),
            security: SmtpSecurity::Plain,
            credentials: None,
            from: "Coder <no-reply@example.com>".into(),
        }
    }

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

    fn mail() -> Letter {
        Letter {
            text: "Follow https://app.example.com/reset-password#token=t0k3n".into(),
            html: None,
            ..letter()
        }
    }

    #[tokio::test]
    async fn hands_a_mail_over() {
        let (address, thread) = serve("250 fine");
        SmtpMailer::new(&server(address)).unwrap().send_letter(&mail()).await.unwrap();
        let said = thread.join().unwrap();
        assert!(said.contains("MAIL FROM:<no-reply@example.com>"), "{said}");
        assert!(said.contains("RCPT TO:<ada@example.com>"), "{said}");
        assert!(said.contains("#token=t0k3n"), "{said}");
        assert!(!said.lines().any(|line| line.starts_with("Bcc:")), "{said}");
    }

    #[tokio::test]
    async fn a_refused_recipient_is_an_error() {
        let (address, _thread) = serve("550 nobody here");
        let mailer = SmtpMailer::new(&server(address)).unwrap();
        let refused = mailer.send_letter(&mail()).await.unwrap_err();
        assert!(matches!(refused, MailError::Smtp(_)) && refused.is_permanent() && refused.is_bounce());
        let to = "ada@example.com>\r\nRCPT TO:<eve@example.com".to_owned();
        assert!(matches!(mailer.send_letter(&Letter { to, ..mail() }).await, Err(MailError::Address(_))));
    }

    #[tokio::test]
    async fn only_an_address_that_nobody_reads_is_a_bounce() {
        for (answer, permanent) in [
            ("451 4.2.0 later", false),
            ("550 5.7.1 blocked by policy", true),
            ("554 transaction failed", true),
            ("535 bad password", true),
        ] {
            let (address, _thread) = serve(answer);
            let mailer = SmtpMailer::pinned(&server(address), address.ip()).unwrap();
            let refused = mailer.send_letter(&mail()).await.unwrap_err();
            assert_eq!((refused.is_permanent(), refused.is_bounce()), (permanent, false), "{answer}");
        }
    }

    #[test]
    fn refuses_a_bad_sender_and_prints_no_password() {
        let mut smtp = server("127.0.0.1:465".parse().unwrap());
        smtp.security = SmtpSecurity::Tls;
        smtp.credentials =
            Some(SmtpCredentials { username: "name".into(), password: "hunter2".to_owned().into() });
        let mailer = SmtpMailer::new(&smtp).unwrap();
        assert_eq!(format!("{mailer:?}"), "SmtpMailer(from Coder <no-reply@example.com>)");
        smtp.from = "nobody".into();
        assert!(matches!(SmtpMailer::new(&smtp), Err(MailError::Address(_))));
    }

    #[test]
    fn a_letter_never_prints_its_text() {
        assert!(!format!("{:?}", mail()).contains("t0k3n"));
    }
}
