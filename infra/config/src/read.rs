//! From variables to settings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coder_core::UserId;
use ipnet::IpNet;
use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;
use url::Url;

use crate::error::ConfigError;
use crate::mail::{self, Smtp};
use crate::reader::Reader;
use crate::settings::{
    AzureSettings, EmailVerification, Environment, Limits, LogFormat, Provider, Registration, Settings,
    StoreSync,
};
use crate::variable as v;
use crate::web;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Settings {
    /// Reads settings from variables and reports every fault there is. Names that are not the platform's are
    /// left alone.
    pub fn from_map(map: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(map);
        let settings = read(&mut reader);
        reader.refuse_unknown();
        match settings {
            Some(settings) if reader.faults.is_empty() => Ok(settings),
            _ => Err(ConfigError { faults: reader.faults }),
        }
    }
}

/// Reads everything. Where a value is faulty, its default stands in, so that the rest is checked as well.
fn read(reader: &mut Reader<'_>) -> Option<Settings> {
    let environment = reader.choice(v::ENVIRONMENT, Environment::WORDS).unwrap_or(Environment::Development);
    let production = environment == Environment::Production;

    let port = read_port(reader, v::PORT).unwrap_or(3001);
    let public_url = read_public_url(reader, production, port);
    let smtp = read_smtp(reader);
    let registration = reader.choice(v::REGISTRATION, Registration::WORDS);
    let store_sync = reader.choice(v::STORE_SYNC, StoreSync::WORDS);
    let log_format = reader.choice(v::LOG_FORMAT, LogFormat::WORDS);
    Some(Settings {
        environment,
        port,
        handler_port: read_port(reader, v::HANDLER_PORT),
        data_dir: reader.text(v::DATA_DIR).unwrap_or(".coder").into(),
        master_key: read_master_key(reader, production),
        registration: registration.unwrap_or(if production {
            Registration::Invite
        } else {
            Registration::Open
        }),
        email_verification: read_email_verification(reader, production, smtp.is_some()),
        smtp,
        allowed_origins: read_origins(reader, production, public_url.as_ref()),
        redirect_uris: read_redirects(reader, production, public_url.as_ref()),
        operators: read_operators(reader),
        upstreams: read_upstreams(reader),
        outbound_allow_loopback: read_allow_loopback(reader, production),
        trusted_proxies: read_proxies(reader),
        limits: Limits {
            address_per_minute: read_limit(reader, v::LIMIT_ADDRESS, 600),
            user_per_minute: read_limit(reader, v::LIMIT_USER, 600),
            organization_per_minute: read_limit(reader, v::LIMIT_ORGANIZATION, 6_000),
            public_per_minute: read_limit(reader, v::LIMIT_PUBLIC, 30),
            writes_per_minute: read_limit(reader, v::LIMIT_WRITES, 1200),
        },
        store_sync: store_sync.unwrap_or(if production { StoreSync::Full } else { StoreSync::Normal }),
        log_format: log_format.unwrap_or(if production { LogFormat::Json } else { LogFormat::Text }),
        log_level: read_log_level(reader),
        provider: read_provider(reader),
        public_url: public_url?,
    })
}

/// The value as `parse` reads it, or the default.
fn read_or<T, E: Display>(
    reader: &mut Reader<'_>,
    variable: v::Variable,
    default: &str,
    fix: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    match reader.text(variable) {
        Some(_) => reader.parse(variable, fix, parse),
        None => parse(default).ok(),
    }
}

fn read_port(reader: &mut Reader<'_>, variable: v::Variable) -> Option<u16> {
    reader.parse(variable, "use a number from 0 to 65535", |text| {
        text.parse().map_err(|_| format!("`{text}` is not a port"))
    })
}

fn read_public_url(reader: &mut Reader<'_>, production: bool, port: u16) -> Option<Url> {
    if production && reader.text(v::PUBLIC_URL).is_none() {
        reader.fault(v::PUBLIC_URL.name, "it is not set", "set it to the https address that clients use");
        return None;
    }
    let default = format!("http://127.0.0.1:{port}");
    read_or(reader, v::PUBLIC_URL, &default, "use an address such as `https://api.example.com`", |text| {
        let url = web::base(text)?;
        if production && url.scheme() != "https" {
            return Err(format!("`{text}` is not https, which production needs"));
        }
        Ok(url)
    })
}

