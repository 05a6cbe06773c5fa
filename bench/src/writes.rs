//! What the audit entry and the event cost: one write without them beside one with them.

use std::sync::Arc;
use std::time::Duration;

use coder_core::{Actor, ActorKind, Ambient};
use coder_database::transaction::Act;
use coder_database::{Container, DocumentStore, Entity, Partition, Transaction};
use coder_embedded::{Options, SqliteStore};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::{percentile, timed};
use crate::table::Table;

const CONTAINER: &str = "bench";
const ROUNDS: usize = 40;
const WRITES: usize = 50;

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
            group: "bench",
            traceparent: None,
        };
        let partition = Partition::keyed("bench", "1");
        let mut unit = Transaction::new(self.store.clone(), self.ambient.clone(), CONTAINER, partition, act);
        let id = unit.new_id();
        let text = "what a person writes in a minute ".repeat(20);
        unit.create(&id, Note { title: "A note".into(), text })
            .map_err(|fault| anyhow::anyhow!("{fault}"))?;
        if whole {
            unit.emit("note.created", &id, json!({"title": "A note"}));
        } else {
            unit = unit.without_audit();
        }
        let committed = unit.commit().await.map_err(|fault| anyhow::anyhow!("{fault}"))?;
        drop(committed);
        Ok(())
    }

    /// One after the other, or so many at once; the time of all.
    async fn round(&self, whole: bool, at_once: usize) -> anyhow::Result<Duration> {
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

/// Alternates rounds of both kinds, so that both see the same machine.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let ambient = Ambient::system();
    let store = SqliteStore::open(directory.path(), &Options::default(), ambient.clone())?;
    store.prepare(&[Container::new(CONTAINER)]).await?;
    let subject = Subject { store: Arc::new(store), ambient };
    for at_once in [1, 50] {
        let (mut bare, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            bare.push(subject.round(false, at_once).await?);
            whole.push(subject.round(true, at_once).await?);
        }
        let (bare, whole) = (percentile(&mut bare, 50), percentile(&mut whole, 50));
        let ratio = whole.as_secs_f64() / bare.as_secs_f64();
        table.row(
            format!("a write with audit entry and event, {at_once} at once"),
            format!("{ratio:.2} × a bare write"),
        );
    }
    Ok(())
}
