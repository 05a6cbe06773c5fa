//! A platform that a test cuts off at any moment, and starts again on the same services.
//!
//! The services are in this process, so no `SIGKILL` can end the platform without them. It has a runtime of its own
//! instead, which ends: every task of the platform is dropped where it waits, nothing is finished or cleaned up, and its
//! connections break. What a `SIGKILL` would not do: destructors run, so that a delivery that was cut off may still
//! try to give its message back; and what a thread does without waiting, such as a write to SQLite, is done to its
//! end.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coder_core::{Ambient, OsEntropy, UserId};
use coder_platform::Platform;
use coder_telemetry::Format;
use jiff::SignedDuration;
use testkit::{Client, MovedClock, Opening, killable};
use tokio::runtime::{Builder, Runtime};
use tracing::Dispatch;

pub use testkit::killable::logged;

use crate::platform::Cloud;

/// How long a platform that is cut off may take to let go of its threads.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running platform; dropped, it is cut off.
#[derive(Debug)]
pub struct KillablePlatform {
    url: String,
    clock: MovedClock,
    running: Option<(Runtime, Arc<Platform>)>,
    /// The services, for its next start.
    _cloud: Arc<Cloud>,
}

impl KillablePlatform {
    /// Starts on the services of `directory`, and waits until it answers requests. No program is needed.
    pub fn start(_: &str, directory: &Path, clock: &MovedClock, operators: &[UserId]) -> Self {
        let cloud = Cloud::of(directory);
        let settings = killable::settings(directory, operators.iter().copied().collect());
        let log = OpenOptions::new().create(true).append(true).open(directory.join(killable::LOG)).unwrap();
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let lines =
            coder_telemetry::subscriber(Format::Json, &settings.log_level, ambient, Mutex::new(log)).unwrap();
        let lines = Dispatch::new(lines);
        // Each thread logs there for as long as it lives.
        let logging = move || std::mem::forget(tracing::dispatcher::set_default(&lines));
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(logging)
            .build()
            .unwrap();
        let opened = cloud.clone();
        let opening = Opening::by(move |settings, ambient| opened.open(settings, ambient));
        let shown = clock.clone();
        let platform =
            Arc::new(on(&runtime, async move { killable::start(&opening, &settings, &shown).await }));
        Self { url: platform.url(), clock: clock.clone(), running: Some((runtime, platform)), _cloud: cloud }
    }

    /// A client without a credential.
    pub fn nobody(&self) -> Client {
        Client::at(&self.url)
    }

    /// Cuts the platform off; gone when this returns.
    pub fn kill(&mut self) {
        let Some((runtime, platform)) = self.running.take() else { return };
        // Not here, where a runtime may not be waited for.
        let ended = std::thread::spawn(move || {
            runtime.shutdown_timeout(PATIENCE);
            drop(platform);
        });
        ended.join().unwrap();
    }

    /// Waits until all recorded events and job messages that can be received now were delivered.
    pub fn settle(&mut self) {
        let (runtime, platform) = self.running();
        on(runtime, async move { platform.settle().await });
    }

    /// Lets time pass, as a `TestPlatform` does it.
    pub fn advance(&mut self, by: SignedDuration) {
        let clock = self.clock.clone();
        let (runtime, platform) = self.running();
        on(runtime, async move { killable::advance(&platform, &clock, by).await });
    }

    fn running(&self) -> (&Runtime, Arc<Platform>) {
        let (runtime, platform) = self.running.as_ref().unwrap();
        (runtime, platform.clone())
    }
}

impl Drop for KillablePlatform {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Does this on the platform's own threads, and waits here.
fn on<T: Send + 'static>(runtime: &Runtime, work: impl Future<Output = T> + Send + 'static) -> T {
    let (tell, told) = sync_channel(1);
    runtime.spawn(async move { tell.send(work.await).ok() });
    told.recv().unwrap()
}
