//! What every organization has from the platform: categories and prices, fixed in the code and never stored.

use std::sync::LazyLock;

use coder_core::Timestamp;
use coder_core::id::Uuid;

use crate::model::{Aggregation, Category, MetricDeclaration, MetricUnit, Price, PriceModel};

use Aggregation::{Latest, Sum, Unique};
use MetricUnit::{Byte, Count, Execution, Query, Request, Second, Token, User};

/// Code, name, metrics, the primary one first.
type Row = (&'static str, &'static str, &'static [(&'static str, MetricUnit, Aggregation)]);

const CATEGORIES: &[Row] = &[
    ("ai.agent", "Agent runs", &[("runs", Execution, Sum), ("steps", Count, Sum)]),
    (
        "ai.completion",
        "Completions",
        &[
            ("inputTokens", Token, Sum),
            ("cachedInputTokens", Token, Sum),
            ("outputTokens", Token, Sum),
            ("requests", Request, Sum),
            ("durationMs", Count, Sum),
        ],
    ),
    (
        "ai.embedding",
        "Embeddings",
        &[("tokens", Token, Sum), ("vectors", Count, Sum), ("requests", Request, Sum)],
    ),
    ("api.external", "Calls of external interfaces", &[("requests", Request, Sum)]),
    ("collaboration.seat", "People in sessions", &[("users", User, Unique)]),
    ("compute.agent", "Agent compute", &[("seconds", Second, Sum), ("jobs", Execution, Sum)]),
    ("compute.build", "Build compute", &[("seconds", Second, Sum), ("jobs", Execution, Sum)]),
    (
        "mcp.execution",
        "Tool executions",
        &[("executions", Execution, Sum), ("errors", Count, Sum), ("durationMs", Count, Sum)],
    ),
    ("search.code", "Code searches", &[("queries", Query, Sum)]),
    ("search.semantic", "Semantic searches", &[("queries", Query, Sum)]),
    ("storage.artifacts", "Stored artifacts", &[("bytes", Byte, Latest)]),
    ("storage.knowledge", "Stored knowledge", &[("bytes", Byte, Latest)]),
];

/// What the platform gives away; an organization's own price comes first.
const FREE: &[&str] = &["collaboration.seat", "search.code", "search.semantic"];

/// The platform's categories, by code.
pub static SYSTEM: LazyLock<Vec<Category>> = LazyLock::new(|| CATEGORIES.iter().map(category).collect());

/// The platform's prices.
pub static PRICES: LazyLock<Vec<(Uuid, Price)>> = LazyLock::new(|| {
    FREE.iter().zip(1..).map(|(code, number)| (Uuid::from_u128(number), free(code))).collect()
});

fn category((code, name, metrics): &Row) -> Category {
    let metric = |&(key, unit, aggregation): &(&str, MetricUnit, Aggregation)| MetricDeclaration {
        key: key.to_owned(),
        unit,
        aggregation,
    };
    Category {
        code: (*code).to_owned(),
        name: (*name).to_owned(),
        parent_code: None,
        metrics: metrics.iter().map(metric).collect(),
        primary_metric: metrics.first().map(|(key, ..)| (*key).to_owned()).unwrap_or_default(),
    }
}

fn free(code: &str) -> Price {
    Price {
        category_code: code.to_owned(),
        dimension_filters: crate::model::Dimensions::new(),
        model: PriceModel::Free,
        components: Vec::new(),
        metric: None,
        tiers: Vec::new(),
        currency: "XXX".to_owned(),
        effective_from: Timestamp::UNIX_EPOCH,
        effective_to: None,
    }
}

/// The platform's category of this code.
pub fn system(code: &str) -> Option<&'static Category> {
    SYSTEM.iter().find(|category| category.code == code)
}

#[cfg(test)]
mod tests {
    use super::{PRICES, SYSTEM, system};
    use crate::pattern;

    #[test]
    fn the_platforms_own_are_sorted_and_sound() {
        assert!(SYSTEM.is_sorted_by_key(|category| &category.code));
        for category in SYSTEM.iter() {
            assert!(pattern::is_code(&category.code), "{}", category.code);
            assert!(category.metric(&category.primary_metric).is_some(), "{}", category.code);
        }
        assert!(PRICES.iter().all(|(_, price)| system(&price.category_code).is_some()));
    }
}
