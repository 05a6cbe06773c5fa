//! The `coder` command. Without a subcommand it is `coder dev`: the whole platform in one process.

mod arguments;
mod audit;
mod data;
mod dead_letters;
mod dev;
mod diagnose;
mod func;
mod generated;
mod jobs;
mod packages;
mod seed;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command.unwrap_or_default() {
        Command::Dev(options) => dev::run(options),
        Command::Package(options) => packages::run(options),
        Command::Manifest(options) => generated::manifest(&options),
        Command::Openapi(options) => generated::openapi(&options),
        Command::Settings(options) => generated::settings(&options),
        Command::Limits(options) => generated::limits(&options),
        Command::Config(options) => generated::config(options.json),
        Command::Doctor(options) => diagnose::run(options),
        Command::Audit(options) => audit::run(options),
        Command::Jobs(options) => jobs::run(options),
        Command::DeadLetters(options) => dead_letters::run(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}
