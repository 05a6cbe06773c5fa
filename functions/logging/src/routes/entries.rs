//! Entries: adding custom ones, finding and reading them, and the proof that one is in the chain.

use coder_core::{Code, Failure, Problem, Result, Timestamp};
use coder_database::Record;
use coder_handler::Routes;
use coder_middleware::unit::actor;
use coder_middleware::{
    Accepted, Access as _, Allowed, Body, Example, Json, PageOf, Path, Query, RequestContext, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::write::{Author, EntryWrite};
use crate::catalogue::{EntryCreate, EntryInspect};
use crate::chain::{hex, merkle, sha256, unhex};
use crate::mapping;
use crate::model::{CONTAINER, Checkpoint, Entry, EntryId, Trail};
use crate::service::Logging;
use crate::service::append::Placed;
use crate::service::filter::{Range, with_filter};
use crate::service::search::Search;

/// Body of a batch: 4 MiB.
const BATCH_BODY: usize = 4 * 1024 * 1024;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .post("/entries", "create_entry", "Add a custom entry", create_entry)
        .post("/entries/batch", "create_entries", "Add up to 500 custom entries", create_entries)
        .described(|operation| operation.body_limit = BATCH_BODY)
        .get("/entries", "list_entries", "Find entries", list_entries)
        .problems([Code::NarrowTheRange, Code::ValidationFailed])
        .get("/entries/{entryId}", "get_entry", "Read an entry with its hashes", get_entry)
        .get("/entries/{entryId}/proof", "get_entry_proof", "Prove that an entry is in the chain", get_proof)
        .problems([Code::NotCheckpointed, Code::InvalidState])
}

/// That an entry is stored.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recorded {
    /// The id of the event, yours if you gave one.
    event_id: String,
    /// The entry.
    entry_id: String,
    /// Its number.
    seq: u64,
    /// Whether it was there already.
    repeated: bool,
}

impl Recorded {
    pub(super) fn of(event_id: String, placed: Placed) -> Self {
        Self { event_id, entry_id: placed.id.to_string(), seq: placed.seq, repeated: placed.repeated }
    }
}

impl Example for Recorded {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE.to_string();
        Self { event_id: id.clone(), entry_id: id, seq: 42, repeated: false }
    }
}

/// The caller as the author of custom entries.
fn author(context: &RequestContext) -> Author {
    let actor = mapping::actor(Some(json!(actor(context))));
    Author { actor, source: crate::service::caller(context) }
}

/// An id for an act that the caller gave none: the same for a repeat under one idempotency key.
fn event_id(context: &RequestContext, number: usize) -> String {
    match context.header("idempotency-key") {
        Some(key) => {
            let parts = [crate::service::caller(context), key.to_owned(), number.to_string()];
            format!("key:{}", hex(&sha256(&[parts.join("\n").as_bytes()])))
        }
        None => context.runtime().ambient.new_uuid().to_string(),
    }
}

async fn create_entry(
    State(logging): State<Logging>,
    who: Allowed<EntryCreate>,
    Body(entry): Body<EntryWrite>,
) -> Result<Accepted<Recorded>> {
    let now = logging.now();
    let faults = entry.faults("", now);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    let trail = Trail::Organization(who.organization_id);
    let unit = who.begin(CONTAINER, trail.config()).await?.without_audit();
    logging.limit(trail, 1).await?;
    let draft = entry.draft(&author(who.context()), event_id(who.context(), 0), now);
    let event_id = draft.event_id.clone();
    let placed = logging.append(trail, vec![draft]).await?;
    let placed = placed.into_iter().next().ok_or_else(|| Failure::internal("an entry got no place"))?;
    unit.commit(Accepted(Recorded::of(event_id, placed))).await
}

/// Several custom entries.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryBatch {
    /// The entries, in order. One that does not fit keeps the others from nothing.
    #[schemars(extend("minItems" = 1, "maxItems" = 500))]
    entries: Vec<serde_json::Value>,
}

impl Example for EntryBatch {
    fn example() -> Self {
        Self { entries: vec![serde_json::to_value(EntryWrite::example()).unwrap_or_default()] }
    }
}

/// What came of one entry of a batch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchOutcome {
    /// `202`, or `422` for one that does not fit.
    pub(super) status: u16,
    /// Where it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recorded: Option<Recorded>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<std::collections::BTreeMap<String, String>>>")]
    pub(super) errors: Option<serde_json::Value>,
}

/// What came of a batch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct BatchOutcomes {
    /// One outcome an entry, in order.
    pub(super) results: Vec<BatchOutcome>,
}

impl Example for BatchOutcomes {
    fn example() -> Self {
        let recorded = Some(Recorded::example());
        Self { results: vec![BatchOutcome { status: 202, recorded, errors: None }] }
    }
}

async fn create_entries(
    State(logging): State<Logging>,
    who: Allowed<EntryCreate>,
    Body(batch): Body<EntryBatch>,
) -> Result<Json<BatchOutcomes>> {
    let now = logging.now();
    let trail = Trail::Organization(who.organization_id);
    let unit = who.begin(CONTAINER, trail.config()).await?.without_audit();
    logging.limit(trail, batch.entries.len()).await?;
    let author = author(who.context());
    let checked = super::internal::Checked::of(batch.entries, |entry: EntryWrite, number| {
        let faults = entry.faults("", now);
        if faults.is_empty() {
            Ok(entry.draft(&author, event_id(who.context(), number), now))
        } else {
            Err(faults)
        }
    })?;
    let answer = checked.record(&logging, trail).await?;
    unit.commit(Json(answer)).await
}

