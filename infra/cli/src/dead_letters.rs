//! `coder dead-letters`: what could not be delivered, directly on the data directory, whether the platform runs or
//! not.

mod arguments;
mod edit;

use anyhow::{Context as _, anyhow, bail};
use coder_core::{Failure, Timestamp};
use coder_database::{Record, Transaction};
use coder_handler::Group;
use coder_handler::retry_stale;
use coder_queue::dead_letter::{DeadLetter, DeadLetters as Letters, Replayed, Selection, State, masked};
use serde_json::{Value, json};

pub(crate) use arguments::DeadLetters;
use arguments::{Command, Filter, Replay, Which};

use crate::data::Data;
use crate::terminal;

/// The most dead letters of one group that one command changes.
const MOST: usize = 10_000;

/// Runs the command.
pub(crate) fn run(options: DeadLetters) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let desk = Desk { data: Data::open(options.data_dir).await?, json: options.json };
        match options.command {
            Command::List { filter, state, limit } => desk.list(&filter, state, limit).await,
            Command::Show { id, group } => desk.show(&id, group.as_deref()).await,
            Command::Edit(wanted) => desk.edit(&wanted).await,
            Command::Replay(wanted) => desk.replay(&wanted).await,
            Command::Drop(which) => desk.discard(&which).await,
        }
    })
}

/// The data directory, and how to answer.
struct Desk {
    data: Data,
    json: bool,
}

/// A dead letter that is meant.
struct Found<'a> {
    group: &'a Group,
    letters: Letters,
    id: String,
}

impl Desk {
    fn letters(&self, group: &Group) -> Option<Letters> {
        let container = group.containers.first()?;
        Some(Letters::new(self.data.providers.store.clone(), container, group.name))
    }

    async fn list(&self, filter: &Filter, state: Option<State>, limit: u32) -> anyhow::Result<()> {
        let selection = Selection { state, ..filter.selection() };
        let mut found: Vec<Record<DeadLetter>> = Vec::new();
        for group in self.data.groups(filter.group.as_deref())? {
            if let Some(letters) = self.letters(group) {
                found.extend(letters.page(&selection, limit, None).await.map_err(plain)?.0);
            }
        }
        found.sort_by_key(|record| std::cmp::Reverse(record.meta.created_at));
        found.truncate(limit as usize);
        let found: Vec<_> = found.into_iter().map(brief).collect();
        if self.json {
            print(&json!(found));
        } else if found.is_empty() {
            terminal::line("no such dead letters");
        } else {
            let cells = |record: &Record<DeadLetter>| {
                let letter = &record.data;
                let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
                let consumer = format!("{}/{}", letter.group, text(&letter.consumer));
                let (reason, state) = (letter.reason.as_str().to_owned(), letter.state.as_str().to_owned());
                [
                    record.meta.id.clone(),
                    consumer,
                    text(&letter.event_type),
                    reason,
                    letter.attempts.to_string(),
                    state,
                    terminal::time(letter.last_at),
                ]
            };
            terminal::table(
                ["ID", "CONSUMER", "TYPE", "REASON", "ATTEMPTS", "STATE", "LAST"],
                found.iter().map(cells),
            );
            terminal::line("");
            terminal::line("`coder dead-letters show <id>` says why; then `edit`, `replay` or `drop`");
        }
        Ok(())
    }

    async fn show(&self, id: &str, group: Option<&str>) -> anyhow::Result<()> {
        let found = self.one(id, group).await?;
        let record = found.letters.get(id).await.map_err(plain)?;
        self.shown(record);
        Ok(())
    }

