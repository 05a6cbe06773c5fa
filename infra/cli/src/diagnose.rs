//! `coder doctor`: what keeps the platform from running here, or from running well.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use coder_cli::doctor::{self, Examined, Finding, Verdict};
use serde_json::json;

use crate::terminal;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Folder of the embedded store
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Port of the gateway
    #[arg(long)]
    port: Option<u16>,
    /// Ask a handler or a platform that runs there, instead of trying the settings from here
    #[arg(long, value_name = "ADDRESS")]
    at: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. Faults are an error; what is only poor is not.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Arguments { data_dir, port, at, json } = arguments;
    let examined = Examined { folder: PathBuf::from("."), data_dir, port, at };
    let findings = runtime.context("cannot start the runtime")?.block_on(doctor::examine(&examined));
    let faults = findings.iter().filter(|finding| finding.verdict == Verdict::Faulty).count();
    if json {
        let report = json!({"healthy": faults == 0, "findings": findings});
        terminal::line(&serde_json::to_string_pretty(&report)?);
    } else {
        findings.iter().for_each(show);
    }
    match faults {
        0 => Ok(()),
        1 => bail!("there is a fault; mend it as said above, and run `coder doctor` again"),
        faults => bail!("there are {faults} faults; mend them as said above, and run `coder doctor` again"),
    }
}

fn show(finding: &Finding) {
    let verdict = match finding.verdict {
        Verdict::Good => "ok   ",
        Verdict::Poor => "poor ",
        Verdict::Faulty => "FAULT",
    };
    let latency = finding.latency_ms.map(|latency| format!(" ({latency} ms)")).unwrap_or_default();
    terminal::line(&format!("{verdict} {}: {}{latency}", finding.check, finding.what));
    if finding.verdict == Verdict::Good {
        return;
    }
    for (title, text) in [("set in", &finding.set_in), ("mend", &finding.mend)] {
        if let Some(text) = text {
            terminal::line(&format!("      {title}: {text}"));
        }
    }
}
