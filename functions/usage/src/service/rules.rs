//! Quotas and budgets as one thing: a limit on what somebody uses in a period.

use std::collections::BTreeMap;

use coder_core::UserId;
use coder_database::Record;

use crate::decimal::Decimal;
use crate::model::{Action, Budget, BudgetScope, Dimensions, Quota, QuotaScope, Subject, fits};
use crate::pattern::covers;
use crate::period::Period;
use crate::series::Whose;

/// The word that stands for money where a metric stands.
pub(crate) const COST: &str = "cost";

/// What a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// A quota with its warnings, in percent.
    Quota {
        /// The first warning.
        warn: u32,
        /// The loud one.
        critical: u32,
    },
    /// A budget, which has thresholds of its own.
    Budget,
}

/// A limit on what somebody uses in a period.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The quota's or budget's id.
    pub id: String,
    /// Which of both.
    pub kind: RuleKind,
    /// Its name.
    pub name: String,
    /// Whose use counts.
    pub scope: QuotaScope,
    /// The team, project or person.
    pub scope_id: Option<String>,
    /// Which categories.
    pub pattern: String,
    /// The metric, or `cost`.
    pub metric: String,
    /// The currency of a budget.
    pub currency: Option<String>,
    /// The dimensions that count.
    pub filters: Dimensions,
    /// The period.
    pub period: Period,
    /// The limit.
    pub limit: Decimal,
    /// What happens above it.
    pub action: Action,
}

/// Use that happens, or might.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The category.
    pub category_code: String,
    /// How much of each metric.
    pub estimate: BTreeMap<String, Decimal>,
    /// Particulars.
    pub dimensions: Dimensions,
    /// Who or what.
    pub subject: Subject,
}

impl Rule {
    /// A quota.
    pub fn of_quota(quota: &Record<Quota>) -> Self {
        let data = quota.data.clone();
        Self {
            id: quota.meta.id.clone(),
            kind: RuleKind::Quota { warn: data.warn_percent, critical: data.critical_percent },
            name: data.name,
            scope: data.scope,
            scope_id: data.scope_id,
            pattern: data.category_pattern,
            metric: data.metric,
            currency: None,
            filters: data.dimension_filters,
            period: data.period,
            limit: data.limit.0,
            action: data.action,
        }
    }

    /// A budget.
    pub fn of_budget(budget: &Record<Budget>) -> Self {
        let data = budget.data.clone();
        Self {
            id: budget.meta.id.clone(),
            kind: RuleKind::Budget,
            name: data.name,
            scope: match data.scope {
                BudgetScope::Organization => QuotaScope::Organization,
                BudgetScope::Team => QuotaScope::Team,
                BudgetScope::Project => QuotaScope::Project,
            },
            scope_id: data.scope_id,
            pattern: data.category_pattern,
            metric: COST.to_owned(),
            currency: Some(data.currency),
            filters: Dimensions::new(),
            period: data.period.into(),
            limit: Decimal::from_units(data.amount_minor),
            action: data.action,
        }
    }

    /// Whether it is a quota.
    pub fn is_quota(&self) -> bool {
        matches!(self.kind, RuleKind::Quota { .. })
    }

    /// Whether use of this subject counts.
    pub fn binds(&self, subject: &Subject) -> bool {
        let is = |id: Option<String>| id.is_some() && self.scope_id == id;
        match self.scope {
            QuotaScope::Organization => true,
            QuotaScope::Team => is(subject.team_id.map(|id| id.to_string())),
            QuotaScope::Project => is(subject.project_id.map(|id| id.to_string())),
            QuotaScope::User => is(subject.user_id.map(|id| id.to_string())),
            QuotaScope::EachUser => subject.user_id.is_some(),
        }
    }

    /// Whether such use counts.
    pub fn applies(&self, category_code: &str, dimensions: &Dimensions, subject: &Subject) -> bool {
        covers(&self.pattern, category_code) && fits(&self.filters, dimensions) && self.binds(subject)
    }

    /// The person whose use is counted apart.
    pub fn person(&self, subject: &Subject) -> Option<UserId> {
        subject.user_id.filter(|_| self.scope == QuotaScope::EachUser)
    }

    /// The series that counts the use of this subject.
    pub fn whose(&self, subject: &Subject) -> Whose {
        if !self.filters.is_empty() {
            return Whose::Quota { id: self.id.clone(), user: self.person(subject) };
        }
        let id = self.scope_id.as_deref();
        match self.scope {
            QuotaScope::Organization => Whose::Organization,
            QuotaScope::Team => Whose::Team(id.and_then(|id| id.parse().ok())),
            QuotaScope::Project => Whose::Project(id.and_then(|id| id.parse().ok())),
            QuotaScope::User => Whose::User(id.and_then(|id| id.parse().ok())),
            QuotaScope::EachUser => Whose::User(subject.user_id),
        }
    }
}
