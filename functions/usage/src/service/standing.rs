//! Where quotas and budgets stand for use that might happen.

use coder_core::{OrganizationId, Result, Timestamp};
use coder_database::Record;

use super::plan::tally_id;
use super::rules::{COST, Rule};
use super::{Ask, Setup, Usage};
use crate::decimal::Decimal;
use crate::model::{Action, Hold, config, month};
use crate::period::{Month, Span};
use crate::rating;

/// Where one quota or budget stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The quota or budget.
    pub rule: Rule,
    /// Its present period.
    pub span: Span,
    /// What counts already.
    pub used: Decimal,
    /// What others hold.
    pub held: Decimal,
    /// What is asked for.
    pub estimate: Decimal,
    /// The id of the document on which use is held.
    pub hold_id: String,
    /// That document, as it was before the use was read.
    pub hold: Option<Record<Hold>>,
}

impl Standing {
    /// Whether what is asked for would pass the limit.
    pub fn is_exceeded(&self) -> bool {
        self.used + self.held + self.estimate > self.rule.limit
    }

    /// What is left.
    pub fn remaining(&self) -> Decimal {
        self.rule.limit.less(self.used + self.held)
    }
}

/// The strictest action among those that are exceeded.
pub(crate) fn verdict(standings: &[Standing]) -> Option<Action> {
    standings.iter().filter(|standing| standing.is_exceeded()).map(|standing| standing.rule.action).max()
}

impl Usage {
    /// Where every quota stands that such use counts towards, and every budget that could stop it.
    pub(crate) async fn standings(
        &self,
        organization_id: OrganizationId,
        setup: &Setup,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Vec<Standing>> {
        let applying = setup.rules.iter().filter(|rule| rule.is_quota() || rule.action > Action::Warn);
        let mut standings = Vec::new();
        for rule in applying.filter(|rule| rule.applies(&ask.category_code, &ask.dimensions, &ask.subject)) {
            let estimate = self.estimate(organization_id, setup, rule, ask, now).await?;
            standings.push(self.standing(organization_id, rule, ask, estimate, now).await?);
        }
        Ok(standings)
    }

    /// Where one rule stands. The hold is read before the use: who commits writes the use first and frees the hold
    /// after, so that nothing is missed in between.
    pub(crate) async fn standing(
        &self,
        organization_id: OrganizationId,
        rule: &Rule,
        ask: &Ask,
        estimate: Decimal,
        now: Timestamp,
    ) -> Result<Standing> {
        let span = rule.period.containing(now);
        let person = rule.person(&ask.subject).map(|id| format!(":{id}")).unwrap_or_default();
        let start = span.from.to_string();
        let hold_id = format!("hold:{}:{}{person}", rule.id, &start[..13.min(start.len())]);
        let hold = self.holds.find(&config(organization_id), &hold_id).await?;
        let used = self.used(organization_id, rule, ask, now).await?;
        let reserved = hold.as_ref().map(|hold| hold.data.held(now)).unwrap_or_default();
        Ok(Standing { rule: rule.clone(), span, used, held: reserved, estimate, hold_id, hold })
    }

    /// How much of a rule's metric is asked for.
    async fn estimate(
        &self,
        organization_id: OrganizationId,
        setup: &Setup,
        rule: &Rule,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Decimal> {
        if rule.metric != COST {
            return Ok(ask.estimate.get(&rule.metric).copied().unwrap_or_default());
        }
        let Some((price_id, price)) = setup.price(&ask.category_code, &ask.dimensions, now) else {
            return Ok(Decimal::ZERO);
        };
        if rule.currency.as_ref().is_some_and(|currency| *currency != price.currency) {
            return Ok(Decimal::ZERO);
        }
        let mut standing = rating::Standing::default();
        if price.model.depends_on_month() {
            let partition = month(organization_id, Month::of(now));
            if let Some(tally) = self.tallies.find(&partition, &tally_id(price_id)).await? {
                standing = rating::Standing { quantity: tally.data.quantity, events: tally.data.events };
            }
        }
        Ok(rating::cost(&price, &ask.estimate, standing))
    }
}
