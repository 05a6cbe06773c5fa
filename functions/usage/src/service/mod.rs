//! What the group's handlers, consumers and jobs work with: its repositories, and the steps that they share.

mod alerts;
mod figures;
mod ingest;
pub(crate) mod plan;
mod reserve;
mod rules;
mod setup;
mod standing;
mod statements;
mod watch;

use std::sync::Arc;

use coder_core::{Failure, OrganizationId, Result, Timestamp};
use coder_database::{Entity, Filter, Partition, PlatformJob, Query, Record, Repository};
use coder_handler::Peers;
use coder_middleware::Runtime;

pub(crate) use alerts::quota_event;
pub use figures::Figures;
pub(crate) use figures::Named;
pub(crate) use ingest::Checked;
pub use ingest::{Incoming, Outcome};
pub(crate) use reserve::{hold, taken_is_stale};
pub(crate) use rules::COST;
pub use rules::{Ask, Rule, RuleKind};
pub use setup::Setup;
pub(crate) use setup::{MAX_CONFIGURED, all};
pub use standing::Standing;
pub(crate) use standing::verdict;
pub(crate) use watch::thresholds;

use crate::model::{
    Alert, Budget, CONTAINER, Category, Counter, Hold, MonthState, Price, PriceList, Quota, Reservation,
    Seen, Statement, Tally, UsageEvent,
};

/// How often a write is tried against other writers. Reservations of one quota all meet on one document, so that many
/// at once need many tries.
pub const TRIES: u32 = 100;

/// Documents that jobs read at a time.
const PAGE: u32 = 200;

/// The group's service.
#[derive(Debug, Clone)]
pub struct Usage {
    /// The services of the platform.
    pub runtime: Arc<Runtime>,
    /// Categories of organizations.
    pub categories: Repository<Category>,
    /// Events.
    pub events: Repository<UsageEvent>,
    /// Counters.
    pub counters: Repository<Counter>,
    /// Who was counted where different people are.
    pub seen: Repository<Seen>,
    /// Where prices stand in a month.
    pub tallies: Repository<Tally>,
    /// Which months are closed.
    pub month_states: Repository<MonthState>,
    /// Quotas.
    pub quotas: Repository<Quota>,
    /// Budgets.
    pub budgets: Repository<Budget>,
    /// Prices of organizations.
    pub prices: Repository<Price>,
    /// What prices have in common.
    pub price_lists: Repository<PriceList>,
    /// Alerts.
    pub alerts: Repository<Alert>,
    /// Reservations.
    pub reservations: Repository<Reservation>,
    /// What reservations hold.
    pub holds: Repository<Hold>,
    /// Closed statements.
    pub statements: Repository<Statement>,
}

impl Usage {
    /// The service of a group that starts.
    pub fn new(runtime: Arc<Runtime>, _: Arc<Peers>) -> Self {
        fn of<T: Entity>(runtime: &Runtime) -> Repository<T> {
            Repository::new(runtime.store.clone(), CONTAINER)
        }
        Self {
            categories: of(&runtime),
            events: of(&runtime),
            counters: of(&runtime),
            seen: of(&runtime),
            tallies: of(&runtime),
            month_states: of(&runtime),
            quotas: of(&runtime),
            budgets: of(&runtime),
            prices: of(&runtime),
            price_lists: of(&runtime),
            alerts: of(&runtime),
            reservations: of(&runtime),
            holds: of(&runtime),
            statements: of(&runtime),
            runtime,
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.runtime.ambient.now()
    }
}

/// Everything of all organizations that passes, read page by page before anything changes, so that a change cannot
/// move the next page.
pub(crate) async fn everywhere<T: Entity>(
    repository: &Repository<T>,
    job: &PlatformJob,
    filter: impl Into<Option<Filter>>,
) -> Result<Vec<(Partition, Record<T>)>> {
    let mut query = Query::new(filter).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let (page, next) = repository.page_across(job, &query).await?;
        found.extend(page);
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(found),
        }
    }
}

/// The organization of a partition that a job reads.
pub(crate) fn owner(partition: &Partition) -> Result<OrganizationId> {
    partition.organization_id().ok_or_else(|| Failure::internal("a document of no organization"))
}
