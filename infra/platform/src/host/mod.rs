//! The local stand-in for the Functions host's Service Bus trigger: it receives a group's messages, calls the
//! group's functions with them, and completes what succeeded.

mod envelope;
mod lane;
mod receiver;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coder_core::Ambient;
use coder_embedded::SqliteBroker;
use coder_embedded::broker::{Delivery, Lock, SettleError, Source};
use coder_queue::back_off;
use coder_telemetry::Metrics;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use envelope::Envelope;
pub(crate) use lane::{Lane, lanes};
pub(crate) use receiver::{Receiver, client};

/// How often the broker is asked for what other processes have published.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// How often the lock of a running delivery is renewed; the shortest lock lasts a minute.
const RENEW_EVERY: Duration = Duration::from_secs(20);

/// What running deliveries have to finish when the platform stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Delivers messages to the functions of some groups.
#[derive(Debug)]
pub(crate) struct Host {
    ambient: Ambient,
    broker: Arc<SqliteBroker>,
    lanes: Vec<Arc<Lane>>,
    /// Held from asking the broker until what it gave is counted as running.
    receiving: Mutex<()>,
    finished: AtomicU64,
    /// Something began or ended.
    progress: Notify,
    wake: Notify,
}

impl Host {
    pub(crate) fn new(ambient: Ambient, broker: Arc<SqliteBroker>, lanes: Vec<Lane>) -> Self {
        Self {
            ambient,
            broker,
            lanes: lanes.into_iter().map(Arc::new).collect(),
            receiving: Mutex::default(),
            finished: AtomicU64::new(0),
            progress: Notify::new(),
            wake: Notify::new(),
        }
    }

