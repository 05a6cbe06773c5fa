//! Budgets, and where they stand.

use coder_core::{Code, Failure, OrganizationId, Problem, Result, Timestamp};
use coder_database::{Filter, Partition, Record};
use coder_handler::crud::Words;
use coder_handler::{Crud as _, Resource, Routes};
use coder_middleware::{Allowed, Example, Filters, Json, Path, State, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::faults::Faults;
use super::written::Written;
use crate::catalogue::{BudgetCreate, BudgetDelete, BudgetRead, BudgetUpdate};
use crate::decimal::{Decimal, Quantity};
use crate::jobs::{Spending, percent_spent};
use crate::model::{Action, Budget, BudgetId, BudgetPeriod, BudgetScope, CONTAINER, QuotaScope, config};
use crate::service::{MAX_CONFIGURED, Usage, all};

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    let summary = "See what a budget has spent, and what it will";
    routes.crud::<Budget>().get("/budgets/{budgetId}/status", "get_budget_status", summary, status)
}

/// Where a budget stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// When the period began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub period_start: Timestamp,
    /// When it ends.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub period_end: Timestamp,
    /// Minor units.
    pub spent: Decimal,
    /// Of the amount.
    pub percent: Quantity,
    /// Minor units at the end, if it goes on so; null in the first tenth of the period.
    pub projected: Option<Decimal>,
    /// How bad it is.
    pub state: BudgetState,
    /// What was spent on what.
    pub by_category: Vec<CategorySpending>,
}

/// How far a budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetState {
    /// Below every threshold.
    Ok,
    /// A threshold is reached.
    Warning,
    /// The last threshold below the amount is reached.
    Critical,
    /// The amount is reached.
    Exceeded,
}

/// What was spent on one category.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategorySpending {
    /// The category.
    pub category_code: String,
    /// Minor units.
    pub spent: Decimal,
}

impl Example for Budget {
    fn example() -> Self {
        Self {
            name: "Models".to_owned(),
            scope: BudgetScope::Organization,
            scope_id: None,
            category_pattern: "ai.*".to_owned(),
            period: BudgetPeriod::Month,
            amount_minor: 50_000,
            currency: "EUR".to_owned(),
            thresholds: vec![50, 80, 100],
            forecast_alert: true,
            action: Action::Warn,
            active: true,
        }
    }
}

impl Example for BudgetStatus {
    fn example() -> Self {
        Self {
            period_start: Timestamp::UNIX_EPOCH,
            period_end: Timestamp::UNIX_EPOCH,
            spent: Decimal::from_units(12_000),
            percent: Quantity(Decimal::from_units(24)),
            projected: None,
            state: BudgetState::Ok,
            by_category: Vec::new(),
        }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BudgetFilters {
    /// Whether it is in force.
    pub active: Option<bool>,
}

impl Filters for BudgetFilters {
    const SORT: &'static [&'static str] = &["name", "createdAt"];

    fn filter(&self) -> Option<Filter> {
        self.active.map(|active| Filter::eq("active", active))
    }
}

impl Resource for Budget {
    type Service = Usage;
    type Write = Written<Self>;
    type View = Record<Self>;
    type Filters = BudgetFilters;
    type Id = BudgetId;
    type Read = BudgetRead;
    type Create = BudgetCreate;
    type Update = BudgetUpdate;
    type Delete = BudgetDelete;

    const CONTAINER: &'static str = CONTAINER;
    const WORDS: Words = coder_handler::words!("budget", "budgets", "/budgets", "budgetId", budget, budgets);

    fn writable(&self) -> Written<Self> {
        Written(self.clone())
    }

    fn view(record: Record<Self>) -> Record<Self> {
        record
    }

    fn event(record: &Record<Self>) -> Value {
        json!({"budgetId": record.meta.id, "name": record.data.name})
    }

    fn partition(organization_id: OrganizationId) -> Partition {
        config(organization_id)
    }

    async fn create(
        usage: &Usage,
        who: &Allowed<BudgetCreate>,
        _: &mut Unit,
        _: BudgetId,
        Written(budget): Written<Self>,
    ) -> Result<Self> {
        if all(&usage.budgets, who.organization_id).await?.len() >= MAX_CONFIGURED {
            return Err(Failure::problem(
                Code::LimitReached,
                format!("There are {MAX_CONFIGURED} budgets at most."),
            ));
        }
        Ok(checked(budget)?)
    }

    async fn update(
        _: &Usage,
        _: &Allowed<BudgetUpdate>,
        _: &mut Unit,
        _: &Record<Self>,
        Written(budget): Written<Self>,
    ) -> Result<Self> {
        Ok(checked(budget)?)
    }

    async fn delete(_: &Usage, _: &Allowed<BudgetDelete>, _: &mut Unit, _: &Record<Self>) -> Result<()> {
        Ok(())
    }
}

fn checked(mut budget: Budget) -> Result<Budget, Problem> {
    let scope = match budget.scope {
        BudgetScope::Organization => QuotaScope::Organization,
        BudgetScope::Team => QuotaScope::Team,
        BudgetScope::Project => QuotaScope::Project,
    };
    let mut faults = Faults::default();
    faults.name("/name", &budget.name);
    faults.scope(scope, budget.scope_id.as_deref());
    faults.finish()?;
    budget.thresholds.sort_unstable();
    budget.thresholds.dedup();
    Ok(budget)
}

async fn status(
    State(usage): State<Usage>,
    who: Allowed<BudgetRead>,
    Path(id): Path<BudgetId>,
) -> Result<Json<BudgetStatus>> {
    let budget = usage.budgets.get(&config(who.organization_id), &id.to_string()).await?;
    let spending = Spending::of(&usage, who.organization_id, &budget, usage.now()).await?;
    let percent = percent_spent(&spending, &budget.data);
    let by_category = spending.by_category.into_iter();
    Ok(Json(BudgetStatus {
        period_start: spending.span.from,
        period_end: spending.span.to,
        spent: spending.spent,
        percent: Quantity(percent),
        projected: spending.projected,
        state: state(percent, &budget.data.thresholds),
        by_category: by_category
            .map(|(category_code, spent)| CategorySpending { category_code, spent })
            .collect(),
    }))
}

fn state(percent: Decimal, thresholds: &[u32]) -> BudgetState {
    let reached = |threshold: u32| percent >= Decimal::from_units(i64::from(threshold));
    let below = || thresholds.iter().copied().filter(|threshold| *threshold < 100);
    match (reached(100), below().max(), below().min()) {
        (true, ..) => BudgetState::Exceeded,
        // The only threshold is a warning, not yet the last one.
        (_, Some(last), Some(first)) if last > first && reached(last) => BudgetState::Critical,
        (_, _, Some(first)) if reached(first) => BudgetState::Warning,
        _ => BudgetState::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::{BudgetState, state};
    use crate::decimal::Decimal;

    #[test]
    fn states_follow_the_thresholds() {
        let at = |percent, thresholds: &[u32]| state(Decimal::from_units(percent), thresholds);
        let usual = [50, 80, 100];
        assert_eq!(at(49, &usual), BudgetState::Ok);
        assert_eq!(at(50, &usual), BudgetState::Warning);
        assert_eq!(at(80, &usual), BudgetState::Critical);
        assert_eq!(at(100, &usual), BudgetState::Exceeded);
        assert_eq!(
            (at(90, &[80]), at(99, &[]), at(120, &[150])),
            (BudgetState::Warning, BudgetState::Ok, BudgetState::Exceeded)
        );
    }
}
