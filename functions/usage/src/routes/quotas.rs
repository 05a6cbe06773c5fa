//! Quotas.

use coder_core::{Code, Failure, OrganizationId, Problem, Result};
use coder_database::{Filter, Partition, Record};
use coder_handler::crud::Words;
use coder_handler::{Crud as _, Resource, Routes};
use coder_middleware::{Allowed, Example, Filters, Unit};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Faults;
use super::written::Written;
use crate::catalogue::{QuotaCreate, QuotaDelete, QuotaRead, QuotaUpdate};
use crate::decimal::{Decimal, Quantity};
use crate::model::{Action, CONTAINER, Dimensions, QUOTA_CLAIM, Quota, QuotaId, QuotaScope, config};
use crate::period::Period;
use crate::service::{MAX_CONFIGURED, Usage, all};

/// Quotas with dimension filters; each has counters of its own.
const MAX_FILTERED: usize = 5;

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes.crud::<Quota>()
}

impl Example for Quota {
    fn example() -> Self {
        Self {
            name: "Tokens a month".to_owned(),
            scope: QuotaScope::EachUser,
            scope_id: None,
            category_pattern: "ai.*".to_owned(),
            metric: "inputTokens".to_owned(),
            dimension_filters: Dimensions::new(),
            period: Period::Month,
            limit: Quantity(Decimal::from_units(1_000_000)),
            warn_percent: 80,
            critical_percent: 95,
            action: Action::Block,
            active: true,
        }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaFilters {
    /// Whose use is counted.
    pub scope: Option<QuotaScope>,
    /// Whether it is in force.
    pub active: Option<bool>,
    /// The very pattern.
    #[schemars(length(max = 66))]
    pub category_pattern: Option<String>,
}

impl Filters for QuotaFilters {
    const SORT: &'static [&'static str] = &["name", "createdAt"];

    fn filter(&self) -> Option<Filter> {
        let scope = self.scope.map(|scope| Filter::eq("scope", scope.as_str()));
        let active = self.active.map(|active| Filter::eq("active", active));
        let pattern = self.category_pattern.as_deref().map(|pattern| Filter::eq("categoryPattern", pattern));
        Some(Filter::And([scope, active, pattern].into_iter().flatten().collect()))
    }
}

impl Resource for Quota {
    type Service = Usage;
    type Write = Written<Self>;
    type View = Record<Self>;
    type Filters = QuotaFilters;
    type Id = QuotaId;
    type Read = QuotaRead;
    type Create = QuotaCreate;
    type Update = QuotaUpdate;
    type Delete = QuotaDelete;

    const CONTAINER: &'static str = CONTAINER;
    const WORDS: Words = coder_handler::words!("quota", "quotas", "/quotas", "quotaId", quota, quotas);

    fn writable(&self) -> Written<Self> {
        Written(self.clone())
    }

    fn view(record: Record<Self>) -> Record<Self> {
        record
    }

    fn event(record: &Record<Self>) -> Value {
        json!({"quotaId": record.meta.id, "name": record.data.name})
    }

    fn partition(organization_id: OrganizationId) -> Partition {
        config(organization_id)
    }

    async fn create(
        usage: &Usage,
        who: &Allowed<QuotaCreate>,
        unit: &mut Unit,
        id: QuotaId,
        Written(quota): Written<Self>,
    ) -> Result<Self> {
        check(&quota)?;
        let quotas = all(&usage.quotas, who.organization_id).await?;
        room(&quotas, &quota, None)?;
        claim(unit, &quota, &id.to_string())?;
        Ok(quota)
    }

    async fn update(
        usage: &Usage,
        who: &Allowed<QuotaUpdate>,
        unit: &mut Unit,
        before: &Record<Self>,
        Written(quota): Written<Self>,
    ) -> Result<Self> {
        check(&quota)?;
        let quotas = all(&usage.quotas, who.organization_id).await?;
        room(&quotas, &quota, Some(&before.meta.id))?;
        if quota.unique() != before.data.unique() {
            release(unit, &before.data);
            claim(unit, &quota, &before.meta.id)?;
        }
        Ok(quota)
    }

    async fn delete(
        _: &Usage,
        _: &Allowed<QuotaDelete>,
        unit: &mut Unit,
        before: &Record<Self>,
    ) -> Result<()> {
        release(unit, &before.data);
        Ok(())
    }
}

fn check(quota: &Quota) -> Result<(), Problem> {
    let mut faults = Faults::default();
    faults.name("/name", &quota.name);
    faults.scope(quota.scope, quota.scope_id.as_deref());
    faults.dimensions("/dimensionFilters", &quota.dimension_filters);
    faults.unless(quota.limit.0 > Decimal::ZERO, "/limit", "too_small", "More than 0 is needed.");
    let rising = quota.warn_percent < quota.critical_percent;
    faults.unless(rising, "/criticalPercent", "too_small", "This must be more than `warnPercent`.");
    faults.finish()
}

/// `409` unless there is room for the quota.
fn room(quotas: &[Record<Quota>], quota: &Quota, own: Option<&str>) -> Result<()> {
    let others = || quotas.iter().filter(|other| Some(other.meta.id.as_str()) != own);
    let filtered = |quota: &Quota| quota.active && !quota.dimension_filters.is_empty();
    if others().count() >= MAX_CONFIGURED {
        return Err(Failure::problem(
            Code::LimitReached,
            format!("There are {MAX_CONFIGURED} quotas at most."),
        ));
    }
    if filtered(quota) && others().filter(|other| filtered(&other.data)).count() >= MAX_FILTERED {
        let detail = format!("There are {MAX_FILTERED} active quotas with dimension filters at most.");
        return Err(Failure::problem(Code::LimitReached, detail));
    }
    Ok(())
}

fn claim(unit: &mut Unit, quota: &Quota, id: &str) -> Result<()> {
    let detail = "There is a quota of this scope, pattern, metric, filters and period already.";
    let taken = Problem::new(Code::AlreadyExists, detail);
    unit.claim(QUOTA_CLAIM, &quota.unique().each_ref().map(String::as_str), id, taken)
}

fn release(unit: &mut Unit, quota: &Quota) {
    unit.release(QUOTA_CLAIM, &quota.unique().each_ref().map(String::as_str));
}
