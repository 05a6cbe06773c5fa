//! The jobs and timers of one group as operators work with them, over HTTP or on the command line.

use std::sync::Arc;

use coder_core::{Ambient, Code, Failure, Problem, Result, Timestamp};
use coder_database::{
    Container, Direction, DocumentStore, Filter, Partition, PlatformJob, Query, Record, Repository,
    Transaction,
};
use coder_jobs::record::{self, RETENTION_SECONDS};
use coder_jobs::timer::{HISTORY, STATE_ID};
use coder_jobs::{JobRecord, JobState, Schedule, TimerRun, TimerState};
use coder_middleware::Example;
use coder_telemetry::redact;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::functions::job::timer_job;
use crate::group::Group;

/// The most jobs that a list goes through, the newest first.
pub const MOST: u32 = 1000;

/// How many of a timer's next times are told.
const UPCOMING: usize = 3;

/// The jobs and timers of one group.
#[derive(Debug, Clone)]
pub struct JobDesk {
    store: Arc<dyn DocumentStore>,
    ambient: Ambient,
    declared: Declared,
}

/// What a group declares of jobs and timers.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The group.
    pub group: &'static str,
    /// Its containers.
    pub containers: Arc<[Container]>,
    /// The names of its jobs.
    pub jobs: Vec<&'static str>,
    /// Its timers: name and schedule.
    pub timers: Vec<(&'static str, &'static str)>,
}

impl From<&Group> for Declared {
    fn from(group: &Group) -> Self {
        Self {
            group: group.name,
            containers: group.containers.clone().into(),
            jobs: group.jobs.clone(),
            timers: group.timers.clone(),
        }
    }
}

/// Which jobs are listed.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct JobFilter {
    /// Jobs of this name.
    #[schemars(length(max = 110))]
    pub job: Option<String>,
    /// Jobs that stand so.
    pub state: Option<JobState>,
}

/// A job and where its record is.
#[derive(Debug, Clone)]
pub struct FoundJob {
    /// The container.
    pub container: &'static str,
    /// The partition.
    pub partition: Partition,
    /// The record.
    pub record: Record<JobRecord>,
}

impl JobDesk {
    /// A desk for a group.
    pub fn new(store: Arc<dyn DocumentStore>, ambient: Ambient, declared: Declared) -> Self {
        Self { store, ambient, declared }
    }

