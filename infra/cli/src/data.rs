//! The store that the settings name, for commands that work on it directly, whether the platform runs or not.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use coder_config::{Provider, Settings};
use coder_core::{Actor, ActorKind, Ambient};
use coder_database::transaction::Act;
use coder_database::{Partition, Transaction};
use coder_handler::Group;
use coder_startup::{Providers, StartError};

/// The opened store, and what the route groups declare.
pub(crate) struct Data {
    pub(crate) providers: Providers,
    pub(crate) groups: Vec<Group>,
}

impl Data {
    /// Opens the directory that is given, or else what the settings name. A directory has to be there.
    pub(crate) async fn open(directory: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut settings = Settings::load(Path::new("."))?;
        if let Some(directory) = directory {
            (settings.data_dir, settings.provider) = (directory, Provider::Embedded);
        }
        if settings.provider == Provider::Embedded && !settings.data_dir.is_dir() {
            let shown = settings.data_dir.display();
            bail!(
                "there is no data directory `{shown}`: name it with `--data-dir`, or start the platform once"
            );
        }
        let providers = Providers::open(settings, Ambient::system()).map_err(|error| match error {
            StartError::NoAzure => anyhow!(
                "the settings name Azure services, and this program was built without them; \
                 `cargo run --features azure -- …` has them, `--data-dir` names a store on this machine"
            ),
            error => error.into(),
        })?;
        let groups = coder_platform::route_groups();
        let containers: Vec<_> = groups.iter().flat_map(|group| group.containers.clone()).collect();
        providers.store.prepare(&containers).await?;
        Ok(Self { providers, groups })
    }

    /// The groups that are meant: the one that is named, or all.
    pub(crate) fn groups(&self, name: Option<&str>) -> anyhow::Result<Vec<&Group>> {
        chosen(&self.groups, name)
    }

    /// Opens a transaction in the name of the operator at the keyboard. What it publishes, a running platform
    /// finds within seconds.
    pub(crate) fn begin(
        &self,
        group: &'static str,
        action: &str,
        container: &'static str,
        partition: Partition,
    ) -> Transaction {
        let Providers { store, ambient, .. } = &self.providers;
        let act = Act {
            actor: Actor::new(ActorKind::User, format!("operator:{}", coder_config::os_user())),
            action: action.to_owned(),
            request_id: format!("coder-{}", ambient.new_uuid()),
            group,
            traceparent: None,
        };
        Transaction::new(store.clone(), ambient.clone(), container, partition, act)
    }
}

/// The group that is named, or all.
pub(crate) fn chosen<'a>(groups: &'a [Group], name: Option<&str>) -> anyhow::Result<Vec<&'a Group>> {
    let Some(name) = name else { return Ok(groups.iter().collect()) };
    match groups.iter().find(|group| group.name == name) {
        Some(group) => Ok(vec![group]),
        None => {
            let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
            bail!("there is no route group `{name}`; choose from {}", names.join(", "))
        }
    }
}
