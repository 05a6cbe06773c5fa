//! What other parts of the platform write: entries with every field, and events that were dead letters.

use coder_core::{Failure, Fault, Problem, Result, Timestamp};
use coder_handler::Routes;
use coder_jobs::enqueue;
use coder_middleware::{Accepted, Access as _, Body, Example, FromService, Json, State, schema};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entries::{BatchOutcome, BatchOutcomes, Recorded};
use super::write::EntryWrite;
use crate::draft::Draft;
use crate::model::{CONTAINER, Category, EntryActor, Trail};
use crate::service::Logging;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .post("/internal/entries", "record_entries", "Record entries with every field", record)
        .described(|operation| operation.body_limit = 4 * 1024 * 1024)
        .post("/internal/replays", "replay_events", "Record events that were dead letters", replay)
        .described(|operation| operation.body_limit = 4 * 1024 * 1024)
}

/// An entry as a service writes it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceEntry {
    /// Who did it.
    actor: EntryActor,
    /// What kind of act.
    category: Category,
    /// The rest.
    entry: EntryWrite,
}

/// Entries of one chain.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceEntries {
    /// The organization; the platform's own chain without one.
    organization_id: Option<coder_core::OrganizationId>,
    /// The entries, in order.
    #[schemars(extend("minItems" = 1, "maxItems" = 500))]
    entries: Vec<Value>,
}

impl Example for ServiceEntries {
    fn example() -> Self {
        let entry = ServiceEntry {
            actor: EntryActor::new(crate::model::ActorType::Agent, coder_core::id::EXAMPLE.to_string()),
            category: Category::Action,
            entry: EntryWrite::example(),
        };
        let entries = vec![serde_json::to_value(entry).unwrap_or_default()];
        Self { organization_id: Some(coder_core::id::EXAMPLE.into()), entries }
    }
}

/// The entries of a batch, each checked alone: one that does not fit keeps the others from nothing.
pub(super) struct Checked(Vec<Result<Draft, Vec<Fault>>>);

impl Checked {
    /// Checks each entry against the schema of `T` and by the function, which also makes the draft.
    pub(super) fn of<T: DeserializeOwned + JsonSchema>(
        entries: Vec<Value>,
        draft: impl Fn(T, usize) -> Result<Draft, Vec<Fault>>,
    ) -> Result<Self> {
        let validator = schema::validator(&schema::for_validation::<T>()).map_err(Failure::internal)?;
        let one = |(number, entry): (usize, Value)| {
            let faults = schema::faults(&validator, &entry);
            if !faults.is_empty() {
                return Err(faults);
            }
            let read = T::deserialize(entry)
                .map_err(|error| vec![Fault::new("", "invalid_value", error.to_string())]);
            draft(read?, number)
        };
        Ok(Self(entries.into_iter().enumerate().map(one).collect()))
    }

    /// Records the good ones and answers for all.
    pub(super) async fn record(self, logging: &Logging, trail: Trail) -> Result<BatchOutcomes> {
        let drafts: Vec<Draft> = self.0.iter().filter_map(|one| one.as_ref().ok()).cloned().collect();
        let mut placed = logging.append(trail, drafts).await?.into_iter();
        let results = self.0.into_iter().map(|one| match one {
            Ok(draft) => {
                let recorded = placed.next().map(|placed| Recorded::of(draft.event_id, placed));
                BatchOutcome { status: 202, recorded, errors: None }
            }
            Err(faults) => BatchOutcome { status: 422, recorded: None, errors: Some(json!(faults)) },
        });
        Ok(BatchOutcomes { results: results.collect() })
    }
}

async fn record(
    State(logging): State<Logging>,
    who: FromService,
    Body(batch): Body<ServiceEntries>,
) -> Result<Json<BatchOutcomes>> {
    let now: Timestamp = logging.now();
    let trail = Trail::of(batch.organization_id);
    let checked = Checked::of(batch.entries, |entry: ServiceEntry, _| {
        let mut faults = entry.entry.faults("/entry", now);
        if entry.entry.event_id.is_none() {
            faults.push(Fault::new("/entry/eventId", "required", "A service names its events."));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let author = super::write::Author { actor: entry.actor, source: format!("service:{}", who.group) };
        Ok(Draft { category: entry.category, ..entry.entry.draft(&author, String::new(), now) })
    })?;
    checked.record(&logging, trail).await.map(Json)
}

/// Events to record again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Replay {
    /// The events in the JSON form of CloudEvents 1.0.
    #[schemars(extend("minItems" = 1, "maxItems" = 500))]
    events: Vec<Value>,
}

impl Example for Replay {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE.to_string();
        Self {
            events: vec![json!({
                "specversion": "1.0", "id": id, "source": "/functions/users", "type": "coder.users.project.created",
                "subject": id, "time": Timestamp::UNIX_EPOCH, "organizationid": id, "data": {},
            })],
        }
    }
}

/// A job that was started.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Started {
    /// The job.
    job_id: String,
}

impl Example for Started {
    fn example() -> Self {
        Self { job_id: coder_core::id::EXAMPLE.to_string() }
    }
}

async fn replay(
    State(_): State<Logging>,
    who: FromService,
    Body(replay): Body<Replay>,
) -> Result<Accepted<Started>> {
    let bytes = json!(replay.events).to_string().len();
    if bytes > 1_000_000 {
        let message = "Replay at most 1 MB at a time.";
        return Err(Problem::fault("/events", "too_long", message).into());
    }
    let mut unit = who.begin(CONTAINER, Trail::Platform.config()).await?;
    let job = enqueue(&mut unit, "ingest-replay", json!({"events": replay.events}), None)?;
    unit.commit(Accepted(Started { job_id: job.meta.id })).await
}