    /// Delivers until stopped; then what runs may finish, and the rest is given back.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            let changed = self.broker.changed();
            self.receive(&mut running).await;
            self.progress.notify_waiters();
            tokio::select! {
                () = stop.cancelled() => {}
                () = changed => {}
                () = self.wake.notified() => {}
                _ = running.join_next(), if !running.is_empty() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        let all = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!(count = running.len(), "deliveries under way were cut off; they are made again");
        }
        // Ends the rest; each gives its message back.
        running.shutdown().await;
    }

    /// How many deliveries have ended.
    pub(crate) fn finished(&self) -> u64 {
        self.finished.load(Ordering::SeqCst)
    }

    /// Shows what waits for the groups that are served here.
    pub(crate) async fn measure(&self, metrics: &Metrics) {
        let counts = match self.broker.counts().await {
            Ok(counts) => counts,
            Err(error) => return tracing::warn!(cause = %error, "waiting messages cannot be counted"),
        };
        for lane in self.lanes.iter().filter(|lane| !lane.source.is_dead_letters()) {
            let counts = counts.get(&lane.source).copied().unwrap_or_default();
            let waited = counts.oldest.map(|oldest| self.ambient.now().duration_since(oldest));
            let waited = waited.and_then(|waited| Duration::try_from(waited).ok()).unwrap_or_default();
            let entity = lane.source.entity().name();
            metrics.waiting(lane.group, entity, counts.active, counts.dead, waited);
        }
    }

    /// Waits until nothing runs and nothing can be received: what is to come later is not waited for.
    pub(crate) async fn settle(&self) {
        loop {
            let progress = self.progress.notified();
            if self.is_idle().await {
                return;
            }
            self.wake.notify_one();
            progress.await;
        }
    }

    async fn is_idle(&self) -> bool {
        let _nobody_receives = self.receiving.lock().await;
        if !self.lanes.iter().all(|lane| lane.is_idle()) {
            return false;
        }
        let sources: Vec<Source> = self.lanes.iter().map(|lane| lane.source.clone()).collect();
        self.broker.ready(&sources).await.is_ok_and(|ready| ready.is_empty())
    }

    /// Takes what can be received and starts its deliveries.
    async fn receive(self: &Arc<Self>, running: &mut JoinSet<()>) {
        let _receiving = self.receiving.lock().await;
        let open: Vec<&Arc<Lane>> = self.lanes.iter().filter(|lane| lane.room() > 0).collect();
        let sources: Vec<Source> = open.iter().map(|lane| lane.source.clone()).collect();
        let ready = self.broker.ready(&sources).await.unwrap_or_else(|error| {
            tracing::warn!(cause = %error, "the broker cannot be asked");
            Vec::new()
        });
        let lanes = open.into_iter().filter(|lane| ready.contains(&lane.source));
        let received = lanes.map(async |lane| (lane, self.broker.receive(&lane.source, lane.room()).await));
        for (lane, received) in futures_util::future::join_all(received).await {
            match received {
                Ok(deliveries) => {
                    for delivery in deliveries {
                        let running_here = Counted::new(self.clone(), lane.clone());
                        running.spawn(deliver(running_here, delivery));
                    }
                }
                Err(error) => {
                    tracing::warn!(source = %lane.source, cause = %error, "nothing could be received");
                }
            }
        }
    }

    /// Makes one delivery and settles it.
    async fn attempt(&self, lane: &Lane, delivery: &Delivery) -> Result<(), SettleError> {
        let call = self.ambient.new_uuid().to_string();
        let envelope = Envelope::new(delivery, lane.function, self.ambient.now(), &call);
        let outcome = tokio::select! {
            outcome = lane.receiver.call(lane.function, &envelope, &call) => outcome,
            lost = self.keep(&delivery.lock) => return Err(lost),
        };
        match outcome {
            Ok(_) => self.broker.complete(&delivery.lock).await,
            Err(reason) => {
                let wait = back_off(&self.ambient, delivery.delivery_count);
                tracing::warn!(
                    source = %lane.source,
                    message.id = delivery.message.id,
                    delivery = delivery.delivery_count,
                    wait = wait.as_secs(),
                    reason,
                    "a delivery failed"
                );
                let again = self.ambient.now().checked_add(wait).ok();
                self.broker.abandon(&delivery.lock, again).await
            }
        }
    }

    /// Renews a lock for as long as the delivery runs; ends only if that is in vain.
    async fn keep(&self, lock: &Lock) -> SettleError {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            match self.broker.renew(lock).await {
                Err(SettleError::LockLost) => return SettleError::LockLost,
                Err(error) => tracing::warn!(cause = %error, "a lock could not be renewed"),
                Ok(_) => {}
            }
        }
    }
}

/// Counts a delivery as running for as long as it lives.
#[derive(Debug)]
struct Counted {
    host: Arc<Host>,
    lane: Arc<Lane>,
}

impl Counted {
    fn new(host: Arc<Host>, lane: Arc<Lane>) -> Self {
        lane.begin();
        Self { host, lane }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.lane.end();
        self.host.finished.fetch_add(1, Ordering::SeqCst);
        self.host.progress.notify_waiters();
        self.host.wake.notify_one();
    }
}

async fn deliver(running: Counted, delivery: Delivery) {
    let Counted { host, lane } = &running;
    let mut given_back = GiveBack { broker: host.broker.clone(), lock: Some(delivery.lock.clone()) };
    let settled = host.attempt(lane, &delivery).await;
    given_back.lock = None;
    if let Err(error) = settled {
        let id = &delivery.message.id;
        tracing::warn!(source = %lane.source, message.id = id, cause = %error, "a delivery is made again");
    }
}

/// Unlocks the message of a delivery that was cut off.
#[derive(Debug)]
struct GiveBack {
    broker: Arc<SqliteBroker>,
    lock: Option<Lock>,
}

impl Drop for GiveBack {
    fn drop(&mut self) {
        let (broker, Some(lock)) = (self.broker.clone(), self.lock.take()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // If even this is cut off, the lock ends by itself.
            drop(runtime.spawn(async move { broker.release(&lock).await }));
        }
    }
}

#[cfg(test)]
mod tests;
