//! Categories: the platform's, which nobody changes, and the organization's own.

use coder_core::{Code, Failure, Problem, Result};
use coder_database::{Direction, Entity as _, Filter, Partition, Query, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch,
    Path, State, Unit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::faults::Faults;
use super::written::Written;
use crate::catalogue::{CategoryCreate, CategoryDelete, CategoryRead, CategoryUpdate};
use crate::defaults;
use crate::model::{CONTAINER, Category, CategorySource, MetricDeclaration, MetricUnit, config};
use crate::pattern;
use crate::service::{COST, MAX_CONFIGURED, Usage, all};

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes
        .get("/categories", "list_usage_categories", "List categories, the platform's among them", list)
        .post("/categories", "create_usage_category", "Add a category", create)
        .problems([Code::AlreadyExists, Code::LimitReached])
        .patch(
            "/categories/{code}",
            "update_usage_category",
            "Change a category; metrics are only added",
            update,
        )
        .problems([Code::InvalidState])
        .delete("/categories/{code}", "delete_usage_category", "Delete a category that nothing uses", delete)
        .problems([Code::InvalidState])
}

/// What can be changed of a category.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CategoryWrite {
    /// The name.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// The category whose price counts where this one has none.
    #[schemars(regex(pattern = pattern::CODE), length(max = 64))]
    pub parent_code: Option<String>,
    /// What is measured.
    #[schemars(length(min = 1, max = 20))]
    pub metrics: Vec<MetricDeclaration>,
    /// The metric that statements and anomalies look at.
    #[schemars(regex(pattern = pattern::METRIC))]
    pub primary_metric: String,
}

/// A category.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategoryView {
    /// The category.
    #[serde(flatten)]
    pub category: Category,
    /// Whose it is.
    pub source: CategorySource,
    /// Changes at every write; none for what never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl Example for Category {
    fn example() -> Self {
        let metric = MetricDeclaration {
            key: "pages".to_owned(),
            unit: MetricUnit::Count,
            aggregation: crate::model::Aggregation::Sum,
        };
        Self {
            code: "print.office".to_owned(),
            name: "Printing".to_owned(),
            parent_code: None,
            metrics: vec![metric],
            primary_metric: "pages".to_owned(),
        }
    }
}

impl Example for CategoryWrite {
    fn example() -> Self {
        let Category { name, parent_code, metrics, primary_metric, .. } = Category::example();
        Self { name, parent_code, metrics, primary_metric }
    }
}

impl Example for CategoryView {
    fn example() -> Self {
        Self { category: Category::example(), source: CategorySource::Organization, etag: None }
    }
}

/// The list has no filters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CategoryFilters {}

