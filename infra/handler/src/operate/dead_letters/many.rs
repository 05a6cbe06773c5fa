//! Many dead letters at once: which are meant, and what came of each.

use coder_core::{Failure, Problem, Result, Timestamp};
use coder_middleware::access::{Access as _, Operator};
use coder_middleware::{Body, Example, Json, NoContent, State, Unit};
use coder_queue::dead_letter::{self, DeadLetters, Reason, Replayed, Selection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operate::Operate;

/// The most dead letters that one request changes.
const MOST: usize = 500;

/// Which open dead letters are meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Meant {
    /// These; without ids all that pass the filters.
    #[schemars(length(max = 500))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
    /// What the event type begins with.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// Why they are dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// The consumer that failed.
    #[schemars(length(max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<String>,
}

impl Meant {
    fn of_reason(reason: Reason) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }

    fn filters(&self) -> Selection {
        let Self { r#type: type_prefix, reason, consumer, .. } = self.clone();
        Selection { type_prefix, reason, consumer, state: Some(dead_letter::State::Open), has_event: None }
    }
}

/// Which open dead letters to replay, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ReplayDeadLetters {
    #[serde(flatten)]
    meant: Meant,
    /// The most deliveries a second; all at once without it.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_second: Option<u32>,
    /// When the first is delivered: `nextDue` of the request before, so that the rate holds over several.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    /// Say what would be replayed, and change nothing.
    dry_run: bool,
}

impl Example for ReplayDeadLetters {
    fn example() -> Self {
        let meant = Meant::of_reason(Reason::AttemptsExhausted);
        Self { meant, rate_per_second: Some(10), ..Self::default() }
    }
}

/// Which open dead letters to drop.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct DropDeadLetters {
    #[serde(flatten)]
    meant: Meant,
    /// Say what would be dropped, and change nothing.
    dry_run: bool,
}

impl Example for DropDeadLetters {
    fn example() -> Self {
        Self { meant: Meant::of_reason(Reason::Malformed), dry_run: false }
    }
}

/// What was replayed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayReport {
    /// The dead letters that are delivered again, or would be.
    replayed: Vec<String>,
    /// Those with which that was done before.
    unchanged: Vec<String>,
    /// Those that could not be replayed, and why.
    failed: Vec<LetterFault>,
    /// How many were passed over, 500 at most, since they have no event: edit or drop them.
    without_event: usize,
    /// Whether there are more than one request replays; repeat it for the next ones.
    more: bool,
    /// The `start` of the next request at this rate; null without a rate.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    next_due: Option<Timestamp>,
    /// Whether nothing was changed.
    dry_run: bool,
}

/// What was dropped.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DropReport {
    /// The dead letters that are not delivered any more, or would not be.
    dropped: Vec<String>,
    /// Those with which that was done before.
    unchanged: Vec<String>,
    /// Those that could not be dropped, and why.
    failed: Vec<LetterFault>,
    /// Whether there are more than one request drops; repeat it for the next ones.
    more: bool,
    /// Whether nothing was changed.
    dry_run: bool,
}

/// A dead letter with which something could not be done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LetterFault {
    /// The dead letter.
    id: String,
    /// Why not.
    reason: String,
}

fn example_ids() -> Vec<String> {
    vec![format!("{}.index", coder_core::id::EXAMPLE)]
}

impl Example for ReplayReport {
    fn example() -> Self {
        let (unchanged, failed) = (Vec::new(), Vec::new());
        let (without_event, more, next_due, dry_run) = (0, false, None, false);
        Self { replayed: example_ids(), unchanged, failed, without_event, more, next_due, dry_run }
    }
}

impl Example for DropReport {
    fn example() -> Self {
        let (unchanged, failed) = (Vec::new(), Vec::new());
        Self { dropped: example_ids(), unchanged, failed, more: false, dry_run: false }
    }
}

/// What came of each of many.
#[derive(Debug, Default)]
struct Outcomes {
    changed: Vec<String>,
    unchanged: Vec<String>,
    failed: Vec<LetterFault>,
}