with_filter! {
    /// What a list of entries is asked for.
    #[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
    pub(super) struct EntryQuery {
        /// Not before; seven days before `to` without it. At most 366 days are searched.
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        from: Option<Timestamp>,
        /// Not after; now without it.
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        to: Option<Timestamp>,
        /// Entries a page.
        #[schemars(range(min = 1, max = 200))]
        #[serde(default = "page_size")]
        limit: u32,
        /// Where the page starts: `nextCursor` of the page before, for the same query.
        #[schemars(length(max = 4096))]
        cursor: Option<String>,
        /// Latest first, or oldest first.
        #[serde(default)]
        sort: SeqOrder,
    }
}

fn page_size() -> u32 {
    50
}

/// The order of entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum SeqOrder {
    /// Latest first.
    #[default]
    #[serde(rename = "-seq")]
    Latest,
    /// Oldest first.
    #[serde(rename = "seq")]
    Oldest,
}

impl EntryQuery {
    /// The page that is asked for, of one chain.
    pub(super) async fn page(
        &self,
        logging: &Logging,
        context: &RequestContext,
        trail: Trail,
    ) -> Result<PageOf<Record<Entry>>> {
        let span = Range { from: self.from, to: self.to }.checked(logging.now())?;
        let search = Search::new(trail, span, &self.filter());
        let search = if self.sort == SeqOrder::Oldest { search.oldest_first() } else { search };
        let asked = json!({"filter": self.filter(), "from": self.from, "to": self.to, "sort": self.sort});
        paged(logging, context, search, self.limit, self.cursor.as_deref(), &asked.to_string()).await
    }
}

/// A page of a search, with a cursor that only the same query opens.
pub(super) async fn paged(
    logging: &Logging,
    context: &RequestContext,
    search: Search,
    limit: u32,
    cursor: Option<&str>,
    asked: &str,
) -> Result<PageOf<Record<Entry>>> {
    let fingerprint = format!("{} {} {asked}", context.operation_id(), search.trail.name());
    let cursors = &logging.runtime.cursors;
    let search = match cursor {
        None => search,
        Some(cursor) => {
            let seq = cursors.open(cursor, &fingerprint).and_then(|position| position.parse().ok());
            let detail = "`cursor` is not one that this query gave; start again without it.";
            search.after(seq.ok_or_else(|| Failure::problem(Code::InvalidQuery, detail))?)
        }
    };
    let (items, last) = logging.page(&search, limit as usize).await?;
    let next_cursor = last.map(|seq| cursors.seal(&seq.to_string(), &fingerprint));
    Ok(PageOf { items, next_cursor })
}

async fn list_entries(
    State(logging): State<Logging>,
    who: Allowed<EntryInspect>,
    Query(query): Query<EntryQuery>,
) -> Result<Json<PageOf<Record<Entry>>>> {
    let trail = Trail::Organization(who.organization_id);
    let page = query.page(&logging, who.context(), trail).await?;
    let what = json!({"filter": query.filter(), "from": query.from, "to": query.to});
    logging.note_access(who.context(), trail, "logging.entry.listed", "Entries listed", None, what).await?;
    Ok(Json(page))
}

impl Logging {
    /// An entry by its id; `404` if there is none.
    pub(super) async fn entry(&self, trail: Trail, id: EntryId) -> Result<Record<Entry>> {
        self.entries.get(&trail.month(id.month()), &id.to_string()).await
    }
}

async fn get_entry(
    State(logging): State<Logging>,
    who: Allowed<EntryInspect>,
    Path(id): Path<EntryId>,
) -> Result<Json<Record<Entry>>> {
    logging.entry(Trail::Organization(who.organization_id), id).await.map(Json)
}

/// The proof that an entry is in the chain (RFC 6962, 2.1.1), to be checked without this service: the leaf is
/// SHA-256(0x00 ‖ `hash`), and `path` leads from it to the `merkleRoot` that the checkpoint's signature covers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProofView {
    /// The entry.
    entry_id: String,
    /// Its number.
    seq: u64,
    /// Its hash.
    hash: String,
    /// Its leaf.
    leaf_hash: String,
    /// The place of the leaf, from 0.
    leaf_index: usize,
    /// Leaves of the tree.
    tree_size: usize,
    /// The hashes beside the way to the root, lowest first.
    path: Vec<String>,
    /// The signed checkpoint.
    checkpoint: Record<Checkpoint>,
}

impl Example for ProofView {
    fn example() -> Self {
        let hash = Entry::example().hash;
        Self {
            entry_id: coder_core::id::EXAMPLE.to_string(),
            seq: 42,
            hash: hash.clone(),
            leaf_hash: hash.clone(),
            leaf_index: 41,
            tree_size: 128,
            path: vec![hash],
            checkpoint: Record::example(Checkpoint::example()),
        }
    }
}

async fn get_proof(
    State(logging): State<Logging>,
    who: Allowed<EntryInspect>,
    Path(id): Path<EntryId>,
) -> Result<Json<ProofView>> {
    let trail = Trail::Organization(who.organization_id);
    let entry = logging.entry(trail, id).await?;
    let proof = logging.proof(trail, entry.data.seq).await?;
    let leaf = unhex(&entry.data.hash).map(|hash| merkle::leaf(&hash)).unwrap_or_default();
    Ok(Json(ProofView {
        entry_id: id.to_string(),
        seq: entry.data.seq,
        hash: entry.data.hash,
        leaf_hash: hex(&leaf),
        leaf_index: proof.index,
        tree_size: proof.size,
        path: proof.path.iter().map(|hash| hex(hash)).collect(),
        checkpoint: proof.checkpoint,
    }))
}
