//! Jobs and timers over HTTP: list, look, run and cancel.

use coder_core::{Code, Result, Timestamp};
use coder_database::Filter;
use coder_jobs::TimerRun;
use coder_jobs::timer::TimerOutcome;
use coder_middleware::access::{Access as _, Operator};
use coder_middleware::{Body, Example, Filters, Json, List, PageOf, Path, Started, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Operate;
use super::desk::{JobFilter, JobView, TimerView};
use crate::routes::Routes;

pub(super) fn routes(base: &str) -> Routes<Operate> {
    let (jobs, timers) = (format!("{base}/jobs"), format!("{base}/timers"));
    let (job, timer) = (format!("{jobs}/{{jobId}}"), format!("{timers}/{{timerName}}"));
    Routes::new("")
        .get(&jobs, "list_background_jobs", "List one-time jobs, the newest first", list)
        .post(&jobs, "run_background_job", "Queue a job, now or for a time", run)
        .get(&job, "get_background_job", "Get a job, secrets masked", get)
        .post(&format!("{job}/cancel"), "cancel_background_job", "Cancel a job that has not ended", cancel)
        .problems([Code::InvalidState])
        .get(&timers, "list_timers", "List timers with their last run and next times", list_timers)
        .post(&format!("{timer}/run"), "run_timer", "Queue a run of a timer now", run_timer)
        .get(&format!("{timer}/history"), "list_timer_runs", "List the last runs of a timer", history)
}

impl Filters for JobFilter {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        // The cursor holds for the same filter only.
        let job = self.job.iter().map(|job| Filter::eq("job", job.as_str()));
        let state = self.state.iter().map(|state| Filter::eq("state", state.as_str()));
        Some(Filter::And(job.chain(state).collect()))
    }
}

async fn list(
    State(operate): State<Operate>,
    _: Operator,
    list: List<JobFilter>,
) -> Result<Json<PageOf<JobView>>> {
    let mut found = operate.jobs.list(&list.filters).await?;
    if list.order.1 == coder_database::Direction::Ascending {
        found.reverse();
    }
    let views: Vec<JobView> = found.iter().map(|job| JobView::brief(&job.record)).collect();
    list.slice(&views, "jobs").map(Json)
}

async fn get(State(operate): State<Operate>, _: Operator, Path(id): Path<String>) -> Result<Json<JobView>> {
    Ok(Json(JobView::whole(&operate.jobs.get(&id).await?.record)))
}

/// A job to be queued.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RunJob {
    /// A job that the group declares, or `every-<timer>`.
    #[schemars(length(min = 1, max = 110))]
    job: String,
    /// What it works on, as the job wants it.
    #[serde(default)]
    input: Value,
    /// Not before this time; at once if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    at: Option<Timestamp>,
}

impl Example for RunJob {
    fn example() -> Self {
        Self { job: "reencrypt".into(), input: json!({}), at: None }
    }
}

impl Operate {
    fn queued(&self, record: &coder_database::Record<coder_jobs::JobRecord>) -> Started<JobView> {
        let location = format!("/api/{}/operations/jobs/{}", self.jobs.group(), record.meta.id);
        Started { location, body: JobView::whole(record) }
    }
}

async fn run(
    State(operate): State<Operate>,
    who: Operator,
    Body(wanted): Body<RunJob>,
) -> Result<Started<JobView>> {
    let (container, partition) = operate.jobs.own_place()?;
    let mut unit = who.begin(container, partition).await?;
    let record = operate.jobs.queue(&mut unit, &wanted.job, wanted.input, wanted.at)?;
    unit.commit(operate.queued(&record)).await
}

async fn cancel(
    State(operate): State<Operate>,
    who: Operator,
    Path(id): Path<String>,
) -> Result<Json<JobView>> {
    let found = operate.jobs.get(&id).await?;
    let mut unit = who.begin(found.container, found.partition).await?;
    let record = operate.jobs.cancel(&mut unit, &found.record)?;
    unit.commit(Json(JobView::whole(&record))).await
}

/// Timers have no filters; their order is that of their declaration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct NoFilter {}

impl Filters for NoFilter {
    const SORT: &'static [&'static str] = &["timer"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

async fn list_timers(
    State(operate): State<Operate>,
    _: Operator,
    list: List<NoFilter>,
) -> Result<Json<PageOf<TimerView>>> {
    let mut timers = operate.jobs.timers().await?;
    timers.sort_by(|a, b| a.timer.cmp(&b.timer));
    if list.order.1 == coder_database::Direction::Descending {
        timers.reverse();
    }
    list.slice(&timers, "timers").map(Json)
}

async fn run_timer(
    State(operate): State<Operate>,
    who: Operator,
    Path(timer): Path<String>,
) -> Result<Started<JobView>> {
    let (container, partition) = operate.jobs.own_place()?;
    let mut unit = who.begin(container, partition).await?;
    let record = operate.jobs.queue_timer(&mut unit, &timer)?;
    unit.commit(operate.queued(&record)).await
}

/// The last runs of a timer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimerHistory {
    /// The timer, with its next times.
    timer: TimerView,
    /// Its last runs, at most 50 of the last 30 days, the newest first.
    runs: Vec<TimerRun>,
}

impl Example for TimerHistory {
    fn example() -> Self {
        let timer = TimerView::example();
        let run = TimerRun {
            group: timer.group.clone(),
            timer: timer.timer.clone(),
            run: 1,
            slot: Some(Timestamp::UNIX_EPOCH),
            past_due: false,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: Timestamp::UNIX_EPOCH,
            milliseconds: 12,
            outcome: TimerOutcome::Succeeded,
            error: None,
        };
        Self { timer, runs: vec![run] }
    }
}

async fn history(
    State(operate): State<Operate>,
    _: Operator,
    Path(timer): Path<String>,
) -> Result<Json<TimerHistory>> {
    let runs = operate.jobs.history(&timer).await?;
    Ok(Json(TimerHistory { timer: operate.jobs.timer(&timer).await?, runs }))
}
