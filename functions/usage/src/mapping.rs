//! From the events of other groups to use: which category, which metrics. A payload that lacks a number is counted
//! without it; one that names nobody is nobody's.

use std::collections::BTreeMap;

use coder_core::UserId;
use coder_handler::Event;
use serde_json::Value;

use crate::decimal::Decimal;
use crate::model::{Dimensions, Subject};
use crate::service::Incoming;

/// The longest value of a dimension, in characters.
const MAX_VALUE: usize = 100;
/// People of one session that are counted.
const MAX_PEOPLE: usize = 500;

/// A row of the table below.
struct Row {
    kind: &'static str,
    category: &'static str,
    /// Metric and the field that it is read from.
    fields: &'static [(&'static str, &'static str)],
    /// Metrics that are one for each event.
    ones: &'static [&'static str],
    dimensions: &'static [&'static str],
}

const COMPLETION: Row = Row {
    kind: "coder.ai.completion.completed",
    category: "ai.completion",
    fields: &[
        ("inputTokens", "inputTokens"),
        ("cachedInputTokens", "cachedInputTokens"),
        ("outputTokens", "outputTokens"),
        ("durationMs", "durationMs"),
    ],
    ones: &["requests"],
    dimensions: &["model", "provider", "taskType", "caller", "cached", "errorCode"],
};

const EXECUTION: Row = Row {
    kind: "coder.mcp.execution.completed",
    category: "mcp.execution",
    fields: &[("durationMs", "durationMs")],
    ones: &["executions"],
    dimensions: &["serverId", "tool", "callerKind", "errorCode"],
};

const TABLE: &[Row] = &[
    COMPLETION,
    Row { kind: "coder.ai.completion.failed", ..COMPLETION },
    Row {
        kind: "coder.ai.agent-run.completed",
        category: "ai.agent",
        fields: &[("steps", "steps")],
        ones: &["runs"],
        dimensions: &["agentId"],
    },
    Row {
        kind: "coder.embeddings.vectors.generated",
        category: "ai.embedding",
        fields: &[("tokens", "tokens"), ("vectors", "vectors")],
        ones: &["requests"],
        dimensions: &["model"],
    },
    Row {
        kind: "coder.embeddings.search.executed",
        category: "search.semantic",
        fields: &[],
        ones: &["queries"],
        dimensions: &["mode"],
    },
    EXECUTION,
    Row { kind: "coder.mcp.execution.failed", ones: &["executions", "errors"], ..EXECUTION },
    Row {
        kind: "coder.knowledge.storage.measured",
        category: "storage.knowledge",
        fields: &[("bytes", "bytes")],
        ones: &[],
        dimensions: &[],
    },
    Row {
        kind: "coder.execution.run.completed",
        category: "compute.build",
        fields: &[("seconds", "seconds")],
        ones: &["jobs"],
        dimensions: &["kind"],
    },
    Row {
        kind: "coder.collaboration.session.ended",
        category: "collaboration.seat",
        fields: &[],
        ones: &["users"],
        dimensions: &["kind"],
    },
];

/// The use that an event tells of; none for an event of another kind.
pub fn incoming(event: &Event) -> Vec<Incoming> {
    let Some(row) = TABLE.iter().find(|row| row.kind == event.kind) else { return Vec::new() };
    let mut metrics: BTreeMap<String, Option<Decimal>> =
        row.ones.iter().map(|one| ((*one).to_owned(), Some(Decimal::from_units(1)))).collect();
    for (metric, field) in row.fields {
        if let Some(quantity) = quantity(&event.data, field) {
            metrics.insert((*metric).to_owned(), Some(quantity));
        }
    }
    let group = event.kind.split('.').nth(1).unwrap_or_default();
    let one = Incoming {
        source: format!("/functions/{group}"),
        event_id: event.id.clone(),
        category_code: row.category.to_owned(),
        subject: subject(&event.data),
        metrics,
        dimensions: dimensions(&event.data, row.dimensions),
        occurred_at: event.time,
    };
    match row.category {
        "collaboration.seat" => for_each_person(&event.data, one),
        _ => vec![one],
    }
}

