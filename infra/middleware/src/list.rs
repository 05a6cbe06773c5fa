//! Lists: page size, sealed cursor, sort field and filters of a `GET` on a collection.

use coder_core::{Code, Failure, Problem};
use coder_database::{Direction, Entity, Filter, Partition, Query as StoreQuery, Record, Repository};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answer::PageOf;
use crate::describe::OperationDescription;
use crate::request::{Input, RequestContext, query};

/// The filters and sort fields of a collection.
pub trait Filters: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Fields that `sort` accepts, the default first, with `-` for descending order. The first field that a
    /// document lacks leaves it out of the list, so only fields that every document has may stand here.
    const SORT: &'static [&'static str];
    /// The stored filter.
    fn filter(&self) -> Option<Filter>;
}

/// Page size and position.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Paging {
    /// Resources a page.
    #[schemars(range(min = 1, max = 200))]
    #[serde(default = "default_limit")]
    limit: u32,
    /// Where the page starts: `nextCursor` of the page before, for the same query.
    #[schemars(length(max = 4096))]
    cursor: Option<String>,
    /// The field to sort by; with `-` before it, the greatest comes first.
    #[schemars(length(max = 64))]
    sort: Option<String>,
}

fn default_limit() -> u32 {
    50
}

/// A request for a page of a collection, filtered by `F`.
#[derive(Debug, Clone)]
pub struct List<F> {
    /// The filters.
    pub filters: F,
    /// Resources a page, 1–200.
    pub limit: u32,
    /// Sort field and direction.
    pub order: (String, Direction),
    cursor: Option<String>,
    context: RequestContext,
}

impl<S: Sync, F: Filters> Input<S> for List<F> {
    fn describe(operation: &mut OperationDescription) {
        query::describe::<F>(operation);
        query::describe::<Paging>(operation);
        if let Some(sort) = operation.parameters.iter_mut().find(|parameter| parameter.name == "sort") {
            let fields = F::SORT.iter().map(|field| field.trim_start_matches('-'));
            let values: Vec<String> =
                fields.flat_map(|field| [field.to_owned(), format!("-{field}")]).collect();
            sort.schema = serde_json::json!({"type": "string", "enum": values, "default": F::SORT.first()});
        }
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        let values = query::read(context)?;
        let names =
            |value: &serde_json::Value| value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>());
        let paging_names = ["limit", "cursor", "sort"];
        let (mut own, mut paging) = (serde_json::Map::new(), serde_json::Map::new());
        for name in names(&values).unwrap_or_default() {
            let target = if paging_names.contains(&name.as_str()) { &mut paging } else { &mut own };
            target.insert(name.clone(), values[&name].clone());
        }
        let paging: Paging = query::typed(paging.into())?;
        let filters: F = query::typed(own.into())?;
        let order = order::<F>(paging.sort.as_deref())?;
        Ok(Self { filters, limit: paging.limit, order, cursor: paging.cursor, context: context.clone() })
    }
}

fn order<F: Filters>(wanted: Option<&str>) -> Result<(String, Direction), Failure> {
    let sort = wanted.or(F::SORT.first().copied()).unwrap_or("createdAt");
    let field = sort.trim_start_matches('-');
    let known =
        sort.len() <= field.len() + 1 && F::SORT.iter().any(|one| one.trim_start_matches('-') == field);
    if !known {
        return Err(invalid_query(format!("`sort` accepts {}.", F::SORT.join(", "))));
    }
    let direction = if sort.starts_with('-') { Direction::Descending } else { Direction::Ascending };
    Ok((field.to_owned(), direction))
}

fn invalid_query(detail: String) -> Failure {
    Problem::new(Code::InvalidQuery, detail).into()
}

impl<F: Filters> List<F> {
    /// The page of `T` in the partition, filtered by the caller's filters and `extra`.
    pub async fn page<T: Entity>(
        &self,
        repository: &Repository<T>,
        partition: &Partition,
        extra: Option<Filter>,
    ) -> Result<PageOf<Record<T>>, Failure> {
        let filter = match (self.filters.filter(), extra) {
            (Some(a), Some(b)) => Some(a.and(b)),
            (a, b) => a.or(b),
        };
        let query = StoreQuery::new(filter).order_by(&self.order.0, self.order.1).limit(self.limit);
        let fingerprint = format!("{} {:?} {}", self.context.operation_id(), partition, query.fingerprint());
        let position = self.open_cursor(&fingerprint)?;
        let (items, next) = repository.page(partition, &query.continue_from(position)).await?;
        let next_cursor = next.map(|next| self.context.runtime().cursors.seal(&next, &fingerprint));
        Ok(PageOf { items, next_cursor })
    }

    /// The page of a list that a handler has whole, in its order; for collections that a limit keeps small.
    pub fn slice<T: Clone>(&self, items: &[T], of: &str) -> Result<PageOf<T>, Failure> {
        let fingerprint =
            format!("{} {of} {:?} {:?}", self.context.operation_id(), self.filters.filter(), self.order);
        let start = match self.open_cursor(&fingerprint)? {
            Some(position) => position.parse().map_err(Failure::internal)?,
            None => 0_usize,
        };
        let end = start.saturating_add(self.limit as usize).min(items.len());
        let page = items.get(start..end).unwrap_or_default().to_vec();
        let more = end < items.len();
        let next_cursor = more.then(|| self.context.runtime().cursors.seal(&end.to_string(), &fingerprint));
        Ok(PageOf { items: page, next_cursor })
    }

    fn open_cursor(&self, fingerprint: &str) -> Result<Option<String>, Failure> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        match self.context.runtime().cursors.open(cursor, fingerprint) {
            Some(position) => Ok(Some(position)),
            None => {
                Err(invalid_query("`cursor` is not one that this query gave; start again without it.".into()))
            }
        }
    }
}
