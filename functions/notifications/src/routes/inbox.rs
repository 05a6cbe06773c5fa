//! A person's own inbox.

use std::collections::BTreeMap;
use std::slice::from_ref;

use coder_core::{Failure, Fault, Problem, ProjectId, Result, StoredAnswer, Timestamp};
use coder_database::{Direction, Filter, Partition, Query as StoreQuery};
use coder_handler::{Routes, retry_stale};
use coder_middleware::answer::{describe_json, render_json};
use coder_middleware::{
    Access as _, Answer, Body, Example, Filters, Json, List, NoContent, OperationDescription, PageOf, Path,
    SignedIn, State, Unit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::CONTAINER;
use crate::deliver::{Category, Criticality};
use crate::inbox::{BATCH, Change, Tally};
use crate::model::item::{Item, ItemRecord};
use crate::model::of_user;
use crate::service::Notifications;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes
        .get("/inbox", "list_inbox_items", "List your inbox, the newest first", list_inbox)
        .get("/inbox/counts", "count_inbox_items", "Count what is unread and unseen", counts)
        .post("/inbox/read-all", "read_all_inbox_items", "Mark everything up to an item as read", read_all)
        .post("/inbox/{itemId}/read", "read_inbox_item", "Mark an item as read", read)
        .post("/inbox/{itemId}/unread", "unread_inbox_item", "Mark an item as unread", unread)
        .post("/inbox/{itemId}/archive", "archive_inbox_item", "Put an item away", archive)
        .post("/inbox/{itemId}/acknowledge", "acknowledge_inbox_item", "Say that you take care", acknowledge)
        .post("/inbox/{itemId}/snooze", "snooze_inbox_item", "Hide an item until a time", snooze)
}

/// Which items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ItemState {
    /// Neither archived nor snoozed.
    #[default]
    Open,
    /// Not read.
    Unread,
    /// Not seen.
    Unseen,
    /// Archived.
    Archived,
    /// Everything.
    All,
}

/// Filters of the inbox.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InboxFilters {
    /// Which items; without it those neither archived nor snoozed.
    pub state: ItemState,
    /// Only of this category.
    pub category: Option<Category>,
    /// Only of this topic.
    #[schemars(length(max = 80))]
    pub topic: Option<String>,
    /// Only of this criticality.
    pub criticality: Option<Criticality>,
    /// Only of this project.
    pub project_id: Option<ProjectId>,
    /// One item for each resource and topic: the newest, with the number of all.
    pub grouped: bool,
}

fn unset(field: &str) -> Filter {
    Filter::IsNull(field.to_owned())
}

impl Filters for InboxFilters {
    const SORT: &'static [&'static str] = &["-seq"];

    fn filter(&self) -> Option<Filter> {
        let shown = || vec![unset("archivedAt"), unset("snoozedUntil")];
        let mut all = match self.state {
            ItemState::Open => shown(),
            ItemState::Unread => [shown(), vec![unset("readAt")]].concat(),
            ItemState::Unseen => [shown(), vec![unset("seenAt")]].concat(),
            ItemState::Archived => vec![Filter::Not(Box::new(unset("archivedAt")))],
            ItemState::All => Vec::new(),
        };
        all.extend(self.category.map(|category| Filter::eq("category", json!(category))));
        all.extend(self.topic.as_deref().map(|topic| Filter::eq("topic", topic)));
        all.extend(self.criticality.map(|one| Filter::eq("criticality", one.as_str())));
        all.extend(self.project_id.map(|id| Filter::eq("projectId", id.to_string())));
        (!all.is_empty()).then_some(Filter::And(all))
    }
}

fn home(who: &SignedIn) -> Partition {
    of_user(who.organization_id, who.user_id)
}

async fn list_inbox(
    State(service): State<Notifications>,
    who: SignedIn,
    list: List<InboxFilters>,
) -> Result<Json<PageOf<ItemRecord>>> {
    let partition = home(&who);
    service.note_presence(who.context(), &partition, who.user_id).await;
    let mut page = list.page(&service.items(), &partition, None).await?;
    if list.filters.grouped {
        page.items = grouped(&service, &partition, &list.filters, page.items).await?;
    }
    Ok(Json(page))
}