/// A session is one use by each of its people.
fn for_each_person(data: &Value, one: Incoming) -> Vec<Incoming> {
    let people = data["participants"].as_array().into_iter().flatten();
    let id = |person: &Value| person.as_str().or_else(|| person["userId"].as_str())?.parse::<UserId>().ok();
    let each = people.filter_map(id).take(MAX_PEOPLE).map(|user_id| Incoming {
        event_id: format!("{}:{user_id}", one.event_id),
        subject: Subject { user_id: Some(user_id), ..one.subject },
        ..one.clone()
    });
    each.collect()
}

fn subject(data: &Value) -> Subject {
    fn id<T: std::str::FromStr>(data: &Value, field: &str) -> Option<T> {
        data[field].as_str()?.parse().ok()
    }
    Subject { user_id: id(data, "userId"), team_id: id(data, "teamId"), project_id: id(data, "projectId") }
}

/// A number of the payload; seconds are also read from milliseconds.
fn quantity(data: &Value, field: &str) -> Option<Decimal> {
    if let Value::Number(number) = &data[field] {
        return Decimal::from_number(number);
    }
    match field {
        "seconds" => quantity(data, "durationSeconds")
            .or_else(|| quantity(data, "durationMs").map(|milliseconds| milliseconds.times_ratio(1, 1000))),
        _ => None,
    }
}

fn dimensions(data: &Value, names: &[&str]) -> Dimensions {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.chars().take(MAX_VALUE).collect()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    names.iter().filter_map(|name| Some(((*name).to_owned(), text(&data[*name])?))).collect()
}

#[cfg(test)]
mod tests {
    use coder_handler::Event;
    use serde_json::{Value, json};

    use super::{TABLE, incoming};
    use crate::defaults::system;

    fn event(kind: &str, data: Value) -> Event {
        Event::parse(&json!({
            "specversion": "1.0", "id": "0199", "type": kind, "subject": "s", "source": "/functions/x",
            "time": "2026-01-05T12:00:00Z", "organizationid": "platform", "data": data,
        }))
        .unwrap()
    }

    #[test]
    fn every_row_names_what_the_category_has() {
        for row in TABLE {
            let category = system(row.category).unwrap();
            let metrics = row.fields.iter().map(|(metric, _)| metric).chain(row.ones);
            assert!(metrics.into_iter().all(|metric| category.metric(metric).is_some()), "{}", row.kind);
        }
    }

    #[test]
    fn payloads_are_read_as_far_as_they_go() {
        let user = "0199a0c0-0000-7000-8000-000000000001";
        let data =
            json!({"model": "m", "inputTokens": 7, "outputTokens": "many", "cached": false, "userId": user});
        let found = incoming(&event("coder.ai.completion.failed", data)).remove(0);
        assert_eq!((found.source.as_str(), found.event_id.as_str()), ("/functions/ai", "0199"));
        assert_eq!(found.metrics.keys().collect::<Vec<_>>(), ["inputTokens", "requests"]);
        assert_eq!(found.dimensions["cached"], "false");
        assert_eq!(found.subject.user_id.unwrap().to_string(), user);
        let run = incoming(&event("coder.execution.run.completed", json!({"durationMs": 1500}))).remove(0);
        assert_eq!(run.metrics["seconds"].unwrap().to_string(), "1.500000");
        assert_eq!(incoming(&event("coder.mcp.execution.failed", Value::Null))[0].metrics.len(), 2);
        assert!(incoming(&event("coder.mcp.execution.denied", json!({}))).is_empty());
    }

    #[test]
    fn a_session_counts_each_of_its_people() {
        let people = json!([
            "0199a0c0-0000-7000-8000-000000000001", {"userId": "0199a0c0-0000-7000-8000-000000000002"}, "nobody", 3,
        ]);
        let found = incoming(&event("coder.collaboration.session.ended", json!({"participants": people})));
        assert_eq!(found.len(), 2);
        assert_ne!(found[0].event_id, found[1].event_id);
        assert!(incoming(&event("coder.collaboration.session.ended", json!({"participants": 2}))).is_empty());
    }
}
