//! `coder dead-letters`: what could not be delivered, directly on the store that the settings name, whether the
//! platform runs or not.

mod arguments;
#[cfg(feature = "azure")]
mod broker;
mod edit;
mod shown;

use anyhow::{Context as _, anyhow, bail};
use coder_core::{Failure, Timestamp};
use coder_database::{Record, Transaction};
use coder_handler::Group;
use coder_handler::retry_stale;
use coder_queue::dead_letter::{DeadLetter, DeadLetters as Letters, Replayed, Selection, State, masked};
use serde_json::json;

pub(crate) use arguments::DeadLetters;
use arguments::{Command, Filter, Replay, Which};
use shown::{Report, brief, print};

use crate::data::Data;
use crate::terminal;

/// The most dead letters of one group that one command changes.
const MOST: usize = 10_000;

/// Runs the command.
pub(crate) fn run(options: DeadLetters) -> anyhow::Result<()> {
    if options.broker {
        return of_broker(options);
    }
    wait_for(async {
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

fn wait_for(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(work)
}

#[cfg(feature = "azure")]
fn of_broker(options: DeadLetters) -> anyhow::Result<()> {
    wait_for(broker::run(options))
}

#[cfg(not(feature = "azure"))]
fn of_broker(_: DeadLetters) -> anyhow::Result<()> {
    bail!(
        "only Service Bus holds dead letters of its own, and this program was built without it; \
         `cargo run --features azure -- dead-letters` has it"
    )
}

/// The store, and how to answer.
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
        for record in &mut found {
            record.data = brief(record.data.clone());
        }
        if self.json {
            print(&json!(found));
        } else {
            let found = found.iter().map(|record| (record.meta.id.as_str(), &record.data));
            shown::table(found, "`coder dead-letters show <id>` says why; then `edit`, `replay` or `drop`");
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
        shown::whole(&record.meta.id, &record.data);
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
            report.add(found.id, outcome.map(|replayed| replayed == Replayed::Now).map_err(plain));
        }
        if wanted.which.all {
            report.without_event = self.which(&wanted.which, Some(false)).await?.len();
        }
        let next = "they go out when a process of their group sweeps its outbox: at once, if one runs";
        report.say(self.json, wanted.which.dry_run, "replayed", next)
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
            report.add(found.id, outcome.map_err(plain));
        }
        let next = "they are kept for 90 days; `list --state dropped` shows them";
        report.say(self.json, which.dry_run, "dropped", next)
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
