//! Pages and nearest vectors, read from one logical partition, from those below a key, or from all.

use std::num::NonZeroU32;

use azure_data_cosmos::clients::ContainerClient;
use azure_data_cosmos::feed::FeedScope;
use azure_data_cosmos::options::{MaxItemCountHint, QueryOptions};
use coder_core::Timestamp;
use coder_database::rules::{check_field, check_query};
use coder_database::{Container, Document, Filter, Page, PartitionKey, Query, StoreError, vector};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use super::envelope::{END, Stored};
use super::error;
use super::order::Order;
use super::position;
use super::sql::{Sql, field};

/// Bytes of JSON after which a page ends early.
const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Answers of a search for vectors at most.
const MOST: u32 = 1000;

/// A page, ready to be read.
#[derive(Debug)]
pub(super) struct PageRead {
    sql: Sql,
    order: Order,
    limit: usize,
    fingerprint: String,
}

impl PageRead {
    /// `key` is where to read; `None` is everywhere.
    pub(super) fn new(
        container: &Container,
        key: Option<&PartitionKey>,
        query: &Query,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        check_query(query)?;
        let order = Order::new(container, key.map_or(0, |key| key.0.len()), query);
        let fingerprint = format!("{} {key:?} {}", container.name, query.fingerprint());
        let mut sql = Sql::default();
        // One more, to know whether there is another page.
        sql.push(&format!("SELECT TOP {} * FROM c WHERE ", query.limit + 1));
        push_live(&mut sql, now);
        order.push_present(&mut sql)?;
        if let Some(filter) = &query.filter {
            sql.push(" AND ");
            sql.push_filter(filter)?;
        }
        if let Some(text) = &query.continuation {
            order.push_after(&mut sql, &position::decode(text, &fingerprint, order.len())?)?;
        }
        sql.push(" ORDER BY");
        order.push_order_by(&mut sql)?;
        Ok(Self { sql, order, limit: query.limit as usize, fingerprint })
    }

    /// Reads the page.
    pub(super) async fn run(self, client: &ContainerClient, scope: FeedScope) -> Result<Page, StoreError> {
        let limit = self.limit;
        let (mut items, mut bytes, mut more) = (Vec::new(), 0, false);
        // A page ends before the documents are too many to hold, whatever its limit.
        let take = |value: Value| {
            more = items.len() == limit || bytes > PAGE_BYTES;
            if !more {
                bytes += weight(&value);
                items.push(Stored::open(value, None).into_document());
            }
            more
        };
        read_until(client, scope, self.sql, limit + 1, take).await?;
        let last: Option<&Document> = items.last().filter(|_| more);
        let next = last.map(|last| position::encode(self.order.position(&last.body), &self.fingerprint));
        Ok(Page { items, next })
    }
}

/// About as many bytes as the value's JSON, without writing it.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => 2 + items.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => {
            2 + fields.iter().map(|(name, value)| name.len() + 4 + weight(value)).sum::<usize>()
        }
    }
}

/// What is over is not there.
fn push_live(sql: &mut Sql, now: Timestamp) {
    let now = sql.parameter(now.as_millisecond().into());
    sql.push(&format!("((NOT IS_DEFINED(c.{END})) OR c.{END} > {now})"));
}

