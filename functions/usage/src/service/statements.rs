//! Making statements out of what was counted at each price.

use std::collections::BTreeMap;

use coder_core::{Code, OrganizationId, Result};
use coder_handler::{Cause, retry_stale_up_to};
use serde_json::json;

use super::figures::Named;
use super::{Setup, TRIES, Usage, taken_is_stale};
use crate::decimal::{Decimal, Quantity};
use crate::defaults;
use crate::model::{
    CONTAINER, MonthState, Price, PriceId, PriceModel, Statement, StatementLine, config, month,
};
use crate::period::{Granularity, Month, Period};
use crate::rating;
use crate::series;
use crate::totals::Totals;

/// Months before a statement's own from which late events can come: they lie at most 32 days back.
const LATE_MONTHS: usize = 2;

/// The month that the use was in if it is not the statement's own, the price, the category.
type Key = (Option<Month>, Option<PriceId>, String);

impl Usage {
    /// The statement of a month as it stands.
    pub(crate) async fn statement(
        &self,
        organization_id: OrganizationId,
        setup: &Setup,
        of: Month,
        provisional: bool,
    ) -> Result<Statement> {
        let mut rated: BTreeMap<Key, Totals> = BTreeMap::new();
        self.rated(organization_id, of, None, "price", &mut rated).await?;
        let earlier = std::iter::successors(Some(of.previous()), |month| Some(month.previous()));
        for late in earlier.take(LATE_MONTHS) {
            self.rated(organization_id, late, Some(late), &format!("late-{of}"), &mut rated).await?;
        }
        let lines: Vec<StatementLine> =
            rated.iter().map(|(key, totals)| line(setup, &rated, key, totals)).collect();
        Ok(Statement {
            month: of,
            provisional,
            total_minor: lines.iter().map(|line| line.amount_minor).sum(),
            currency: setup.currency().map(str::to_owned),
            lines,
        })
    }

    async fn rated(
        &self,
        organization_id: OrganizationId,
        of: Month,
        adjustment_of: Option<Month>,
        kind: &str,
        rated: &mut BTreeMap<Key, Totals>,
    ) -> Result<()> {
        let named = Named::Beginning(series::prefix(Granularity::Month, kind));
        let span = Period::Month.containing(of.start());
        for counter in self.counted(organization_id, &named, span).await? {
            let price = series::tail(&counter.data.series).and_then(|id| id.parse().ok());
            let key = (adjustment_of, price, counter.data.category_code.clone());
            rated.entry(key).or_default().add(&counter.data);
        }
        Ok(())
    }

    /// Closes a month for good: first no event comes in any more, then the statement is made. Killed in between, it
    /// goes on where it was.
    pub async fn close(&self, by: Cause<'_>, organization_id: OrganizationId, of: Month) -> Result<()> {
        let partition = month(organization_id, of);
        retry_stale_up_to(TRIES, || async {
            let before = self.month_states.find(&partition, MonthState::ID).await?;
            let mut unit = by.begin(CONTAINER, partition.clone()).without_audit();
            match before {
                Some(state) if state.data.closed => return Ok(()),
                Some(state) => {
                    unit.replace(&state, MonthState { closed: true, ..state.data.clone() })?;
                }
                None => drop(unit.create(MonthState::ID, MonthState { closed: true, late_writes: 0 })?),
            }
            by.commit(unit).await.map_err(taken_is_stale)
        })
        .await?;
        let (partition, id) = (config(organization_id), Statement::document_id(of));
        if self.statements.find(&partition, &id).await?.is_some() {
            return Ok(());
        }
        let setup = self.setup(organization_id).await?;
        let statement = self.statement(organization_id, &setup, of, false).await?;
        let event = json!({
            "month": of, "totalMinor": statement.total_minor, "currency": statement.currency,
        });
        let mut unit = by.begin(CONTAINER, partition);
        unit.create(&id, statement)?;
        unit.emit("statement.closed", &of.to_string(), event);
        match by.commit(unit).await {
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Ok(()),
            outcome => outcome,
        }
    }
}

fn line(setup: &Setup, rated: &BTreeMap<Key, Totals>, key: &Key, totals: &Totals) -> StatementLine {
    let (adjustment_of, price_id, code) = key;
    let price = price_id.and_then(|id| find(setup, id));
    let primary = || setup.category(code).map(|category| category.primary_metric.clone());
    let metric = price.and_then(|price| price.metric.clone()).or_else(primary).unwrap_or_default();
    let quantity = totals.metric(&metric);
    let amount = match price {
        Some(price) if price.model == PriceModel::Volume && adjustment_of.is_none() => {
            let same = rated.iter().filter(|((late, id, _), _)| late.is_none() && id == price_id);
            let total: Decimal = same.map(|(_, totals)| totals.metric(&metric)).sum();
            rating::volume(&price.tiers, total, quantity)
        }
        _ => totals.cost(None),
    };
    StatementLine {
        category_code: code.clone(),
        dimensions: price.map(|price| price.dimension_filters.clone()).unwrap_or_default(),
        metric,
        quantity: Quantity(quantity),
        amount_minor: amount.rounded(),
        adjustment_of: *adjustment_of,
    }
}

fn find(setup: &Setup, wanted: PriceId) -> Option<&Price> {
    let own = setup.prices.iter().find(|(id, _)| *id == wanted).map(|(_, price)| price);
    own.or_else(|| {
        defaults::PRICES.iter().find(|(id, _)| PriceId::from(*id) == wanted).map(|(_, price)| price)
    })
}
