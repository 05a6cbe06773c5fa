//! Dead letters over HTTP: list, look, edit, replay and drop.

use coder_core::{Failure, Result};
use coder_database::{Filter, Partition, Record};
use coder_middleware::access::{Access as _, Operator};
use coder_middleware::{
    Body, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch, Path, State, Unit,
};
use coder_queue::dead_letter::{self, DeadLetter, DeadLetters, Reason, Replayed, Selection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Operate;
use crate::routes::Routes;

/// The most dead letters that one request replays.
const MOST: usize = 500;

pub(super) fn routes(base: &str) -> Routes<Operate> {
    let all = format!("{base}/dead-letters");
    let one = format!("{all}/{{deadLetterId}}");
    Routes::new("")
        .get(&all, "list_dead_letters", "List dead letters, without their events", list)
        .get(&one, "get_dead_letter", "Get a dead letter, secrets masked", get)
        .patch(&one, "edit_dead_letter", "Change the event of an open dead letter", edit)
        .problems([coder_core::Code::InvalidState])
        .delete(&one, "drop_dead_letter", "Decide that a dead letter is not delivered", discard)
        .post(&format!("{one}/replay"), "replay_dead_letter", "Deliver a dead letter again", replay)
        .problems([coder_core::Code::InvalidState])
        .post(&format!("{all}/replay"), "replay_dead_letters", "Deliver many dead letters again", replay_many)
}

/// A dead letter as operators see it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct DeadLetterView(Record<DeadLetter>);

impl Example for DeadLetterView {
    fn example() -> Self {
        let event = json!({
            "specversion": "1.0", "id": coder_core::id::EXAMPLE.to_string(), "source": "/functions/users",
            "type": "coder.users.team.created", "subject": "t-1", "time": "2026-01-05T12:00:00Z",
            "organizationid": "platform", "data": {"teamId": "t-1"},
        });
        let words = "The consumer `index` refused the event: the team has no name";
        let letter = DeadLetter::new("dashboard", Reason::Rejected, words, coder_core::Timestamp::UNIX_EPOCH);
        let mut letter = letter.with_event(event);
        letter.consumer = Some("index".into());
        Self(Record::example(letter))
    }
}

fn shown(mut record: Record<DeadLetter>) -> DeadLetterView {
    record.data = dead_letter::masked(record.data);
    DeadLetterView(record)
}

/// Which dead letters are listed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    /// What the event type begins with.
    #[schemars(length(max = 256))]
    r#type: Option<String>,
    /// Why they are dead.
    reason: Option<Reason>,
    /// The consumer that failed.
    #[schemars(length(max = 100))]
    consumer: Option<String>,
    /// What was decided.
    state: Option<dead_letter::State>,
}

