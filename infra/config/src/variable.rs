//! Every variable that is read, in one table; the reference page is made from it.

use std::fmt::Write as _;

/// A variable that the platform reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name. One that ends in `_` stands for every name that begins so.
    pub name: &'static str,
    /// What applies when it is not set, for people.
    pub default: &'static str,
    /// What it means and what it can be.
    pub meaning: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

/// Declares the variables and the table of all.
macro_rules! variables {
    ($($constant:ident = $name:literal, $default:literal, $meaning:literal $(, $secret:ident)?;)+) => {
        $(
            #[doc = $meaning]
            pub(crate) const $constant: Variable = Variable {
                name: $name, default: $default, meaning: $meaning, secret: variables!(@secret $($secret)?),
            };
        )+
        /// Every variable, in the order of the reference page.
        pub const VARIABLES: &[Variable] = &[$($constant),+];
    };
    (@secret secret) => { true };
    (@secret) => { false };
}

variables! {
    ENVIRONMENT = "CODER_ENVIRONMENT", "`development`",
        "`development` or `production`; the latter refuses what is only convenient.";
    PUBLIC_URL = "CODER_PUBLIC_URL", "`http://127.0.0.1:3001`, with `CODER_PORT`",
        "Where clients reach the platform; the issuer of its tokens. In production `https` and no default.";
    PORT = "CODER_PORT", "`3001`", "Port of the gateway; 0 lets the system choose.";
    HANDLER_PORT = "FUNCTIONS_CUSTOMHANDLER_PORT", "none",
        "Port on which a function app's handler listens; the Functions host sets it.";
    DATA_DIR = "CODER_DATA_DIR", "`.coder`", "Folder of the embedded store.";
    MASTER_KEY = "CODER_MASTER_KEY", "in development a key made on first start",
        "Base64 of the 32 bytes that all other keys are derived from. Needed in production.", secret;
    REGISTRATION = "CODER_REGISTRATION", "`open`, in production `invite`",
        "Who may register: `open` (anyone), `invite` (the invited) or `closed` (nobody).";
    EMAIL_VERIFICATION = "CODER_EMAIL_VERIFICATION", "`required` if mail can be sent, else `optional`",
        "Whether a new address has to be confirmed before the first sign-in: `required` or `optional`.";
    SMTP_URL = "CODER_SMTP_URL", "none: mail is kept, not sent",
        "Mail server, with name and password: `smtps://` for TLS, `smtp://` for STARTTLS (on loopback, plain).",
        secret;
    MAIL_FROM = "CODER_MAIL_FROM", "none", "Sender of the platform's mail. Needed with `CODER_SMTP_URL`.";
    ALLOWED_ORIGINS = "CODER_ALLOWED_ORIGINS", "`http://localhost:3000`, in production the public URL's origin",
        "Origins whose pages may call the API from a browser; comma-separated.";
    REDIRECT_URIS = "CODER_REDIRECT_URIS",
        "`http://localhost:3000/auth/callback`, in production `/auth/callback` of the public URL",
        "Addresses that a sign-in may return to, compared exactly; comma-separated.";
    OPERATORS = "CODER_OPERATORS", "none", "User ids of the platform's operators; comma-separated.";
    UPSTREAM = "CODER_UPSTREAM_", "the group in this process",
        "`CODER_UPSTREAM_<GROUP>`: where a group's handler runs, if elsewhere.";
    OUTBOUND_ALLOW_LOOPBACK = "CODER_OUTBOUND_ALLOW_LOOPBACK", "`false`",
        "Whether calls to addresses that customers typed may go to this machine: `true` or `false`. Not in \
         production.";
    TRUSTED_PROXIES = "CODER_TRUSTED_PROXIES", "none",
        "Networks (CIDR) whose `X-Forwarded-For` is believed; comma-separated.";
    LIMIT_ADDRESS = "CODER_LIMIT_ADDRESS_PER_MINUTE", "`600`", "Requests a minute from one address.";
    LIMIT_USER = "CODER_LIMIT_USER_PER_MINUTE", "`600`", "Requests a minute by one user or API key.";
    LIMIT_ORGANIZATION = "CODER_LIMIT_ORGANIZATION_PER_MINUTE", "`6000`",
        "Requests a minute in one organization.";
    LIMIT_PUBLIC = "CODER_LIMIT_PUBLIC_PER_MINUTE", "`30`",
        "Requests a minute from one address to operations that ask for no credential, such as sign-in.";
    LIMIT_WRITES = "CODER_LIMIT_WRITES_PER_MINUTE", "`1200`",
        "Changes a minute to the people, teams and projects of one organization.";
    STORE_SYNC = "CODER_STORE_SYNC", "`normal`, in production `full`",
        "What a commit in the embedded store outlives: `normal` a killed process, `full` a power cut too.";
    LOG_FORMAT = "CODER_LOG_FORMAT", "`text`, in production `json`", "Log lines for people or for machines.";
    LOG = "CODER_LOG", "`info`",
        "Least level that is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`; `target=level` for \
         parts; comma-separated.";
    COSMOS_ENDPOINT = "CODER_COSMOS_ENDPOINT", "none", "Cosmos DB account, which keeps the documents.";
    SERVICEBUS_NAMESPACE = "CODER_SERVICEBUS_NAMESPACE", "none",
        "Service Bus namespace (host name), which carries events and jobs.";
    KEYVAULT_URL = "CODER_KEYVAULT_URL", "none", "Key Vault, which wraps data keys.";
    REDIS_HOST = "CODER_REDIS_HOST", "none",
        "Managed Redis (host name), which shares rate limits and revocations.";
    AZURE_CLIENT_ID = "AZURE_CLIENT_ID", "none",
        "Managed identity as which the services above are called. Read only when one of them is set.";
    PLATFORM_AUDIENCE = "CODER_PLATFORM_AUDIENCE", "none: a service token is all that a group sends another",
        "Application for which that identity asks tokens to enter the apps of other groups: `api://<client id>`. \
         Read only when one of the services is set.";
}

impl Variable {
    /// Whether the variable stands for a family of names.
    pub fn is_prefix(&self) -> bool {
        self.name.ends_with('_')
    }
}

/// The reference page of all settings, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Environment variables, read once at start-up. `local.settings.json` may hold them under `Values` for \
         work on one machine; a variable that is set wins. An empty value counts as not set, and a name that \
         begins with `CODER_` but is not listed here stops the start. All faults are reported together.\n\n\
         Either all settings of the cloud services are given or none; with none, everything is kept in the \
         data directory.\n\n\
         | Variable | Meaning | Default |\n|---|---|---|\n",
    );
    for Variable { name, default, meaning, secret } in VARIABLES {
        let group = if name.ends_with('_') { "<GROUP>" } else { "" };
        let mark = if *secret { " Secret." } else { "" };
        writeln!(page, "| `{name}{group}` | {meaning}{mark} | {default} |").ok();
    }
    page
}
