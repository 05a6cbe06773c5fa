//! Files that are generated from the code and committed; `--check` fails when a committed one is stale.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use coder_cli::{declared, limits};
use coder_config::Settings;
use coder_handler::openapi;
use serde_json::Value;

use crate::arguments::Generated;
use crate::terminal;

/// The address that committed OpenAPI documents name; the deployment replaces it.
const SERVER: &str = "https://api.coder.example";

/// `coder manifest`.
pub(crate) fn manifest(options: &Generated) -> anyhow::Result<()> {
    let groups = declared::groups()?;
    let path = options.out.clone().unwrap_or_else(|| PathBuf::from("bicep/platform.json"));
    settle(&path, &pretty(&declared::manifest(&groups))?, options.check, "coder manifest")
}

/// `coder openapi`.
pub(crate) fn openapi(options: &Generated) -> anyhow::Result<()> {
    let directory = options.out.clone().unwrap_or_else(|| PathBuf::from("bicep/openapi"));
    let groups = coder_platform::route_groups();
    let own = groups.iter().map(|group| (group.name, openapi::document(group, SERVER)));
    let shared = (openapi::OPERATIONS, openapi::operations_document(&groups, SERVER));
    for (name, document) in own.chain([shared]) {
        let path = directory.join(format!("{name}.json"));
        settle(&path, &openapi::text(&document), options.check, "coder openapi")?;
    }
    Ok(())
}

/// `coder settings`.
pub(crate) fn settings(options: &Generated) -> anyhow::Result<()> {
    let path = options.out.clone().unwrap_or_else(|| PathBuf::from("docs/settings.md"));
    settle(&path, &coder_config::reference(), options.check, "coder settings")
}

/// `coder limits`.
pub(crate) fn limits(options: &Generated) -> anyhow::Result<()> {
    let path = options.out.clone().unwrap_or_else(|| PathBuf::from("docs/limits.md"));
    let page = limits::page(Path::new("."), &coder_platform::route_groups())?;
    settle(&path, &page, options.check, "coder limits")
}

/// `coder config`.
pub(crate) fn config(json: bool) -> anyhow::Result<()> {
    let settings = Settings::load(Path::new("."))?;
    let resolved = settings.resolved();
    if json {
        let object: serde_json::Map<String, Value> =
            resolved.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        terminal::line(&pretty(&Value::Object(object))?);
    } else {
        for (name, value) in resolved {
            terminal::line(&format!("{name}={value}"));
        }
    }
    Ok(())
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn settle(path: &Path, text: &str, check: bool, command: &str) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        terminal::line(text.trim_end());
        return Ok(());
    }
    if check {
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        if committed != text {
            bail!("`{}` is stale: run `{command}` and commit the result", path.display());
        }
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make `{}`", directory.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
