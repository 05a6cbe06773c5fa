//! What is stored, and where: container `usage`, partition `org:<organizationId>`, and a bucket.
//!
//! | document | bucket | id |
//! |---|---|---|
//! | category | `config` | `category:<code>` |
//! | quota, budget, price | `config` | a UUID of its own |
//! | price-list | `config` | `price-list` |
//! | reservation | `config` | a UUID of its own |
//! | hold | `config` | `hold:<quota or budget>:<period>[:<person>]` |
//! | alert | `config` | SHA-256 of what it is about |
//! | statement | `config` | `statement:<month>` |
//! | event | the month | SHA-256 of source and event id |
//! | counter | the month | `counter:<series>:<start>:<category>:<shard>` |
//! | seen | the month | `seen:` and a SHA-256 |
//! | tally | the month | `tally:<priceId>` |
//! | month-state | the month | `month-state` |

mod alert;
mod budget;
mod category;
mod counter;
mod event;
mod price;
mod quota;
mod reservation;
mod statement;

use coder_core::{OrganizationId, ProjectId, TeamId, UserId};
use coder_database::Partition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alert::{Alert, AlertKind, AlertState, RETENTION_DAYS as ALERT_DAYS, Severity};
pub use budget::{Budget, BudgetId, BudgetPeriod, BudgetScope};
pub use category::{Aggregation, Category, CategorySource, MetricDeclaration, MetricUnit};
pub use counter::{Counter, Gauge, MonthState, Seen, Tally};
pub use event::{Cost, RETENTION_DAYS, UsageEvent, event_id, shard};
pub use price::{Component, Price, PriceId, PriceList, PriceModel, Tier};
pub use quota::{Action, Quota, QuotaId, QuotaScope};
pub use reservation::{Hold, HoldEntry, Reservation, ReservationId, ReservationState};
pub use statement::{Statement, StatementLine};

use crate::period::Month;

/// The name of the group's container.
pub const CONTAINER: &str = "usage";

/// The kind of claim that keeps quotas unique.
pub const QUOTA_CLAIM: &str = "quota";

/// Where an organization's configuration is.
pub fn config(organization_id: OrganizationId) -> Partition {
    Partition::organization(organization_id).bucket("config")
}

/// Where an organization's use of one month is.
pub fn month(organization_id: OrganizationId, month: Month) -> Partition {
    Partition::organization(organization_id).bucket(month.to_string())
}

/// Who or what used something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    /// The person, agent or service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The team that it is charged to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// The project that it was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
}

/// Named particulars of what was used, such as the model; at most ten.
pub type Dimensions = std::collections::BTreeMap<String, String>;

/// The most dimensions or dimension filters.
pub const MAX_DIMENSIONS: usize = 10;

/// Whether every filter has its value among the dimensions.
pub fn fits(filters: &Dimensions, dimensions: &Dimensions) -> bool {
    filters.iter().all(|(key, value)| dimensions.get(key) == Some(value))
}
