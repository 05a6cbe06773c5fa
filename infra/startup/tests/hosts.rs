//! Hosts of one small group that share a data directory: what two function hosts, or a platform before and after
//! a restart, look like to the group's timers and jobs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use coder_config::Settings;
use coder_core::{Actor, ActorKind, Ambient, Failure, ManualClock, OsEntropy, Timestamp};
use coder_database::transaction::Act;
use coder_database::{
    Container, Entity, OutboxRecord, Partition, PlatformJob, Query, Record, Repository, Transaction,
};
use coder_embedded::broker::Source;
use coder_handler::events::JobRun;
use coder_handler::functions::Outcome;
use coder_handler::{Group, RouteGroup, Running};
use coder_jobs::{JobFault, JobPolicy, JobRecord, TimerRun, TimerState};
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// What the group's code does, and what it has done.
#[derive(Debug, Clone)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Mutex<Vec<String>>,
    timer: Mutex<VecDeque<&'static str>>,
    started: Semaphore,
    gate: Semaphore,
}

impl Script {
    fn new() -> Self {
        let closed = || Semaphore::new(0);
        Self(Arc::new(Inner {
            log: Mutex::default(),
            timer: Mutex::default(),
            started: closed(),
            gate: closed(),
        }))
    }

    pub(crate) fn say(&self, line: impl Into<String>) {
        self.0.log.lock().unwrap().push(line.into());
    }

    /// What was done so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.0.log.lock().unwrap().clone()
    }

    /// What the next runs of the timer do; they do well where nothing is said.
    pub(crate) fn timer(&self, acts: &[&'static str]) {
        self.0.timer.lock().unwrap().extend(acts);
    }

    /// Waits until a run waits at the gate.
    pub(crate) async fn waits(&self) {
        self.0.started.acquire().await.unwrap().forget();
    }

    /// Lets one run through the gate.
    pub(crate) fn open(&self) {
        self.0.gate.add_permits(1);
    }

    async fn act(&self, act: &str) -> Result<(), Failure> {
        match act {
            "wait" | "pause" => {
                self.0.started.add_permits(1);
                self.0.gate.acquire().await.unwrap().forget();
                Ok(())
            }
            "retry" => Err(Failure::internal("not now")),
            "panic" => panic!("on purpose"),
            _ => Ok(()),
        }
    }

    async fn tidy(self) -> Result<(), Failure> {
        let act = self.0.timer.lock().unwrap().pop_front().unwrap_or("do");
        self.say(format!("tidy {act}"));
        self.act(act).await
    }

    /// The input lists what each attempt does; further ones do as the last. One that waits does not listen when
    /// it is told to stop, one that pauses does.
    async fn work(self, run: JobRun, input: Value) -> Result<Value, JobFault> {
        let acts = input.as_array().unwrap();
        let act = acts[(run.attempt as usize - 1).min(acts.len() - 1)].as_str().unwrap();
        self.say(format!("work {act} {}", run.attempt));
        if act == "fail" {
            return Err(JobFault::Fail("never".into()));
        }
        self.act(act).await?;
        if let Err(fault) = run.progress(50, "half").await {
            self.say(format!("stopped {}: {fault}", run.attempt));
            if act != "wait" {
                return Err(fault);
            }
        }
        Ok(json!({"attempt": run.attempt}))
    }
}

/// The policy of the job `careful`. A wait so long is never drawn to be nearly none.
pub(crate) const CAREFUL: JobPolicy = JobPolicy {
    attempts: 2,
    cut_offs: 3,
    first_wait: std::time::Duration::from_hours(500),
    longest_wait: std::time::Duration::from_hours(500),
    deadline: std::time::Duration::from_millis(50),
};

fn group(script: Script) -> Group {
    RouteGroup::new("usage", "Timers and jobs")
        .container(Container::bucketed("things"))
        .timer("tidy", "0 */10 * * * *", |script: Script, _| script.tidy())
        .timer("other", "0 */10 * * * *", |script: Script, _| async move {
            script.say("other");
            Ok(())
        })
        .job("work", Script::work)
        .job_with(CAREFUL, "careful", Script::work)
        .service(move |_, _| script)
}

/// One process.
pub(crate) struct Host {
    pub(crate) running: Running,
    assembly: Assembly,
}

/// A data directory, a clock, and the processes that share both.
pub(crate) struct Hosts {
    pub(crate) clock: ManualClock,
    pub(crate) script: Script,
    directory: tempfile::TempDir,
}

/// When every test begins.
const START: &str = "2026-01-05T12:01:00Z";

