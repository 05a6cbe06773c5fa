//! What the command line accepts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The Coder IDE platform.
#[derive(Debug, Parser)]
#[command(name = "coder", version, about, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the whole platform on this machine (the default)
    Dev(Dev),
    /// Assemble the function apps as they are deployed
    Package(crate::packages::Arguments),
    /// Print what all route groups declare, as the deployment reads it
    Manifest(Generated),
    /// Write the OpenAPI document of every route group
    Openapi(Generated),
    /// Write the page that documents every setting
    Settings(Generated),
    /// Write the page of every limit, default, quota and budget
    Limits(Generated),
    /// Print the settings as they were resolved, secrets masked
    Config(Config),
    /// Try every setting and every service, and say what is wrong, where it is set and how to mend it
    Doctor(crate::diagnose::Arguments),
    /// List, show, run and cancel jobs; show what the timers did
    Jobs(crate::jobs::Jobs),
    /// Check the record of who did what
    Audit(crate::audit::Audit),
    /// Look at what could not be delivered, and mend, replay or drop it
    DeadLetters(crate::dead_letters::DeadLetters),
}

impl Default for Command {
    fn default() -> Self {
        Self::Dev(Dev::default())
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct Dev {
    /// Port of the gateway; 0 takes any free one
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Folder of the embedded store
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Start only these route groups
    #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
    pub(crate) only: Vec<String>,
    /// Fill an empty store with data for a first look
    #[arg(long)]
    pub(crate) seed: bool,
    /// Run every group as a function app under the Functions Core Tools (`func`), which have to be installed
    #[arg(long, conflicts_with = "seed")]
    pub(crate) func: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Generated {
    /// Compare with the committed file instead of writing; fail if it is stale
    #[arg(long)]
    pub(crate) check: bool,
    /// Where to write; `-` is standard output
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
