//! An organization's configuration, with what the platform adds to it.

use std::collections::BTreeMap;

use coder_core::{OrganizationId, Result, Timestamp};
use coder_database::{Entity, Record, Repository};

use super::Usage;
use super::rules::Rule;
use crate::defaults;
use crate::model::{Budget, Category, Dimensions, Quota, config};
use crate::rating::{self, Listed};

/// The most of each kind that an organization has.
pub(crate) const MAX_CONFIGURED: usize = 500;

/// Steps that a category's parents are followed.
const MAX_PARENTS: usize = 8;

/// What decides how use is counted, rated and limited.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The organization's own categories, by code.
    pub categories: BTreeMap<String, Category>,
    /// The organization's own prices.
    pub prices: Vec<Listed>,
    /// Quotas and budgets in force.
    pub rules: Vec<Rule>,
}

impl Usage {
    /// The configuration of an organization as it stands.
    pub async fn setup(&self, organization_id: OrganizationId) -> Result<Setup> {
        let categories = all(&self.categories, organization_id).await?;
        let prices = all(&self.prices, organization_id).await?;
        let quotas: Vec<Record<Quota>> = all(&self.quotas, organization_id).await?;
        let budgets: Vec<Record<Budget>> = all(&self.budgets, organization_id).await?;
        let quotas = quotas.iter().filter(|quota| quota.data.active).map(Rule::of_quota);
        let budgets = budgets.iter().filter(|budget| budget.data.active).map(Rule::of_budget);
        Ok(Setup {
            categories: categories
                .into_iter()
                .map(|one: Record<Category>| (one.data.code.clone(), one.data))
                .collect(),
            prices: prices.into_iter().map(|price| Ok((price.id()?, price.data))).collect::<Result<_>>()?,
            rules: quotas.chain(budgets).collect(),
        })
    }
}

/// Everything of one kind that an organization has configured.
pub(crate) async fn all<T: Entity>(
    repository: &Repository<T>,
    organization_id: OrganizationId,
) -> Result<Vec<Record<T>>> {
    // Two writers at the limit may pass it by as many as they are.
    repository.all(&config(organization_id), None, MAX_CONFIGURED * 2).await
}

impl Setup {
    /// A category by its code.
    pub fn category(&self, code: &str) -> Option<&Category> {
        defaults::system(code).or_else(|| self.categories.get(code))
    }

    /// The code, then those above it, nearest first.
    pub fn lineage(&self, code: &str) -> Vec<String> {
        let mut lineage = vec![code.to_owned()];
        while lineage.len() <= MAX_PARENTS {
            let Some(last) = lineage.last() else { break };
            let parent = match self.category(last) {
                Some(category) => category.parent(),
                None => last.rsplit_once('.').map(|(head, _)| head),
            };
            match parent.map(str::to_owned) {
                Some(parent) if !lineage.contains(&parent) => lineage.push(parent),
                _ => break,
            }
        }
        lineage
    }

    /// The price that holds: the organization's own before the platform's.
    pub fn price(&self, code: &str, dimensions: &Dimensions, at: Timestamp) -> Option<Listed> {
        let lineage = self.lineage(code);
        let own = rating::choose(&self.prices, &lineage, dimensions, at).cloned();
        own.or_else(|| {
            let fits = |price: &crate::model::Price| lineage.contains(&price.category_code);
            let found = defaults::PRICES.iter().find(|(_, price)| fits(price));
            found.map(|(id, price)| ((*id).into(), price.clone()))
        })
    }

    /// The currency of the organization's prices.
    pub fn currency(&self) -> Option<&str> {
        self.prices.first().map(|(_, price)| price.currency.as_str())
    }
}
