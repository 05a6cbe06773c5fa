use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use crate::{
    ConfigError, EmailVerification, Environment, LogFormat, Provider, Registration, Settings, SmtpSecurity,
    StoreSync, VARIABLES, reference, source,
};

const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    Settings::from_map(&map(pairs))
}

fn production(more: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let mut all = map(&[
        ("CODER_ENVIRONMENT", "production"),
        ("CODER_PUBLIC_URL", "https://api.example.com"),
        ("CODER_MASTER_KEY", KEY),
    ]);
    all.extend(map(more));
    Settings::from_map(&all)
}

/// The names of the variables that are refused, and the whole message.
fn refused(result: Result<Settings, ConfigError>) -> (Vec<String>, String) {
    let error = result.unwrap_err();
    (error.faults.iter().map(|fault| fault.name.clone()).collect(), error.to_string())
}

#[test]
fn development_needs_no_setting() {
    let settings = read(&[("PATH", "/bin"), ("CODER_PORT", " ")]).unwrap();
    assert_eq!(settings.environment, Environment::Development);
    assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:3001/");
    assert_eq!((settings.port, settings.handler_port), (3001, None));
    assert_eq!(settings.data_dir.to_str(), Some(".coder"));
    assert!(settings.master_key.is_none() && settings.smtp.is_none());
    assert_eq!(settings.registration, Registration::Open);
    assert_eq!(settings.email_verification, EmailVerification::Optional);
    assert!(settings.allowed_origins.contains("http://localhost:3000"));
    assert_eq!(settings.redirect_uris.first().unwrap().as_str(), "http://localhost:3000/auth/callback");
    assert!(!settings.outbound_allow_loopback);
    assert_eq!(settings.limits.address_per_minute, 600);
    assert_eq!(settings.limits.organization_per_minute, 6_000);
    assert_eq!(settings.limits.public_per_minute, 30);
    assert_eq!(settings.store_sync, StoreSync::Normal);
    assert_eq!((settings.log_format, settings.log_level.as_str()), (LogFormat::Text, "info"));
    assert_eq!(settings.provider, Provider::Embedded);
}

#[test]
fn production_has_stricter_defaults() {
    let settings = production(&[]).unwrap();
    assert!(settings.is_production());
    assert_eq!(settings.registration, Registration::Invite);
    assert_eq!(settings.store_sync, StoreSync::Full);
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!(settings.allowed_origins.first().unwrap(), "https://api.example.com");
    assert_eq!(settings.redirect_uris.first().unwrap().as_str(), "https://api.example.com/auth/callback");
    assert_eq!(settings.master_key.unwrap().expose_secret(), &[7; 32]);
}

#[test]
fn production_refuses_what_is_only_convenient() {
    let (names, _) = refused(read(&[("CODER_ENVIRONMENT", "production")]));
    assert_eq!(names, ["CODER_PUBLIC_URL", "CODER_MASTER_KEY"]);
    for (name, value) in [
        ("CODER_PUBLIC_URL", "http://api.example.com"),
        ("CODER_OUTBOUND_ALLOW_LOOPBACK", "true"),
        ("CODER_EMAIL_VERIFICATION", "required"),
        ("CODER_ALLOWED_ORIGINS", "http://app.example.com"),
        ("CODER_REDIRECT_URIS", "http://app.example.com/callback"),
    ] {
        let (names, message) = refused(production(&[(name, value)]));
        assert_eq!(names, [name], "{message}");
    }
    assert!(
        production(&[("CODER_REDIRECT_URIS", "http://127.0.0.1/callback")]).is_ok(),
        "a native application"
    );
}

