//! Which function is called with which messages.

use std::sync::atomic::{AtomicUsize, Ordering};

use coder_config::Settings;
use coder_embedded::broker::Source;
use coder_handler::Running;
use coder_handler::functions::{ON_DEAD_JOB, ON_DEAD_LETTER, ON_EVENT, RUN_JOB};
use coder_startup::StartError;

use super::receiver::{Receiver, client};

/// Deliveries of one function at once.
pub(crate) const CONCURRENCY: usize = 16;

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
        let (events, jobs) = (Source::subscription(group.name), Source::jobs(group.name));
        let sources = [
            (ON_EVENT, events.clone()),
            (ON_DEAD_LETTER, events.dead_letters()),
            (RUN_JOB, jobs.clone()),
            (ON_DEAD_JOB, jobs.dead_letters()),
        ];
        for (function, source) in sources.into_iter().filter(|(function, _)| group.functions.has(function)) {
            lanes.push(Lane::new(group.name, source, function, receiver.clone()));
        }
    }
    Ok(lanes)
}
