//! Which function is called with which messages.

use std::sync::atomic::{AtomicUsize, Ordering};

use coder_config::Settings;
use coder_embedded::broker::Source;
use coder_handler::Running;
use coder_handler::functions::{ON_DEAD_LETTER, ON_EVENT};
use coder_startup::StartError;

use super::receiver::{Receiver, client};

/// Deliveries of one function at once.
pub(crate) const CONCURRENCY: usize = 16;

/// The function that takes the messages of a group's jobs.
const RUN_JOB: &str = "run-job";

/// One function and where its messages wait.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) group: &'static str,
    pub(crate) source: Source,
    pub(crate) function: &'static str,
    pub(crate) receiver: Receiver,
    running: AtomicUsize,
}

impl Lane {
    pub(crate) fn new(
        group: &'static str,
        source: Source,
        function: &'static str,
        receiver: Receiver,
    ) -> Self {
        Self { group, source, function, receiver, running: AtomicUsize::new(0) }
    }

    /// A delivery begins.
    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
    }

    /// A delivery has ended.
    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many more deliveries may begin.
    pub(super) fn room(&self) -> usize {
        CONCURRENCY.saturating_sub(self.running.load(Ordering::SeqCst))
    }

    /// Whether nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        self.room() == CONCURRENCY
    }
}

/// The lanes of these groups, each to wherever the settings say that its functions are.
pub(crate) fn lanes(groups: &[Running], settings: &Settings) -> Result<Vec<Lane>, StartError> {
    let client = client()?;
    let mut lanes = Vec::new();
    for group in groups {
        let receiver = Receiver::of(group, settings, &client);
        let sources = [(ON_EVENT, Source::subscription(group.name)), (RUN_JOB, Source::jobs(group.name))];
        for (function, source) in sources.into_iter().filter(|(function, _)| group.functions.has(function)) {
            // A group without consumers has nobody who takes dead letters: they stay with the broker.
            let dead = group.functions.has(ON_DEAD_LETTER).then(|| source.dead_letters());
            lanes.extend(dead.map(|dead| Lane::new(group.name, dead, ON_DEAD_LETTER, receiver.clone())));
            lanes.push(Lane::new(group.name, source, function, receiver.clone()));
        }
    }
    Ok(lanes)
}
