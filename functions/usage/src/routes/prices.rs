//! Prices of the organization.

use coder_core::{Code, Failure, OrganizationId, Problem, Result, Timestamp};
use coder_database::{Filter, Partition, Query, Record};
use coder_handler::crud::Words;
use coder_handler::{Crud as _, Resource, Routes};
use coder_middleware::{Allowed, Example, Filters, Unit};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Faults;
use super::written::Written;
use crate::catalogue::{PriceCreate, PriceDelete, PriceRead, PriceUpdate};
use crate::decimal::Decimal;
use crate::model::{CONTAINER, Component, Dimensions, Price, PriceId, PriceList, PriceModel, config};
use crate::period::Granularity;
use crate::rating;
use crate::series::Whose;
use crate::service::{MAX_CONFIGURED, Setup, Usage};

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes.crud::<Price>().each(|operation| {
        if operation.path.contains("/prices") && operation.writes() {
            operation.problems.push(Code::InvalidState);
        }
    })
}

impl Example for Price {
    fn example() -> Self {
        let component = |metric: &str, units| Component {
            metric: metric.to_owned(),
            amount: Decimal::from_units(units),
            per: 1_000_000,
        };
        Self {
            category_code: "ai.completion".to_owned(),
            dimension_filters: Dimensions::from([("model".to_owned(), "large".to_owned())]),
            model: PriceModel::Components,
            components: vec![component("inputTokens", 250), component("outputTokens", 1000)],
            metric: None,
            tiers: Vec::new(),
            currency: "EUR".to_owned(),
            effective_from: Timestamp::UNIX_EPOCH,
            effective_to: None,
        }
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceFilters {
    /// The category.
    #[schemars(length(max = 64))]
    pub category_code: Option<String>,
}

impl Filters for PriceFilters {
    const SORT: &'static [&'static str] = &["createdAt", "effectiveFrom"];

    fn filter(&self) -> Option<Filter> {
        self.category_code.as_deref().map(|code| Filter::eq("categoryCode", code))
    }
}

impl Resource for Price {
    type Service = Usage;
    type Write = Written<Self>;
    type View = Record<Self>;
    type Filters = PriceFilters;
    type Id = PriceId;
    type Read = PriceRead;
    type Create = PriceCreate;
    type Update = PriceUpdate;
    type Delete = PriceDelete;

    const CONTAINER: &'static str = CONTAINER;
    const WORDS: Words = coder_handler::words!("price", "prices", "/prices", "priceId", price, prices);

    fn writable(&self) -> Written<Self> {
        Written(self.clone())
    }

    fn view(record: Record<Self>) -> Record<Self> {
        record
    }

    fn event(record: &Record<Self>) -> Value {
        json!({"priceId": record.meta.id, "categoryCode": record.data.category_code})
    }

    fn partition(organization_id: OrganizationId) -> Partition {
        config(organization_id)
    }

    async fn create(
        usage: &Usage,
        who: &Allowed<PriceCreate>,
        unit: &mut Unit,
        _: PriceId,
        Written(price): Written<Self>,
    ) -> Result<Self> {
        revise(usage, unit).await?;
        let setup = usage.setup(who.organization_id).await?;
        if setup.prices.len() >= MAX_CONFIGURED {
            return Err(Failure::problem(
                Code::LimitReached,
                format!("There are {MAX_CONFIGURED} prices at most."),
            ));
        }
        check(&setup, &price)?;
        beside(&setup, &price, None)?;
        Ok(price)
    }

    async fn update(
        usage: &Usage,
        who: &Allowed<PriceUpdate>,
        unit: &mut Unit,
        before: &Record<Self>,
        Written(price): Written<Self>,
    ) -> Result<Self> {
        revise(usage, unit).await?;
        let setup = usage.setup(who.organization_id).await?;
        check(&setup, &price)?;
        let id: PriceId = before.id()?;
        if was_applied(usage, who.organization_id, id).await? {
            let ended = Price { effective_to: price.effective_to, ..before.data.clone() };
            let past = price.effective_to.is_some_and(|end| end < usage.now());
            if ended != price || past {
                let detail = "The price was applied to events: only its end can be set, to a time to come.";
                return Err(Failure::problem(Code::InvalidState, detail));
            }
        }
        beside(&setup, &price, Some(id))?;
        Ok(price)
    }

