//! What `coder dead-letters` accepts.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use coder_queue::dead_letter::{Reason, Selection, State};

#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    pub(super) command: Command,
    /// Folder of the embedded store; without it, what the settings name
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "broker")]
    pub(super) data_dir: Option<PathBuf>,
    /// What Service Bus still holds itself, because no function of the group has taken it
    #[arg(long, global = true)]
    pub(super) broker: bool,
    /// As JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List dead letters, the newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// Only those about which this was decided: open (nothing yet), replayed, dropped
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// The most that are listed
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Show a dead letter whole, secrets masked
    Show {
        /// The dead letter's id
        id: String,
        /// Look in this route group only
        #[arg(long)]
        group: Option<String>,
    },
    /// Change the event of an open dead letter; the first one is kept beside it
    Edit(Edit),
    /// Deliver events again, each to the consumer that could not take it
    Replay(Replay),
    /// Decide that events are not delivered
    Drop(Which),
}

#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only of this route group
    #[arg(long)]
    pub(super) group: Option<String>,
    /// Only events whose type begins so
    #[arg(long = "type", value_name = "PREFIX")]
    kind: Option<String>,
    /// Only those that are dead for this reason
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only of this consumer
    #[arg(long)]
    consumer: Option<String>,
}

impl Filter {
    /// The dead letters that pass, in any state.
    pub(super) fn selection(&self) -> Selection {
        Selection {
            type_prefix: self.kind.clone(),
            reason: self.reason,
            consumer: self.consumer.clone(),
            state: None,
            has_event: None,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Ids of dead letters
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    pub(super) ids: Vec<String>,
    /// All open ones that pass the filters
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    pub(super) which: Which,
    /// The most deliveries a second, such as 10/s; all at once without it
    #[arg(long, value_name = "N/s", value_parser = rate)]
    pub(super) rate: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct Edit {
    /// The dead letter's id
    pub(super) id: String,
    /// Look in this route group only
    #[arg(long)]
    pub(super) group: Option<String>,
    /// Set a value of the event, such as /data/amount=3; can be repeated
    #[arg(long, value_name = "POINTER=JSON", required_unless_present = "file")]
    pub(super) set: Vec<String>,
    /// Apply this JSON merge patch to the event first; `-` is standard input
    #[arg(long, value_name = "PATH")]
    pub(super) file: Option<PathBuf>,
}

fn reason(text: &str) -> Result<Reason, String> {
    let known = Reason::ALL.into_iter().find(|reason| reason.as_str() == text);
    known.ok_or_else(|| format!("choose from {}", Reason::ALL.map(Reason::as_str).join(", ")))
}

fn state(text: &str) -> Result<State, String> {
    let known = State::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| format!("choose from {}", State::ALL.map(State::as_str).join(", ")))
}

fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().ok();
    number.filter(|rate| (1..=1000).contains(rate)).ok_or_else(|| "write it as 10/s; 1 to 1000".to_owned())
}
