//! Building the handlers with cargo, whose progress people see on standard error.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::glibc;

/// Where the apps run.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A cargo profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile(String);

impl Profile {
    /// The profile of this name, such as `release` or `dev`.
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// What is deployed, as opposed to tried here.
    fn is_for_the_cloud(&self) -> bool {
        self.0 != "dev"
    }

    /// The folder below the target directory.
    fn folder(&self) -> &str {
        if self.0 == "dev" { "debug" } else { &self.0 }
    }
}

/// A handler that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// The route group.
    pub group: String,
    /// The program.
    pub executable: PathBuf,
}

/// Whether handlers can be linked against an older C library than the one that is here.
pub fn zigbuild_is_installed() -> bool {
    let tried = Command::new("cargo-zigbuild").arg("--version").stdin(Stdio::null()).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Builds the handlers of these groups, in their order. What is for the cloud is linked against the C library that
/// is assumed there, where cargo-zigbuild is installed.
pub fn build(project: &Path, groups: &[&str], profile: &Profile, azure: bool) -> anyhow::Result<Vec<Built>> {
    let zig = profile.is_for_the_cloud() && zigbuild_is_installed();
    let mut command = cargo(project);
    command.arg(if zig { "zigbuild" } else { "build" });
    if zig {
        command.args(["--target", &format!("{TARGET}.{}", glibc::ASSUMED)]);
    }
    command.args(["--bins", "--message-format", "json-render-diagnostics", "--profile", &profile.0]);
    for group in groups {
        command.args(["--package", &package(group)]);
    }
    if azure {
        command.args(["--features", "azure"]);
    }
    let output = run(&mut command)?;
    if !output.status.success() {
        bail!("the handlers could not be built; cargo said why above");
    }
    let executables = executables(&output.stdout);
    let found = |group: &&str| {
        let executable = executables.get(&package(group)).cloned();
        let executable = executable.with_context(|| format!("cargo built no program for `{group}`"))?;
        Ok(Built { group: (*group).to_owned(), executable })
    };
    groups.iter().map(found).collect()
}

/// The handlers of these groups as they were built before.
pub(crate) fn found(project: &Path, groups: &[&str], profile: &Profile) -> anyhow::Result<Vec<Built>> {
    let output = run(cargo(project).args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo's metadata is no JSON")?;
    let mut folder = PathBuf::from(metadata["target_directory"].as_str().unwrap_or("target"));
    if profile.is_for_the_cloud() && zigbuild_is_installed() {
        folder.push(TARGET);
    }
    folder.push(profile.folder());
    let found = |group: &&str| {
        let executable = folder.join(format!("{}{}", package(group), std::env::consts::EXE_SUFFIX));
        if !executable.is_file() {
            bail!("there is no `{}`; leave out `--skip-build`, which builds it", executable.display());
        }
        Ok(Built { group: (*group).to_owned(), executable })
    };
    groups.iter().map(found).collect()
}

/// The package of a group's handler, and the name of its program.
fn package(group: &str) -> String {
    format!("coder-{group}")
}

fn cargo(project: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(project).stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    command.output().with_context(|| {
        let name = command.get_program().to_string_lossy().into_owned();
        format!("`{name}` cannot be run; install Rust as https://rustup.rs says")
    })
}

/// The programs among cargo's messages, by name.
fn executables(messages: &[u8]) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for line in messages.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
        if let Some(path) = message["executable"].as_str() {
            let path = PathBuf::from(path);
            let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default().to_owned();
            found.insert(name, path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_the_messages() {
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"coder_users"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"coder-users"},"executable":"/t/debug/coder-users"}
{"reason":"build-finished","success":true}
"#;
        let found = executables(messages);
        assert_eq!(found, [("coder-users".to_owned(), PathBuf::from("/t/debug/coder-users"))].into());
    }

    #[test]
    fn a_profile_has_a_folder() {
        assert_eq!(Profile::named("dev").folder(), "debug");
        assert_eq!(Profile::named("release").folder(), "release");
    }
}