    async fn delete(
        usage: &Usage,
        who: &Allowed<PriceDelete>,
        unit: &mut Unit,
        before: &Record<Self>,
    ) -> Result<()> {
        revise(usage, unit).await?;
        if was_applied(usage, who.organization_id, before.id()?).await? {
            let detail = "The price was applied to events: set `effectiveTo` instead.";
            return Err(Failure::problem(Code::InvalidState, detail));
        }
        Ok(())
    }
}

/// Writes what all prices have in common, so that of two changes at once the later sees the earlier.
async fn revise(usage: &Usage, unit: &mut Unit) -> Result<()> {
    let partition = unit.partition().clone();
    match usage.price_lists.find(&partition, PriceList::ID).await? {
        Some(before) => drop(unit.replace(&before, PriceList { revision: before.data.revision + 1 })?),
        None => {
            let taken = Problem::new(Code::Conflict, "Another price is being written; try again.");
            unit.claim(PriceList::ID, &["first"], PriceList::ID, taken)?;
            unit.create(PriceList::ID, PriceList { revision: 1 })?;
        }
    }
    Ok(())
}

/// Whether the price was applied to an event of any month.
async fn was_applied(usage: &Usage, organization_id: OrganizationId, id: PriceId) -> Result<bool> {
    let series = Whose::Price(Some(id)).series(Granularity::Month);
    let late = Filter::Contains("series".to_owned(), format!(":{id}"));
    let any = Filter::Or(vec![Filter::eq("series", series), late]);
    let (found, _) =
        usage.counters.page(&Partition::organization(organization_id), &Query::new(any).limit(1)).await?;
    Ok(!found.is_empty())
}

fn check(setup: &Setup, price: &Price) -> Result<(), Problem> {
    let mut faults = Faults::default();
    faults.dimensions("/dimensionFilters", &price.dimension_filters);
    let after = price.effective_to.is_none_or(|end| end > price.effective_from);
    faults.unless(after, "/effectiveTo", "too_small", "This must be after `effectiveFrom`.");
    let positive = price.components.iter().all(|component| component.amount >= Decimal::ZERO)
        && price.tiers.iter().all(|tier| tier.amount >= Decimal::ZERO);
    faults.unless(positive, "/model", "too_small", "Amounts are not negative.");
    let code = price.category_code.as_str();
    let known = setup.category(code).is_some()
        || crate::defaults::SYSTEM
            .iter()
            .chain(setup.categories.values())
            .any(|one| one.code.starts_with(&format!("{code}.")));
    faults.unless(known, "/categoryCode", "unknown_category", "There is no such category, nor one below it.");
    let components = price.model == PriceModel::Components;
    faults.unless(
        components != price.components.is_empty(),
        "/components",
        "one_of",
        "`components` needs them; no other model has them.",
    );
    let counts = matches!(price.model, PriceModel::Graduated | PriceModel::Volume | PriceModel::Package);
    faults.unless(
        counts == price.metric.is_some(),
        "/metric",
        "one_of",
        "`graduated`, `volume` and `package` need a metric; no other model has one.",
    );
    faults.unless(tiers_fit(price), "/tiers", "invalid_value", "Tiers rise and the last has no end; a package has one with its size, `flat` one without, others none.");
    if let Some(category) = setup.category(code) {
        let components = price.components.iter().map(|component| &component.metric);
        let named = components.chain(&price.metric).all(|metric| category.metric(metric).is_some());
        faults.unless(named, "/model", "unknown_metric", "The category has no such metric.");
    }
    faults.finish()
}

/// Whether the tiers are those of the model.
fn tiers_fit(price: &Price) -> bool {
    let sizes: Vec<_> = price.tiers.iter().map(|tier| tier.up_to).collect();
    match (price.model, sizes.as_slice()) {
        (PriceModel::Components | PriceModel::Free, []) | (PriceModel::Flat, [None]) => true,
        (PriceModel::Package, [Some(size)]) => size.0 > Decimal::ZERO,
        (PriceModel::Graduated | PriceModel::Volume, [rising @ .., None]) => {
            let positive = rising.iter().all(|size| size.is_some_and(|size| size.0 > Decimal::ZERO));
            positive && rising.is_sorted_by(|one, other| one < other)
        }
        _ => false,
    }
}

/// `409` for a price that another one stands in the way of.
fn beside(setup: &Setup, price: &Price, own: Option<PriceId>) -> Result<()> {
    let others = || setup.prices.iter().filter(|(id, _)| Some(*id) != own);
    if let Some((_, other)) = others().find(|(_, other)| other.currency != price.currency) {
        let detail = format!("The organization's prices are in {}.", other.currency);
        return Err(Failure::problem(Code::Conflict, detail));
    }
    if let Some((id, _)) = others().find(|(_, other)| rating::overlap(price, other)) {
        let detail = format!("The price {id} is as particular and holds at the same time; end it first.");
        return Err(Failure::problem(Code::Conflict, detail));
    }
    Ok(())
}
