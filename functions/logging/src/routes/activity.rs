//! Views of the entries: one's own acts, the history of a resource, and counts.

use coder_core::{Code, Failure, Problem, ProjectId, Result, Scope, TeamId, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::token::Acting;
use coder_middleware::{Access as _, Allowed, Example, Json, PageOf, Paths, Query, SignedIn, State};
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entries::paged;
use crate::catalogue::{EntryInspect, HistoryRead};
use crate::model::{Category, Entry, EntryActor, EntryChange, Outcome, Trail};
use crate::service::Logging;
use crate::service::aggregate::{BucketLength, Count, CountBy};
use crate::service::filter::{EntryFilter, Range, Span, of_actor, with_filter};
use crate::service::search::Search;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .get("/my-activity", "list_my_activity", "List one's own acts", list_my_activity)
        .problems([Code::NarrowTheRange, Code::ValidationFailed])
        .get(
            "/resources/{resourceType}/{resourceId}/history",
            "get_resource_history",
            "Read the history of a resource",
            history,
        )
        .problems([Code::NarrowTheRange])
        .get("/aggregate", "aggregate_entries", "Count entries", aggregate)
        .problems([Code::NarrowTheRange, Code::ValidationFailed])
}

/// What a list of acts is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ActivityQuery {
    /// Not before; seven days before `to` without it.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    from: Option<Timestamp>,
    /// Not after; now without it.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    to: Option<Timestamp>,
    /// Acts a page.
    #[schemars(range(min = 1, max = 200))]
    #[serde(default = "page_size")]
    limit: u32,
    /// Where the page starts: `nextCursor` of the page before, for the same query.
    #[schemars(length(max = 4096))]
    cursor: Option<String>,
}

fn page_size() -> u32 {
    50
}

/// One's own act: who else or what else was concerned does not show.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OwnAct {
    /// The entry.
    id: String,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    time: Timestamp,
    /// What was done.
    action: String,
    /// What kind of act.
    category: Category,
    /// How it ended.
    outcome: Outcome,
    /// The kind of resource.
    resource_type: Option<String>,
    /// The resource.
    resource_id: Option<String>,
    /// For people.
    message: Option<String>,
    /// Oneself, as one was then.
    actor: EntryActor,
}

impl Example for OwnAct {
    fn example() -> Self {
        Self::of(Record::example(Entry::example()))
    }
}

impl OwnAct {
    fn of(entry: Record<Entry>) -> Self {
        let Record { meta, data, .. } = entry;
        let Entry { time, action, category, outcome, resource_type, resource_id, message, actor, .. } = data;
        Self { id: meta.id, time, action, category, outcome, resource_type, resource_id, message, actor }
    }
}

async fn list_my_activity(
    State(logging): State<Logging>,
    who: SignedIn,
    Query(query): Query<ActivityQuery>,
) -> Result<Json<PageOf<OwnAct>>> {
    let trail = Trail::of(who.organization_id);
    let span = Range { from: query.from, to: query.to }.checked(logging.now())?;
    let own = of_actor(&who.user_id.to_string());
    let search = Search::new(trail, span, &EntryFilter::default()).only(own);
    let asked = json!({"user": who.user_id, "from": query.from, "to": query.to}).to_string();
    let page = paged(&logging, who.context(), search, query.limit, query.cursor.as_deref(), &asked).await?;
    let items = page.items.into_iter().map(OwnAct::of).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

/// What a history is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HistoryQuery {
    /// Entries a page.
    #[schemars(range(min = 1, max = 200))]
    #[serde(default = "page_size")]
    limit: u32,
    /// Where the page starts: `nextCursor` of the page before, for the same query.
    #[schemars(length(max = 4096))]
    cursor: Option<String>,
}

/// What became of a resource once: who did it is shown by id, not by address.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HistoryItem {
    /// The entry.
    id: String,
    /// Its number.
    seq: u64,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    time: Timestamp,
    /// What was done.
    action: String,
    /// How it ended.
    outcome: Outcome,
    /// Who did it.
    actor: EntryActor,
    /// For people.
    message: Option<String>,
    /// What changed.
    changes: Vec<EntryChange>,
}

impl Example for HistoryItem {
    fn example() -> Self {
        Self::of(Record::example(Entry::example()))
    }
}

impl HistoryItem {
    fn of(entry: Record<Entry>) -> Self {
        let Record { meta, data, .. } = entry;
        let Entry { seq, time, action, outcome, actor, message, changes, .. } = data;
        let actor = EntryActor {
            display_name: actor.display_name,
            on_behalf_of: actor.on_behalf_of,
            ..EntryActor::new(actor.kind, actor.id)
        };
        Self { id: meta.id, seq, time, action, outcome, actor, message, changes: changes.unwrap_or_default() }
    }
}

