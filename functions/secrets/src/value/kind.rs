//! The kinds of secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a secret is, and with it what shape its value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `{value}`
    Generic,
    /// `{key}`
    ApiKey,
    /// `{username, password}`
    UsernamePassword,
    /// `{accessToken, refreshToken?, tokenType, expiresAt?, scope?}`
    Oauth2Token,
    /// `{certificatePem, privateKeyPem?, chainPem[]?, passphrase?}`
    Certificate,
    /// `{privateKey, publicKey?, passphrase?, algorithm}`
    SshKey,
    /// `{connectionString}`
    ConnectionString,
    /// `{document}`
    Json,
    /// `{variables}`
    EnvSet,
}

impl Kind {
    /// As it is written; part of what a ciphertext is bound to.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::ApiKey => "api_key",
            Self::UsernamePassword => "username_password",
            Self::Oauth2Token => "oauth2_token",
            Self::Certificate => "certificate",
            Self::SshKey => "ssh_key",
            Self::ConnectionString => "connection_string",
            Self::Json => "json",
            Self::EnvSet => "env_set",
        }
    }
}
