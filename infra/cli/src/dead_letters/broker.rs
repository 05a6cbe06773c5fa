//! The same commands on what the broker of the cloud still holds itself.

use std::path::Path;

use anyhow::bail;
use coder_cli::broker_letters::{BrokerLetters, HeldLetter, Outcomes, Wanted};
use coder_config::{Provider, Settings};
use coder_core::Ambient;
use coder_queue::dead_letter::masked;
use serde_json::json;

use super::arguments::{Command, DeadLetters, Filter, Which};
use super::shown::{self, Report, brief, print};
use crate::data;

/// Runs the command.
pub(super) async fn run(options: DeadLetters) -> anyhow::Result<()> {
    let settings = Settings::load(Path::new("."))?;
    let Provider::Azure(azure) = &settings.provider else {
        bail!(
            "only Service Bus holds dead letters of its own, and the settings name no Azure services; \
             leave out `--broker`"
        );
    };
    let groups = coder_platform::route_groups();
    let open =
        |name: Option<&str>| BrokerLetters::open(azure, &data::chosen(&groups, name)?, Ambient::system());
    let json = options.json;
    match options.command {
        Command::List { state: Some(_), .. } => bail!("the broker knows no states; leave out `--state`"),
        Command::List { filter, state: None, limit } => {
            let mut found = open(filter.group.as_deref())?.list(&of(&[], &filter)).await?;
            found.truncate(limit as usize);
            list(found, json);
        }
        Command::Show { id, group } => {
            let wanted = Wanted { ids: vec![id.clone()], ..Wanted::default() };
            let found = open(group.as_deref())?.list(&wanted).await?;
            if found.is_empty() {
                bail!(
                    "the broker holds no message `{id}`; `coder dead-letters list --broker` shows what it holds"
                );
            }
            for held in found {
                show(held, json);
            }
        }
        Command::Edit(_) => bail!("what the broker holds cannot be edited; replay or drop it"),
        Command::Replay(wanted) => {
            let Which { ids, filter, dry_run, .. } = wanted.which;
            let letters = open(filter.group.as_deref())?;
            let outcomes = letters.replay(&of(&ids, &filter), wanted.rate, dry_run).await;
            report(outcomes, json, dry_run, "replayed", "the broker delivers them when the group runs")?;
        }
        Command::Drop(Which { ids, filter, dry_run, .. }) => {
            let outcomes = open(filter.group.as_deref())?.discard(&of(&ids, &filter), dry_run).await;
            report(outcomes, json, dry_run, "dropped", "nothing is left of them")?;
        }
    }
    Ok(())
}

fn of(ids: &[String], filter: &Filter) -> Wanted {
    Wanted { ids: ids.to_vec(), selection: filter.selection() }
}

fn list(found: Vec<HeldLetter>, json: bool) {
    let short = |held: HeldLetter| HeldLetter { letter: brief(held.letter), ..held };
    let found: Vec<_> = found.into_iter().map(short).collect();
    if json {
        print(&json!(found));
    } else {
        let found = found.iter().map(|held| (held.id.as_str(), &held.letter));
        shown::table(found, "`coder dead-letters show --broker <id>` says more; then `replay` or `drop`");
    }
}

fn show(held: HeldLetter, json: bool) {
    let held = HeldLetter { letter: masked(held.letter), ..held };
    if json {
        print(&json!(held));
    } else {
        shown::whole(&held.id, &held.letter);
    }
}

fn report(outcomes: Outcomes, json: bool, dry_run: bool, verb: &str, next: &str) -> anyhow::Result<()> {
    let mut report = Report::default();
    for (id, outcome) in outcomes {
        report.add(id, outcome.map(|()| true));
    }
    report.say(json, dry_run, verb, next)
}
