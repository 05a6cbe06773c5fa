//! What is wrong with the settings, all at once.

use std::fmt;

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    /// The variable.
    pub name: String,
    /// What is wrong with it. Never holds the value of a secret.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

/// Every fault that was found. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// In the order in which the variables are documented.
    pub faults: Vec<SettingFault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(out, "{count} {} cannot be used:", if count == 1 { "setting" } else { "settings" })?;
        for SettingFault { name, problem, fix } in &self.faults {
            write!(out, "\n  {name}: {problem}\n    hint: {fix}")?;
        }
        Ok(())
    }
}