impl Filters for CategoryFilters {
    const SORT: &'static [&'static str] = &["code"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

fn own(record: Record<Category>) -> CategoryView {
    let etag = Some(record.meta.etag);
    CategoryView { category: record.data, source: CategorySource::Organization, etag }
}

async fn list(
    State(usage): State<Usage>,
    who: Allowed<CategoryRead>,
    list: List<CategoryFilters>,
) -> Result<Json<PageOf<CategoryView>>> {
    let system = defaults::SYSTEM.iter().cloned();
    let system = system.map(|category| CategoryView { category, source: CategorySource::System, etag: None });
    let mut items: Vec<CategoryView> = system.collect();
    items.extend(all(&usage.categories, who.organization_id).await?.into_iter().map(own));
    items.sort_by(|one, other| one.category.code.cmp(&other.category.code));
    if list.order.1 == Direction::Descending {
        items.reverse();
    }
    Ok(Json(list.slice(&items, &who.organization_id.to_string())?))
}

async fn create(
    State(usage): State<Usage>,
    who: Allowed<CategoryCreate>,
    Body(Written(category)): Body<Written<Category>>,
) -> Result<Created<CategoryView>> {
    let partition = config(who.organization_id);
    let mut unit = who.begin(CONTAINER, partition.clone()).await?;
    check(&usage, &partition, &category).await?;
    if defaults::system(&category.code).is_some() {
        return Err(Failure::problem(Code::AlreadyExists, "The platform has a category of this code."));
    }
    if all(&usage.categories, who.organization_id).await?.len() >= MAX_CONFIGURED {
        return Err(Failure::problem(
            Code::LimitReached,
            format!("There are {MAX_CONFIGURED} categories at most."),
        ));
    }
    let code = category.code.clone();
    let record = unit.create(Category::document_id(&code), category)?;
    unit.emit("category.created", &code, json!({"categoryCode": code}));
    let location = format!("{}/{code}", who.context().path());
    unit.commit(Created { location, body: own(record) }).await
}

async fn update(
    State(usage): State<Usage>,
    who: Allowed<CategoryUpdate>,
    Path(code): Path<String>,
    if_match: IfMatch,
    patch: Patch<CategoryWrite>,
) -> Result<Json<CategoryView>> {
    let partition = config(who.organization_id);
    let before = find(&usage, &partition, &code).await?;
    if_match.check(&before.meta)?;
    let Category { name, parent_code, metrics, primary_metric, .. } = before.data.clone();
    let CategoryWrite { name, parent_code, metrics, primary_metric } =
        patch.apply(&CategoryWrite { name, parent_code, metrics, primary_metric })?;
    let category = Category { code, name, parent_code, metrics, primary_metric };
    check(&usage, &partition, &category).await?;
    if before.data.metrics.iter().any(|metric| category.metric(&metric.key) != Some(metric)) {
        let detail = "Metrics that were counted so far can neither change nor go; add another one.";
        return Err(Failure::problem(Code::Conflict, detail));
    }
    let mut unit = who.begin(CONTAINER, partition).await?;
    let (record, changes) = unit.replace(&before, category)?;
    let code = &record.data.code;
    unit.emit_changes("category.updated", code, json!({"categoryCode": code}), &changes);
    unit.commit(Json(own(record))).await
}

async fn delete(
    State(usage): State<Usage>,
    who: Allowed<CategoryDelete>,
    Path(code): Path<String>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let partition = config(who.organization_id);
    let before = find(&usage, &partition, &code).await?;
    if_match.check(&before.meta)?;
    let mut unit: Unit = who.begin(CONTAINER, partition).await?;
    if let Some(user) = used_by(&usage, &who, &code).await? {
        let detail = format!("The category is used by {user}.");
        return Err(Failure::problem(Code::Conflict, detail));
    }
    unit.delete(&before)?;
    unit.emit("category.deleted", &code, json!({"categoryCode": code}));
    unit.commit(NoContent).await
}

/// The organization's own category; the platform's cannot be changed.
async fn find(usage: &Usage, partition: &Partition, code: &str) -> Result<Record<Category>> {
    if defaults::system(code).is_some() {
        return Err(Failure::problem(Code::InvalidState, "Categories of the platform cannot be changed."));
    }
    if !pattern::is_code(code) {
        return Err(Problem::not_found(Category::TYPE).into());
    }
    usage.categories.get(partition, &Category::document_id(code)).await
}

async fn check(usage: &Usage, partition: &Partition, category: &Category) -> Result<()> {
    let mut faults = Faults::default();
    faults.name("/name", &category.name);
    for (index, metric) in category.metrics.iter().enumerate() {
        let pointer = format!("/metrics/{index}/key");
        let first = category.metrics.iter().position(|other| other.key == metric.key) == Some(index);
        faults.unless(first, &pointer, "duplicate", "The keys must differ.");
        faults.unless(metric.key != COST, &pointer, "not_allowed", "`cost` is the word for money.");
    }
    let primary = category.metric(&category.primary_metric).is_some();
    faults.unless(primary, "/primaryMetric", "unknown_metric", "This must be one of the metrics.");
    if let Some(parent) = &category.parent_code {
        let there = defaults::system(parent).is_some()
            || usage.categories.find(partition, &Category::document_id(parent)).await?.is_some();
        faults.unless(
            there && *parent != category.code,
            "/parentCode",
            "unknown_category",
            "There is no such category.",
        );
    }
    Ok(faults.finish()?)
}

/// What uses a category, if anything does.
async fn used_by(usage: &Usage, who: &Allowed<CategoryDelete>, code: &str) -> Result<Option<&'static str>> {
    let partition = config(who.organization_id);
    let one = |field: &str| Query::new(Filter::eq(field, code)).limit(1);
    let all_months = Partition::organization(who.organization_id);
    if !usage.counters.page(&all_months, &one("categoryCode")).await?.0.is_empty() {
        return Ok(Some("counted events"));
    }
    if !usage.prices.page(&partition, &one("categoryCode")).await?.0.is_empty() {
        return Ok(Some("a price"));
    }
    if !usage.quotas.page(&partition, &one("categoryPattern")).await?.0.is_empty() {
        return Ok(Some("a quota"));
    }
    if !usage.budgets.page(&partition, &one("categoryPattern")).await?.0.is_empty() {
        return Ok(Some("a budget"));
    }
    let below = usage.categories.page(&partition, &one("parentCode")).await?.0;
    Ok((!below.is_empty()).then_some("another category"))
}
