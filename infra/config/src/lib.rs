//! Settings: read once at start-up, checked as a whole, passed down by value. Nothing else in the platform looks
//! at the environment.
//!
//! Entry points: [`Settings::load`] for programs, [`Settings::from_map`] and [`Settings::for_tests`] for tests,
//! [`VARIABLES`] for what can be set, [`reference()`] for the page that documents it.

mod error;
mod mail;
mod read;
mod reader;
mod resolved;
mod settings;
mod source;
mod user;
mod variable;
mod web;

pub use error::{ConfigError, SettingFault};
pub use mail::{Smtp, SmtpCredentials, SmtpSecurity};
pub use settings::{
    AzureSettings, EmailVerification, Environment, Limits, LogFormat, Provider, Registration, Settings,
    StoreSync,
};
pub use source::{LOCAL_SETTINGS_FILE, Origin};
pub use user::os_user;
pub use variable::{VARIABLES, Variable, reference};

#[cfg(test)]
mod tests;
