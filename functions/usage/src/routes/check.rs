//! Asking whether use would be allowed.

use std::collections::BTreeMap;

use coder_core::{Code, Fault, Problem, Result, Timestamp};
use coder_handler::Routes;
use coder_middleware::{Body, Example, Json, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::access::AllowedOrService;
use crate::catalogue::QuotaCheck;
use crate::decimal::Quantity;
use crate::model::{Action, Dimensions, Subject};
use crate::service::{Ask, Setup, Standing, Usage, verdict};

/// Seconds between two requests of one person above a limit that throttles.
pub(super) const THROTTLE_SECONDS: u64 = 10;

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes.post("/quotas/check", "check_quotas", "Say whether use would be allowed; nothing changes", check)
}

/// Use that might happen.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Intent {
    /// The category.
    #[schemars(length(min = 1, max = 64))]
    pub category_code: String,
    /// How much of each metric at most.
    #[schemars(extend("maxProperties" = 20))]
    pub estimate: BTreeMap<String, Quantity>,
    /// Particulars, such as the model.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 10))]
    pub dimensions: Dimensions,
    /// Who or what; people ask for themselves.
    pub subject: Option<Subject>,
}

/// Whether use would be allowed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Whether it may go on.
    pub allowed: bool,
    /// What the exceeded limits demand, the strictest; null if none is exceeded.
    pub action: Option<Action>,
    /// When to ask again; null unless it is blocked or throttled.
    pub retry_after_seconds: Option<u64>,
    /// Every quota, and every budget that blocks or throttles, that the use counts towards.
    pub quotas: Vec<QuotaUse>,
}

/// Where a quota stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaUse {
    /// The quota, or the budget.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What counts already.
    pub used: Quantity,
    /// What reservations hold.
    pub held: Quantity,
    /// How much there is in the period.
    pub limit: Quantity,
    /// What is left.
    pub remaining: Quantity,
    /// How much is used, in percent of the limit.
    pub percent: Quantity,
    /// When the next period begins.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub resets_at: Timestamp,
}

impl From<&Standing> for QuotaUse {
    fn from(standing: &Standing) -> Self {
        Self {
            id: standing.rule.id.clone(),
            name: standing.rule.name.clone(),
            used: Quantity(standing.used),
            held: Quantity(standing.held),
            limit: Quantity(standing.rule.limit),
            remaining: Quantity(standing.remaining()),
            percent: Quantity(standing.used.percent_of(standing.rule.limit)),
            resets_at: standing.span.to,
        }
    }
}

impl Example for Intent {
    fn example() -> Self {
        Self {
            category_code: "ai.completion".to_owned(),
            estimate: BTreeMap::from([(
                "inputTokens".to_owned(),
                Quantity(crate::decimal::Decimal::from_units(2000)),
            )]),
            dimensions: Dimensions::from([("model".to_owned(), "large".to_owned())]),
            subject: None,
        }
    }
}

impl Example for QuotaUse {
    fn example() -> Self {
        let units = |units| Quantity(crate::decimal::Decimal::from_units(units));
        Self {
            id: coder_core::id::EXAMPLE.to_string(),
            name: "Tokens a month".to_owned(),
            used: units(800),
            held: units(0),
            limit: units(1000),
            remaining: units(200),
            percent: units(80),
            resets_at: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Example for Verdict {
    fn example() -> Self {
        Self { allowed: true, action: None, retry_after_seconds: None, quotas: vec![QuotaUse::example()] }
    }
}

impl Intent {
    /// What is asked, by a subject, of categories and metrics that there are.
    pub(super) fn checked(self, setup: &Setup, subject: Subject) -> Result<Ask, Problem> {
        let mut faults = Faults::default();
        faults.dimensions("/dimensions", &self.dimensions);
        faults.finish()?;
        let Some(category) = setup.category(&self.category_code) else {
            return Err(Problem::fault("/categoryCode", "unknown_category", "There is no such category."));
        };
        let unknown = self.estimate.keys().filter(|key| category.metric(key).is_none());
        let fault = |key: &String| {
            Fault::new(format!("/estimate/{key}"), "unknown_metric", "The category has no such metric.")
        };
        let unknown: Vec<Fault> = unknown.map(fault).collect();
        if !unknown.is_empty() {
            return Err(Problem::invalid(unknown));
        }
        let Self { category_code, estimate, dimensions, .. } = self;
        let estimate = estimate.into_iter().map(|(key, value)| (key, value.0)).collect();
        Ok(Ask { category_code, estimate, dimensions, subject })
    }
}

async fn check(
    State(usage): State<Usage>,
    who: AllowedOrService<QuotaCheck>,
    Body(intent): Body<Intent>,
) -> Result<Json<Verdict>> {
    let (setup, now) = (usage.setup(who.organization_id).await?, usage.now());
    let subject = who.subject(intent.subject);
    let ask = intent.checked(&setup, subject)?;
    let standings = usage.standings(who.organization_id, &setup, &ask, now).await?;
    let action = verdict(&standings);
    let retry_after_seconds = match action {
        Some(Action::Block) => blocked(&standings).map(|(_, seconds)| seconds(now)),
        Some(Action::Throttle) => Some(THROTTLE_SECONDS),
        Some(Action::Warn) | None => None,
    };
    let quotas = standings.iter().map(QuotaUse::from).collect();
    Ok(Json(Verdict { allowed: action != Some(Action::Block), action, retry_after_seconds, quotas }))
}

/// The exceeded limit that blocks longest, and how long.
fn blocked(standings: &[Standing]) -> Option<(&Standing, impl Fn(Timestamp) -> u64)> {
    let blocking = standings.iter().filter(|one| one.rule.action == Action::Block && one.is_exceeded());
    let longest = blocking.max_by_key(|one| one.span.to)?;
    Some((longest, |now| longest.span.seconds_left(now)))
}

/// `429 quota_exceeded`, naming the limit, if one blocks.
pub(super) fn refuse_blocked(standings: &[Standing], now: Timestamp) -> Result<(), Problem> {
    let Some((standing, seconds)) = blocked(standings) else { return Ok(()) };
    let seconds = seconds(now);
    let count = |value: crate::decimal::Decimal| u32::try_from(value.split().0).unwrap_or(u32::MAX);
    let detail = format!(
        "`{}` ({}) leaves {} of {}; it begins anew at {}.",
        standing.rule.name,
        standing.rule.id,
        Quantity(standing.remaining()).number(),
        Quantity(standing.rule.limit).number(),
        standing.span.to,
    );
    let mut problem = Problem::new(Code::QuotaExceeded, detail).retry_after(seconds);
    problem.rate_limit = Some(coder_core::problem::RateLimit {
        limit: count(standing.rule.limit),
        remaining: count(standing.remaining()),
        reset_seconds: seconds,
    });
    Err(problem)
}
