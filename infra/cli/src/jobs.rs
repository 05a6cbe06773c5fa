//! `coder jobs`: one-time jobs and timers, directly on the data directory.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use coder_core::{Code, Failure, Timestamp};
use coder_database::{Partition, Record, Transaction};
use coder_handler::Group;
use coder_handler::operate::desk::{Declared, FoundJob, JobDesk, JobFilter, JobView, TimerView};
use coder_jobs::{JobRecord, JobState, TimerRun};
use serde_json::{Value, json};

use crate::data::Data;
use crate::terminal;

/// What `coder jobs` accepts.
#[derive(Debug, Args)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    command: Command,
    /// Folder of the embedded store
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// As JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List one-time jobs, the newest first, and the timers with their next times
    List(List),
    /// Show a job whole, secrets masked
    Show(One),
    /// Queue a job, or a run of a timer
    Run(Run),
    /// Cancel a job: at once if it waits, at its next step if it runs
    Cancel(One),
    /// Show the last runs of a timer; without a name, of every timer the last
    History(History),
}

#[derive(Debug, Args)]
struct List {
    /// Only of this route group
    #[arg(long)]
    group: Option<String>,
    /// Only of this name
    #[arg(long)]
    job: Option<String>,
    /// Only those that stand so: queued, running, failed (tried again), succeeded, dead, cancelled
    #[arg(long, value_parser = state)]
    state: Option<JobState>,
    /// The most that are listed
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

#[derive(Debug, Args)]
struct One {
    /// The job's id
    id: String,
    /// Look in this route group only
    #[arg(long)]
    group: Option<String>,
}

#[derive(Debug, Args)]
struct Run {
    /// The route group
    group: String,
    /// A job or a timer of the group
    name: String,
    /// What the job works on
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// Not before this time, such as 2026-01-31T09:30:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

#[derive(Debug, Args)]
struct History {
    /// A timer; without one, all timers are listed
    timer: Option<String>,
    /// Only of this route group
    #[arg(long)]
    group: Option<String>,
}

fn state(text: &str) -> Result<JobState, String> {
    let known = JobState::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| format!("choose from {}", JobState::ALL.map(JobState::as_str).join(", ")))
}

/// Runs the command.
pub(crate) fn run(options: Jobs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let data = Data::open(options.data_dir).await?;
        match options.command {
            Command::List(wanted) => list(&data, wanted, options.json).await,
            Command::Show(one) => show(&data, &one, options.json).await,
            Command::Run(wanted) => queue(&data, wanted, options.json).await,
            Command::Cancel(one) => cancel(&data, &one, options.json).await,
            Command::History(wanted) => history(&data, &wanted, options.json).await,
        }
    })
}

fn desk(data: &Data, group: &Group) -> JobDesk {
    let providers = &data.providers;
    JobDesk::new(providers.store.clone(), providers.ambient.clone(), Declared::from(group))
}

/// A failure as a person at the keyboard wants it.
fn plain(failure: Failure) -> anyhow::Error {
    match failure {
        Failure::Problem(problem) => match problem.errors.first() {
            Some(fault) => anyhow!("{}", fault.message),
            None => anyhow!("{}", problem.detail),
        },
        Failure::Stale => anyhow!("the job changed in this very moment; look again"),
        other => anyhow!("{other}"),
    }
}

