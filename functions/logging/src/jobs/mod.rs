//! What runs by the clock, and the one-time jobs. Each takes one chain at a time; what fails in one is left to the
//! next run and does not keep the others waiting.

mod once;

use coder_core::{Failure, Result};
use coder_database::{Filter, Query};
use coder_handler::{Invocation, retry_stale};
use jiff::SignedDuration;

pub(crate) use once::{erase, export, ingest_replay, purge, verify};

use crate::model::{CONTAINER, Head, Trail};
use crate::service::Logging;
use crate::service::checkpoints::add_checkpoint;
use crate::service::evidence::verified;
use coder_database::Record;

/// Hours within which a chain that got an entry is looked at by the minute.
const LIVELY_HOURS: i64 = 24;

/// Runs the work for each chain; the first failure is reported once all had their turn.
async fn each<R: Future<Output = Result<()>>>(trails: Vec<Trail>, work: impl Fn(Trail) -> R) -> Result<()> {
    let mut first = None;
    for trail in trails {
        if let Err(failure) = work(trail).await {
            tracing::warn!(chain = trail.name(), cause = %failure, "a chain is left to the next run");
            first.get_or_insert(failure);
        }
    }
    first.map_or(Ok(()), Err)
}

/// Chains whose head changed lately.
async fn lively(logging: &Logging, run: &Invocation) -> Result<Vec<Trail>> {
    let since = logging.now().saturating_sub(SignedDuration::from_hours(LIVELY_HOURS)).unwrap_or_default();
    let filter = Filter::Ge("updatedAt".into(), since.to_string().into());
    logging.trails(&run.job, Some(filter)).await
}

/// Evaluates the alert rules over the entries since the last run.
pub(crate) async fn evaluate_alerts(logging: Logging, run: Invocation) -> Result<()> {
    let trails = lively(&logging, &run).await?;
    each(trails, |trail| {
        let logging = logging.clone();
        async move { logging.evaluate(trail).await.map(|_| ()) }
    })
    .await
}

/// Makes a checkpoint of every chain with entries that none covers.
pub(crate) async fn checkpoint(logging: Logging, run: Invocation) -> Result<()> {
    let trails = logging.trails(&run.job, None).await?;
    let (logging, run) = (&logging, &run);
    each(trails, |trail| async move {
        while let Some((id, checkpoint)) = logging.next_checkpoint(trail).await? {
            let mut transaction = run.begin(CONTAINER, trail.config()).without_audit();
            add_checkpoint(&mut transaction, id, checkpoint)?;
            run.commit(transaction).await?;
        }
        Ok(())
    })
    .await
}

/// Applies retention.
pub(crate) async fn retain(logging: Logging, run: Invocation) -> Result<()> {
    let trails = logging.trails(&run.job, None).await?;
    let (logging, run) = (&logging, &run);
    each(trails, |trail| logging.retain(run, trail)).await
}

/// Verifies what the last day brought, and one older month, of every chain.
pub(crate) async fn verify_daily(logging: Logging, run: Invocation) -> Result<()> {
    let trails = logging.begun(&run.job).await?;
    let (logging, run) = (&logging, &run);
    each(trails, |trail| async move {
        let heads = logging.heads_of(trail).await?;
        let last = logging.last_due(trail).await?;
        if last == 0 {
            return Ok(());
        }
        let day = first_of_last_day(logging, trail, &heads).await?;
        verify_and_tell(logging, run, trail, day, last).await?;
        let older: Vec<_> =
            heads.iter().filter(|head| head.data.count > 0 && head.data.last_seq < day).collect();
        if !older.is_empty() {
            let dice = u64::from_be_bytes(logging.runtime.ambient.random::<8>());
            let at = usize::try_from(dice % older.len() as u64).unwrap_or(0);
            let Head { first_seq, last_seq, .. } = older[at].data;
            verify_and_tell(logging, run, trail, first_seq, last_seq).await?;
        }
        Ok(())
    })
    .await
}

/// The number of the first entry of the last day; that of the last entry if there was none.
async fn first_of_last_day(logging: &Logging, trail: Trail, heads: &[Record<Head>]) -> Result<u64> {
    let since = logging.now().saturating_sub(SignedDuration::from_hours(24)).unwrap_or_default();
    let recent = Filter::Ge("createdAt".into(), since.to_string().into());
    for head in heads {
        let query = Query::new(recent.clone()).order_by("seq", coder_database::Direction::Ascending).limit(1);
        let (page, _) = logging.entries.page(&trail.month(head.data.month), &query).await?;
        if let Some(first) = page.first() {
            return Ok(first.data.seq);
        }
    }
    Ok(heads.last().map_or(1, |head| head.data.last_seq))
}

async fn verify_and_tell(
    logging: &Logging,
    run: &Invocation,
    trail: Trail,
    from: u64,
    to: u64,
) -> Result<()> {
    let verdict = logging.verify(trail, from, to).await?;
    let (_, name, data) = verified(from, to, verdict);
    let mut transaction = run.begin(CONTAINER, trail.config()).without_audit();
    transaction.emit(name, &trail.name(), data);
    run.commit(transaction).await
}

/// How long an export that is over is still named, so that whoever comes late is told that it is gone. The file itself
/// ends on time.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// Drops exports that have been over for a day.
pub(crate) async fn drop_exports(logging: Logging, run: Invocation) -> Result<()> {
    let now = logging.now();
    let over_since = now.saturating_sub(REMEMBERED).unwrap_or(now);
    let mut query = Query::new(None).limit(200);
    let mut over = Vec::new();
    loop {
        let (page, next) = logging.exports.page_across(&run.job, &query).await?;
        let ended = page.into_iter().filter(|(_, export)| export.data.expires_at <= over_since);
        over.extend(ended.map(|(partition, export)| (Trail::of_partition(&partition), export.meta.id)));
        match next {
            Some(next) => query.continuation = Some(next),
            None => break,
        }
    }
    for (trail, id) in over {
        match retry_stale(|| logging.remove_export(&run, trail, &id)).await {
            Ok(()) | Err(Failure::Stale) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}
