//! The platform of a test, on the providers of the cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::{Duration, OffsetDateTime};
use coder_azure::cosmos::Connect;
use coder_azure::key_vault::Vault;
use coder_azure::redis::{Redis, RedisLimiter, RedisOptions};
use coder_azure::service_bus::ServiceBus;
use coder_config::Settings;
use coder_core::Ambient;
use coder_embedded::{Options, SqliteBroker};
use coder_startup::azure::{Services, providers};
use coder_startup::{Local, Providers, StartError};
use coder_vault::MasterKey;
use secrecy::ExposeSecret as _;
use testkit::Opening;

use crate::doubles::cosmos::{Emulated, Emulator};
use crate::doubles::key_vault::{Double, HOST};
use crate::doubles::redis::Server;
use crate::doubles::service_bus::{Front, NAMESPACE};
use crate::doubles::transport::InProcess;

/// A platform as those of [`testkit`], and everything that is its own for as long as it or its next start lives.
#[derive(Debug)]
pub struct TestPlatform(testkit::TestPlatform, Arc<Cloud>);

impl Deref for TestPlatform {
    type Target = testkit::TestPlatform;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl TestPlatform {
    /// Starts with the settings for tests.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with changed settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let cloud = Arc::new(Cloud::new());
        let opened = cloud.clone();
        let opening = Opening::by(move |settings, ambient| opened.open(settings, ambient));
        Self(testkit::TestPlatform::start_on(opening, change).await, cloud)
    }

    /// Stops, and starts again on the same services.
    pub async fn restart(self) -> Self {
        Self(self.0.restart().await, self.1)
    }

    /// The same with changed settings.
    pub async fn restart_with(self, change: impl FnOnce(&mut Settings)) -> Self {
        Self(self.0.restart_with(change).await, self.1)
    }
}

/// What tests do to the services.
impl TestPlatform {
    /// Ends the Redis server; says whether there was one.
    pub(crate) fn lose_redis(&mut self) -> bool {
        self.1.redis.lock().unwrap().take().is_some()
    }

    pub(crate) fn has_redis(&self) -> bool {
        self.1.redis.lock().unwrap().is_some()
    }

    /// What tokens were asked for so far.
    pub(crate) fn scopes(&self) -> BTreeSet<String> {
        self.1.identity.scopes.lock().unwrap().iter().cloned().collect()
    }

    /// Puts another master key into the vault.
    pub(crate) fn change_master_key(&self) {
        self.1.keep_master_key(&MasterKey::new([8; 32]));
    }

    pub(crate) fn identity(&self) -> Arc<dyn TokenCredential> {
        self.1.identity.clone()
    }

    /// Another process' way to the documents.
    pub(crate) fn account(&self) -> Emulated {
        self.1.emulator.reached_as(Some(self.identity()))
    }

    /// The providers of another process, which has a way of its own to documents.
    pub(crate) fn open_with(
        &self,
        cosmos: impl Connect + 'static,
        settings: Settings,
        ambient: Ambient,
    ) -> Result<Providers, StartError> {
        self.1.open_with(cosmos, settings, ambient)
    }
}

/// The services.
#[derive(Debug)]
pub(crate) struct Cloud {
    emulator: Emulator,
    vault: Arc<Double>,
    identity: Arc<Identity>,
    /// `None` where the program is missing, which was said; then Redis is away throughout.
    redis: Mutex<Option<Server>>,
}

impl Cloud {
    /// Those of the platforms on a directory, for as long as there is one.
    pub(crate) fn of(directory: &Path) -> Arc<Self> {
        static KNOWN: Mutex<BTreeMap<PathBuf, Weak<Cloud>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap();
        let found = known.get(directory).and_then(Weak::upgrade).unwrap_or_else(|| Arc::new(Self::new()));
        known.insert(directory.to_owned(), Arc::downgrade(&found));
        found
    }

    fn new() -> Self {
        let containers: Vec<_> =
            coder_platform::route_groups().into_iter().flat_map(|group| group.containers).collect();
        let vault = Arc::new(Double::default());
        vault.rotate("coder-secrets");
        let identity = Arc::new(Identity::default());
        let redis = Mutex::new(Server::start());
        Self { emulator: Emulator::with(&containers), vault, identity, redis }
    }

    fn keep_master_key(&self, key: &MasterKey) {
        let text = key.to_base64().expose_secret().to_owned();
        self.vault.secrets.lock().unwrap().insert("coder-master-key".to_owned(), text);
    }

    pub(crate) fn open(&self, settings: Settings, ambient: Ambient) -> Result<Providers, StartError> {
        let cosmos = self.emulator.reached_as(Some(self.identity.clone()));
        self.open_with(cosmos, settings, ambient)
    }

    /// The providers of a process, wired as in the cloud, but for the broker, from which the local host delivers.
    fn open_with(
        &self,
        cosmos: impl Connect + 'static,
        settings: Settings,
        ambient: Ambient,
    ) -> Result<Providers, StartError> {
        if let Some(key) = &settings.master_key {
            self.keep_master_key(&MasterKey::new(*key.expose_secret()));
        }
        let broker = SqliteBroker::open(&settings.data_dir, &Options::default(), ambient.clone())?;
        let broker = Arc::new(broker);
        let identity = self.identity.clone() as Arc<dyn TokenCredential>;
        let front = InProcess::to(NAMESPACE, Front::new(broker.clone()).router());
        let bus = ServiceBus::with_options(NAMESPACE, identity.clone(), ambient.clone(), front).unwrap();
        let vault = InProcess::to(HOST, self.vault.router());
        let url = format!("https://{HOST}/");
        let vault = Vault::with_options(&url, identity, ambient.clone(), vault).unwrap();
        let redis = match &*self.redis.lock().unwrap() {
            Some(server) => server.redis(&ambient),
            None => {
                let nowhere = RedisOptions::new(format!("unix://{}/none", settings.data_dir.display()));
                Redis::new(nowhere, None, ambient.clone()).unwrap()
            }
        };
        let limiter = RedisLimiter::new(redis.clone()).on_clock(ambient.clone());
        let services = Services { cosmos, bus, vault, redis, limiter };
        let providers = providers(services, settings, ambient)?;
        Ok(Providers { local: Some(Local { store: None, broker }), ..providers })
    }
}

/// A managed identity that gives one token for whatever service it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    scopes: Mutex<Vec<String>>,
}

#[async_trait]
impl TokenCredential for Identity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.scopes.lock().unwrap().extend(scopes.iter().map(|&scope| scope.to_owned()));
        // The SDK compares with the machine's clock.
        Ok(AccessToken::new("token-1", OffsetDateTime::now_utc() + Duration::hours(1)))
    }
}