#[test]
fn every_value_is_read() {
    let settings = read(&[
        ("CODER_PORT", "4000"),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "7071"),
        ("CODER_DATA_DIR", "/data"),
        ("CODER_REGISTRATION", "closed"),
        ("CODER_ALLOWED_ORIGINS", "http://localhost:3000/, https://App.Example.com:443"),
        ("CODER_REDIRECT_URIS", "https://app.example.com/cb?x=1"),
        ("CODER_OPERATORS", "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f,"),
        ("CODER_UPSTREAM_AUTH", "http://127.0.0.1:3002"),
        ("CODER_OUTBOUND_ALLOW_LOOPBACK", "true"),
        ("CODER_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1, 2001:db8::/32"),
        ("CODER_LIMIT_USER_PER_MINUTE", "5"),
        ("CODER_STORE_SYNC", "full"),
        ("CODER_LOG_FORMAT", "json"),
        ("CODER_LOG", "warn, coder_gateway=debug"),
    ])
    .unwrap();
    assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:4000/");
    assert_eq!(settings.handler_port, Some(7071));
    let origins: Vec<&str> = settings.allowed_origins.iter().map(String::as_str).collect();
    assert_eq!(origins, ["http://localhost:3000", "https://app.example.com"]);
    assert_eq!(settings.operators.len(), 1);
    assert_eq!(settings.upstreams["auth"].port(), Some(3002));
    assert_eq!(settings.trusted_proxies[1].to_string(), "192.0.2.1/32");
    assert_eq!(settings.trusted_proxies.len(), 3);
    assert_eq!(settings.limits.user_per_minute, 5);
    assert_eq!(settings.log_level, "warn,coder_gateway=debug");
}

#[test]
fn faulty_values_are_refused_one_by_one() {
    for (name, value) in [
        ("CODER_ENVIRONMENT", "prod"),
        ("CODER_PUBLIC_URL", "api.example.com"),
        ("CODER_PUBLIC_URL", "https://api.example.com/base"),
        ("CODER_PORT", "70000"),
        ("CODER_MASTER_KEY", "AAAA"),
        ("CODER_MASTER_KEY", "no base64"),
        ("CODER_REGISTRATION", "Open"),
        ("CODER_ALLOWED_ORIGINS", "*"),
        ("CODER_ALLOWED_ORIGINS", "http://localhost:3000/path"),
        ("CODER_REDIRECT_URIS", "https://app.example.com/#fragment"),
        ("CODER_REDIRECT_URIS", "javascript:alert(1)"),
        ("CODER_OPERATORS", "01990C3A-7E3A-7C11-9D2F-5B6A7C8D9E0F"),
        ("CODER_UPSTREAM_AUTH", "127.0.0.1:3002"),
        ("CODER_UPSTREAM_a-b", "http://127.0.0.1:3002"),
        ("CODER_UPSTREAM_", "http://127.0.0.1:3002"),
        ("CODER_OUTBOUND_ALLOW_LOOPBACK", "yes"),
        ("CODER_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CODER_LIMIT_PUBLIC_PER_MINUTE", "0"),
        ("CODER_LIMIT_PUBLIC_PER_MINUTE", "-1"),
        ("CODER_STORE_SYNC", "off"),
        ("CODER_LOG", "verbose"),
        ("CODER_LOG", "info,=debug"),
    ] {
        let (names, message) = refused(read(&[(name, value)]));
        assert_eq!(names, [name], "{name}={value}: {message}");
    }
}

#[test]
fn all_faults_are_told_together_with_their_fix() {
    let (names, message) = refused(read(&[
        ("CODER_PORT", "many"),
        ("CODER_OPERATORS", "one,two"),
        ("CODER_LOG", "loud"),
        ("CODER_REGISTRATON", "open"),
    ]));
    assert_eq!(names, ["CODER_PORT", "CODER_OPERATORS", "CODER_OPERATORS", "CODER_LOG", "CODER_REGISTRATON"]);
    assert!(message.starts_with("5 settings cannot be used:"), "{message}");
    assert_eq!(message.matches("hint: ").count(), 5, "{message}");
    assert!(message.contains("did you mean `CODER_REGISTRATION`?"), "{message}");
}

#[test]
fn unknown_names_are_refused_and_others_left_alone() {
    let (_, message) = refused(read(&[("CODER_SOMETHING_ELSE_ALTOGETHER", "1")]));
    assert!(message.contains("no such setting") && !message.contains("did you mean"), "{message}");
    assert!(read(&[("CODERS", "1"), ("AZURE_CLIENT_ID", "x"), ("coder_port", "1")]).is_ok());
}