fn line(value: &Value) {
    terminal::line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

async fn list(data: &Data, wanted: List, json: bool) -> anyhow::Result<()> {
    let filter = JobFilter { job: wanted.job, state: wanted.state };
    let mut views = Vec::new();
    for group in data.groups(wanted.group.as_deref())? {
        let found = desk(data, group).list(&filter).await.map_err(plain)?;
        views.extend(found.iter().map(|job| JobView::brief(&job.record)));
    }
    views.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    views.truncate(wanted.limit as usize);
    // Whoever asks for jobs of one name or state does not ask for timers.
    let timers = if filter.job.is_none() && filter.state.is_none() {
        timer_views(data, &data.groups(wanted.group.as_deref())?).await?
    } else {
        Vec::new()
    };
    if json {
        line(&json!({"jobs": views, "timers": timers}));
        return Ok(());
    }
    if views.is_empty() {
        terminal::line("no such one-time jobs; `coder jobs run` queues one");
    } else {
        let rows = views.iter().map(|job| {
            let stands = match job.state {
                JobState::Running => format!("running {} %", job.progress),
                JobState::Queued | JobState::Failed if job.due_at > data.providers.ambient.now() => {
                    format!("{}, due {}", job.state.as_str(), terminal::time(job.due_at))
                }
                state => state.as_str().to_owned(),
            };
            let why = job.error.clone().unwrap_or_default();
            let name = format!("{}/{}", job.group, job.job);
            [job.id.clone(), name, stands, job.attempts.to_string(), terminal::time(job.created_at), why]
        });
        terminal::table(["ID", "JOB", "STATE", "RUNS", "QUEUED", "ERROR"], rows);
    }
    if !timers.is_empty() {
        terminal::line("");
        timer_table(&timers);
    }
    Ok(())
}

/// The job and the group that has it.
async fn find<'a>(data: &'a Data, one: &One) -> anyhow::Result<(&'a Group, FoundJob)> {
    for group in data.groups(one.group.as_deref())? {
        match desk(data, group).get(&one.id).await {
            Ok(found) => return Ok((group, found)),
            Err(failure) if failure.code() == Some(Code::NotFound) => {}
            Err(failure) => return Err(plain(failure)),
        }
    }
    bail!("there is no job `{}`; `coder jobs list` shows those that are kept", one.id)
}

async fn show(data: &Data, one: &One, json: bool) -> anyhow::Result<()> {
    let (_, found) = find(data, one).await?;
    shown(&found.record, json);
    Ok(())
}

fn shown(record: &Record<JobRecord>, json: bool) {
    let view = JobView::whole(record);
    if json {
        return line(&json!(view));
    }
    let time = |time: Option<Timestamp>| time.map_or_else(String::new, terminal::time);
    let value = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
    let cut_off = if view.cut_offs > 0 { format!(", {} cut off", view.cut_offs) } else { String::new() };
    let asked = if view.cancel_requested && !view.state.is_final() { ", to be cancelled" } else { "" };
    let rows = [
        ("id", view.id.clone()),
        ("job", format!("{}/{}", view.group, view.job)),
        ("state", format!("{}{asked}", view.state.as_str())),
        ("runs", format!("{}{cut_off}", view.attempts)),
        ("progress", format!("{} % {}", view.progress, view.note.clone().unwrap_or_default())),
        ("queued", format!("{} by {}", terminal::time(view.created_at), view.created_by)),
        ("due", terminal::time(view.due_at)),
        ("started", time(view.started_at)),
        ("finished", time(view.finished_at)),
        ("error", view.error.clone().unwrap_or_default()),
        ("input", value(&view.input)),
        ("result", value(&view.result)),
    ];
    for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        terminal::line(format!("{name:<10}{text}").trim_end());
    }
}

async fn queue(data: &Data, wanted: Run, json: bool) -> anyhow::Result<()> {
    let group = data.groups(Some(&wanted.group))?.remove(0);
    let desk = desk(data, group);
    let input = match &wanted.input {
        Some(text) => serde_json::from_str(text).with_context(|| {
            format!("`--input` is no JSON: `{text}`; quote it for the shell, such as '{{\"a\": 1}}'")
        })?,
        None => Value::Null,
    };
    let at = match &wanted.at {
        Some(text) => Some(text.parse::<Timestamp>().map_err(|_| {
            anyhow!("`--at` is no time: `{text}`; write it as 2026-01-31T09:30:00Z, with a zone")
        })?),
        None => None,
    };
    // A timer goes by its own name, too.
    let timer = group.timers.iter().any(|(timer, _)| *timer == wanted.name);
    let job = group.jobs.contains(&wanted.name.as_str());
    let name = if timer && !job { format!("every-{}", wanted.name) } else { wanted.name };
    let (container, partition) = desk.own_place().map_err(plain)?;
    let mut transaction = data.begin(group.name, "jobs.run", container, partition);
    let record = desk.queue(&mut transaction, &name, input, at).map_err(plain)?;
    commit(transaction).await?;
    shown(&record, json);
    if !json {
        terminal::line(
            "a running platform takes it within seconds; `coder jobs show` tells what became of it",
        );
    }
    Ok(())
}

