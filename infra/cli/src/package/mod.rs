//! Assembling the function app of every route group: a folder, and a zip of it, that a deployment uploads as it is.

mod app;
mod archive;
mod build;
mod glibc;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use coder_handler::Group;
use serde::Serialize;

use crate::declared;

pub use build::{Built, Profile, build, zigbuild_is_installed};
pub use glibc::{ASSUMED as ASSUMED_GLIBC, Version as GlibcVersion};

/// What to assemble.
#[derive(Debug, Clone)]
pub struct Options {
    /// The project's folder.
    pub project: PathBuf,
    /// Names of groups; all, if empty.
    pub groups: Vec<String>,
    /// Where to write: a folder and a zip for each group.
    pub out: PathBuf,
    /// How the handlers are built.
    pub profile: Profile,
    /// Take the handlers as they were built before.
    pub skip_build: bool,
    /// Build the cloud's providers in.
    pub azure: bool,
    /// Make the zip, too.
    pub archive: bool,
}

/// A function app that was assembled.
#[derive(Debug, Clone, Serialize)]
pub struct Package {
    /// The route group.
    pub group: &'static str,
    /// The folder.
    pub folder: PathBuf,
    /// The zip, if one was made.
    pub archive: Option<PathBuf>,
    /// The size of the zip, or else of the handler, in bytes.
    pub bytes: u64,
    /// The functions of the app.
    pub functions: Vec<String>,
    /// The C library that the handler needs; `None` if it brings its own.
    pub glibc: Option<GlibcVersion>,
}

/// Builds the handlers and assembles the apps. `done` hears of each app as soon as it is complete.
pub fn package(options: &Options, mut done: impl FnMut(&Package)) -> anyhow::Result<Vec<Package>> {
    let groups = declared::chosen(&options.groups)?;
    let host = app::Host::read(&options.project)?;
    let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
    for name in &names {
        check_replaceable(&options.out.join(name))?;
    }
    let built = if options.skip_build {
        build::found(&options.project, &names, &options.profile)?
    } else {
        build(&options.project, &names, &options.profile, options.azure)?
    };
    let mut packages = Vec::new();
    for (group, handler) in groups.iter().zip(&built) {
        let package = assemble(options, &host, group, &handler.executable)
            .with_context(|| format!("the app of `{}` could not be assembled", group.name))?;
        done(&package);
        packages.push(package);
    }
    Ok(packages)
}

fn assemble(options: &Options, host: &app::Host, group: &Group, handler: &Path) -> anyhow::Result<Package> {
    let bytes = fs::read(handler).with_context(|| format!("cannot read `{}`", handler.display()))?;
    let glibc = glibc::needed(&bytes)?;
    let app = app::App::of(group, host, bytes)?;
    let folder = options.out.join(group.name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot replace `{}`", folder.display()))?;
    }
    app.write(&folder)?;
    let mut package = Package {
        group: group.name,
        folder,
        archive: None,
        bytes: app.handler_size(),
        functions: app.functions.clone(),
        glibc,
    };
    if options.archive {
        let path = options.out.join(format!("{}.zip", group.name));
        package.bytes = archive::write(&path, &app.entries)?;
        package.archive = Some(path);
    }
    Ok(package)
}

/// What would be replaced must be an app that was assembled before: a slip in `--out` must not delete sources.
fn check_replaceable(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    if folder.exists() && !folder.join("host.json").is_file() {
        bail!("`{shown}` is there and is no function app; choose another folder with `--out`");
    }
    if folder.join("Cargo.toml").exists() {
        bail!("`{shown}` has sources in it; choose another folder with `--out`");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
