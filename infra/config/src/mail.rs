//! The mail server that the settings name.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use crate::web;

/// How to send mail.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Host name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// Name and password, if the server asks for them.
    pub credentials: Option<SmtpCredentials>,
    /// Sender: an address, or `Name <address>`.
    pub from: String,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`, which the server has to offer.
    StartTls,
    /// None; only to a mail catcher on this machine.
    Plain,
}

/// Name and password at the mail server.
#[derive(Debug, Clone)]
pub struct SmtpCredentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

impl Smtp {
    /// Reads the server's address. What goes wrong is told without the address, since it holds a password.
    pub(crate) fn parse(url: &str, from: String) -> Result<Self, &'static str> {
        let url = Url::parse(url).map_err(|_| "it is not an address")?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("it names no host")?.to_owned();
        let (security, usual_port) = match url.scheme() {
            "smtps" => (SmtpSecurity::Tls, 465),
            "smtp" if is_loopback(&host) => (SmtpSecurity::Plain, 25),
            "smtp" => (SmtpSecurity::StartTls, 587),
            _ => return Err("it begins neither with `smtp://` nor with `smtps://`"),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("it has more than name, password, host and port");
        }
        let decode = |text: &str| {
            percent_decode_str(text)
                .decode_utf8()
                .map(String::from)
                .map_err(|_| "name or password is not UTF-8")
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) => return Err("it has a password but no name"),
            (_, None) => return Err("it has a name but no password"),
            (username, Some(password)) => {
                Some(SmtpCredentials { username: decode(username)?, password: decode(password)?.into() })
            }
        };
        Ok(Self { host, port: url.port().unwrap_or(usual_port), security, credentials, from })
    }
}

/// A host of a foreign scheme is not parsed as an address, so it is read as one of http.
fn is_loopback(host: &str) -> bool {
    Url::parse(&format!("http://{host}/")).is_ok_and(|url| web::is_loopback(&url))
}

/// Checks what a sender has to have; the mail library reads the rest.
pub(crate) fn sender(text: &str) -> Result<String, String> {
    let address = text.rsplit_once('<').map_or(text, |(_, address)| address.trim_end_matches('>'));
    let (local, domain) = address.split_once('@').unwrap_or(("", ""));
    let fits = !local.is_empty() && web::host(domain).is_ok() && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("`{}` is not a mail address", text.escape_debug())) }
}