async fn cancel(data: &Data, one: &One, json: bool) -> anyhow::Result<()> {
    let (group, found) = find(data, one).await?;
    let place = |partition: Partition| data.begin(group.name, "jobs.cancel", found.container, partition);
    let mut transaction = place(found.partition.clone());
    let record = desk(data, group).cancel(&mut transaction, &found.record).map_err(plain)?;
    commit(transaction).await?;
    shown(&record, json);
    Ok(())
}

/// What was recorded for publishing is left to the platform's sweep.
async fn commit(transaction: Transaction) -> anyhow::Result<()> {
    transaction.commit().await.map(drop).map_err(plain)
}

async fn history(data: &Data, wanted: &History, json: bool) -> anyhow::Result<()> {
    let groups = data.groups(wanted.group.as_deref())?;
    let Some(timer) = &wanted.timer else { return timers(data, &groups, json).await };
    let with: Vec<&Group> =
        groups.into_iter().filter(|group| group.timers.iter().any(|(name, _)| name == timer)).collect();
    let [group] = with[..] else {
        let names: Vec<&str> = with.iter().map(|group| group.name).collect();
        if names.is_empty() {
            bail!("there is no timer `{timer}`; `coder jobs history` lists them");
        }
        bail!("several groups have a timer `{timer}`: choose with `--group` from {}", names.join(", "));
    };
    let desk = desk(data, group);
    let (view, runs) = (desk.timer(timer).await.map_err(plain)?, desk.history(timer).await.map_err(plain)?);
    if json {
        line(&json!({"timer": view, "runs": runs}));
        return Ok(());
    }
    terminal::line(&format!("{}/{timer}  {}", group.name, view.schedule));
    let next: Vec<String> = view.next_due.iter().map(|time| terminal::time(*time)).collect();
    terminal::line(&format!("next       {}", next.join(", ")));
    if let Some(since) = view.running_since {
        terminal::line(&format!("running    since {}", terminal::time(since)));
    }
    if runs.is_empty() {
        terminal::line("no run is kept: it has not run yet, or not for 30 days");
        return Ok(());
    }
    terminal::line("");
    terminal::table(["BEGAN", "SLOT", "OUTCOME", "TOOK", "ERROR"], runs.iter().map(run_row));
    Ok(())
}

fn run_row(run: &TimerRun) -> [String; 5] {
    let slot = match run.slot {
        Some(slot) if run.past_due => format!("{} (missed)", terminal::time(slot)),
        Some(slot) => terminal::time(slot),
        None => "by an operator".to_owned(),
    };
    let took = format!("{} ms", run.milliseconds);
    let error = run.error.clone().unwrap_or_default();
    [terminal::time(run.started_at), slot, run.outcome.as_str().to_owned(), took, error]
}

async fn timers(data: &Data, groups: &[&Group], json: bool) -> anyhow::Result<()> {
    let views = timer_views(data, groups).await?;
    if json {
        line(&json!(views));
    } else {
        timer_table(&views);
    }
    Ok(())
}

async fn timer_views(data: &Data, groups: &[&Group]) -> anyhow::Result<Vec<TimerView>> {
    let mut views = Vec::new();
    for group in groups {
        views.extend(desk(data, group).timers().await.map_err(plain)?);
    }
    Ok(views)
}

fn timer_table(views: &[TimerView]) {
    let rows = views.iter().map(|timer| {
        let last = timer.last_run.as_ref();
        let outcome = match (timer.running_since, last) {
            (Some(_), _) => "running",
            (None, Some(run)) => run.outcome.as_str(),
            (None, None) => "never ran",
        };
        [
            format!("{}/{}", timer.group, timer.timer),
            timer.schedule.clone(),
            last.map_or_else(String::new, |run| terminal::time(run.started_at)),
            outcome.to_owned(),
            timer.next_due.first().map_or_else(String::new, |time| terminal::time(*time)),
        ]
    });
    terminal::table(["TIMER", "SCHEDULE (UTC)", "LAST RUN", "OUTCOME", "NEXT"], rows);
}
