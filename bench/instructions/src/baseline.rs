//! The counts that were written down, and by which compiler they were made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

/// Instructions by path.
#[derive(Debug)]
pub(crate) struct Baseline {
    compiler: String,
    instructions: BTreeMap<String, u64>,
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

/// The compiler, in its own words.
fn compiler() -> anyhow::Result<String> {
    let said = Command::new("rustc").arg("--version").output().context("rustc does not run")?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}

impl Baseline {
    /// These counts, by today's compiler.
    pub(crate) fn new(instructions: BTreeMap<String, u64>) -> anyhow::Result<Self> {
        Ok(Self { compiler: compiler()?, instructions })
    }

    /// What was written down.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file()).context("nothing was written down; use `--write`")?;
        let whole: Value = serde_json::from_str(&text)?;
        let compiler = whole["compiler"].as_str().unwrap_or_default().to_owned();
        Ok(Self { compiler, instructions: serde_json::from_value(whole["instructions"].clone())? })
    }

    /// Writes it down.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let whole = json!({"compiler": self.compiler, "instructions": self.instructions});
        Ok(std::fs::write(file(), format!("{whole:#}\n"))?)
    }

    /// The compiler that made the counts, if it is not today's.
    pub(crate) fn other_compiler(&self) -> anyhow::Result<Option<&str>> {
        Ok((compiler()? != self.compiler).then_some(self.compiler.as_str()))
    }

    /// Instructions of a path.
    pub(crate) fn of(&self, path: &str) -> Option<u64> {
        self.instructions.get(path).copied()
    }
}
