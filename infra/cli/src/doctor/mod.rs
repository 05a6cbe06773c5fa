//! Whether the platform could run here: every setting read, every dependency tried, and for each fault what is wrong,
//! where it is set and how to mend it.

mod handlers;
mod machine;
mod services;

use std::path::{Path, PathBuf};
use std::time::Duration;

use coder_config::{Origin, Provider, Settings};
use coder_core::Ambient;
use serde::Serialize;

/// How long anything that is tried may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to examine.
#[derive(Debug, Default)]
pub struct Examined {
    /// The folder whose `local.settings.json` counts.
    pub folder: PathBuf,
    /// The data directory, if it is another than the settings say.
    pub data_dir: Option<PathBuf>,
    /// The gateway's port, if it is another than the settings say.
    pub port: Option<u16>,
    /// Handlers or a platform that run somewhere; they are asked instead of what the settings name.
    pub at: Vec<String>,
}

/// What came of trying one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was tried.
    pub check: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What is there, or what is wrong.
    pub what: String,
    /// The setting that it follows from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<&'static str>,
    /// Where that is set.
    #[serde(rename = "setIn", skip_serializing_if = "Option::is_none")]
    pub set_in: Option<String>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// How long it took to answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// The platform runs, but not as well as it could.
    Poor,
    /// The platform, or a part of it, does not run so.
    Faulty,
}

impl Finding {
    fn new(check: &str, verdict: Verdict, what: impl Into<String>) -> Self {
        let (check, what) = (check.to_owned(), what.into());
        Self { check, verdict, what, setting: None, set_in: None, mend: None, latency_ms: None }
    }

    fn good(check: &str, what: impl Into<String>) -> Self {
        Self::new(check, Verdict::Good, what)
    }

    fn faulty(check: &str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { mend: Some(mend.into()), ..Self::new(check, Verdict::Faulty, what) }
    }

    /// The same, following from a setting.
    fn set_by(self, name: &'static str) -> Self {
        Self { setting: Some(name), ..self }
    }
}

/// Tries everything. What the settings' own faults make pointless is left out.
pub async fn examine(examined: &Examined) -> Vec<Finding> {
    let mut findings = tried(examined).await;
    for finding in &mut findings {
        let place = finding.setting.map(|name| place(&examined.folder, name));
        finding.set_in = finding.set_in.take().or(place);
    }
    findings
}

async fn tried(examined: &Examined) -> Vec<Finding> {
    if !examined.at.is_empty() {
        return handlers::ask_all(&examined.at).await;
    }
    let mut settings = match Settings::load(&examined.folder) {
        Ok(settings) => settings,
        Err(error) => {
            return error.faults.into_iter().map(|fault| setting(&examined.folder, fault)).collect();
        }
    };
    if let Some(directory) = &examined.data_dir {
        settings.data_dir.clone_from(directory);
    }
    settings.port = examined.port.unwrap_or(settings.port);
    let mut findings = vec![Finding::good("settings", "all can be used")];
    if settings.provider == Provider::Embedded {
        findings.push(machine::data_directory(&settings.data_dir));
        findings.push(machine::port(settings.port).await);
    }
    findings.extend(machine::mail(&settings).await);
    findings.extend(handlers::upstreams(&settings).await);
    // With a data directory that cannot be used, all the others would fail for the same reason.
    if findings.iter().all(|finding| finding.check != machine::DATA || finding.verdict == Verdict::Good) {
        findings.extend(services::all(settings, Ambient::system()).await);
    }
    findings
}

/// A setting that cannot be used.
fn setting(folder: &Path, fault: coder_config::SettingFault) -> Finding {
    let place = place(folder, &fault.name);
    let finding = Finding::faulty("settings", format!("{}: {}", fault.name, fault.problem), fault.fix);
    Finding { set_in: Some(place), ..finding }
}

fn place(folder: &Path, name: &str) -> String {
    match Settings::origin(folder, name) {
        Origin::Environment => format!("the environment, as `{name}`"),
        Origin::File(path) => format!("`{}`, as `{name}`", path.display()),
        Origin::Nowhere => format!("nowhere; `{name}` would set it"),
    }
}