    /// The group.
    pub fn group(&self) -> &'static str {
        self.declared.group
    }

    /// The names that [`Self::queue`] accepts: those of the jobs, and `every-<timer>` for a run of a timer.
    pub fn names(&self) -> Vec<String> {
        let jobs = self.declared.jobs.iter().map(|&job| job.to_owned());
        jobs.chain(self.declared.timers.iter().map(|(timer, _)| timer_job(timer))).collect()
    }

    /// The newest jobs that pass the filter, at most [`MOST`].
    pub async fn list(&self, filter: &JobFilter) -> Result<Vec<FoundJob>> {
        let job = filter.job.as_ref().map(|job| Filter::eq("job", job.as_str()));
        let state = filter.state.map(|state| Filter::eq("state", state.as_str()));
        let all = Filter::And(job.into_iter().chain(state).collect());
        let query = Query::new(all).order_by("createdAt", Direction::Descending).limit(MOST);
        let mut found = self.search(&query).await?;
        found.sort_by(|a, b| {
            let key = |job: &FoundJob| (job.record.meta.created_at, job.record.meta.id.clone());
            key(b).cmp(&key(a))
        });
        found.truncate(MOST as usize);
        Ok(found)
    }

    /// The job with this id.
    pub async fn get(&self, id: &str) -> Result<FoundJob> {
        let found = self.search(&Query::new(Filter::eq("id", id)).limit(1)).await?.pop();
        found.ok_or_else(|| {
            let detail = format!("The group `{}` has no such job; it may have expired.", self.declared.group);
            Failure::problem(Code::NotFound, detail)
        })
    }

    /// The first page of a query in each container.
    async fn search(&self, query: &Query) -> Result<Vec<FoundJob>> {
        let job = PlatformJob::begin();
        let mut found = Vec::new();
        for container in self.declared.containers.iter() {
            let records = Repository::<JobRecord>::new(self.store.clone(), container.name);
            let (page, _) = records.page_across(&job, query).await?;
            let container = container.name;
            found.extend(page.into_iter().map(|(partition, record)| FoundJob {
                container,
                partition,
                record,
            }));
        }
        Ok(found)
    }

    /// Where the records of jobs are that operators start.
    pub fn own_place(&self) -> Result<(&'static str, Partition)> {
        let container = self.declared.containers.first();
        let container = container.ok_or_else(|| Failure::internal("the group has no container"))?;
        Ok((container.name, container.bookkeeping("job", "operators")))
    }

    /// Queues a job in a transaction on [`Self::own_place`]. A name that the group does not declare is a problem.
    pub fn queue(
        &self,
        transaction: &mut Transaction,
        job: &str,
        input: Value,
        at: Option<Timestamp>,
    ) -> Result<Record<JobRecord>> {
        let names = self.names();
        if !names.iter().any(|name| name == job) {
            let known = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            let message = format!("`{}` can run {known}.", self.declared.group);
            return Err(Problem::fault("/job", "unknown", message).into());
        }
        coder_jobs::enqueue(transaction, job, input, at)
    }

    /// Queues a run of a timer, as [`Self::queue`] does; one that the group does not declare is not found.
    pub fn queue_timer(&self, transaction: &mut Transaction, timer: &str) -> Result<Record<JobRecord>> {
        self.schedule(timer)?;
        coder_jobs::enqueue(transaction, &timer_job(timer), Value::Null, None)
    }

    /// Cancels a job in a transaction on its partition: at once if it waits, at its next step if it runs.
    pub fn cancel(
        &self,
        transaction: &mut Transaction,
        before: &Record<JobRecord>,
    ) -> Result<Record<JobRecord>> {
        let now = self.ambient.now();
        let mut after = before.clone();
        if !after.data.cancel(now) {
            let state = before.data.state.as_str();
            return Err(Failure::problem(Code::InvalidState, format!("The job has ended: it is {state}.")));
        }
        if after.data.state.is_final() {
            after.expires_at = Some(self.ambient.after(RETENTION_SECONDS));
        }
        Ok(transaction.update(before, after)?.0)
    }

    fn schedule(&self, timer: &str) -> Result<Schedule> {
        let found = self.declared.timers.iter().find(|(name, _)| *name == timer);
        let (_, schedule) = found.ok_or_else(|| {
            let detail = format!("The group `{}` has no timer `{timer}`.", self.declared.group);
            Failure::problem(Code::NotFound, detail)
        })?;
        Schedule::parse(schedule).map_err(Failure::internal)
    }

    /// Every timer, with its next times.
    pub async fn timers(&self) -> Result<Vec<TimerView>> {
        let mut views = Vec::with_capacity(self.declared.timers.len());
        for (name, _) in &self.declared.timers {
            views.push(self.timer(name).await?);
        }
        Ok(views)
    }

    /// One timer.
    pub async fn timer(&self, name: &str) -> Result<TimerView> {
        let schedule = self.schedule(name)?;
        let (container, _) = self.own_place()?;
        let states = Repository::<TimerState>::new(self.store.clone(), container);
        let state = states.find(&self.timer_place(name), STATE_ID).await?.map(|record| record.data);
        let now = self.ambient.now();
        let running = state.as_ref().and_then(|state| state.running.as_ref());
        Ok(TimerView {
            group: self.declared.group.to_owned(),
            timer: name.to_owned(),
            schedule: schedule.to_string(),
            running_since: running.filter(|run| run.lease.is_live(now)).map(|run| run.started_at),
            last_run: state.and_then(|state| state.last).map(shown_run),
            next_due: schedule.upcoming(now, UPCOMING),
        })
    }

    /// The kept runs of a timer, the newest first.
    pub async fn history(&self, timer: &str) -> Result<Vec<TimerRun>> {
        self.schedule(timer)?;
        let (container, _) = self.own_place()?;
        let runs = Repository::<TimerRun>::new(self.store.clone(), container);
        let most = usize::try_from(HISTORY).unwrap_or(usize::MAX);
        let found = runs.all(&self.timer_place(timer), None, most).await?;
        let mut runs: Vec<TimerRun> = found.into_iter().map(|record| shown_run(record.data)).collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.run));
        Ok(runs)
    }

    fn timer_place(&self, timer: &str) -> Partition {
        match self.declared.containers.first() {
            Some(container) => container.bookkeeping("timer", timer),
            None => Partition::keyed("timer", timer),
        }
    }

    /// The jobs that ought to run and that nobody works on, of those that the group declares: their messages must
    /// have been lost. At most [`MOST`] of each container, and without those that cannot be read.
    pub async fn forgotten(&self) -> Result<Vec<FoundJob>> {
        let (job, now, names) = (PlatformJob::begin(), self.ambient.now(), self.names());
        let is_forgotten = |found: &JobRecord| found.is_forgotten(now) && names.contains(&found.job);
        let mut forgotten = Vec::new();
        for container in self.declared.containers.iter().map(|container| container.name) {
            let records = Repository::<JobRecord>::new(self.store.clone(), container);
            let (mut query, mut found) = (Query::new(perhaps_forgotten(now)).limit(500), Vec::new());
            loop {
                let (page, next) = records.page_across_each(&job, &query).await?;
                for item in page {
                    match item {
                        Ok((partition, record)) if is_forgotten(&record.data) => {
                            found.push(FoundJob { container, partition, record });
                        }
                        Ok(_) => {}
                        Err(failure) => tracing::error!(container, cause = %failure, "a job cannot be read"),
                    }
                }
                match next.filter(|_| found.len() < MOST as usize) {
                    Some(next) => query.continuation = Some(next),
                    None => break,
                }
            }
            forgotten.extend(found);
        }
        Ok(forgotten)
    }

    /// Sends the message of a forgotten job again, in a transaction on its partition.
    pub fn resend(&self, transaction: &mut Transaction, before: &Record<JobRecord>) -> Result<()> {
        let mut data = before.data.clone();
        data.resent_at = Some(self.ambient.now());
        let (after, _) = transaction.replace(before, data)?;
        record::send(transaction, &after, None);
        Ok(())
    }
}

