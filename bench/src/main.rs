//! Measures the platform on this machine and prints one table. Ratios of one run mean something; the numbers
//! themselves are those of the machine.
//!
//! `cargo run --release -p coder-bench -- [events|broker|writes|usage …]`; without a name, all of them.
#![expect(clippy::print_stdout, reason = "the table is the program's output")]

mod broker;
mod client;
mod clock;
mod delivery;
mod scratch;
mod table;
mod usage;
mod writes;

use crate::table::Table;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut table = Table::default();
    let asked = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    if asked("writes") {
        writes::measure(&mut table).await?;
    }
    if asked("broker") {
        broker::measure(&mut table).await?;
    }
    if asked("events") {
        delivery::measure(&mut table).await?;
    }
    if asked("usage") {
        usage::measure(&mut table).await?;
    }
    println!("{table}");
    Ok(())
}
