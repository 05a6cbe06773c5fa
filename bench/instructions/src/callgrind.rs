//! Counts instructions by callgrind. A process takes a path so many times, another twice as often: the difference is
//! what the path costs, without start, preparation and end.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Whether valgrind is installed.
pub(crate) fn is_here() -> bool {
    let asked =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Instructions of a path, on average over so many times.
pub(crate) fn count(path: &str, times: u64) -> anyhow::Result<u64> {
    let once = collected(path, times)?;
    let twice = collected(path, times * 2)?;
    Ok(twice.saturating_sub(once) / times)
}

fn collected(path: &str, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["take", path, &times.to_string()])
        .output()
        .context("valgrind does not run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{path}` failed:\n{said}");
    let collected = said.lines().find_map(|line| line.split("Collected : ").nth(1));
    Ok(collected.context("valgrind counted nothing")?.trim().parse()?)
}
