//! The local stand-in for the Functions host's timer trigger: looks at the clock and calls the functions whose
//! slot has come. Which slot that is, and whether it has run, is for the group's runtime to say.

use std::sync::Arc;
use std::time::Duration;

use coder_core::{Ambient, Timestamp};
use coder_jobs::Schedule;
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::host::Receiver;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long after a call that failed the function is called again: its handler may have been away. What has run by
/// then does not run again.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// What running timers have to finish when the platform stops.
const DRAIN: Duration = Duration::from_secs(10);

/// The Functions host keeps no account of schedules that are denser than this.
const MONITORED: SignedDuration = SignedDuration::from_mins(1);

/// A timer and where its function is.
#[derive(Debug)]
pub(crate) struct Timer {
    group: &'static str,
    function: String,
    schedule: Schedule,
    receiver: Receiver,
    /// Locked while the timer runs: it never overlaps itself.
    plan: Arc<Mutex<Plan>>,
}

/// What the host knows of a timer.
#[derive(Debug)]
struct Plan {
    /// When to call next.
    next: Option<Timestamp>,
    /// The last look at the clock.
    looked: Timestamp,
    /// When it was last called for a slot.
    last: Option<Timestamp>,
    /// Whether the group was asked for a slot that was missed while the platform was away.
    asked: bool,
    /// When to make a call again that failed, and which.
    again: Option<(Timestamp, Call)>,
}

/// Why a timer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Due,
    /// A call for a slot has failed.
    Again,
    /// The first look since the start: perhaps a slot was missed.
    Missed,
}

/// All timers of the process.
#[derive(Debug, Clone)]
pub struct Timers {
    ambient: Ambient,
    all: Arc<[Arc<Timer>]>,
}

impl Timers {
    pub(crate) fn new(ambient: Ambient, timers: Vec<Timer>) -> Self {
        Self { ambient, all: timers.into_iter().map(Arc::new).collect() }
    }

    /// Looks at the clock until stopped; then what runs may finish. A slow timer delays no other.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => {}
                Some(_) = running.join_next() => continue,
            }
            for timer in self.all.iter() {
                // A locked one runs.
                let Ok(plan) = timer.plan.clone().try_lock_owned() else { continue };
                let (timer, ambient) = (timer.clone(), self.ambient.clone());
                running.spawn(async move { timer.turn(plan, &ambient).await });
            }
        }
        let all = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::warn!(count = running.len(), "timers under way were cut off; they run again");
        }
        running.shutdown().await;
    }

    /// Runs every timer whose slot has come, and waits for those that run already; answers which were called.
    pub async fn run_due(&self) -> Vec<String> {
        let turns = self.all.iter().map(async |timer| {
            let plan = timer.plan.clone().lock_owned().await;
            let called = timer.clone().turn(plan, &self.ambient).await;
            (called == Some(Call::Due)).then(|| format!("{}/{}", timer.group, timer.function))
        });
        join_all(turns).await.into_iter().flatten().collect()
    }
}

impl Timer {
    pub(crate) fn new(
        ambient: &Ambient,
        group: &'static str,
        name: &str,
        schedule: Schedule,
        receiver: Receiver,
    ) -> Self {
        let now = ambient.now();
        let next = schedule.next_after(now);
        let plan = Plan { next, looked: now, last: None, asked: false, again: None };
        let plan = Arc::new(Mutex::new(plan));
        Self { group, function: format!("every-{name}"), schedule, receiver, plan }
    }

    /// Calls the function if it is time; answers why.
    async fn turn(self: Arc<Self>, mut plan: OwnedMutexGuard<Plan>, ambient: &Ambient) -> Option<Call> {
        let now = ambient.now();
        let call = plan.look(now, &self.schedule)?;
        let id = ambient.new_uuid().to_string();
        let envelope = envelope(&self.function, &self.schedule, &plan, call, now, &id);
        plan.asked = true;
        if call == Call::Due {
            plan.last = Some(now);
            plan.next = self.schedule.next_after(now);
        }
        plan.again = None;
        match self.receiver.call(&self.function, &envelope, &id).await {
            Ok(answer) => {
                // Another process runs it. Should that be killed, this one takes over when the lease has ended.
                let until = answer["until"].as_str().filter(|_| answer["outcome"] == "held");
                if let Some(until) = until.and_then(|until| until.parse().ok()) {
                    plan.next = plan.next.map(|next| next.min(until));
                }
            }
            Err(reason) => {
                tracing::error!(group = self.group, function = self.function, reason, "a timer failed");
                let again = if call == Call::Missed { Call::Missed } else { Call::Again };
                plan.again = now.checked_add(AGAIN_AFTER).ok().map(|time| (time, again));
            }
        }
        // What came due while it ran is one slot, not many.
        Some(call)
    }
}

impl Plan {
    /// Whether to call, and why.
    fn look(&mut self, now: Timestamp, schedule: &Schedule) -> Option<Call> {
        if now.duration_since(self.looked) < -SignedDuration::from_secs(1) {
            // The clock was set back, perhaps from a time that was wrong by a year.
            self.next = schedule.next_after(now);
            self.again = self.again.map(|(_, call)| (now, call));
        }
        self.looked = now;
        match (self.next, self.again) {
            (Some(next), _) if next <= now => Some(Call::Due),
            (_, Some((time, call))) if time <= now => Some(call),
            _ if !self.asked => Some(Call::Missed),
            _ => None,
        }
    }
}

/// The body with which the host calls a timer function whose binding is `timer`.
fn envelope(
    function: &str,
    schedule: &Schedule,
    plan: &Plan,
    call: Call,
    now: Timestamp,
    call_id: &str,
) -> Value {
    let next = schedule.upcoming(now, 2);
    let dense = next.windows(2).any(|pair| pair[1].duration_since(pair[0]) < MONITORED);
    // The first day of the calendar stands for never.
    let last = plan.last.map_or("0001-01-01T00:00:00+00:00".into(), |last| with_offset(last, 4));
    let status = json!({
        "Last": last,
        "Next": plan.next.map(|next| with_offset(next, 0)),
        "LastUpdated": last,
    });
    json!({
        "Data": {"timer": {
            "Schedule": {"AdjustForDST": true},
            "ScheduleStatus": if dense { Value::Null } else { status },
            "IsPastDue": call == Call::Missed,
        }},
        "Metadata": {"sys": {
            "MethodName": function,
            "UtcNow": now.strftime("%Y-%m-%dT%H:%M:%S%.7fZ").to_string(),
            "RandGuid": call_id,
        }},
    })
}

/// A time with the offset of UTC and so many digits of the second's fraction.
fn with_offset(time: Timestamp, digits: usize) -> String {
    let fraction = if digits == 0 { String::new() } else { format!("%.{digits}f") };
    time.strftime(&format!("%Y-%m-%dT%H:%M:%S{fraction}+00:00")).to_string()
}

#[cfg(test)]
mod tests;
