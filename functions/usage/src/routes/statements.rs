//! Statements: the closed ones, and the open months as they stand.

use coder_core::{Problem, Result};
use coder_database::{Direction, Filter};
use coder_handler::Routes;
use coder_middleware::{Allowed, Example, Filters, Json, List, PageOf, Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalogue::StatementRead;
use crate::decimal::{Decimal, Quantity};
use crate::model::{Dimensions, Statement, StatementLine, config};
use crate::period::Month;
use crate::service::{Usage, all};

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes.get("/statements", "list_statements", "List statements, the open months among them", list).get(
        "/statements/{month}",
        "get_statement",
        "Read the lines of a month",
        get,
    )
}

/// A statement without its lines.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatementItem {
    /// The month.
    pub month: Month,
    /// Whether the month is open: the total can still change.
    pub provisional: bool,
    /// Minor units.
    pub total_minor: i64,
    /// ISO 4217; null without any price.
    pub currency: Option<String>,
}

impl From<Statement> for StatementItem {
    fn from(statement: Statement) -> Self {
        let Statement { month, provisional, total_minor, currency, .. } = statement;
        Self { month, provisional, total_minor, currency }
    }
}

impl Example for StatementItem {
    fn example() -> Self {
        Statement::example().into()
    }
}

impl Example for Statement {
    fn example() -> Self {
        let line = StatementLine {
            category_code: "ai.completion".to_owned(),
            dimensions: Dimensions::new(),
            metric: "inputTokens".to_owned(),
            quantity: Quantity(Decimal::from_units(1500)),
            amount_minor: 1,
            adjustment_of: None,
        };
        Self {
            month: Month::of(coder_core::Timestamp::UNIX_EPOCH),
            provisional: true,
            lines: vec![line],
            total_minor: 1,
            currency: Some("EUR".to_owned()),
        }
    }
}

/// The list has no filters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StatementFilters {}

impl Filters for StatementFilters {
    const SORT: &'static [&'static str] = &["-month"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

async fn list(
    State(usage): State<Usage>,
    who: Allowed<StatementRead>,
    list: List<StatementFilters>,
) -> Result<Json<PageOf<StatementItem>>> {
    let closed = all(&usage.statements, who.organization_id).await?;
    let mut items: Vec<StatementItem> = closed.into_iter().map(|statement| statement.data.into()).collect();
    let setup = usage.setup(who.organization_id).await?;
    let this = Month::of(usage.now());
    for month in [this, this.previous()] {
        if items.iter().all(|item| item.month != month) {
            let open = usage.statement(who.organization_id, &setup, month, true).await?;
            if !open.lines.is_empty() {
                items.push(open.into());
            }
        }
    }
    items.sort_by_key(|item| item.month);
    if list.order.1 == Direction::Descending {
        items.reverse();
    }
    Ok(Json(list.slice(&items, &who.organization_id.to_string())?))
}

async fn get(
    State(usage): State<Usage>,
    who: Allowed<StatementRead>,
    Path(month): Path<Month>,
) -> Result<Json<Statement>> {
    let closed = usage.statements.find(&config(who.organization_id), &Statement::document_id(month)).await?;
    if let Some(closed) = closed {
        return Ok(Json(closed.data));
    }
    let this = Month::of(usage.now());
    if month == this || month == this.previous() {
        let setup = usage.setup(who.organization_id).await?;
        let open = usage.statement(who.organization_id, &setup, month, true).await?;
        // A month in which nothing was used has no statement, neither now nor later.
        if !open.lines.is_empty() {
            return Ok(Json(open));
        }
    }
    Err(Problem::not_found("statement").into())
}
