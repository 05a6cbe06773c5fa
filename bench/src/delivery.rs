//! From the commit of a change to the consumer of its event, in one platform process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coder_core::{Actor, ActorKind};
use coder_database::transaction::Act;
use coder_database::{Container, Partition, Transaction};
use coder_handler::{ConsumerFault, Event, Group, Invocation, RouteGroup};
use coder_middleware::Runtime;
use serde_json::json;
use tokio::sync::mpsc;

use crate::clock::{now, percentile, rate};
use crate::scratch::Scratch;
use crate::table::Table;

/// One of the names that the route table has; nothing of the real group is used.
const GROUP: &str = "calendar";

#[derive(Clone)]
struct Pings {
    runtime: Arc<Runtime>,
    arrived: mpsc::Sender<Instant>,
}

async fn arrive(pings: Pings, _: Invocation, _: Event) -> Result<(), ConsumerFault> {
    pings.arrived.send(now()).await.map_err(|_| ConsumerFault::Reject("nobody waits".into()))
}

fn group(arrived: mpsc::Sender<Instant>) -> Group {
    RouteGroup::new(GROUP, "Measures deliveries")
        .container(Container::new(GROUP))
        .on_event("ping", "coder.calendar.ping.sent", arrive)
        .service(move |runtime, _| Pings { runtime, arrived })
}

impl Pings {
    async fn send(&self) -> anyhow::Result<()> {
        let act = Act {
            actor: Actor::new(ActorKind::Job, "bench"),
            action: "send_ping".into(),
            request_id: "bench".into(),
            group: GROUP,
            traceparent: None,
        };
        let runtime = &self.runtime;
        let partition = Partition::keyed("ping", runtime.ambient.new_uuid());
        let mut unit =
            Transaction::new(runtime.store.clone(), runtime.ambient.clone(), GROUP, partition, act);
        let subject = unit.new_id();
        unit.emit("ping.sent", &subject, json!({}));
        let committed = unit.commit().await.map_err(|fault| anyhow::anyhow!("{fault}"))?;
        runtime.outbox.committed(committed.outbox);
        Ok(())
    }
}

/// The longest that half of the events may take.
const MEDIAN_MS: f64 = 5.0;
const ALONE: usize = 1_000;
const TOGETHER: usize = 5_000;

/// One event at a time for the latency, then many for the rate.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let (arrived, mut arrivals) = mpsc::channel(TOGETHER);
    let scratch = Scratch::start(vec![group(arrived)]).await?;
    let pings: Pings = scratch.platform.service(GROUP).ok_or(anyhow::anyhow!("the group does not run"))?;
    let mut waits: Vec<Duration> = Vec::with_capacity(ALONE);
    for _ in 0..ALONE {
        pings.send().await?;
        let committed = now();
        let arrival = arrivals.recv().await.ok_or(anyhow::anyhow!("the platform ended"))?;
        waits.push(arrival.saturating_duration_since(committed));
    }
    let (median, slowest) = (percentile(&mut waits, 50), percentile(&mut waits, 99));
    table.latency("published to consumed, one at a time", median, slowest).at_most(MEDIAN_MS);

    let start = now();
    let sender = tokio::spawn(async move {
        for _ in 0..TOGETHER / 50 {
            futures_util::future::try_join_all((0..50).map(|_| pings.send())).await?;
        }
        anyhow::Ok(())
    });
    for _ in 0..TOGETHER {
        arrivals.recv().await.ok_or(anyhow::anyhow!("the platform ended"))?;
    }
    let took = start.elapsed();
    sender.await??;
    table.row("events committed, published and consumed", format!("{:.0} a second", rate(TOGETHER, took)));
    scratch.platform.stop().await;
    Ok(())
}
