//! The timers that every group with a container has, whatever it declares: they finish what a process that died, or
//! slept between two calls, has left undone.

use std::sync::Arc;

use coder_core::{Actor, ActorKind, Failure};
use coder_database::transaction::Act;
use coder_queue::{DeadLetters, Outboxes};

use crate::events::{Invocation, Timer};
use crate::operate::desk::{Declared, JobDesk};

/// Publishes what waits in the outboxes, and makes dead letters of what no broker takes.
const SWEEP_OUTBOX: (&str, &str) = ("sweep-outbox", "0 * * * * *");

/// Sends the messages of forgotten jobs again. A message can be lost with the broker's data, or given up by it.
const REPAIR_JOBS: (&str, &str) = ("repair-jobs", "0 */10 * * * *");

/// Their names and schedules.
pub(crate) const TIMERS: [(&str, &str); 2] = [SWEEP_OUTBOX, REPAIR_JOBS];

/// The timers of a group that declares this, [`TIMERS`] included.
pub(crate) fn timers<S: Send + 'static>(declared: &Declared) -> Vec<Timer<S>> {
    let declared = declared.clone();
    let (sweep, repair) = (SWEEP_OUTBOX, REPAIR_JOBS);
    vec![
        Timer {
            name: sweep.0,
            schedule: sweep.1,
            run: Arc::new(|_, invocation| Box::pin(async move { sweep_outbox(&invocation).await })),
        },
        Timer {
            name: repair.0,
            schedule: repair.1,
            run: Arc::new(move |_, invocation| {
                let declared = declared.clone();
                Box::pin(async move { repair_jobs(&invocation, declared).await })
            }),
        },
    ]
}

async fn sweep_outbox(invocation: &Invocation) -> Result<(), Failure> {
    let runtime = &invocation.runtime;
    let outboxes = Outboxes::new(runtime.ambient.clone(), runtime.store.clone(), runtime.publisher.clone());
    let Some(first) = runtime.containers.first() else { return Ok(()) };
    let letters = DeadLetters::new(runtime.store.clone(), first, runtime.group);
    let act = Act {
        actor: Actor::new(ActorKind::Job, format!("{}.{}", runtime.group, invocation.name)),
        action: invocation.name.to_owned(),
        request_id: invocation.id.clone(),
        group: runtime.group,
        traceparent: None,
    };
    let mut outcome = Ok(());
    for container in runtime.containers.iter() {
        match outboxes.sweep(&invocation.job, container.name).await {
            Ok(found) => runtime.metrics.outbox_pending(container.name, found),
            // The others are swept all the same.
            Err(failure) => outcome = Err(failure),
        }
        if let Err(failure) = outboxes.bury(&invocation.job, container.name, &letters, &act).await {
            outcome = Err(failure);
        }
    }
    outcome
}

async fn repair_jobs(invocation: &Invocation, declared: Declared) -> Result<(), Failure> {
    let runtime = &invocation.runtime;
    let desk = JobDesk::new(runtime.store.clone(), runtime.ambient.clone(), declared);
    let mut outcome = Ok(());
    for job in desk.forgotten().await? {
        let (name, id) = (&job.record.data.job, &job.record.meta.id);
        let mut transaction = invocation.begin(job.container, job.partition).without_audit();
        desk.resend(&mut transaction, &job.record)?;
        match invocation.commit(transaction).await {
            Ok(()) => tracing::warn!(job = name, job.id = id, "a job was forgotten and is called again"),
            // It has begun in this very moment.
            Err(Failure::Stale) => {}
            Err(failure) => {
                tracing::error!(job = name, job.id = id, cause = %failure, "a forgotten job is not called");
                // The others are called all the same.
                outcome = Err(failure);
            }
        }
    }
    outcome
}