/// What a forgotten job is among: those that run, and those that wait though their time has long come. Many may wait
/// for a time to come.
fn perhaps_forgotten(now: Timestamp) -> Filter {
    let state = |state: JobState| Filter::eq("state", state.as_str());
    let waits = Filter::Or(vec![state(JobState::Queued), state(JobState::Failed)]);
    // Texts of times have fractions or not, so they are in order up to a second.
    let second = jiff::SignedDuration::from_secs(1);
    let since = now.saturating_sub(record::OVERDUE.saturating_sub(second)).unwrap_or(Timestamp::MIN);
    Filter::Or(vec![
        state(JobState::Running),
        waits.and(Filter::Le("dueAt".into(), since.to_string().into())),
    ])
}

/// A job as operators see it, secrets masked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// The job's id.
    pub id: String,
    /// The group that declares it.
    pub group: String,
    /// Its name.
    pub job: String,
    /// Where it stands.
    pub state: JobState,
    /// Runs that have begun.
    pub attempts: u32,
    /// Those of them that were cut off: that ended, with their process or by hanging, before they could say how.
    /// They have a bound of their own, apart from runs that fail.
    pub cut_offs: u32,
    /// How far it is, in percent.
    pub progress: u8,
    /// What it is doing.
    pub note: Option<String>,
    /// Why the last run failed.
    pub error: Option<String>,
    /// Whether somebody asked that it stops.
    pub cancel_requested: bool,
    /// When it was queued.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Who queued it.
    pub created_by: String,
    /// When it is due, or its next attempt.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub due_at: Timestamp,
    /// When the last run began.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started_at: Option<Timestamp>,
    /// When the last run ended.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub finished_at: Option<Timestamp>,
    /// What it works on; null in a list.
    pub input: Value,
    /// What came of it; null in a list.
    pub result: Value,
}

impl JobView {
    /// All of it.
    pub fn whole(record: &Record<JobRecord>) -> Self {
        let masked = |mut value: Value| {
            coder_queue::dead_letter::mask(&mut value);
            value
        };
        let (input, result) = (record.data.input.clone(), record.data.result.clone());
        Self { input: masked(input), result: masked(result.unwrap_or_default()), ..Self::brief(record) }
    }

    /// Without what it works on and what came of it.
    pub fn brief(record: &Record<JobRecord>) -> Self {
        let Record { meta, data, .. } = record;
        let text = |text: &Option<String>| text.as_ref().map(|text| redact(text).into_owned());
        Self {
            id: meta.id.clone(),
            group: data.group.clone(),
            job: data.job.clone(),
            state: data.state,
            attempts: data.attempts,
            cut_offs: data.cut_offs,
            progress: data.progress,
            note: text(&data.note),
            error: text(&data.error),
            cancel_requested: data.cancel_requested,
            created_at: meta.created_at,
            created_by: meta.created_by.clone(),
            due_at: data.due_at,
            started_at: data.started_at,
            finished_at: data.finished_at,
            input: Value::Null,
            result: Value::Null,
        }
    }
}

impl Example for JobView {
    fn example() -> Self {
        let data = JobRecord::queued("secrets", "reencrypt", Value::Null, Timestamp::UNIX_EPOCH);
        Self::whole(&Record::example(data))
    }
}

/// A timer as operators see it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimerView {
    /// The group that declares it.
    pub group: String,
    /// Its name.
    pub timer: String,
    /// Its schedule: second, minute, hour, day, month, weekday; in UTC.
    pub schedule: String,
    /// Since when it runs, if it does.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub running_since: Option<Timestamp>,
    /// The last run that ended.
    pub last_run: Option<TimerRun>,
    /// The next three times.
    #[schemars(with = "Vec<String>", extend("items" = {"type": "string", "format": "date-time"}))]
    pub next_due: Vec<Timestamp>,
}

impl Example for TimerView {
    fn example() -> Self {
        Self {
            group: "users".into(),
            timer: "expire".into(),
            schedule: "0 */10 * * * *".into(),
            running_since: None,
            last_run: None,
            next_due: vec![Timestamp::UNIX_EPOCH],
        }
    }
}

fn shown_run(mut run: TimerRun) -> TimerRun {
    run.error = run.error.map(|error| redact(&error).into_owned());
    run
}