impl Outcomes {
    /// Notes whether a dead letter was changed. A fault of ours ends the request.
    fn add(&mut self, id: String, changed: Result<bool>) -> Result<()> {
        match changed {
            Ok(true) => self.changed.push(id),
            Ok(false) => self.unchanged.push(id),
            Err(Failure::Problem(problem)) if problem.code.status() < 500 => {
                self.failed.push(LetterFault { id, reason: problem.detail });
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}

pub(super) async fn replay(
    State(operate): State<Operate>,
    who: Operator,
    Body(wanted): Body<ReplayDeadLetters>,
) -> Result<Json<ReplayReport>> {
    // Opened first, so that a repeated request ends here; the dead letters have transactions of their own, since
    // one has no room for many events.
    let unit = operate.begin(&who).await?;
    let (rate, dry_run) = (wanted.rate_per_second, wanted.dry_run);
    let filters = Selection { has_event: Some(true), ..wanted.meant.filters() };
    let (ids, more) = operate.meant(wanted.meant.ids, &filters).await?;
    let without_event = match &ids {
        Named::Some(_) => 0,
        Named::All(_) => {
            operate.dead_letters.ids(&Selection { has_event: Some(false), ..filters }, MOST).await?.0.len()
        }
    };
    let now = who.context().runtime().ambient.now();
    let start = wanted.start.map_or(now, |start| start.max(now));
    let mut outcomes = Outcomes::default();
    for id in ids.into_inner() {
        let due = DeadLetters::due(start, outcomes.changed.len(), rate);
        let replayed = operate.replay_one(&who, &id, due, dry_run).await;
        outcomes.add(id, replayed)?;
    }
    let Outcomes { changed: replayed, unchanged, failed } = outcomes;
    let next_due = rate.map(|_| DeadLetters::due(start, replayed.len(), rate));
    unit.commit(Json(ReplayReport { replayed, unchanged, failed, without_event, more, next_due, dry_run }))
        .await
}

pub(super) async fn drop(
    State(operate): State<Operate>,
    who: Operator,
    Body(wanted): Body<DropDeadLetters>,
) -> Result<Json<DropReport>> {
    // As above.
    let unit = operate.begin(&who).await?;
    let dry_run = wanted.dry_run;
    let filters = wanted.meant.filters();
    let (ids, more) = operate.meant(wanted.meant.ids, &filters).await?;
    let mut outcomes = Outcomes::default();
    for id in ids.into_inner() {
        let dropped = operate.drop_one(&who, &id, dry_run).await;
        outcomes.add(id, dropped)?;
    }
    let Outcomes { changed: dropped, unchanged, failed } = outcomes;
    unit.commit(Json(DropReport { dropped, unchanged, failed, more, dry_run })).await
}

/// Ids as an operator named them, or those of all that pass the filters.
enum Named {
    Some(Vec<String>),
    All(Vec<String>),
}

impl Named {
    fn into_inner(self) -> Vec<String> {
        match self {
            Self::Some(ids) | Self::All(ids) => ids,
        }
    }
}

impl Operate {
    /// The dead letters that are meant, and whether there are more.
    async fn meant(&self, ids: Vec<String>, filters: &Selection) -> Result<(Named, bool)> {
        if ids.is_empty() {
            let (all, more) = self.dead_letters.ids(filters, MOST).await?;
            return Ok((Named::All(all), more));
        }
        if filters.type_prefix.is_some() || filters.reason.is_some() || filters.consumer.is_some() {
            return Err(Problem::fault("/ids", "conflict", "Give ids or filters, not both.").into());
        }
        Ok((Named::Some(ids), false))
    }

    /// Replays one of many; false if it was replayed before.
    async fn replay_one(&self, who: &Operator, id: &str, due: Timestamp, dry_run: bool) -> Result<bool> {
        crate::events::retry_stale(async || {
            let before = self.dead_letters.get(id).await?;
            let mut unit = Unit::aside(who.context(), self.dead_letters.container(), self.place());
            let (_, replayed) = self.dead_letters.replay(&mut unit, &before, Some(due))?;
            if !dry_run {
                unit.commit(NoContent).await?;
            }
            Ok(replayed == Replayed::Now)
        })
        .await
    }

    /// Drops one of many; false if it was dropped before.
    async fn drop_one(&self, who: &Operator, id: &str, dry_run: bool) -> Result<bool> {
        crate::events::retry_stale(async || {
            let before = self.dead_letters.get(id).await?;
            let mut unit = Unit::aside(who.context(), self.dead_letters.container(), self.place());
            self.dead_letters.drop(&mut unit, &before)?;
            if !dry_run {
                unit.commit(NoContent).await?;
            }
            Ok(before.data.state != dead_letter::State::Dropped)
        })
        .await
    }
}