    fn shown(&self, mut record: Record<DeadLetter>) {
        record.data = masked(record.data);
        if self.json {
            return print(&json!(record));
        }
        let letter = &record.data;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let rows = [
            ("id", record.meta.id.clone()),
            ("consumer", format!("{}/{}", letter.group, letter.consumer.as_deref().unwrap_or("(none)"))),
            ("reason", format!("{}: {}", letter.reason.as_str(), letter.description)),
            ("state", format!("{}, replayed {} times", letter.state.as_str(), letter.replays)),
            ("attempts", letter.attempts.to_string()),
            ("first", terminal::time(letter.first_at)),
            ("last", terminal::time(letter.last_at)),
            ("error", text(&letter.last_error)),
            ("type", text(&letter.event_type)),
            ("raw", text(&letter.raw)),
        ];
        for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
            terminal::line(&format!("{name:<10}{text}"));
        }
        for (name, event) in [("event", &letter.event), ("before it was edited", &letter.original_event)] {
            if let Some(event) = event {
                terminal::line(&format!("{name}:"));
                print(event);
            }
        }
    }

    async fn edit(&self, wanted: &arguments::Edit) -> anyhow::Result<()> {
        let found = self.one(&wanted.id, wanted.group.as_deref()).await?;
        let before = found.letters.get(&found.id).await.map_err(plain)?;
        let event = edit::edited(before.data.event.clone(), wanted)?;
        let mut transaction = self.begin(&found, "dead-letters.edit");
        let after = found.letters.edit(&mut transaction, &before, event).map_err(plain)?;
        drop(transaction.commit().await.map_err(plain)?);
        self.shown(after);
        if !self.json {
            terminal::line(&format!("`coder dead-letters replay {}` delivers it again", found.id));
        }
        Ok(())
    }

    async fn replay(&self, wanted: &Replay) -> anyhow::Result<()> {
        let (now, mut sent) = (self.data.providers.ambient.now(), 0);
        let mut report = Report::default();
        for found in self.which(&wanted.which, Some(true)).await? {
            let due = Letters::due(now, sent, wanted.rate);
            let outcome = self.replay_one(&found, due, wanted.which.dry_run).await;
            if outcome.as_ref().is_ok_and(|replayed| *replayed == Replayed::Now) {
                sent += 1;
            }
            report.add(found.id, outcome.map(|replayed| replayed == Replayed::Now));
        }
        if wanted.which.all {
            report.without_event = self.which(&wanted.which, Some(false)).await?.len();
        }
        let next = "they go out when a platform sweeps its outbox: within seconds, if one runs on this data directory";
        self.report(&report, &wanted.which, "replayed", next)
    }

    async fn replay_one(
        &self,
        found: &Found<'_>,
        due: Timestamp,
        dry_run: bool,
    ) -> Result<Replayed, Failure> {
        retry_stale(async || {
            let before = found.letters.get(&found.id).await?;
            let mut transaction = self.begin(found, "dead-letters.replay");
            let (_, replayed) = found.letters.replay(&mut transaction, &before, Some(due))?;
            if !dry_run {
                drop(transaction.commit().await?);
            }
            Ok(replayed)
        })
        .await
    }

    async fn discard(&self, which: &Which) -> anyhow::Result<()> {
        let mut report = Report::default();
        for found in self.which(which, None).await? {
            let outcome = self.discard_one(&found, which.dry_run).await;
            report.add(found.id, outcome);
        }
        self.report(&report, which, "dropped", "they are kept for 90 days; `list --state dropped` shows them")
    }

    async fn discard_one(&self, found: &Found<'_>, dry_run: bool) -> Result<bool, Failure> {
        retry_stale(async || {
            let before = found.letters.get(&found.id).await?;
            let mut transaction = self.begin(found, "dead-letters.drop");
            found.letters.drop(&mut transaction, &before)?;
            if !dry_run {
                drop(transaction.commit().await?);
            }
            Ok(before.data.state != State::Dropped)
        })
        .await
    }

    fn begin(&self, found: &Found<'_>, action: &str) -> Transaction {
        let partition = found.letters.partition().clone();
        self.data.begin(found.group.name, action, found.letters.container(), partition)
    }

    /// The dead letter with this id, in the group that has it.
    async fn one(&self, id: &str, group: Option<&str>) -> anyhow::Result<Found<'_>> {
        let mut with = Vec::new();
        for group in self.data.groups(group)? {
            let Some(letters) = self.letters(group) else { continue };
            if letters.find(id).await.map_err(plain)?.is_some() {
                with.push(Found { group, letters, id: id.to_owned() });
            }
        }
        let names: Vec<&str> = with.iter().map(|found| found.group.name).collect();
        match names.as_slice() {
            [] => {
                bail!("there is no dead letter `{id}`; `coder dead-letters list` shows those that are kept")
            }
            [_] => with.pop().ok_or_else(|| anyhow!("there is no dead letter `{id}`")),
            _ => bail!(
                "several groups have a dead letter `{id}`: choose with `--group` from {}",
                names.join(", ")
            ),
        }
    }

    /// Those that are named, or all open ones that pass the filters: with an event, without one, or both.
    async fn which(&self, which: &Which, has_event: Option<bool>) -> anyhow::Result<Vec<Found<'_>>> {
        let mut all = Vec::new();
        for id in &which.ids {
            all.push(self.one(id, which.filter.group.as_deref()).await?);
        }
        if !which.all {
            return Ok(all);
        }
        let selection = Selection { state: Some(State::Open), has_event, ..which.filter.selection() };
        for group in self.data.groups(which.filter.group.as_deref())? {
            let Some(letters) = self.letters(group) else { continue };
            let (ids, more) = letters.ids(&selection, MOST).await.map_err(plain)?;
            if more && !self.json && has_event != Some(false) {
                let name = group.name;
                terminal::line(&format!(
                    "{name}: the newest {MOST} are taken; repeat the command for the rest"
                ));
            }
            all.extend(ids.into_iter().map(|id| Found { group, letters: letters.clone(), id }));
        }
        Ok(all)
    }

    /// Says what was done. An error if anything could not be.
    fn report(&self, report: &Report, which: &Which, verb: &str, next: &str) -> anyhow::Result<()> {
        let (done, failed) = (&report.done, &report.failed);
        if self.json {
            let failed: Vec<Value> =
                failed.iter().map(|(id, reason)| json!({"id": id, "reason": reason})).collect();
            print(&json!({
                verb: done, "unchanged": report.unchanged, "failed": failed,
                "withoutEvent": report.without_event, "dryRun": which.dry_run,
            }));
        } else {
            for (id, reason) in failed {
                terminal::line(&format!("{id}: {reason}"));
            }
            let unchanged = match report.unchanged.len() {
                0 => String::new(),
                count => format!(", {count} {verb} before"),
            };
            if report.without_event > 0 {
                let count = report.without_event;
                terminal::line(&format!("{count} without an event were passed over: `edit` or `drop` them"));
            }
            if which.dry_run {
                terminal::line(&format!("{} would be {verb}{unchanged}; nothing was changed", done.len()));
            } else {
                terminal::line(&format!("{} {verb}{unchanged}", done.len()));
            }
            if !done.is_empty() && !which.dry_run {
                terminal::line(next);
            }
        }
        match failed.len() {
            0 => Ok(()),
            count => bail!("{count} of {} could not be {verb}", count + done.len() + report.unchanged.len()),
        }
    }
}

