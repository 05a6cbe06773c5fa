//! What use would cost.

use std::collections::BTreeMap;

use coder_core::Result;
use coder_handler::Routes;
use coder_middleware::{Allowed, Body, Example, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Intent;
use crate::catalogue::PriceRead;
use crate::decimal::{Decimal, Quantity};
use crate::model::{Dimensions, PriceId, Subject};
use crate::rating::{self, Standing};
use crate::service::Usage;

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes.post("/prices/estimate", "estimate_cost", "Say what use would cost, and by which price", estimate)
}

/// Use to be priced.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EstimateCost {
    /// The category.
    #[schemars(length(min = 1, max = 64))]
    pub category_code: String,
    /// How much of each metric.
    #[schemars(extend("maxProperties" = 20))]
    pub metrics: BTreeMap<String, Quantity>,
    /// Particulars, such as the model.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub dimensions: Dimensions,
}

/// What use would cost.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostEstimate {
    /// Minor units; tiers are taken from their beginning.
    pub amount: Decimal,
    /// ISO 4217; null without a price.
    pub currency: Option<String>,
    /// The price.
    pub price_id: Option<PriceId>,
    /// Whether there is no price for it.
    pub unpriced: bool,
}

impl Example for EstimateCost {
    fn example() -> Self {
        let Intent { category_code, estimate, dimensions, .. } = Intent::example();
        Self { category_code, metrics: estimate, dimensions }
    }
}

impl Example for CostEstimate {
    fn example() -> Self {
        Self {
            amount: Decimal::from_millionths(500_000),
            currency: Some("EUR".to_owned()),
            price_id: Some(coder_core::id::EXAMPLE.into()),
            unpriced: false,
        }
    }
}

async fn estimate(
    State(usage): State<Usage>,
    who: Allowed<PriceRead>,
    Body(input): Body<EstimateCost>,
) -> Result<Json<CostEstimate>> {
    let setup = usage.setup(who.organization_id).await?;
    let EstimateCost { category_code, metrics, dimensions } = input;
    let intent = Intent { category_code, estimate: metrics, dimensions, subject: None };
    let ask = intent.checked(&setup, Subject::default())?;
    let Some((id, price)) = setup.price(&ask.category_code, &ask.dimensions, usage.now()) else {
        let nothing = CostEstimate { amount: Decimal::ZERO, currency: None, price_id: None, unpriced: true };
        return Ok(Json(nothing));
    };
    let amount = rating::cost(&price, &ask.estimate, Standing::default());
    Ok(Json(CostEstimate { amount, currency: Some(price.currency), price_id: Some(id), unpriced: false }))
}