impl Filters for Wanted {
    const SORT: &'static [&'static str] = &["-createdAt", "lastAt"];

    fn filter(&self) -> Option<Filter> {
        let Self { r#type, reason, consumer, state } = self.clone();
        Selection { type_prefix: r#type, reason, consumer, state }.filter()
    }
}

async fn list(
    State(operate): State<Operate>,
    _: Operator,
    list: List<Wanted>,
) -> Result<Json<PageOf<DeadLetterView>>> {
    let letters = &operate.dead_letters;
    let page = list.page(letters.records(), letters.partition(), None).await?;
    let brief = |mut record: Record<DeadLetter>| {
        (record.data.event, record.data.original_event, record.data.raw) = (None, None, None);
        shown(record)
    };
    let items = page.items.into_iter().map(brief).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn get(
    State(operate): State<Operate>,
    _: Operator,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterView>> {
    Ok(Json(shown(operate.dead_letters.get(&id).await?)))
}

/// What can be changed of a dead letter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditDeadLetter {
    /// The event, which is patched: fields that are left out stay, `null` removes one. Its `id` stays.
    #[schemars(extend("maxProperties" = 50))]
    event: Map<String, Value>,
}

impl Example for EditDeadLetter {
    fn example() -> Self {
        Self { event: Map::from_iter([("data".to_owned(), json!({"teamId": "t-2"}))]) }
    }
}

async fn edit(
    State(operate): State<Operate>,
    who: Operator,
    Path(id): Path<String>,
    if_match: IfMatch,
    patch: Patch<EditDeadLetter>,
) -> Result<Json<DeadLetterView>> {
    let before = operate.dead_letters.get(&id).await?;
    if_match.check(&before.meta)?;
    let event = match &before.data.event {
        Some(Value::Object(event)) => event.clone(),
        _ => Map::new(),
    };
    let edited = patch.apply(&EditDeadLetter { event })?;
    let mut unit = operate.begin(&who).await?;
    let after = operate.dead_letters.edit(&mut unit, &before, Value::Object(edited.event))?;
    unit.commit(Json(shown(after))).await
}

async fn discard(State(operate): State<Operate>, who: Operator, Path(id): Path<String>) -> Result<NoContent> {
    let before = operate.dead_letters.get(&id).await?;
    let mut unit = operate.begin(&who).await?;
    operate.dead_letters.drop(&mut unit, &before)?;
    unit.commit(NoContent).await
}

async fn replay(
    State(operate): State<Operate>,
    who: Operator,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterView>> {
    let mut unit = operate.begin(&who).await?;
    let before = operate.dead_letters.get(&id).await?;
    let (after, _) = operate.dead_letters.replay(&mut unit, &before, None)?;
    unit.commit(Json(shown(after))).await
}

/// Which open dead letters to replay, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ReplayDeadLetters {
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
    /// The most deliveries a second; all at once without it.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_second: Option<u32>,
    /// Say what would be replayed, and change nothing.
    dry_run: bool,
}

impl Example for ReplayDeadLetters {
    fn example() -> Self {
        Self { reason: Some(Reason::AttemptsExhausted), rate_per_second: Some(10), ..Self::default() }
    }
}

/// What was replayed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayReport {
    /// The dead letters that are delivered again, or would be.
    replayed: Vec<String>,
    /// Those that could not be replayed, and why.
    failed: Vec<ReplayFault>,
    /// Whether there are more than one request replays; repeat it for the next ones.
    more: bool,
    /// Whether nothing was changed.
    dry_run: bool,
}

/// A dead letter that could not be replayed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplayFault {
    /// The dead letter.
    id: String,
    /// Why not.
    reason: String,
}

impl Example for ReplayReport {
    fn example() -> Self {
        let replayed = vec![format!("{}.index", coder_core::id::EXAMPLE)];
        Self { replayed, failed: Vec::new(), more: false, dry_run: false }
    }
}

async fn replay_many(
    State(operate): State<Operate>,
    who: Operator,
    Body(wanted): Body<ReplayDeadLetters>,
) -> Result<Json<ReplayReport>> {
    // Opened first, so that a repeated request ends here; the dead letters have transactions of their own, since
    // one has no room for many events.
    let unit = operate.begin(&who).await?;
    let (rate, dry_run) = (wanted.rate_per_second, wanted.dry_run);
    let selection = Selection {
        type_prefix: wanted.r#type,
        reason: wanted.reason,
        consumer: wanted.consumer,
        state: Some(dead_letter::State::Open),
    };
    let (ids, more) = operate.dead_letters.ids(&selection, MOST).await?;
    let mut report = ReplayReport { replayed: Vec::new(), failed: Vec::new(), more, dry_run };
    let now = who.context().runtime().ambient.now();
    for id in ids {
        let due = DeadLetters::due(now, report.replayed.len(), rate);
        let outcome = if dry_run { Ok(true) } else { operate.replay_one(&who, &id, due).await };
        match outcome {
            Ok(true) => report.replayed.push(id),
            Ok(false) => {}
            Err(Failure::Problem(problem)) if problem.code.status() < 500 => {
                report.failed.push(ReplayFault { id, reason: problem.detail });
            }
            Err(failure) => return Err(failure),
        }
    }
    unit.commit(Json(report)).await
}

impl Operate {
    async fn begin(&self, who: &Operator) -> Result<Unit> {
        who.begin(self.dead_letters.container(), self.place()).await
    }

    fn place(&self) -> Partition {
        self.dead_letters.partition().clone()
    }

    /// Replays one of many; false if somebody else did so meanwhile.
    async fn replay_one(&self, who: &Operator, id: &str, due: Option<coder_core::Timestamp>) -> Result<bool> {
        crate::events::retry_stale(async || {
            let before = self.dead_letters.get(id).await?;
            let mut unit = Unit::aside(who.context(), self.dead_letters.container(), self.place());
            let (_, replayed) = self.dead_letters.replay(&mut unit, &before, due)?;
            unit.commit(NoContent).await?;
            Ok(replayed == Replayed::Now)
        })
        .await
    }
}
