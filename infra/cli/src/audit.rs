//! `coder audit`: whether the record of who did what is as it was written, checked on the data directory itself.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use coder_core::OrganizationId;
use coder_database::PlatformJob;
use coder_logging::chain::Verdict;
use coder_logging::model::Trail;
use coder_logging::service::Logging;
use coder_startup::Assembly;
use coder_startup::outbox::LeftForTheSweep;
use serde_json::json;

use crate::data::Data;
use crate::terminal;

/// What `coder audit` accepts.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Command,
    /// Folder of the embedded store
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// As JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Recompute every hash, link and signature from what is stored; fails if anything does not fit
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    /// Only the chain of this organization; without it, every chain
    #[arg(long, value_name = "ID")]
    organization: Option<OrganizationId>,
}

/// Runs the command.
pub(crate) fn run(options: Audit) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let Command::Verify(wanted) = options.command;
    runtime.block_on(async {
        let Data { providers, groups } = Data::open(options.data_dir).await?;
        // The chain is of `logging`, the keys that signed its checkpoints are of `auth`.
        let groups = groups.into_iter().filter(|group| ["auth", "logging"].contains(&group.name)).collect();
        let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await?;
        let logging = assembly.groups.iter().find(|group| group.name == "logging");
        let logging: Logging = logging
            .and_then(coder_handler::Running::service)
            .ok_or_else(|| anyhow!("there is no audit log"))?;
        let trails = match wanted.organization {
            Some(id) => vec![Trail::Organization(id)],
            None => {
                logging.trails(&PlatformJob::begin(), None).await.map_err(|failure| anyhow!("{failure}"))?
            }
        };
        verify(&logging, trails, options.json).await
    })
}

async fn verify(logging: &Logging, trails: Vec<Trail>, json: bool) -> anyhow::Result<()> {
    let mut verdicts = Vec::new();
    for trail in trails {
        let heads = logging.heads_of(trail).await.map_err(|failure| anyhow!("{failure}"))?;
        let last = heads.last().map_or(0, |head| head.data.last_seq);
        let verdict = logging.verify(trail, 1, last).await.map_err(|failure| anyhow!("{failure}"))?;
        verdicts.push((trail, last, verdict));
    }
    if json {
        let shown: Vec<_> =
            verdicts.iter().map(|(trail, last, verdict)| view(*trail, *last, verdict)).collect();
        terminal::line(&serde_json::to_string_pretty(&shown)?);
    } else {
        let rows = verdicts.iter().map(|(trail, last, verdict)| {
            let first = verdict.faults.first().map_or_else(
                || "as it was written".to_owned(),
                |fault| {
                    format!("{} faults, the first at {}: {:?}", verdict.faults.len(), fault.seq, fault.code)
                },
            );
            [trail.name(), last.to_string(), verdict.checked.to_string(), first]
        });
        terminal::table(["CHAIN", "ENTRIES", "CHECKED", "VERDICT"], rows);
    }
    let bad = verdicts.iter().filter(|(_, _, verdict)| !verdict.faults.is_empty()).count();
    if bad > 0 {
        bail!("{bad} of {} chains were changed after they were written", verdicts.len());
    }
    Ok(())
}

fn view(trail: Trail, last: u64, verdict: &Verdict) -> serde_json::Value {
    json!({
        "chain": trail.name(), "lastSeq": last, "checked": verdict.checked, "valid": verdict.faults.is_empty(),
        "erased": verdict.erased.len(), "faults": verdict.faults,
    })
}