impl Hosts {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at(START.parse().unwrap());
        Self { clock, script: Script::new(), directory: tempfile::tempdir().unwrap() }
    }

    /// Starts a process.
    pub(crate) async fn host(&self) -> Arc<Host> {
        let ambient = Ambient::new(self.clock.clone(), OsEntropy);
        let settings = Settings::for_tests(self.directory.path());
        let providers = Providers::open(settings, ambient).unwrap();
        let groups = vec![group(self.script.clone())];
        let assembly = Assembly::start(providers, groups, Arc::new(LeftForTheSweep)).await.unwrap();
        Arc::new(Host { running: assembly.groups[0].clone(), assembly })
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// Sets the clock to this time of the first day.
    pub(crate) fn at(&self, time: &str) {
        let wanted: Timestamp = format!("2026-01-05T{time}Z").parse().unwrap();
        let now = coder_core::Clock::now(&self.clock);
        self.clock.advance(wanted.duration_since(now));
    }
}

impl Host {
    pub(crate) fn store<T: Entity>(&self) -> Repository<T> {
        Repository::new(self.assembly.providers.store.clone(), "things")
    }

    pub(crate) fn metrics(&self) -> String {
        self.assembly.providers.metrics.render()
    }

    /// Calls a timer as its host does at a slot, or after a start.
    pub(crate) async fn tick(&self, timer: &str, past_due: bool) -> Outcome {
        let now = self.assembly.providers.ambient.now();
        let envelope = json!({
            "Data": {"timer": {"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": past_due}},
            "Metadata": {"sys": {"MethodName": timer, "UtcNow": now, "RandGuid": "g"}},
        });
        self.running.functions.invoke(&format!("every-{timer}"), envelope, "invocation").await
    }

    /// Runs a timer between its slots.
    pub(crate) async fn timer_now(&self, timer: &str) {
        let outcome = self.running.functions.run_timer(timer, "invocation").await;
        assert_eq!(outcome, Outcome::Done(Value::Null));
    }

    /// Takes the messages that the broker has for the group's jobs; answers the ids of the jobs.
    pub(crate) async fn published(&self) -> Vec<String> {
        let broker = &self.assembly.providers.local.as_ref().unwrap().broker;
        let mut jobs = Vec::new();
        for delivery in broker.receive(&Source::jobs("usage"), 10).await.unwrap() {
            broker.complete(&delivery.lock).await.unwrap();
            jobs.extend(delivery.message.subject);
        }
        jobs
    }

    /// The state of the timer `tidy`.
    pub(crate) async fn timer(&self) -> TimerState {
        let partition = Container::bucketed("things").bookkeeping("timer", "tidy");
        self.store::<TimerState>().find(&partition, "state").await.unwrap().unwrap().data
    }

    /// The kept runs of the timer `tidy`, the oldest first.
    pub(crate) async fn history(&self) -> Vec<TimerRun> {
        let partition = Container::bucketed("things").bookkeeping("timer", "tidy");
        let runs = self.store::<TimerRun>().all(&partition, None, 100).await.unwrap();
        let mut runs: Vec<TimerRun> = runs.into_iter().map(|run| run.data).collect();
        runs.sort_by_key(|run| run.run);
        runs
    }

    /// Opens a transaction of the group.
    pub(crate) fn begin(&self) -> Transaction {
        let providers = &self.assembly.providers;
        let act = Act {
            actor: Actor::new(ActorKind::Service, "test"),
            action: "test".into(),
            request_id: "r".into(),
            group: "usage",
            traceparent: None,
        };
        let partition = Partition::keyed("thing", 1).bucket("jobs");
        Transaction::new(providers.store.clone(), providers.ambient.clone(), "things", partition, act)
    }

    /// Queues a job; answers its id.
    pub(crate) async fn enqueue(&self, job: &str, acts: Value, due: Option<Timestamp>) -> String {
        let mut unit = self.begin();
        let record = coder_jobs::enqueue(&mut unit, job, acts, due).unwrap();
        let _outbox = unit.commit().await.unwrap();
        record.meta.id
    }

    /// Delivers the last message of a job.
    pub(crate) async fn deliver(&self, id: &str) -> Outcome {
        let (event, _) = self.messages(id).await.pop().unwrap();
        let message = base64::engine::general_purpose::STANDARD.encode(event.to_string());
        let envelope = json!({"Data": {"message": message}, "Metadata": {"MessageId": "\"m\""}});
        self.running.functions.invoke("run-job", envelope, "invocation").await
    }

    /// The messages of a job in the outbox with the time that they are due, the first due first.
    pub(crate) async fn messages(&self, id: &str) -> Vec<(Value, Option<Timestamp>)> {
        let query = Query::new(None).limit(1000);
        let (records, _) =
            self.store::<OutboxRecord>().page_across(&PlatformJob::begin(), &query).await.unwrap();
        let mut messages: Vec<_> = records.into_iter().map(|(_, record)| record.data).collect();
        messages.retain(|message| message.event["subject"] == id);
        messages.sort_by_key(|message| message.due);
        messages.into_iter().map(|message| (message.event, message.due)).collect()
    }

    /// The record of a job.
    pub(crate) async fn job(&self, id: &str) -> Record<JobRecord> {
        let partition = Partition::keyed("thing", 1).bucket("jobs");
        self.store::<JobRecord>().get(&partition, id).await.unwrap()
    }
}
