//! Measures the platform on this machine beside peers that do the same work, and prints one table. Ratios of one run
//! mean something; the numbers themselves are those of the machine.
//!
//! `cargo run --release -p coder-bench`; `README.md` says what each row is.
#![expect(clippy::print_stdout, reason = "the table is the program's output")]

mod broker;
mod chain;
mod client;
mod clock;
mod cloud;
mod compare;
mod delivery;
mod hop;
mod load;
mod pages;
mod peers;
mod process;
mod scratch;
mod serve;
mod start;
mod store;
mod table;
mod teams;
mod usage;
mod vectors;
mod writes;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::serve::Role;
use crate::table::Table;

/// Measures the platform beside its peers.
#[derive(Debug, Parser)]
struct Arguments {
    /// Measure only this; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<Name>,
    /// Also measure what takes minutes: a million documents, a hundred thousand vectors.
    #[arg(long)]
    long: bool,
    /// Write the table to this file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Mode>,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Be one of the servers that are measured; the program starts itself so.
    #[command(hide = true, subcommand)]
    Serve(Role),
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Reading and creating teams, beside Fastify.
    Teams,
    /// A hop through the gateway, beside nginx.
    Hop,
    /// The request chain, beside a bare handler.
    Chain,
    /// Start, memory and size of a handler, beside Fastify.
    Start,
    /// The same of a handler with the cloud's services, whose SDK takes minutes to build.
    Cloud,
    /// Documents created, beside SQLite itself.
    Store,
    /// Filtered pages of containers of several sizes.
    Pages,
    /// The nearest vectors, beside a scan in memory.
    Vectors,
    /// What the audit entry and the event cost.
    Writes,
    /// The message broker alone.
    Broker,
    /// From a commit to the consumer.
    Events,
    /// Usage events in batches.
    Usage,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Mode::Serve(role)) = arguments.role {
        return serve::run(role).await;
    }
    let mut table = Table::default();
    for name in Name::value_variants() {
        if arguments.only.is_empty() || arguments.only.contains(name) {
            measure(*name, arguments.long, &mut table).await?;
        }
    }
    println!("{table}");
    if let Some(file) = arguments.json {
        std::fs::write(file, table.json())?;
    }
    Ok(())
}

async fn measure(name: Name, long: bool, table: &mut Table) -> anyhow::Result<()> {
    match name {
        Name::Teams => teams::measure(table).await,
        Name::Hop => hop::measure(table).await,
        Name::Chain => chain::measure(table).await,
        Name::Start => start::measure(table).await,
        Name::Cloud => cloud::measure(table).await,
        Name::Store => store::measure(table).await,
        Name::Pages => pages::measure(table, long).await,
        Name::Vectors => vectors::measure(table, long).await,
        Name::Writes => writes::measure(table).await,
        Name::Broker => broker::measure(table).await,
        Name::Events => delivery::measure(table).await,
        Name::Usage => usage::measure(table).await,
    }
}