fn read_master_key(reader: &mut Reader<'_>, production: bool) -> Option<Arc<SecretBox<[u8; 32]>>> {
    let fix =
        "set it to what `openssl rand -base64 32` prints, and keep a copy: what it encrypts is lost without";
    if production && reader.text(v::MASTER_KEY).is_none() {
        reader.fault(v::MASTER_KEY.name, "it is not set, and production makes no key by itself", fix);
    }
    reader.parse(v::MASTER_KEY, fix, |text| {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| "it is not base64")?);
        let mut key = Box::new([0; 32]);
        if bytes.len() != key.len() {
            return Err("it is not 32 bytes long");
        }
        key.copy_from_slice(&bytes);
        Ok(Arc::new(SecretBox::new(key)))
    })
}

fn read_smtp(reader: &mut Reader<'_>) -> Option<Smtp> {
    let address = "use an address such as `no-reply@example.com` or `Coder <no-reply@example.com>`";
    let from = reader.parse(v::MAIL_FROM, address, mail::sender);
    if reader.text(v::SMTP_URL).is_some() && reader.text(v::MAIL_FROM).is_none() {
        reader.fault(v::MAIL_FROM.name, format!("it is not set, but `{}` is", v::SMTP_URL.name), address);
    }
    let url = "use `smtps://name:password@host:465`, or `smtp://` for STARTTLS";
    reader.parse(v::SMTP_URL, url, |text| Smtp::parse(text, from.unwrap_or_default()))
}

fn read_email_verification(reader: &mut Reader<'_>, production: bool, can_send: bool) -> EmailVerification {
    use EmailVerification::{Optional, Required};
    let chosen = reader.choice(v::EMAIL_VERIFICATION, EmailVerification::WORDS);
    if production && !can_send && chosen == Some(Required) {
        let fix = format!("set `{}`, or make this `optional`", v::SMTP_URL.name);
        reader.fault(v::EMAIL_VERIFICATION.name, "it is `required`, but no mail can be sent", fix);
    }
    chosen.unwrap_or(if can_send { Required } else { Optional })
}

fn read_origins(reader: &mut Reader<'_>, production: bool, public_url: Option<&Url>) -> BTreeSet<String> {
    let fix = "use origins such as `https://app.example.com`, separated by commas";
    let chosen = reader.list(v::ALLOWED_ORIGINS, fix, |text| web::origin(text, production));
    let usual = || match public_url {
        Some(url) if production => url.origin().ascii_serialization(),
        _ => "http://localhost:3000".to_owned(),
    };
    chosen.map_or_else(|| BTreeSet::from([usual()]), BTreeSet::from_iter)
}

fn read_redirects(reader: &mut Reader<'_>, production: bool, public_url: Option<&Url>) -> BTreeSet<Url> {
    let fix = "use addresses such as `https://app.example.com/auth/callback`, separated by commas";
    let chosen = reader.list(v::REDIRECT_URIS, fix, |text| web::redirect(text, production));
    let usual = || match public_url {
        Some(url) if production => url.join("/auth/callback").ok(),
        _ => Url::parse("http://localhost:3000/auth/callback").ok(),
    };
    chosen.map_or_else(|| usual().into_iter().collect(), BTreeSet::from_iter)
}

fn read_operators(reader: &mut Reader<'_>) -> BTreeSet<UserId> {
    let ids =
        reader.list(v::OPERATORS, "use user ids, 36 characters in lower case, separated by commas", |text| {
            UserId::from_str(text).map_err(|_| format!("`{text}` is not a user id"))
        });
    ids.into_iter().flatten().collect()
}

fn read_upstreams(reader: &mut Reader<'_>) -> BTreeMap<String, Url> {
    let mut upstreams = BTreeMap::new();
    for (group, value) in reader.family(v::UPSTREAM) {
        let named = !group.is_empty() && group.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        match web::base(value) {
            Ok(url) if named => {
                upstreams.insert(group.to_ascii_lowercase(), url);
            }
            result => {
                let problem = result.err().unwrap_or_else(|| format!("`{group}` cannot be a group"));
                let name = format!("{}{group}", v::UPSTREAM.name);
                reader.fault(name, problem, "use `CODER_UPSTREAM_AUTH=http://127.0.0.1:3002`, for example");
            }
        }
    }
    upstreams
}

