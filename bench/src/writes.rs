//! What the audit entry and the event cost: a transaction without them beside one with them, in the store alone and
//! as a request over HTTP.

use std::sync::Arc;
use std::time::Duration;

use coder_core::{Actor, ActorKind, Ambient};
use coder_database::transaction::Act;
use coder_database::{Container, DocumentStore, Entity, Partition, Transaction};
use coder_embedded::{Options, SqliteStore};
use coder_handler::{Group, RouteGroup, Routes};
use coder_middleware::{Access as _, NoContent, SignedIn, State};
use coder_platform::route_groups;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::Client;
use crate::clock::{percentile, timed};
use crate::scratch::Scratch;
use crate::table::Table;

/// One of the names that the route table has; nothing of the real group is used.
const CONTAINER: &str = "calendar";
const ROUNDS: usize = 40;
const WRITES: u32 = 100;
/// What the two may cost, as a multiple of a write without them.
const MOST: f64 = 1.5;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    title: String,
    text: String,
}

impl Entity for Note {
    const TYPE: &'static str = "note";
}

#[derive(Clone)]
struct Subject {
    store: Arc<dyn DocumentStore>,
    ambient: Ambient,
}

impl Subject {
    async fn write(&self, whole: bool) -> anyhow::Result<()> {
        let act = Act {
            actor: Actor::new(ActorKind::User, "bench"),
            action: "create_note".into(),
            request_id: "bench".into(),
            group: CONTAINER,
            traceparent: None,
        };
        let partition = Partition::keyed("bench", "1");
        let mut unit = Transaction::new(self.store.clone(), self.ambient.clone(), CONTAINER, partition, act);
        note(&mut unit, whole).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        if !whole {
            unit = unit.without_audit();
        }
        let committed = unit.commit().await.map_err(|fault| anyhow::anyhow!("{fault}"))?;
        drop(committed);
        Ok(())
    }

    /// One after the other, or so many at once; the time of all.
    async fn round(&self, whole: bool, at_once: u32) -> anyhow::Result<Duration> {
        let (outcome, took) = timed(async {
            for _ in 0..WRITES / at_once {
                try_join_all((0..at_once).map(|_| self.write(whole))).await?;
            }
            anyhow::Ok(())
        })
        .await;
        outcome.map(|()| took)
    }
}

fn note(unit: &mut Transaction, whole: bool) -> coder_core::Result<()> {
    let id = unit.new_id();
    let text = "what a person writes in a minute ".repeat(20);
    unit.create(&id, Note { title: "A note".into(), text })?;
    if whole {
        unit.emit("note.created", &id, json!({"title": "A note"}));
    }
    Ok(())
}

#[derive(Debug, Clone)]
struct Notes;

async fn create_bare(State(_): State<Notes>, who: SignedIn) -> coder_core::Result<NoContent> {
    let mut unit = who.begin(CONTAINER, Partition::keyed("bench", "1")).await?.without_audit();
    note(&mut unit, false)?;
    unit.commit(NoContent).await
}

async fn create_whole(State(_): State<Notes>, who: SignedIn) -> coder_core::Result<NoContent> {
    let mut unit = who.begin(CONTAINER, Partition::keyed("bench", "1")).await?;
    note(&mut unit, true)?;
    unit.commit(NoContent).await
}

fn group() -> Group {
    let routes = Routes::new("/api/calendar")
        .post("/bare", "create_bare_note", "Make a note and nothing else", create_bare)
        .post("/whole", "create_whole_note", "Make a note, its audit entry and its event", create_whole);
    RouteGroup::new(CONTAINER, "Measures writes")
        .container(Container::new(CONTAINER))
        .routes(routes)
        .service(|_, _| Notes)
}

/// Both ways of writing, each measured in the store alone and as a request.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let ambient = Ambient::system();
    let store = SqliteStore::open(directory.path(), &Options::default(), ambient.clone())?;
    store.prepare(&[Container::new(CONTAINER)]).await?;
    let subject = Subject { store: Arc::new(store), ambient };
    for at_once in [1, 50] {
        let what = format!("a transaction with audit entry and event, {at_once} at once");
        compare(table, what, async |whole| subject.round(whole, at_once).await).await?;
    }
    // Without the groups that take every event, whose work is not the writer's.
    let mut groups = route_groups();
    groups.retain(|group| ["auth", "users"].contains(&group.name));
    groups.push(group());
    let scratch = Scratch::start(groups).await?;
    let client = Client::register(scratch.platform.url()).await?;
    for at_once in [1, 8] {
        let what = format!("a POST with audit entry and event, {at_once} at once");
        let nothing = json!({});
        let round = async |whole| {
            let path = if whole { "/api/calendar/whole" } else { "/api/calendar/bare" };
            let (outcome, took) = timed(async {
                for _ in 0..WRITES / at_once {
                    try_join_all((0..at_once).map(|_| client.send(path, &nothing))).await?;
                }
                anyhow::Ok(())
            })
            .await;
            outcome.map(|()| took)
        };
        compare(table, what, round).await?;
    }
    scratch.platform.stop().await;
    Ok(())
}

/// Alternates rounds of both kinds, so that both see the same machine.
async fn compare(
    table: &mut Table,
    what: String,
    round: impl AsyncFn(bool) -> anyhow::Result<Duration>,
) -> anyhow::Result<()> {
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(round(false).await?);
        whole.push(round(true).await?);
    }
    let (bare, whole) = (percentile(&mut bare, 50), percentile(&mut whole, 50));
    let ratio = whole.as_secs_f64() / bare.as_secs_f64();
    let one = |round: Duration| round.as_secs_f64() * 1e6 / f64::from(WRITES);
    let each = |round| format!("{:.0} µs each", one(round));
    table
        .row(what, each(whole))
        .beside(format!("{} without them", each(bare)))
        .figure(ratio, " ×")
        .at_most(MOST);
    Ok(())
}
