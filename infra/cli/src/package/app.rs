//! The files of one function app.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use coder_handler::{Group, app};
use serde_json::Value;

/// What all apps share, as it stands in the project.
#[derive(Debug)]
pub(crate) struct Host {
    /// `host.json`.
    settings: Vec<u8>,
    /// The `function.json` of the function that takes every HTTP request.
    http: Vec<u8>,
    /// The name under which the host starts the handler.
    executable: String,
}

/// A file of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) bytes: Vec<u8>,
    pub(crate) executable: bool,
}

/// An app: its files by their path in it, with `/` between the parts.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) functions: Vec<String>,
    executable: String,
}

impl Host {
    /// Reads the project's `host.json` and `functions/function.json`.
    pub(crate) fn read(project: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = project.join(name);
            let bytes = fs::read(&path).with_context(|| {
                format!("cannot read `{}`; run this in the project's folder", path.display())
            })?;
            let value: Value =
                serde_json::from_slice(&bytes).with_context(|| format!("`{}` is no JSON", path.display()))?;
            anyhow::Ok((bytes, value))
        };
        let (settings, value) = read("host.json")?;
        let (http, _) = read("functions/function.json")?;
        let named = &value["customHandler"]["description"]["defaultExecutablePath"];
        let executable = named.as_str().unwrap_or_default().to_owned();
        // The host makes an entry executable whose name is this very text.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if executable.is_empty() || !executable.bytes().all(plain) {
            bail!(
                "`host.json` names `{executable}` as the handler; \
                 `customHandler.description.defaultExecutablePath` has to be a plain file name"
            );
        }
        Ok(Self { settings, http, executable })
    }
}

impl App {
    /// The app of a group with this handler.
    pub(crate) fn of(group: &Group, host: &Host, handler: Vec<u8>) -> anyhow::Result<Self> {
        let plain = |bytes| Entry { bytes, executable: false };
        let mut entries = BTreeMap::from([
            ("host.json".to_owned(), plain(host.settings.clone())),
            (host.executable.clone(), Entry { bytes: handler, executable: true }),
        ]);
        let mut functions = vec![app::HTTP.to_owned()];
        entries.insert(format!("{}/function.json", app::HTTP), plain(host.http.clone()));
        for function in group.app() {
            let json = serde_json::to_string_pretty(&function.json(group.name))? + "\n";
            entries.insert(format!("{}/function.json", function.name), plain(json.into_bytes()));
            functions.push(function.name);
        }
        Ok(Self { entries, functions, executable: host.executable.clone() })
    }

    pub(crate) fn handler_size(&self) -> u64 {
        self.entries.get(&self.executable).map_or(0, |entry| entry.bytes.len() as u64)
    }

    /// Writes the files into a folder that is not there yet.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        for (name, entry) in &self.entries {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
            fs::write(&path, &entry.bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
            if entry.executable {
                make_executable(&path)?;
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn make_executable(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make `{}` executable", path.display()))
}

/// The zip carries the mode, whatever the file system here knows.
#[cfg(not(unix))]
fn make_executable(_: &Path) -> anyhow::Result<()> {
    Ok(())
}
