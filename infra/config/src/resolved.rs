//! What was resolved, for people: the settings as `coder config` shows them.

use std::fmt::Display;

use crate::settings::{Provider, Settings};
use crate::variable::VARIABLES;

const NOT_SET: &str = "(not set)";
const HIDDEN: &str = "(set, hidden)";

impl Settings {
    /// Every variable with the value that applies, defaults included, in the order of the reference page.
    /// Secrets are masked.
    pub fn resolved(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        for variable in VARIABLES {
            if variable.is_prefix() {
                let named = |(group, url): (&String, _)| {
                    (format!("{}{}", variable.name, group.to_ascii_uppercase()), format!("{url}"))
                };
                rows.extend(self.upstreams.iter().map(named));
            } else {
                rows.push((variable.name.to_owned(), self.shown(variable.name)));
            }
        }
        rows
    }

    fn shown(&self, name: &str) -> String {
        let azure = match &self.provider {
            Provider::Azure(azure) => Some(azure),
            Provider::Embedded => None,
        };
        match name {
            "CODER_ENVIRONMENT" => self.environment.as_str().to_owned(),
            "CODER_PUBLIC_URL" => self.public_url.to_string(),
            "CODER_PORT" => self.port.to_string(),
            "FUNCTIONS_CUSTOMHANDLER_PORT" => or_not_set(self.handler_port),
            "CODER_DATA_DIR" => self.data_dir.display().to_string(),
            "CODER_MASTER_KEY" => hidden(self.master_key.is_some()),
            "CODER_REGISTRATION" => self.registration.as_str().to_owned(),
            "CODER_EMAIL_VERIFICATION" => self.email_verification.as_str().to_owned(),
            "CODER_SMTP_URL" => hidden(self.smtp.is_some()),
            "CODER_MAIL_FROM" => or_not_set(self.smtp.as_ref().map(|smtp| &smtp.from)),
            "CODER_ALLOWED_ORIGINS" => joined(&self.allowed_origins),
            "CODER_REDIRECT_URIS" => joined(&self.redirect_uris),
            "CODER_OPERATORS" => joined(&self.operators),
            "CODER_OUTBOUND_ALLOW_LOOPBACK" => self.outbound_allow_loopback.to_string(),
            "CODER_TRUSTED_PROXIES" => joined(&self.trusted_proxies),
            "CODER_LIMIT_ADDRESS_PER_MINUTE" => self.limits.address_per_minute.to_string(),
            "CODER_LIMIT_USER_PER_MINUTE" => self.limits.user_per_minute.to_string(),
            "CODER_LIMIT_ORGANIZATION_PER_MINUTE" => self.limits.organization_per_minute.to_string(),
            "CODER_LIMIT_PUBLIC_PER_MINUTE" => self.limits.public_per_minute.to_string(),
            "CODER_LIMIT_WRITES_PER_MINUTE" => self.limits.writes_per_minute.to_string(),
            "CODER_STORE_SYNC" => self.store_sync.as_str().to_owned(),
            "CODER_LOG_FORMAT" => self.log_format.as_str().to_owned(),
            "CODER_LOG" => self.log_level.clone(),
            "CODER_COSMOS_ENDPOINT" => or_not_set(azure.map(|azure| &azure.cosmos_endpoint)),
            "CODER_SERVICEBUS_NAMESPACE" => or_not_set(azure.map(|azure| &azure.servicebus_namespace)),
            "CODER_KEYVAULT_URL" => or_not_set(azure.map(|azure| &azure.keyvault_url)),
            "CODER_REDIS_HOST" => or_not_set(azure.map(|azure| &azure.redis_host)),
            "AZURE_CLIENT_ID" => or_not_set(azure.map(|azure| &azure.client_id)),
            "CODER_PLATFORM_AUDIENCE" => or_not_set(azure.and_then(|azure| azure.platform_audience.as_ref())),
            _ => NOT_SET.to_owned(),
        }
    }
}

fn or_not_set(value: Option<impl Display>) -> String {
    value.map_or_else(|| NOT_SET.to_owned(), |value| value.to_string())
}

fn hidden(set: bool) -> String {
    if set { HIDDEN } else { NOT_SET }.to_owned()
}

fn joined<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    or_not_set((!values.is_empty()).then(|| values.join(", ")))
}
