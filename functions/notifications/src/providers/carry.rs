//! One way to carry a mail: by SMTP, or as JSON to a server of the organization. What an organization typed is an
//! outbound address: it is looked up, must be public, and is the one connected to.

use std::fmt;
use std::net::IpAddr;

use coder_config::{Smtp, SmtpCredentials, SmtpSecurity};
use coder_core::Fault;
use coder_mail::{Letter, MailError, SmtpMailer};
use coder_outbound::{OutboundError, is_public};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::{Carrier, Way, secret};
use crate::model::provider::{Protection, Provider, ProviderKind};
use crate::service::Notifications;

/// Why a mail was not taken; the text is for the people who look after the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CarryFault {
    /// Nobody reads mail at the address.
    Address(String),
    /// It will not take this mail; another may.
    Refused(String),
    /// It may take it later.
    Later(String),
    /// It could not be asked: its password cannot be had.
    Waits(String),
}

impl fmt::Display for CarryFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Address(reason) | Self::Refused(reason) | Self::Later(reason) | Self::Waits(reason)) =
            self;
        out.write_str(reason)
    }
}

impl From<MailError> for CarryFault {
    fn from(error: MailError) -> Self {
        // What a server says is shortened, and has no body of ours in it.
        let text = error.to_string().chars().take(500).collect();
        match error {
            error if error.is_bounce() => Self::Address(text),
            error if error.is_permanent() => Self::Refused(text),
            _ => Self::Later(text),
        }
    }
}

impl From<OutboundError> for CarryFault {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Refused(_) => Self::Refused(error.to_string()),
            _ => Self::Later(error.to_string()),
        }
    }
}

impl Carrier {
    /// Hands a mail over.
    pub(crate) async fn carry(&self, service: &Notifications, letter: &Letter) -> Result<(), CarryFault> {
        match &self.way {
            Way::Platform(smtp) => Ok(SmtpMailer::new(smtp)?.send_letter(letter).await?),
            Way::Own(provider) => {
                let secret = self.secret(service, provider).await?;
                match provider.kind {
                    ProviderKind::Smtp => {
                        let mailer = own_server(service, provider, secret).await?;
                        Ok(mailer.send_letter(letter).await?)
                    }
                    ProviderKind::Webhook => post(service, provider, secret, letter).await,
                    ProviderKind::AzureEmail | ProviderKind::Webpush => {
                        Err(CarryFault::Refused("this kind of provider is not configured".to_owned()))
                    }
                }
            }
        }
    }

    /// Whether it answers, without giving it anything to carry.
    pub(crate) async fn probe(&self, service: &Notifications) -> Result<(), CarryFault> {
        match &self.way {
            Way::Platform(smtp) => Ok(SmtpMailer::new(smtp)?.probe().await?),
            Way::Own(provider) if provider.kind == ProviderKind::Smtp => {
                let secret = self.secret(service, provider).await?;
                Ok(own_server(service, provider, secret).await?.probe().await?)
            }
            // Only a mail would tell; the rest after the failures is over when the next one comes.
            Way::Own(_) => Err(CarryFault::Waits("it can only be tried".to_owned())),
        }
    }

    async fn secret(
        &self,
        service: &Notifications,
        provider: &Provider,
    ) -> Result<Option<SecretString>, CarryFault> {
        match (&provider.secret_ref, self.organization_id) {
            (Some(reference), Some(organization_id)) => {
                secret::resolve(service, organization_id, reference).await.map(Some)
            }
            _ => Ok(None),
        }
    }
}

async fn own_server(
    service: &Notifications,
    provider: &Provider,
    secret: Option<SecretString>,
) -> Result<SmtpMailer, CarryFault> {
    let missing = |what: &str| CarryFault::Refused(format!("the provider has no {what}"));
    let config = &provider.config;
    let host = config.host.clone().ok_or_else(|| missing("host"))?;
    let address = resolve(service, &host).await?;
    let security = match config.protection {
        Protection::Tls => SmtpSecurity::Tls,
        Protection::Starttls => SmtpSecurity::StartTls,
        Protection::Plain if address.is_loopback() => SmtpSecurity::Plain,
        Protection::Plain => return Err(CarryFault::Refused("mail does not leave unprotected".to_owned())),
    };
    let credentials = match (&config.username, secret) {
        (Some(username), Some(password)) => Some(SmtpCredentials { username: username.clone(), password }),
        (None, _) => None,
        (Some(_), None) => return Err(missing("secret")),
    };
    let port = config.port.unwrap_or(if security == SmtpSecurity::Tls { 465 } else { 587 });
    let from = config.from.clone().ok_or_else(|| missing("sender"))?;
    Ok(SmtpMailer::pinned(&Smtp { host, port, security, credentials, from }, address)?)
}

/// The address to connect to. One that is not public makes the whole answer unusable.
async fn resolve(service: &Notifications, host: &str) -> Result<IpAddr, CarryFault> {
    let allow_loopback = service.runtime.settings.outbound_allow_loopback;
    let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), 0)).await;
    let found: Vec<IpAddr> = found
        .map_err(|error| CarryFault::Later(format!("`{host}` cannot be found: {error}")))?
        .map(|address| address.ip())
        .collect();
    let may = |address: &IpAddr| is_public(*address) || (allow_loopback && address.is_loopback());
    match found.first() {
        Some(first) if found.iter().all(may) => Ok(*first),
        Some(_) => Err(CarryFault::Refused(format!("`{host}` is not a public address"))),
        None => Err(CarryFault::Later(format!("`{host}` has no address"))),
    }
}

async fn post(
    service: &Notifications,
    provider: &Provider,
    secret: Option<SecretString>,
    letter: &Letter,
) -> Result<(), CarryFault> {
    let url = provider.config.url.as_deref().and_then(|url| Url::parse(url).ok());
    let url = url.ok_or_else(|| CarryFault::Refused("the provider has no address".to_owned()))?;
    let headers: serde_json::Map<_, _> =
        letter.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = json!({
        "messageId": letter.message_id,
        "from": provider.config.from,
        "to": letter.to,
        "subject": letter.subject,
        "text": letter.text.expose_secret(),
        "html": letter.html.as_ref().map(SecretString::expose_secret),
        "headers": headers,
    });
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if let Some(token) = secret {
        headers.push(("authorization", format!("Bearer {}", token.expose_secret())));
    }
    let answer = service.outbound()?.post(&url, &headers, body.to_string().into_bytes()).await?;
    let reason = format!("the server answered {}", answer.status);
    match answer.status {
        200..300 => Ok(()),
        408 | 425 | 429 | 500.. => Err(CarryFault::Later(reason)),
        _ => Err(CarryFault::Refused(reason)),
    }
}

/// What is wrong with where a provider is, for the answer when it is saved. A name that cannot be found at the moment
/// passes: every call looks again.
pub(crate) async fn check_target(service: &Notifications, provider: &Provider) -> Option<Fault> {
    let refused =
        |pointer: &str, why: String| Some(Fault::new(pointer, "refused_address", format!("{why}.")));
    match (provider.kind, &provider.config.host, &provider.config.url) {
        (ProviderKind::Smtp, Some(host), _) => match resolve(service, host).await {
            Err(CarryFault::Refused(why)) => refused("/config/host", why),
            _ => None,
        },
        (ProviderKind::Webhook, _, Some(url)) => {
            service.refusal(url).await.and_then(|why| refused("/config/url", why))
        }
        _ => None,
    }
}
