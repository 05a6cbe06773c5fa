//! Dead letters over HTTP: list, look, edit, replay and drop.

mod many;

use coder_core::Result;
use coder_database::{Filter, Partition, Record};
use coder_middleware::access::{Access as _, Operator};
use coder_middleware::{Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch, Path, State, Unit};
use coder_queue::dead_letter::{self, DeadLetter, Reason, Selection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Operate;
use crate::routes::Routes;

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
        .post(
            &format!("{all}/replay"),
            "replay_dead_letters",
            "Deliver many dead letters again",
            many::replay,
        )
        .post(
            &format!("{all}/drop"),
            "drop_dead_letters",
            "Decide that many dead letters are not delivered",
            many::drop,
        )
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
        Selection { type_prefix: r#type, reason, consumer, state, has_event: None }.filter()
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

impl Operate {
    async fn begin(&self, who: &Operator) -> Result<Unit> {
        who.begin(self.dead_letters.container(), self.place()).await
    }

    fn place(&self) -> Partition {
        self.dead_letters.partition().clone()
    }
}