/// What came of a command on many.
#[derive(Debug, Default)]
struct Report {
    done: Vec<String>,
    unchanged: Vec<String>,
    failed: Vec<(String, String)>,
    /// Open ones that cannot be replayed.
    without_event: usize,
}

impl Report {
    fn add(&mut self, id: String, outcome: Result<bool, Failure>) {
        match outcome {
            Ok(true) => self.done.push(id),
            Ok(false) => self.unchanged.push(id),
            Err(failure) => self.failed.push((id, plain(failure).to_string())),
        }
    }
}

/// For lists: without what is inside.
fn brief(mut record: Record<DeadLetter>) -> Record<DeadLetter> {
    (record.data.event, record.data.original_event, record.data.raw) = (None, None, None);
    record.data = masked(record.data);
    record
}

/// A failure as a person at the keyboard wants it.
fn plain(failure: Failure) -> anyhow::Error {
    match failure {
        Failure::Problem(problem) if problem.errors.len() > 1 => {
            let faults = problem.errors.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message));
            anyhow!("{}", faults.collect::<Vec<_>>().join("; "))
        }
        Failure::Problem(problem) => anyhow!("{}", problem.detail),
        Failure::Stale => anyhow!("the dead letter changed in this very moment; look again"),
        other => anyhow!("{other}"),
    }
}

fn print(value: &Value) {
    terminal::line(&serde_json::to_string_pretty(value).unwrap_or_default());
}
