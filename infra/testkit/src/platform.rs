//! A whole platform for one test.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coder_config::Settings;
use coder_core::{Ambient, Clock, ManualClock, OsEntropy, Timestamp};
use coder_platform::{Options, Platform, route_groups};
use coder_startup::{Providers, StartError};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::client::Client;

/// How long a test waits for an answer, so that it fails and does not hang; a busy machine may need long.
const PATIENCE: Duration = Duration::from_mins(2);
/// The gateway closes a connection on which nothing came for ten seconds, and a request may cross that.
const IDLE: Duration = Duration::from_secs(5);

/// When every test begins: a Monday at noon, away from any timer's slot.
const START: &str = "2026-01-05T12:01:00Z";

/// How a process opens its providers: [`Providers::open`], or something that has the place of it. What is kept across
/// restarts is the function's own.
#[derive(Clone)]
pub struct Opening(Arc<dyn Fn(Settings, Ambient) -> Result<Providers, StartError> + Send + Sync>);

impl Opening {
    /// By this function.
    pub fn by(
        open: impl Fn(Settings, Ambient) -> Result<Providers, StartError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(open))
    }
}

impl Default for Opening {
    fn default() -> Self {
        Self::by(Providers::open)
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Opening")
    }
}

/// A platform on a free port with a data directory of its own.
#[derive(Debug)]
pub struct TestPlatform {
    /// The platform.
    pub platform: Platform,
    /// Moves the platform's time.
    pub clock: ManualClock,
    opening: Opening,
    settings: Settings,
    directory: TempDir,
    http: reqwest::Client,
}

impl TestPlatform {
    /// Starts with the settings for tests.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with changed settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_on(Opening::default(), change).await
    }

    /// The same on other providers than the embedded ones.
    pub async fn start_on(opening: Opening, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = match tempfile::tempdir() {
            Ok(directory) => directory,
            Err(error) => panic!("no directory: {error}"),
        };
        let mut settings = settings(directory.path());
        change(&mut settings);
        Self::start_in(directory, ManualClock::at(start()), opening, settings).await
    }

    /// Stops, and starts again with the same data directory, clock and settings, on another free port. Access
    /// tokens of before hold only if a public address was set, since they name their issuer.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| {}).await
    }

    /// The same with changed settings.
    pub async fn restart_with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let Self { platform, clock, opening, mut settings, directory, .. } = self;
        platform.stop().await;
        change(&mut settings);
        Self::start_in(directory, clock, opening, settings).await
    }

    async fn start_in(directory: TempDir, clock: ManualClock, opening: Opening, settings: Settings) -> Self {
        let platform = process(&opening, &settings, &clock).await;
        install_signing_key(&platform).await;
        Self { platform, clock, opening, settings, directory, http: client() }
    }

    /// Another process with the same data directory, clock and settings, on a port of its own.
    pub async fn beside(&self) -> Platform {
        process(&self.opening, &self.settings, &self.clock).await
    }

    /// A client without a credential.
    pub fn nobody(&self) -> Client {
        Client::nobody(self.platform.url(), self.http.clone())
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// Waits for what is under way, so that no lock ends in the middle of it; then moves the clock, runs the timers
    /// whose slot has come, and waits for what follows and for what was to come by then.
    pub async fn advance(&self, by: SignedDuration) {
        advance(&self.platform, || self.clock.advance(by)).await;
    }

    /// Waits until all recorded events were delivered, except for what is to come later.
    pub async fn settle(&self) {
        self.platform.settle().await;
    }
}

/// A platform as one process runs it.
pub(crate) async fn process(
    opening: &Opening,
    settings: &Settings,
    clock: &(impl Clock + Clone + 'static),
) -> Platform {
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let (settings, groups) = (settings.clone(), route_groups());
    let options = Options { settings, ambient, groups, only: BTreeSet::new() };
    match Platform::start_on(options, |settings, ambient| (opening.0)(settings, ambient)).await {
        Ok(platform) => platform,
        Err(error) => panic!("the platform does not start: {error}"),
    }
}

/// When every test begins.
pub(crate) fn start() -> Timestamp {
    START.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The settings for tests. Tests send many requests from one address; tests of the limits set their own.
pub(crate) fn settings(data_dir: &Path) -> Settings {
    let mut settings = Settings::for_tests(data_dir);
    settings.limits.address_per_minute = 1_000_000;
    settings.limits.user_per_minute = 1_000_000;
    settings.limits.organization_per_minute = 1_000_000;
    settings.limits.public_per_minute = 1_000_000;
    settings.limits.writes_per_minute = 1_000_000;
    settings
}

/// The HTTP client of tests.
pub(crate) fn client() -> reqwest::Client {
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none());
    http.build().unwrap_or_else(|error| panic!("no client: {error}"))
}

/// Moves a platform's time when nothing is under way, and waits for what follows.
pub(crate) async fn advance(platform: &Platform, clock: impl FnOnce()) {
    platform.settle().await;
    clock();
    platform.timers.run_due().await;
    platform.settle().await;
}

/// Making an RSA key takes a second; a test takes one that was made before.
pub(crate) async fn install_signing_key(platform: &Platform) {
    let Some(auth) = platform.service::<coder_auth::Auth>("auth") else { return };
    if let Err(error) = auth.install_signing_key(SIGNING_KEY).await {
        panic!("the signing key cannot be installed: {error}");
    }
}

/// A 3072-bit RSA key in PKCS#8, for tests only.
const SIGNING_KEY: &[u8] = include_bytes!("signing-key.der");