/// Of the items of a page those that are the newest of their group, each with the number of all in it.
async fn grouped(
    service: &Notifications,
    partition: &Partition,
    filters: &InboxFilters,
    items: Vec<ItemRecord>,
) -> Result<Vec<ItemRecord>> {
    let mut heads: Vec<ItemRecord> = Vec::new();
    for mut item in items {
        if heads.iter().any(|head| head.data.group_key == item.data.group_key) {
            continue;
        }
        let same = Filter::eq("groupKey", item.data.group_key.as_str());
        let filter = filters.filter().map_or(same.clone(), |filter| same.and(filter));
        let mut query = StoreQuery::new(filter).order_by("seq", Direction::Descending).limit(1000);
        let (mut newest, mut count) = (None, 0);
        loop {
            let (page, next) = service.items().page(partition, &query).await?;
            newest = newest.or(page.first().map(|one| one.data.seq));
            count += page.iter().map(|one| one.data.group_count).sum::<u64>();
            match next {
                Some(next) => query.continuation = Some(next),
                None => break,
            }
        }
        if newest == Some(item.data.seq) {
            item.data.group_count = count;
            heads.push(item);
        }
    }
    Ok(heads)
}

/// How many items wait.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Unread items.
    pub unread: u64,
    /// Unseen items.
    pub unseen: u64,
    /// Unread items of each category that has some.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub unread_by_category: BTreeMap<Category, u64>,
    /// Unseen items of each category that has some.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub unseen_by_category: BTreeMap<Category, u64>,
    /// The `seq` of the newest item.
    pub seq: u64,
    /// Changes whenever the inbox does; send it back in `If-None-Match`.
    pub etag: String,
}

impl Counts {
    /// The counts of an inbox.
    pub fn of(tally: &Tally) -> Self {
        let unread: u64 = tally.unread.values().sum();
        let unseen: u64 = tally.unseen.values().sum();
        Self {
            unread,
            unseen,
            unread_by_category: tally.unread.clone(),
            unseen_by_category: tally.unseen.clone(),
            seq: tally.seq,
            etag: format!("{}-{unread}-{unseen}", tally.revision),
        }
    }
}

impl Example for Counts {
    fn example() -> Self {
        let counts = BTreeMap::from([(Category::Planning, 2)]);
        Self::of(&Tally { unread: counts.clone(), unseen: counts, seq: 7, revision: 9 })
    }
}

/// `200` with the counts, or `304` if the caller has them.
#[derive(Debug)]
pub struct CountsAnswer {
    counts: Counts,
    known: bool,
}

impl Answer for CountsAnswer {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<Counts>(
            operation,
            200,
            "Done; `304` if `If-None-Match` has the same tag.",
            &["ETag"],
        );
    }

    fn render(&self) -> Result<StoredAnswer, Failure> {
        let mut answer = render_json(200, &self.counts, Vec::new())?;
        if self.known {
            answer.headers.retain(|(name, _)| name == "etag");
            (answer.status, answer.body) = (304, String::new());
        }
        Ok(answer)
    }
}

async fn counts(State(service): State<Notifications>, who: SignedIn) -> Result<CountsAnswer> {
    let partition = home(&who);
    service.note_presence(who.context(), &partition, who.user_id).await;
    let counts = Counts::of(&service.tally(&partition).await?);
    let sent = who.context().header("if-none-match").unwrap_or_default();
    let same = |tag: &str| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == counts.etag;
    let known = sent.split(',').any(|tag| same(tag.trim()));
    Ok(CountsAnswer { counts, known })
}

/// Changes one item of the caller's.
async fn change(
    service: &Notifications,
    who: &SignedIn,
    id: &str,
    change: Change,
) -> Result<Json<ItemRecord>> {
    let partition = home(who);
    let mut unit = who.begin(CONTAINER, partition).await?;
    if change != Change::Acknowledge {
        unit = unit.without_audit();
    }
    let before = service.item(who.organization_id, who.user_id, id).await?;
    let now = service.now();
    let mut records =
        service.change_items(&mut unit, from_ref(&before), |item| change.apply(item, now)).await?;
    let record = records.pop().unwrap_or(before.clone());
    if record.data.acknowledged_at != before.data.acknowledged_at {
        let data = json!({"messageId": record.data.message_id, "userId": who.user_id});
        unit.emit("item.acknowledged", &record.meta.id, data);
    }
    let answer = unit.commit(Json(record)).await?;
    service.hub.wake(who.user_id);
    Ok(answer)
}

