//! Categories of use: which metrics an activity has, and how each is added up.

use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern;

/// A category of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Category {
    /// The code; unique in the organization and among those of the platform.
    #[schemars(regex(pattern = pattern::CODE), length(max = 64))]
    pub code: String,
    /// The name.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// The category whose price counts where this one has none; the code without its last word if left out.
    #[schemars(regex(pattern = pattern::CODE), length(max = 64))]
    pub parent_code: Option<String>,
    /// What is measured.
    #[schemars(length(min = 1, max = 20))]
    pub metrics: Vec<MetricDeclaration>,
    /// The metric that statements and anomalies look at.
    #[schemars(regex(pattern = pattern::METRIC))]
    pub primary_metric: String,
}

/// Whose a category is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CategorySource {
    /// The platform's; cannot be changed.
    System,
    /// The organization's own.
    Organization,
}

/// A metric of a category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricDeclaration {
    /// The key in events.
    #[schemars(regex(pattern = pattern::METRIC))]
    pub key: String,
    /// What one of it is.
    pub unit: MetricUnit,
    /// How events add up.
    pub aggregation: Aggregation,
}

/// What one of a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum MetricUnit {
    Token,
    Byte,
    Request,
    Second,
    Execution,
    Query,
    User,
    Count,
}

/// How the events of a period add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The values are added.
    Sum,
    /// The events that have the metric are counted.
    Count,
    /// The greatest value.
    Max,
    /// The different people are counted.
    Unique,
    /// The value of the latest event.
    Latest,
}

impl Entity for Category {
    const TYPE: &'static str = "category";
}

impl Category {
    /// The id of the document.
    pub fn document_id(code: &str) -> String {
        format!("category:{code}")
    }

    /// The declaration of a metric.
    pub fn metric(&self, key: &str) -> Option<&MetricDeclaration> {
        self.metrics.iter().find(|metric| metric.key == key)
    }

    /// The code above this one.
    pub fn parent(&self) -> Option<&str> {
        self.parent_code.as_deref().or_else(|| self.code.rsplit_once('.').map(|(head, _)| head))
    }
}
