//! The timers of all groups: each runs at its slots, never twice at once. What was missed while the process was
//! away runs once at the next slot.

use std::sync::Arc;
use std::time::Duration;

use coder_core::{Ambient, Timestamp};
use coder_handler::functions::{Functions, Outcome};
use coder_jobs::Schedule;
use coder_telemetry::{JobOutcome, Metrics};
use serde_json::json;
use tokio::sync::Mutex;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A timer and when it is due.
#[derive(Debug)]
pub(crate) struct Timer {
    group: &'static str,
    name: &'static str,
    function: String,
    functions: Functions,
    schedule: Schedule,
    due: Option<Timestamp>,
}

/// All timers of the process.
#[derive(Debug, Clone)]
pub struct Timers {
    ambient: Ambient,
    metrics: Metrics,
    all: Arc<Mutex<Vec<Timer>>>,
}

impl Timer {
    pub(crate) fn new(
        ambient: &Ambient,
        group: &'static str,
        name: &'static str,
        schedule: Schedule,
        functions: Functions,
    ) -> Self {
        let due = schedule.next_after(ambient.now());
        Self { group, name, function: format!("every-{name}"), functions, schedule, due }
    }
}

impl Timers {
    pub(crate) fn new(ambient: Ambient, metrics: Metrics, timers: Vec<Timer>) -> Self {
        Self { ambient, metrics, all: Arc::new(Mutex::new(timers)) }
    }

    /// Looks at the clock for ever.
    pub(crate) async fn run(self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.run_due().await;
        }
    }

    /// Runs every timer whose slot has come, one after the other; answers which ran.
    pub async fn run_due(&self) -> Vec<String> {
        let mut timers = self.all.lock().await;
        let now = self.ambient.now();
        let mut ran = Vec::new();
        for timer in timers.iter_mut().filter(|timer| timer.due.is_some_and(|due| due <= now)) {
            let envelope =
                json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {"sys": {"UtcNow": now}}});
            let outcome = timer.functions.invoke(&timer.function, envelope, &timer.function).await;
            let outcome = match outcome {
                Outcome::Done(_) => JobOutcome::Succeeded,
                Outcome::Retry(reason) | Outcome::Reject(reason) => {
                    tracing::error!(group = timer.group, function = timer.function, reason, "a timer failed");
                    JobOutcome::Failed
                }
            };
            self.metrics.job(timer.group, timer.name, outcome);
            timer.due = timer.schedule.next_after(self.ambient.now());
            ran.push(format!("{}/{}", timer.group, timer.function));
        }
        ran
    }
}
