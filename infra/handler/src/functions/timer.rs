//! Timers as functions: a slot runs once, whoever asks for it and however often.

use std::sync::Arc;

use coder_core::{Code, Failure, Timestamp};
use coder_database::{Partition, Record, Repository};
use coder_jobs::timer::{Ask, Claim, RETENTION_SECONDS, STATE_ID, TimerOutcome};
use coder_jobs::{Schedule, TimerRun, TimerState, policy};
use coder_middleware::runtime::Runtime;
use coder_telemetry::JobOutcome;
use serde_json::{Value, json};

use super::leased::{Ended, reason, under_lease};
use super::{Outcome, Run, invocation};
use crate::events::{Invocation, Timer};

/// How often a write is tried again because the state was changed meanwhile.
const STALE_TRIES: u32 = 8;

/// A timer that can run.
pub(crate) struct Every<S> {
    runtime: Arc<Runtime>,
    timer: Timer<S>,
    schedule: Schedule,
}

/// Who wants a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The host, because of the clock.
    Clock,
    /// The host, which at this time has just started: a slot may have been missed.
    Missed(Timestamp),
    /// An operator.
    Now,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Ran {
    /// It ran; the error is for people.
    Ended(Result<(), String>),
    /// The slot is done.
    Done,
    /// A new timer, which waits for its next slot.
    Noted,
    /// Another run has the lease until then.
    Held(Timestamp),
    /// It ran, but another took over in the meantime.
    Lost,
}

/// The partition of a timer's documents.
pub(crate) fn partition(runtime: &Runtime, timer: &str) -> Partition {
    runtime.own_partition("timer", timer)
}

/// The function `every-<name>`. Its answer says what came of the call, and until when another run has the slot.
pub(super) fn function<S: Clone + Send + Sync + 'static>(every: Arc<Every<S>>, service: S) -> Run {
    Arc::new(move |envelope, id| {
        let (every, service) = (every.clone(), service.clone());
        Box::pin(async move {
            let asked = asked(&envelope, every.runtime.ambient.now());
            match every.run(service, asked, &id).await {
                Ok(Ran::Ended(Ok(()))) => Outcome::Done(json!({"outcome": "ran"})),
                Ok(Ran::Ended(Err(error))) => Outcome::Retry(error),
                Ok(Ran::Held(until)) => Outcome::Done(json!({"outcome": "held", "until": until})),
                Ok(Ran::Done | Ran::Noted) => Outcome::Done(json!({"outcome": "done"})),
                Ok(Ran::Lost) => Outcome::Done(json!({"outcome": "lost"})),
                Err(failure) => Outcome::Retry(failure.to_string()),
            }
        })
    })
}

/// A run of a timer now, without a slot.
pub(super) fn run_now<S: Clone + Send + Sync + 'static>(every: Arc<Every<S>>, service: S) -> Run {
    Arc::new(move |_, id| {
        let (every, service) = (every.clone(), service.clone());
        Box::pin(async move {
            match every.run(service, Asked::Now, &id).await {
                Ok(Ran::Ended(Ok(()))) => Outcome::Done(Value::Null),
                Ok(Ran::Ended(Err(error))) => Outcome::Retry(error),
                Ok(_) => Outcome::Retry("the timer runs already".into()),
                Err(failure) => Outcome::Retry(failure.to_string()),
            }
        })
    })
}

/// What the host says of the call.
fn asked(envelope: &Value, now: Timestamp) -> Asked {
    let timer = envelope.get("Data").and_then(Value::as_object).and_then(|data| data.values().next());
    let flag = timer.and_then(|timer| timer.get("IsPastDue"));
    if !flag.is_some_and(|flag| flag == true || flag == "true") {
        return Asked::Clock;
    }
    let said = envelope["Metadata"]["sys"]["UtcNow"].as_str().and_then(|time| time.parse().ok());
    Asked::Missed(said.map_or(now, |said: Timestamp| said.min(now)))
}