#[test]
fn mail_servers_are_read_with_their_protection() {
    let with = |url| read(&[("CODER_SMTP_URL", url), ("CODER_MAIL_FROM", "Coder <no-reply@example.com>")]);
    for (url, host, port, security) in [
        ("smtps://u:p@mail.example.com", "mail.example.com", 465, SmtpSecurity::Tls),
        ("smtp://u:p@mail.example.com", "mail.example.com", 587, SmtpSecurity::StartTls),
        ("smtp://mail.example.com:2525", "mail.example.com", 2525, SmtpSecurity::StartTls),
        ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, SmtpSecurity::Plain),
        ("smtp://localhost", "localhost", 25, SmtpSecurity::Plain),
    ] {
        let settings = with(url).unwrap();
        assert_eq!(settings.email_verification, EmailVerification::Required);
        let smtp = settings.smtp.unwrap();
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.security), (host, port, security), "{url}");
    }
    let smtp = with("smtps://me%40example.com:p%2B%26%20w+d@mail.example.com").unwrap().smtp.unwrap();
    let credentials = smtp.credentials.unwrap();
    assert_eq!(credentials.username, "me@example.com");
    assert_eq!(credentials.password.expose_secret(), "p+& w+d");
    assert_eq!(smtp.from, "Coder <no-reply@example.com>");

    for url in [
        "mail.example.com",
        "http://u:hush@host",
        "smtp://:hush@host",
        "smtp://u@host",
        "smtp://u:hush@",
        "smtp://u:hush@h/x",
    ] {
        let (names, message) = refused(with(url));
        assert_eq!(names, ["CODER_SMTP_URL"], "{url}: {message}");
        assert!(!message.contains("hush"), "{message}");
    }
    let (names, _) = refused(read(&[("CODER_SMTP_URL", "smtp://localhost")]));
    assert_eq!(names, ["CODER_MAIL_FROM"]);
    for from in ["nobody", "@example.com", "a@", "a@b\nBcc: x@y"] {
        let (names, _) = refused(read(&[("CODER_SMTP_URL", "smtp://localhost"), ("CODER_MAIL_FROM", from)]));
        assert_eq!(names, ["CODER_MAIL_FROM"], "{from}");
    }
}

#[test]
fn the_cloud_is_chosen_whole_or_not_at_all() {
    let all = [
        ("CODER_COSMOS_ENDPOINT", "https://coder.documents.azure.com:443/"),
        ("CODER_SERVICEBUS_NAMESPACE", "coder.servicebus.windows.net"),
        ("CODER_KEYVAULT_URL", "https://coder.vault.azure.net"),
        ("CODER_REDIS_HOST", "coder.redis.azure.net"),
        ("AZURE_CLIENT_ID", "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f"),
    ];
    let Provider::Azure(azure) = read(&all).unwrap().provider else { panic!("not the cloud") };
    assert_eq!(azure.servicebus_namespace, "coder.servicebus.windows.net");
    assert_eq!(azure.platform_audience, None);
    let closed = [&all[..], &[("CODER_PLATFORM_AUDIENCE", "api://1-2-3")]].concat();
    let Provider::Azure(azure) = read(&closed).unwrap().provider else { panic!("not the cloud") };
    assert_eq!(azure.platform_audience.as_deref(), Some("api://1-2-3"));
    for wrong in ["1-2-3", "api://", "api://1-2-3/.default/"] {
        let closed = [&all[..], &[("CODER_PLATFORM_AUDIENCE", wrong)]].concat();
        assert_eq!(refused(read(&closed)).0, ["CODER_PLATFORM_AUDIENCE"], "{wrong}");
    }

    for (missing, (name, _)) in all.iter().enumerate() {
        let mut some = all.to_vec();
        some.remove(missing);
        let (names, message) = refused(read(&some));
        assert_eq!(names, [*name], "{message}");
    }
    let (names, message) = refused(read(&all[..1]));
    assert_eq!(names.len(), 4, "{message}");
    assert!(message.contains("which wraps data keys"), "{message}");

    for (at, value) in
        [(0, "http://coder.documents.azure.com"), (1, "https://coder.servicebus.windows.net"), (3, "a b")]
    {
        let mut wrong = all.to_vec();
        wrong[at].1 = value;
        let (names, message) = refused(read(&wrong));
        assert_eq!(names, [all[at].0], "{message}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let settings = production(&[
        ("CODER_SMTP_URL", "smtps://user:hush-hush@mail.example.com"),
        ("CODER_MAIL_FROM", "a@example.com"),
        ("CODER_UPSTREAM_USERS", "http://127.0.0.1:3003"),
    ])
    .unwrap();
    let rows = settings.resolved();
    let shown = format!("{rows:?} {settings:?}");
    assert!(!shown.contains("hush-hush") && !shown.contains(KEY) && !shown.contains("[7, 7"), "{shown}");
    let value = |name: &str| rows.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(value("CODER_MASTER_KEY"), "(set, hidden)");
    assert_eq!(value("CODER_UPSTREAM_USERS"), "http://127.0.0.1:3003/");
    assert_eq!(value("CODER_ENVIRONMENT"), "production");
    assert_eq!(value("CODER_REDIS_HOST"), "(not set)");

    let (_, message) =
        refused(read(&[("CODER_MASTER_KEY", "c2VjcmV0"), ("CODER_PUBLIC_URL", "https://u:hush@h")]));
    assert!(!message.contains("c2VjcmV0") && !message.contains("hush"), "{message}");
}