/// Reads rows until `take` has enough.
async fn read_until(
    client: &ContainerClient,
    scope: FeedScope,
    sql: Sql,
    most: usize,
    mut take: impl FnMut(Value) -> bool,
) -> Result<(), StoreError> {
    let most = u32::try_from(most).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let options = QueryOptions::default().with_max_item_count(MaxItemCountHint::Limit(most));
    let failed = |cause: azure_data_cosmos::CosmosError| error::of_request(&cause);
    let rows = client.query_items::<Value>(sql.finish()?, scope, Some(options)).await.map_err(failed)?;
    let mut pages = rows.into_pages();
    while let Some(page) = pages.try_next().await.map_err(failed)? {
        for row in page.into_items() {
            if take(row) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A search for the nearest vectors.
#[derive(Debug)]
pub(super) struct NearestRead {
    sql: Sql,
    top: usize,
}

impl NearestRead {
    pub(super) fn new(
        container: &Container,
        field_path: &str,
        wanted: &[f32],
        top: u32,
        filter: Option<&Filter>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        check_field(field_path)?;
        let invalid = |what: String| StoreError::Invalid { what };
        let declared = container.vectors.iter().find(|vector| vector.field == field_path);
        let declared = declared
            .ok_or_else(|| invalid(format!("`{}` has no vectors in `{field_path}`", container.name)))?;
        if !(1..=MOST).contains(&top) {
            return Err(invalid(format!("a search has 1 to {MOST} answers, not {top}")));
        }
        let field = field(field_path)?;
        let mut sql = Sql::default();
        let wanted = sql.parameter(vector::unit(wanted, *declared)?.into());
        let similarity = format!("VectorDistance({field}, {wanted})");
        sql.push(&format!("SELECT TOP {top} c AS document, {similarity} AS similarity FROM c WHERE "));
        push_live(&mut sql, now);
        sql.push(&format!(" AND IS_ARRAY({field})"));
        if let Some(filter) = filter {
            sql.push(" AND ");
            sql.push_filter(filter)?;
        }
        sql.push(&format!(" ORDER BY {similarity}"));
        Ok(Self { sql, top: top as usize })
    }

    /// Reads the answers, nearest first, ties by id.
    pub(super) async fn run(
        self,
        client: &ContainerClient,
        scope: FeedScope,
    ) -> Result<Vec<(Document, f32)>, StoreError> {
        let mut found = Vec::new();
        let take = |mut row: Value| {
            let similarity = row.get("similarity").and_then(Value::as_f64).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, reason = "vectors are kept as 32-bit floats")]
            let similarity = similarity as f32;
            let document = row.get_mut("document").map(Value::take).unwrap_or_default();
            found.push((Stored::open(document, None).into_document(), similarity));
            false
        };
        read_until(client, scope, self.sql, self.top, take).await?;
        found.sort_by(|(a, near), (b, far)| far.total_cmp(near).then_with(|| a.id.cmp(&b.id)));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use coder_database::Direction;
    use serde_json::json;

    use super::*;

    fn container() -> Container {
        Container::new("c").vector("embedding", 2)
    }

    #[test]
    fn what_a_document_weighs_is_about_its_json() {
        let text = "a text as long as that of a usual description, give or take a few words";
        let value = json!({ "id": "0000001", "title": text, "tags": ["a", "b"], "size": 7, "open": true });
        let (weight, json) = (weight(&value), value.to_string().len());
        assert!(weight.abs_diff(json) < json / 5, "{weight} for {json}");
    }

    #[test]
    fn a_page_is_one_statement_with_parameters_only() {
        let query = Query::new(Filter::of_type("x")).order_by("at", Direction::Descending).limit(7);
        let key = PartitionKey::single("p");
        let page = PageRead::new(&container(), Some(&key), &query, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            page.sql.parts(),
            (
                "SELECT TOP 8 * FROM c WHERE ((NOT IS_DEFINED(c._end)) OR c._end > @p1) \
                 AND IS_DEFINED(c.at) AND (IS_STRING(c.type) AND c.type = @p2) \
                 ORDER BY c.type DESC, c.at DESC, c.id DESC",
                [json!(0), json!("x")].as_slice()
            )
        );
    }

    #[test]
    fn the_nearest_are_found_by_the_service() {
        let filter = Filter::eq("status", "open");
        let nearest =
            NearestRead::new(&container(), "embedding", &[3.0, 4.0], 5, Some(&filter), Timestamp::UNIX_EPOCH);
        let nearest = nearest.unwrap();
        let (text, parameters) = nearest.sql.parts();
        assert_eq!(
            text,
            "SELECT TOP 5 c AS document, VectorDistance(c.embedding, @p1) AS similarity FROM c \
             WHERE ((NOT IS_DEFINED(c._end)) OR c._end > @p2) AND IS_ARRAY(c.embedding) \
             AND (IS_STRING(c.status) AND c.status = @p3) ORDER BY VectorDistance(c.embedding, @p1)"
        );
        assert_eq!(parameters[2], json!("open"));
        assert_eq!(parameters[0], json!([0.6_f32, 0.8_f32]));
    }
}
