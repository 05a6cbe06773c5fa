//! Where variables come from: the environment and, for work on one machine, `local.settings.json`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{ConfigError, SettingFault};
use crate::settings::Settings;

/// The file in which the Functions tools keep settings, beside `host.json`.
pub const LOCAL_SETTINGS_FILE: &str = "local.settings.json";

impl Settings {
    /// Reads settings from the environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_map(&environment())
    }

    /// Reads settings from the environment and, where it is silent, from `local.settings.json` in this folder,
    /// if there is one.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let file = dir.join(LOCAL_SETTINGS_FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Self::from_env(),
            Err(error) => return Err(file_fault(&format!("it cannot be read: {error}"))),
        };
        Self::from_map(&merge(environment(), &text)?)
    }
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A variable of the environment.
    Environment,
    /// This file.
    File(PathBuf),
    /// It is not set.
    Nowhere,
}

impl Settings {
    /// Where [`Settings::load`] of this folder takes a setting from. An empty value counts as set, since that is where
    /// it has to be mended.
    pub fn origin(dir: &Path, name: &str) -> Origin {
        let file = dir.join(LOCAL_SETTINGS_FILE);
        let in_file = || {
            let text = std::fs::read_to_string(&file).ok()?;
            let whole = serde_json::from_str::<Value>(&text);
            // A file that cannot be read as such is itself what has to be mended.
            Some(whole.map_or(true, |whole| whole["Values"].get(name).is_some()))
        };
        if environment().contains_key(name) {
            Origin::Environment
        } else if in_file().is_some_and(|is_there| is_there || name == LOCAL_SETTINGS_FILE) {
            Origin::File(file)
        } else {
            Origin::Nowhere
        }
    }
}

/// Adds the file's values to the environment's; a variable that is set wins.
pub(crate) fn merge(
    mut environment: BTreeMap<String, String>,
    file: &str,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let file: Value =
        serde_json::from_str(file).map_err(|error| file_fault(&format!("it is not JSON: {error}")))?;
    if file["IsEncrypted"] == Value::Bool(true) {
        return Err(file_fault("it is encrypted; `func settings decrypt` opens it"));
    }
    let values = match &file["Values"] {
        Value::Object(values) => values,
        Value::Null => return Ok(environment),
        _ => return Err(file_fault("`Values` is not an object")),
    };
    for (name, value) in values {
        let Value::String(value) = value else {
            return Err(file_fault(&format!("the value of `{name}` is not a string")));
        };
        environment.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(environment)
}

/// Variables whose name or value is not UTF-8 are none of ours.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn file_fault(problem: &str) -> ConfigError {
    let fix = r#"write `{"IsEncrypted": false, "Values": {"CODER_PORT": "3001"}}`, every value a string"#;
    ConfigError {
        faults: vec![SettingFault {
            name: LOCAL_SETTINGS_FILE.to_owned(),
            problem: problem.to_owned(),
            fix: fix.to_owned(),
        }],
    }
}