async fn read(
    State(service): State<Notifications>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<ItemRecord>> {
    change(&service, &who, &id, Change::Read).await
}

async fn unread(
    State(service): State<Notifications>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<ItemRecord>> {
    change(&service, &who, &id, Change::Unread).await
}

async fn archive(
    State(service): State<Notifications>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<ItemRecord>> {
    change(&service, &who, &id, Change::Archive).await
}

async fn acknowledge(
    State(service): State<Notifications>,
    who: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<ItemRecord>> {
    change(&service, &who, &id, Change::Acknowledge).await
}

/// Until when an item is hidden.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snooze {
    /// In the future, at most a year from now.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub until: Timestamp,
}

impl Example for Snooze {
    fn example() -> Self {
        Self { until: Timestamp::UNIX_EPOCH }
    }
}

/// Seconds for which an item can be hidden.
const LONGEST_SNOOZE: i64 = 366 * 86_400;

async fn snooze(
    State(service): State<Notifications>,
    who: SignedIn,
    Path(id): Path<String>,
    Body(input): Body<Snooze>,
) -> Result<Json<ItemRecord>> {
    service.item(who.organization_id, who.user_id, &id).await?;
    let seconds = input.until.duration_since(service.now()).as_secs();
    if !(1..=LONGEST_SNOOZE).contains(&seconds) {
        let message = "This must be in the future, at most a year from now.";
        return Err(Problem::invalid(vec![Fault::new("/until", "out_of_range", message)]).into());
    }
    change(&service, &who, &id, Change::Snooze(input.until)).await
}

/// What is marked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As read, hence seen.
    #[default]
    Read,
    /// As seen only.
    Seen,
}

/// Which items are marked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadAll {
    /// Up to this one; what came later stays unread.
    pub up_to_seq: u64,
    /// Only of this category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// Only of this topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80))]
    pub topic: Option<String>,
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// As what.
    #[serde(default)]
    pub mark: Mark,
}

impl Example for ReadAll {
    fn example() -> Self {
        Self { up_to_seq: 7, category: None, topic: None, project_id: None, mark: Mark::Read }
    }
}

/// How many items were marked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Marked {
    /// Items that were not so before.
    pub count: u64,
}

impl Example for Marked {
    fn example() -> Self {
        Self { count: 3 }
    }
}

async fn read_all(
    State(service): State<Notifications>,
    who: SignedIn,
    Body(input): Body<ReadAll>,
) -> Result<Json<Marked>> {
    let partition = home(&who);
    // Opened first, so that a repeated request ends here with its first answer.
    let unit = who.begin(CONTAINER, partition.clone()).await?.without_audit();
    let (field, change): (_, Change) = match input.mark {
        Mark::Read => ("readAt", Change::Read),
        Mark::Seen => ("seenAt", Change::Seen),
    };
    let filters = InboxFilters {
        category: input.category,
        topic: input.topic.clone(),
        project_id: input.project_id,
        ..InboxFilters::default()
    };
    let up_to = Filter::Le("seq".to_owned(), json!(input.up_to_seq)).and(unset(field));
    let filter = filters.filter().map_or(up_to.clone(), |filter| up_to.and(filter));
    let query = StoreQuery::new(filter).order_by("seq", Direction::Ascending).limit(BATCH);
    let now = service.now();
    let mut count = 0;
    loop {
        let marked = retry_stale(|| async {
            let (page, _) = service.items().page(&partition, &query).await?;
            if page.is_empty() {
                return Ok(0);
            }
            let mut unit = Unit::aside(who.context(), CONTAINER, partition.clone()).without_audit();
            service.change_items(&mut unit, &page, |item: &Item| change.apply(item, now)).await?;
            unit.commit(NoContent).await?;
            Ok(page.len() as u64)
        })
        .await?;
        if marked == 0 {
            break;
        }
        count += marked;
    }
    service.hub.wake(who.user_id);
    unit.commit(Json(Marked { count })).await
}