#[test]
fn every_variable_is_resolved_and_documented() {
    let settings = Settings::for_tests("data");
    let page = reference();
    let rows = settings.resolved();
    for variable in VARIABLES.iter().filter(|variable| !variable.is_prefix()) {
        assert!(page.contains(&format!("| `{}` |", variable.name)), "{}", variable.name);
        assert!(rows.iter().any(|(name, _)| name == variable.name), "{}", variable.name);
    }
    assert!(page.contains("`CODER_UPSTREAM_<GROUP>`"));
    // What `resolved` shows can be set again, so no variable shares another's value by mistake.
    let again: Vec<(&str, &str)> = rows
        .iter()
        .filter(|(_, value)| !value.starts_with('('))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let unmasked =
        |rows: Vec<(String, String)>| rows.into_iter().filter(|(_, value)| !value.contains("hidden"));
    let known: Vec<_> = unmasked(rows.clone()).filter(|(name, _)| name != "CODER_MASTER_KEY").collect();
    let reread: Vec<_> =
        unmasked(read(&again).unwrap().resolved()).filter(|(name, _)| name != "CODER_MASTER_KEY").collect();
    assert_eq!(reread, known);
}

#[test]
fn the_local_file_fills_in_what_the_environment_leaves() {
    let environment = map(&[("CODER_PORT", "4000")]);
    let file =
        r#"{"IsEncrypted": false, "Values": {"CODER_PORT": "5000", "CODER_LOG": "debug"}, "Host": {}}"#;
    let merged = source::merge(environment.clone(), file).unwrap();
    assert_eq!(merged, map(&[("CODER_PORT", "4000"), ("CODER_LOG", "debug")]));
    assert_eq!(source::merge(environment.clone(), "{}").unwrap(), environment);

    for (file, expected) in [
        ("", "not JSON"),
        ("[]", ""),
        (r#"{"Values": []}"#, "not an object"),
        (r#"{"Values": {"CODER_PORT": 5000}}"#, "`CODER_PORT` is not a string"),
        (r#"{"IsEncrypted": true, "Values": {}}"#, "encrypted"),
    ] {
        match source::merge(environment.clone(), file) {
            Err(error) => assert!(error.to_string().contains(expected), "{file}: {error}"),
            Ok(merged) => assert!(expected.is_empty() && merged == environment, "{file}"),
        }
    }
}

#[test]
fn a_folder_is_loaded_with_and_without_the_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Settings::load(folder.path()).is_ok());
    std::fs::write(folder.path().join("local.settings.json"), r#"{"Values": {"CODER_LOG": "trace"}}"#)
        .unwrap();
    assert_eq!(Settings::load(folder.path()).unwrap().log_level, "trace");
    std::fs::write(folder.path().join("local.settings.json"), "{").unwrap();
    assert!(Settings::load(folder.path()).unwrap_err().to_string().contains("local.settings.json"));
}