fn read_allow_loopback(reader: &mut Reader<'_>, production: bool) -> bool {
    let allowed =
        reader.choice(v::OUTBOUND_ALLOW_LOOPBACK, &[("true", true), ("false", false)]) == Some(true);
    if production && allowed {
        let problem = "customers could reach what listens on this machine";
        reader.fault(v::OUTBOUND_ALLOW_LOOPBACK.name, problem, "remove it in production");
    }
    allowed
}

fn read_proxies(reader: &mut Reader<'_>) -> Vec<IpNet> {
    let fix = "use networks such as `10.0.0.0/8`, or addresses, separated by commas";
    let networks = reader.list(v::TRUSTED_PROXIES, fix, |text| {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| format!("`{text}` is not a network"))
    });
    networks.unwrap_or_default()
}

fn read_limit(reader: &mut Reader<'_>, variable: v::Variable, default: u32) -> u32 {
    let limit = reader.parse(variable, "use a whole number from 1 to 1000000", |text| {
        let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
        number.ok_or_else(|| format!("`{text}` is not a limit"))
    });
    limit.unwrap_or(default)
}

fn read_log_level(reader: &mut Reader<'_>) -> String {
    let level = |text: &str| LEVELS.contains(&text);
    let fix = format!("use a level ({}), or `target=level`, separated by commas", LEVELS.join(", "));
    let directives = reader.list(v::LOG, &fix, |text| {
        let (target, least) = text.split_once('=').unwrap_or(("all", text));
        let named =
            !target.is_empty() && target.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:-".contains(&b));
        if named && level(least) { Ok(text.to_owned()) } else { Err(format!("`{text}` is not a level")) }
    });
    directives.filter(|list| !list.is_empty()).map_or_else(|| "info".to_owned(), |list| list.join(","))
}

/// Embedded without any of the cloud's services, Azure with all of them. Something in between is a mistake
/// that must not end in data on the wrong side.
fn read_provider(reader: &mut Reader<'_>) -> Provider {
    let services = [v::COSMOS_ENDPOINT, v::SERVICEBUS_NAMESPACE, v::KEYVAULT_URL, v::REDIS_HOST];
    // The identity alone decides nothing: other programs read that variable too.
    let Some(given) = services.into_iter().find(|service| reader.text(*service).is_some()) else {
        return Provider::Embedded;
    };
    for missing in services.into_iter().chain([v::AZURE_CLIENT_ID]) {
        if reader.text(missing).is_none() {
            let problem = format!("it is not set, but `{}` is. It means: {}", given.name, missing.meaning);
            reader.fault(missing.name, problem, "set all settings of the cloud services, or none of them");
        }
    }
    let url_fix = "use an address such as `https://name.service.azure.net`";
    let secure = |text: &str| {
        web::base(text).and_then(|url| match url.scheme() {
            "https" => Ok(url),
            _ => Err(format!("`{text}` is not https")),
        })
    };
    let host_fix = "use a host name without scheme, port or path";
    let cosmos_endpoint = reader.parse(v::COSMOS_ENDPOINT, url_fix, secure);
    let servicebus_namespace = reader.parse(v::SERVICEBUS_NAMESPACE, host_fix, web::host);
    let keyvault_url = reader.parse(v::KEYVAULT_URL, url_fix, secure);
    let redis_host = reader.parse(v::REDIS_HOST, host_fix, web::host);
    let client_id = reader.text(v::AZURE_CLIENT_ID).map(str::to_owned);
    let platform_audience = reader.parse(v::PLATFORM_AUDIENCE, "use `api://` and the client id", |text| {
        match text.strip_prefix("api://") {
            Some(id) if !id.is_empty() && !id.ends_with('/') => Ok(text.to_owned()),
            _ => Err(format!("`{text}` is not the address of an application")),
        }
    });
    let all = || {
        Some(Provider::Azure(Box::new(AzureSettings {
            cosmos_endpoint: cosmos_endpoint?,
            servicebus_namespace: servicebus_namespace?,
            keyvault_url: keyvault_url?,
            redis_host: redis_host?,
            client_id: client_id?,
            platform_audience,
        })))
    };
    // Where one is missing, a fault was left and the settings are refused.
    all().unwrap_or(Provider::Embedded)
}
