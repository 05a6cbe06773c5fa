//! A platform or a store in a directory of its own, gone at the end.

use std::collections::BTreeSet;
use std::path::Path;

use coder_config::Settings;
use coder_core::Ambient;
use coder_handler::Group;
use coder_platform::{Options, Platform};
use tempfile::TempDir;

/// So many requests a minute that no limit is ever reached.
pub(crate) const UNLIMITED: u32 = 100_000_000;

/// The settings of everything that is measured: limits count, but are never reached.
pub(crate) fn settings(data_dir: &Path) -> Settings {
    let mut settings = Settings::for_tests(data_dir);
    let limits = &mut settings.limits;
    for limit in [
        &mut limits.address_per_minute,
        &mut limits.user_per_minute,
        &mut limits.organization_per_minute,
        &mut limits.public_per_minute,
        &mut limits.writes_per_minute,
    ] {
        *limit = UNLIMITED;
    }
    settings
}

/// A platform that runs in this process.
pub(crate) struct Scratch {
    pub(crate) platform: Platform,
    _directory: TempDir,
}

impl Scratch {
    /// Starts the platform with these groups, as `coder dev` would, on a free port.
    pub(crate) async fn start(groups: Vec<Group>) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (settings, ambient) = (settings(directory.path()), Ambient::system());
        let platform = Platform::start(Options { settings, ambient, groups, only: BTreeSet::new() }).await?;
        Ok(Self { platform, _directory: directory })
    }
}
