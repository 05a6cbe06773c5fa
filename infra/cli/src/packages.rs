//! `coder package`: the function apps as they are deployed.

use std::path::PathBuf;

use clap::Args;
use coder_cli::package::{self, ASSUMED_GLIBC, Options, Package, Profile};

use crate::terminal;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Arguments {
    /// The route groups to package; all, if none is named
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Where to write: a folder and a zip for each group
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// The cargo profile of the handlers: `release`, or `dev` to try something quickly
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Take the handlers as they were built before
    #[arg(long)]
    skip_build: bool,
    /// Leave the cloud's providers out: quick to build, and fit for this machine only
    #[arg(long)]
    without_azure: bool,
    /// Write folders only
    #[arg(long)]
    no_zip: bool,
    /// Say what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let options = Options {
        project: PathBuf::from("."),
        groups: arguments.groups,
        out: arguments.out,
        profile: Profile::named(&arguments.profile),
        skip_build: arguments.skip_build,
        azure: !arguments.without_azure,
        archive: !arguments.no_zip,
    };
    let json = arguments.json;
    let packages = package::package(&options, |package| {
        if !json {
            terminal::line(&line(package));
        }
    })?;
    if json {
        terminal::line(&serde_json::to_string_pretty(&packages)?);
    }
    for note in notes(&packages, !arguments.without_azure) {
        terminal::note(&note);
    }
    Ok(())
}

fn line(package: &Package) -> String {
    let written = package.archive.as_ref().unwrap_or(&package.folder);
    let tenths = package.bytes / 100_000;
    let (functions, megabytes) = (package.functions.len(), format!("{}.{} MB", tenths / 10, tenths % 10));
    format!("{:<14} {}  {megabytes}, {functions} functions", package.group, written.display())
}

/// What people should know before they deploy this.
fn notes(packages: &[Package], azure: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let newest = packages.iter().filter_map(|package| package.glibc).max();
    if let Some(needed) = newest.filter(|needed| *needed > ASSUMED_GLIBC) {
        notes.push(format!(
            "the handlers need glibc {needed}; where they run, {ASSUMED_GLIBC} is assumed. Install cargo-zigbuild \
             and zig, and they are linked against that one (`cargo install cargo-zigbuild`, `pip install ziglang`)"
        ));
    }
    if !azure {
        notes.push("the cloud's providers are left out: the apps keep their data where they run".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_cli::package::GlibcVersion;

    fn package(glibc: GlibcVersion) -> Package {
        Package {
            group: "users",
            folder: "dist/users".into(),
            archive: Some("dist/users.zip".into()),
            bytes: 4_260_000,
            functions: vec!["http".into(), "run-job".into()],
            glibc: Some(glibc),
        }
    }

    #[test]
    fn a_handler_that_needs_a_newer_library_is_warned_of() {
        let told = notes(&[package(GlibcVersion(2, 17)), package(GlibcVersion(2, 34))], true);
        assert!(told[0].contains("glibc 2.34") && told[0].contains("2.31 is assumed"), "{told:?}");
        assert_eq!(notes(&[package(ASSUMED_GLIBC)], true), Vec::<String>::new());
        assert_eq!(notes(&[package(ASSUMED_GLIBC)], false).len(), 1);
        assert!(line(&package(ASSUMED_GLIBC)).contains("dist/users.zip  4.2 MB, 2 functions"));
    }
}
