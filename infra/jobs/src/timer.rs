//! What is kept of a timer: which of its slots are done, who runs it now, and its last runs.

use coder_core::Timestamp;
use coder_database::Entity;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lease::Lease;
use crate::schedule::Schedule;

/// The id of a timer's state in its partition.
pub const STATE_ID: &str = "state";

/// Runs of each timer that are kept.
pub const HISTORY: u64 = 50;

/// How long a run is kept, in seconds.
pub const RETENTION_SECONDS: i64 = 30 * 24 * 3600;

/// A recorded slot that lies further ahead than this was recorded by a wrong clock, and counts for nothing.
const CLOCK_FAULT: SignedDuration = SignedDuration::from_hours(24);

/// How much before a slot a call may come and be meant for it: the clocks of hosts differ.
const EARLY: SignedDuration = SignedDuration::from_secs(1);

/// The state of a timer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimerState {
    /// The group that declares it.
    pub group: String,
    /// Its name.
    pub timer: String,
    /// The latest slot that needs no run any more.
    pub slot: Option<Timestamp>,
    /// Runs that have begun.
    pub runs: u64,
    /// The run that is under way.
    pub running: Option<TimerLease>,
    /// The last run that ended.
    pub last: Option<TimerRun>,
}

impl Entity for TimerState {
    const TYPE: &'static str = "timer-state";
}

/// A run under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimerLease {
    /// Who runs it, and until when.
    #[serde(flatten)]
    pub lease: Lease,
    /// For which slot; none if an operator asked for it.
    pub slot: Option<Timestamp>,
    /// Whether the slot was missed while the platform was away.
    pub past_due: bool,
    /// When it began.
    pub started_at: Timestamp,
}

/// How a run of a timer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimerOutcome {
    /// Done.
    Succeeded,
    /// It failed; the next slot is the next try.
    Failed,
    /// Its process ended or hung.
    Lost,
}

impl TimerOutcome {
    /// The name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// A run of a timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerRun {
    /// The group that declares the timer.
    pub group: String,
    /// The timer.
    pub timer: String,
    /// The how-manieth run of the timer this is.
    pub run: u64,
    /// For which slot; null if an operator asked for it.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub slot: Option<Timestamp>,
    /// Whether the slot was missed while the platform was away.
    pub past_due: bool,
    /// When it began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started_at: Timestamp,
    /// When it ended; of a lost one, when that was found out.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub finished_at: Timestamp,
    /// How long it took, in milliseconds.
    pub milliseconds: i64,
    /// How it ended.
    pub outcome: TimerOutcome,
    /// Why it failed.
    pub error: Option<String>,
}

impl Entity for TimerRun {
    const TYPE: &'static str = "timer-run";
}

impl TimerRun {
    /// The document id: the newest runs take the places of the oldest.
    pub fn document_id(&self) -> String {
        format!("run-{:02}", self.run % HISTORY)
    }
}

/// Why a timer is asked to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The clock came to a slot.
    Slot(Timestamp),
    /// A host has started, and wants to know whether the slot was missed.
    Missed(Timestamp),
    /// An operator wants a run now.
    Now,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It runs: the lease is in the state, to be written. A run that was cut off before is recorded with it.
    Run(Option<TimerRun>),
    /// Nothing: the slot is done.
    Done,
    /// Only the state is to be written: a new timer waits for its next slot.
    Noted,
    /// Another run has the lease until then.
    Held(Timestamp),
}

impl TimerState {
    /// A timer that has not been seen yet.
    pub fn new(group: &str, timer: &str) -> Self {
        Self { group: group.to_owned(), timer: timer.to_owned(), ..Self::default() }
    }

    /// The slot that a call at `now` is for: the latest one that has come, or the next if that is a moment away
    /// and the one before is done.
    pub fn slot_at(&self, schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
        let latest = schedule.latest(now);
        if latest.is_some_and(|slot| !self.is_done(slot, now)) {
            return latest;
        }
        let soon = schedule.next_after(now).filter(|next| next.duration_since(now) <= EARLY);
        soon.or(latest)
    }

    /// Whether the slot needs no run any more.
    pub fn is_done(&self, slot: Timestamp, now: Timestamp) -> bool {
        self.slot.is_some_and(|done| done >= slot && done.duration_since(now) <= CLOCK_FAULT)
    }

    /// Takes the timer for a run, if it is to run.
    pub fn claim(&mut self, ask: Ask, owner: &str, now: Timestamp) -> Claim {
        if let Some(TimerLease { lease, .. }) = &self.running
            && lease.is_live(now)
        {
            return Claim::Held(lease.expires_at);
        }
        let slot = match ask {
            Ask::Now => None,
            Ask::Slot(slot) | Ask::Missed(slot) if self.is_done(slot, now) => {
                return Claim::Done;
            }
            Ask::Missed(slot) if self.slot.is_none() && self.running.is_none() => {
                self.slot = Some(slot);
                return Claim::Noted;
            }
            Ask::Slot(slot) | Ask::Missed(slot) => Some(slot),
        };
        let lost = self
            .running
            .take()
            .map(|run| self.ended(&run, TimerOutcome::Lost, Some("its process ended or hung".into()), now));
        if lost.is_some() {
            self.last.clone_from(&lost);
        }
        self.runs += 1;
        self.running = Some(TimerLease {
            lease: Lease::from(owner, now),
            slot,
            past_due: matches!(ask, Ask::Missed(_)),
            started_at: now,
        });
        Claim::Run(lost)
    }

    /// Whether the lease is this run's still.
    pub fn is_held_by(&self, owner: &str) -> bool {
        self.running.as_ref().is_some_and(|run| run.lease.owner == owner)
    }

    /// Makes the lease of the run under way last from now on.
    pub fn renew(&mut self, now: Timestamp) {
        if let Some(running) = &mut self.running {
            running.lease.renew(now);
        }
    }

    /// Ends the run under way; answers it for the history.
    pub fn finish(
        &mut self,
        outcome: TimerOutcome,
        error: Option<String>,
        now: Timestamp,
    ) -> Option<TimerRun> {
        let running = self.running.take()?;
        let run = self.ended(&running, outcome, error, now);
        if running.slot.is_some() {
            self.slot = running.slot;
        }
        self.last = Some(run.clone());
        Some(run)
    }

    fn ended(
        &self,
        run: &TimerLease,
        outcome: TimerOutcome,
        error: Option<String>,
        now: Timestamp,
    ) -> TimerRun {
        let took = now.duration_since(run.started_at).as_millis().max(0);
        TimerRun {
            group: self.group.clone(),
            timer: self.timer.clone(),
            run: self.runs,
            slot: run.slot,
            past_due: run.past_due,
            started_at: run.started_at,
            finished_at: now,
            milliseconds: i64::try_from(took).unwrap_or(i64::MAX),
            outcome,
            error,
        }
    }
}

#[cfg(test)]
mod tests;
