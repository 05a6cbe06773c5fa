//! Counts the instructions of hot paths under valgrind and compares them with those that were written down. Unlike
//! times they are the same on a busy machine, so that a few percent more can fail a build.
//!
//! `cargo run --profile instructions -p coder-instructions`, with `--write` to write them down anew. They are those of
//! one compiler; with another nothing is compared.
#![expect(clippy::print_stdout, reason = "the table is the program's output")]

mod baseline;
mod callgrind;
mod paths;

use std::process::ExitCode;

use crate::baseline::Baseline;
use crate::paths::PATHS;

/// What a path may cost more than was written down, in percent.
const ALLOWED: f64 = 5.0;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--write"] => write(),
        ["take", path, times] => paths::take(path, times.parse()?).map(|()| ExitCode::SUCCESS),
        _ => anyhow::bail!("nothing, or `--write`, is understood"),
    }
}

fn write() -> anyhow::Result<ExitCode> {
    let counts = PATHS.iter().map(|(path, times)| Ok(((*path).to_owned(), callgrind::count(path, *times)?)));
    Baseline::new(counts.collect::<anyhow::Result<_>>()?)?.write()?;
    compare_with(&Baseline::read()?)
}

fn compare() -> anyhow::Result<ExitCode> {
    if !callgrind::is_here() {
        println!("NOT CHECKED: instruction counts, because valgrind is not installed");
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = Baseline::read()?;
    if let Some(other) = baseline.other_compiler()? {
        println!("NOT CHECKED: instruction counts, because they were written down with {other}");
        return Ok(ExitCode::SUCCESS);
    }
    compare_with(&baseline)
}

fn compare_with(baseline: &Baseline) -> anyhow::Result<ExitCode> {
    println!("{:<20} {:>12} {:>12} {:>8}", "path", "written down", "now", "change");
    let mut worse = Vec::new();
    for (path, times) in PATHS {
        let now = callgrind::count(path, *times)?;
        let Some(before) = baseline.of(path) else {
            anyhow::bail!("`{path}` was never written down; run this with `--write`");
        };
        let change = (ratio(now, before) - 1.0) * 100.0;
        println!("{path:<20} {before:>12} {now:>12} {change:>+7.1}%");
        if change > ALLOWED {
            worse.push(*path);
        }
    }
    if worse.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("more than {ALLOWED} % above what was written down: {}", worse.join(", "));
    println!("hint: mend it, or run this with `--write` and say in the commit why it is worth that");
    Ok(ExitCode::FAILURE)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}