/// The groups whose resources of this type the caller may read. Checked is `<group>.<type>.read` at the resource
/// itself where it is a project or a team, else in the organization; what a project's own resources need beyond that
/// is for their group to know.
async fn readable(who: &Allowed<HistoryRead>, kind: &str, id: &str) -> Result<Vec<String>> {
    let scope = match kind {
        "project" => id.parse::<ProjectId>().ok().map(Scope::Project),
        "team" => id.parse::<TeamId>().ok().map(Scope::Team),
        _ => None,
    };
    let scope = scope.unwrap_or(Scope::Organization(who.organization_id));
    let effective = who.effective(scope).await?;
    let catalogue = &who.context().runtime().catalogue;
    let suffix = format!(".{kind}.read");
    let (mut groups, mut missing) = (Vec::new(), None);
    for permission in catalogue.iter().filter(|one| one.name.ends_with(&suffix)) {
        if effective.allows(permission.name) {
            groups.push(permission.name.trim_end_matches(&suffix).to_owned());
        } else {
            missing = Some(permission.name);
        }
    }
    match (groups.is_empty(), missing) {
        (false, _) => Ok(groups),
        (true, Some(name)) => Err(Problem::missing_permission(name).into()),
        // No group reads such a thing on its own.
        (true, None) => Err(Problem::not_found("resource").into()),
    }
}

/// Hides what its own group hides from the caller although they may read such things: a person's own secrets.
async fn shown_by_its_group(
    logging: &Logging,
    who: &Allowed<HistoryRead>,
    kind: &str,
    id: &str,
) -> Result<()> {
    if kind != "secret" {
        return Ok(());
    }
    let absent = || Failure::from(Problem::not_found("resource"));
    let id = coder_core::id::parse(id).map_err(|_| absent())?;
    let acting = Acting { organization_id: who.organization_id, user_id: Some(who.user_id) };
    let path = format!("/{id}");
    let answer = logging.peers.call_for(Some(acting), "secrets", Method::GET, &path, None).await?;
    if answer.status.is_client_error() {
        Err(absent())
    } else {
        answer.success::<Value>("secrets").map(|_| ())
    }
}

async fn history(
    State(logging): State<Logging>,
    who: Allowed<HistoryRead>,
    Paths(kind, id): Paths<String, String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<PageOf<HistoryItem>>> {
    let groups = readable(&who, &kind, &id).await?;
    shown_by_its_group(&logging, &who, &kind, &id).await?;
    let filter = EntryFilter {
        resource_type: Some(kind.clone()),
        resource_id: Some(id.clone()),
        ..EntryFilter::default()
    };
    let sources = Filter::In("source".into(), groups.into_iter().map(Into::into).collect());
    let search = Search::new(Trail::Organization(who.organization_id), Span::ALL, &filter).only(sources);
    let asked = json!([kind, id]).to_string();
    let page = paged(&logging, who.context(), search, query.limit, query.cursor.as_deref(), &asked).await?;
    if page.items.is_empty() && query.cursor.is_none() {
        return Err(Failure::from(Problem::not_found("resource")));
    }
    let items = page.items.into_iter().map(HistoryItem::of).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

with_filter! {
    /// What is counted.
    #[derive(Debug, Clone, Deserialize, JsonSchema)]
    struct AggregateQuery {
        /// Not before; seven days before `to` without it. At most 366 days are counted.
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        from: Option<Timestamp>,
        /// Not after; now without it.
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        to: Option<Timestamp>,
        /// What entries are counted by.
        #[serde(default)]
        group_by: CountBy,
        /// How long the buckets are.
        #[serde(default)]
        bucket: BucketLength,
    }
}

/// Counts, by bucket and value.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Counts {
    /// Only those that are not zero.
    items: Vec<Count>,
}

impl Example for Counts {
    fn example() -> Self {
        Self { items: vec![Count { bucket: Timestamp::UNIX_EPOCH, key: "security".to_owned(), count: 12 }] }
    }
}

async fn aggregate(
    State(logging): State<Logging>,
    who: Allowed<EntryInspect>,
    Query(query): Query<AggregateQuery>,
) -> Result<Json<Counts>> {
    let span = Range { from: query.from, to: query.to }.checked(logging.now())?;
    let search = Search::new(Trail::Organization(who.organization_id), span, &query.filter());
    let items = logging.count(&search, query.group_by, query.bucket).await?;
    Ok(Json(Counts { items }))
}
