//! Live use beside every quota that binds the caller.

use coder_core::{ProjectId, Result, TeamId, UserId};
use coder_handler::Routes;
use coder_middleware::{Example, Json, Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::QuotaUse;
use crate::access::Reader;
use crate::decimal::Decimal;
use crate::model::Subject;
use crate::service::{Ask, Usage};

/// Adds the routes.
pub fn routes(routes: Routes<Usage>) -> Routes<Usage> {
    routes.get("/counters", "get_usage_counters", "See live use beside every quota that binds you", counters)
}

/// Whose use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountersOf {
    /// Another person, for those who see everybody's use.
    pub user_id: Option<UserId>,
    /// The team whose quotas bind too.
    pub team_id: Option<TeamId>,
    /// The project whose quotas bind too.
    pub project_id: Option<ProjectId>,
}

/// Where quotas stand.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// The quotas.
    pub quotas: Vec<QuotaUse>,
}

impl Example for Counters {
    fn example() -> Self {
        Self { quotas: vec![QuotaUse::example()] }
    }
}

async fn counters(
    State(usage): State<Usage>,
    who: Reader,
    Query(asked): Query<CountersOf>,
) -> Result<Json<Counters>> {
    let user_id = who.narrowed(asked.user_id, true).unwrap_or(who.user_id);
    let subject = Subject {
        user_id: Some(user_id),
        team_id: asked.team_id.filter(|_| who.counters),
        project_id: asked.project_id.filter(|_| who.counters),
    };
    let (setup, now) = (usage.setup(who.organization_id).await?, usage.now());
    let ask = Ask { subject, ..Ask::default() };
    let mut quotas = Vec::new();
    for rule in setup.rules.iter().filter(|rule| rule.is_quota() && rule.binds(&subject)) {
        let standing = usage.standing(who.organization_id, rule, &ask, Decimal::ZERO, now).await?;
        quotas.push(QuotaUse::from(&standing));
    }
    Ok(Json(Counters { quotas }))
}