impl<S: Clone + Send + Sync + 'static> Every<S> {
    /// A timer; the error names a schedule that cannot be read.
    pub(super) fn new(runtime: &Arc<Runtime>, timer: Timer<S>) -> Result<Self, String> {
        let schedule = Schedule::parse(timer.schedule)
            .map_err(|error| format!("timer `{}` of group `{}`: {error}", timer.name, runtime.group))?;
        Ok(Self { runtime: runtime.clone(), timer, schedule })
    }

    pub(super) fn name(&self) -> &'static str {
        self.timer.name
    }

    /// Runs the timer, if there is reason to.
    pub(super) async fn run(&self, service: S, asked: Asked, invocation_id: &str) -> Result<Ran, Failure> {
        let own = || invocation(&self.runtime, self.timer.name, invocation_id.to_owned());
        let ledger = Ledger {
            invocation: own(),
            partition: partition(&self.runtime, self.timer.name),
            owner: self.runtime.ambient.new_uuid().to_string(),
        };
        match ledger.claim(&self.schedule, asked).await? {
            Claim::Run(_) => {}
            Claim::Done => return Ok(self.skipped(Ran::Done)),
            Claim::Noted => return Ok(Ran::Noted),
            Claim::Held(until) => return Ok(self.skipped(Ran::Held(until))),
        }
        let work = async { (self.timer.run)(service, own()).await };
        let ended = match under_lease(policy::DEADLINE, work, || ledger.renew()).await {
            Ended::Returned(result) => result.map_err(|failure| reason(&failure)),
            Ended::Broken(reason) => Err(reason),
            Ended::LeaseLost => return Ok(self.skipped(Ran::Lost)),
        };
        if !ledger.finish(&ended).await? {
            return Ok(self.skipped(Ran::Lost));
        }
        let outcome = if ended.is_ok() { JobOutcome::Succeeded } else { JobOutcome::Failed };
        self.runtime.metrics.job(self.runtime.group, self.timer.name, outcome);
        Ok(Ran::Ended(ended))
    }

    fn skipped(&self, ran: Ran) -> Ran {
        self.runtime.metrics.job(self.runtime.group, self.timer.name, JobOutcome::Skipped);
        ran
    }
}

/// The documents of a timer, as one run reads and writes them. Every write is conditional.
struct Ledger {
    invocation: Invocation,
    partition: Partition,
    /// This run, among all.
    owner: String,
}

impl Ledger {
    fn now(&self) -> Timestamp {
        self.invocation.runtime.ambient.now()
    }

    async fn read(&self) -> Result<Option<Record<TimerState>>, Failure> {
        let runtime = &self.invocation.runtime;
        let states = Repository::<TimerState>::new(runtime.store.clone(), runtime.container);
        states.find(&self.partition, STATE_ID).await
    }

    /// Writes the state, and a run that has ended; stale if anybody else was faster.
    async fn write(
        &self,
        before: Option<&Record<TimerState>>,
        after: TimerState,
        ended: Option<TimerRun>,
    ) -> Result<(), Failure> {
        let runtime = &self.invocation.runtime;
        let mut transaction =
            self.invocation.begin(runtime.container, self.partition.clone()).without_audit();
        match before {
            Some(before) => drop(transaction.replace(before, after)?),
            None => drop(transaction.create(STATE_ID, after)?),
        }
        if let Some(run) = ended {
            let mut record = transaction.record(run.document_id(), run);
            record.expires_at = Some(runtime.ambient.after(RETENTION_SECONDS));
            transaction.upsert(&record)?;
        }
        match self.invocation.commit(transaction).await {
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Err(Failure::Stale),
            other => other,
        }
    }

    /// Takes the timer for this run.
    async fn claim(&self, schedule: &Schedule, asked: Asked) -> Result<Claim, Failure> {
        let mut tries = 0;
        loop {
            let before = self.read().await?;
            let now = self.now();
            let mut state = match &before {
                Some(record) => record.data.clone(),
                None => TimerState::new(self.invocation.runtime.group, self.invocation.name),
            };
            let ask = match asked {
                Asked::Now => Some(Ask::Now),
                Asked::Clock => state.slot_at(schedule, now).map(Ask::Slot),
                Asked::Missed(time) => schedule.latest(time).map(Ask::Missed),
            };
            let Some(ask) = ask else { return Ok(Claim::Done) };
            let claim = state.claim(ask, &self.owner, now);
            let lost = match &claim {
                Claim::Done | Claim::Held(_) => return Ok(claim),
                Claim::Noted => None,
                Claim::Run(lost) => lost.clone(),
            };
            match self.write(before.as_ref(), state, lost).await {
                Ok(()) => return Ok(claim),
                Err(Failure::Stale) if tries < STALE_TRIES => tries += 1,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Makes the lease last; false if it is another's.
    async fn renew(&self) -> Result<bool, Failure> {
        let now = self.now();
        self.change(|state| {
            state.renew(now);
            None
        })
        .await
    }

    /// Writes how the run ended; false if another run has taken over.
    async fn finish(&self, ended: &Result<(), String>) -> Result<bool, Failure> {
        let outcome = if ended.is_ok() { TimerOutcome::Succeeded } else { TimerOutcome::Failed };
        let now = self.now();
        self.change(|state| state.finish(outcome, ended.clone().err(), now)).await
    }

    /// Changes the state while this run has the lease.
    async fn change(&self, change: impl Fn(&mut TimerState) -> Option<TimerRun>) -> Result<bool, Failure> {
        let mut tries = 0;
        loop {
            let Some(before) = self.read().await?.filter(|state| state.data.is_held_by(&self.owner)) else {
                return Ok(false);
            };
            let mut state = before.data.clone();
            let ended = change(&mut state);
            match self.write(Some(&before), state, ended).await {
                Ok(()) => return Ok(true),
                Err(Failure::Stale) if tries < STALE_TRIES => tries += 1,
                Err(failure) => return Err(failure),
            }
        }
    }
}
