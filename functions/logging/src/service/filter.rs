//! Which entries: the filters that lists, exports, counts and alert rules share.

use coder_core::{Failure, Fault, Problem, Timestamp};
use coder_database::Filter;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Severity;

/// The longest range of a search, in days.
pub const MAX_DAYS: i64 = 366;
/// The range of a search that names none, in days.
pub const DEFAULT_DAYS: i64 = 7;
/// Days that an act may be old when its entry is made.
pub const MAX_LATE_DAYS: i64 = 35;

/// Declares a struct with the fields of a filter and some more, and takes the filter out of it.
macro_rules! with_filter {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        $vis struct $name {
            /// Who did it, or in whose name it was done.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 128))]
            pub actor_id: Option<String>,
            /// What was done; with a final `*`, what its name begins with.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 120))]
            pub action: Option<String>,
            /// What kind of act.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub category: Option<$crate::model::Category>,
            /// The least severity.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub severity: Option<$crate::model::Severity>,
            /// How it ended.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub outcome: Option<$crate::model::Outcome>,
            /// The kind of resource.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 64))]
            pub resource_type: Option<String>,
            /// The resource.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 200))]
            pub resource_id: Option<String>,
            /// The project.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 64))]
            pub project_id: Option<String>,
            /// The client's address.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 64))]
            pub ip_address: Option<String>,
            /// What ties entries of one cause together.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 128))]
            pub correlation_id: Option<String>,
            /// Words that stand in the message or the metadata, whatever their case; all must.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 200))]
            pub q: Option<String>,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            /// The filter alone.
            $vis fn filter(&self) -> $crate::service::filter::EntryFilter {
                $crate::service::filter::EntryFilter {
                    actor_id: self.actor_id.clone(),
                    action: self.action.clone(),
                    category: self.category,
                    severity: self.severity,
                    outcome: self.outcome,
                    resource_type: self.resource_type.clone(),
                    resource_id: self.resource_id.clone(),
                    project_id: self.project_id.clone(),
                    ip_address: self.ip_address.clone(),
                    correlation_id: self.correlation_id.clone(),
                    q: self.q.clone(),
                }
            }
        }
    };
}
pub(crate) use with_filter;

with_filter! {
    /// Conditions on entries; all that are named must hold.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    pub struct EntryFilter {}
}

with_filter! {
    /// Conditions on entries, and when the acts were done.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    pub struct RangedFilter {
        /// Not before; seven days before `to` without it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        from: Option<Timestamp>,
        /// Not after; now without it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        to: Option<Timestamp>,
    }
}

impl EntryFilter {
    /// The part that the store evaluates.
    pub fn stored(&self) -> Filter {
        let texts = [
            ("resourceType", &self.resource_type),
            ("resourceId", &self.resource_id),
            ("projectId", &self.project_id),
            ("actor.ipAddress", &self.ip_address),
            ("correlationId", &self.correlation_id),
        ];
        let mut all: Vec<Filter> = texts
            .into_iter()
            .filter_map(|(field, value)| Some(Filter::eq(field, value.as_deref()?)))
            .collect();
        all.extend(self.actor_id.as_deref().map(of_actor));
        all.extend(self.action.as_deref().map(|action| match action.strip_suffix('*') {
            Some(prefix) => Filter::StartsWith("action".into(), prefix.into()),
            None => Filter::eq("action", action),
        }));
        all.extend(self.category.map(|category| Filter::eq("category", json(category))));
        all.extend(self.outcome.map(|outcome| Filter::eq("outcome", json(outcome))));
        all.extend(self.severity.map(|least| {
            let list = Severity::ALL.into_iter().filter(|one| *one >= least).map(json).collect();
            Filter::In("severity".into(), list)
        }));
        Filter::And(all)
    }

    /// The words of `q`, folded.
    pub fn words(&self) -> Words {
        let text = self.q.as_deref().unwrap_or_default().to_lowercase();
        Words(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Whether an entry, as it is stored, passes.
    pub fn matches(&self, entry: &Value) -> bool {
        self.stored().matches(entry) && self.words().stand_in(entry)
    }
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// What somebody did, or what was done in their name.
pub fn of_actor(id: &str) -> Filter {
    Filter::Or(vec![Filter::eq("actor.id", id), Filter::eq("actor.onBehalfOf", id)])
}

/// Words to look for.
#[derive(Debug, Clone, Default)]
pub struct Words(Vec<String>);

impl Words {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all stand in message or metadata.
    pub fn stand_in(&self, entry: &Value) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let message = entry["message"].as_str().unwrap_or_default();
        let mut text = format!("{message} ");
        gather(&entry["metadata"], &mut text);
        let text = text.to_lowercase();
        self.0.iter().all(|word| text.contains(word.as_str()))
    }
}

fn gather(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                text.push_str(name);
                text.push(' ');
                gather(value, text);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, text)),
        Value::String(word) => {
            text.push_str(word);
            text.push(' ');
        }
        Value::Null => {}
        other => {
            text.push_str(&other.to_string());
            text.push(' ');
        }
    }
}

/// When acts were done, as a caller says it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
}

/// A checked range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub to: Timestamp,
}

impl Range {
    /// The range with its defaults; `422` if it is too long or turned round.
    pub fn checked(self, now: Timestamp) -> Result<Span, Failure> {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        // What was done this very moment counts, and clocks differ a little.
        let to = self.to.unwrap_or_else(|| now.saturating_add(SignedDuration::from_mins(5)).unwrap_or(now));
        let week = to.saturating_sub(days(DEFAULT_DAYS)).unwrap_or(Timestamp::UNIX_EPOCH);
        let from = self.from.unwrap_or(week);
        if from > to {
            return Err(Problem::fault("/from", "invalid_value", "`from` comes after `to`.").into());
        }
        if to.duration_since(from) > days(MAX_DAYS) {
            let message = format!("A range has at most {MAX_DAYS} days.");
            return Err(Problem::invalid(vec![Fault::new("/from", "too_long", message)]).into());
        }
        Ok(Span { from, to })
    }
}

impl Span {
    /// Everything.
    pub const ALL: Self = Self { from: Timestamp::UNIX_EPOCH, to: Timestamp::MAX };

    /// The part that the store evaluates: to the second, since stored times have as many decimals as they need and
    /// compare as text. [`Self::holds`] says the rest.
    pub fn stored(self) -> Filter {
        let second = |time: Timestamp| {
            let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
            whole.to_string().trim_end_matches('Z').to_owned()
        };
        Filter::And(vec![
            Filter::Ge("time".into(), format!("{}.", second(self.from)).into()),
            Filter::Le("time".into(), format!("{}Z", second(self.to)).into()),
        ])
    }

    /// Whether a time is inside.
    pub fn holds(self, time: Timestamp) -> bool {
        (self.from..=self.to).contains(&time)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_stored_part_of_a_range_leaves_nothing_out() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let span = Span { from: at("2026-01-05T12:01:00.5Z"), to: at("2026-01-05T12:01:02.25Z") };
        for (time, inside) in [
            ("2026-01-05T12:00:59.999Z", false),
            ("2026-01-05T12:01:00Z", false),
            ("2026-01-05T12:01:00.5Z", true),
            ("2026-01-05T12:01:01Z", true),
            ("2026-01-05T12:01:02Z", true),
            ("2026-01-05T12:01:02.25Z", true),
            ("2026-01-05T12:01:02.251Z", false),
            ("2026-01-05T12:01:03Z", false),
        ] {
            assert_eq!(span.holds(at(time)), inside, "{time}");
            assert!(!inside || span.stored().matches(&json!({"time": time})), "{time}");
        }
        assert!(!span.stored().matches(&json!({"time": "2026-01-05T12:00:59.999Z"})));
        assert!(!span.stored().matches(&json!({"time": "2026-01-05T12:01:03Z"})));
    }

    #[test]
    fn ranges_are_bounded_and_have_defaults() {
        let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
        let span = Range::default().checked(now).unwrap();
        assert!(span.holds(now) && !span.holds("2025-12-29T12:00:00Z".parse().unwrap()));
        let range = |from: &str| Range { from: from.parse().ok(), to: Some(now) }.checked(now);
        assert!(range("2025-01-05T12:00:00Z").is_ok());
        assert!(range("2024-12-05T12:00:00Z").is_err());
        assert!(range("2026-01-05T12:00:01Z").is_err());
    }

    #[test]
    fn filters_match_as_they_say() {
        let entry = json!({
            "action": "users.project.created", "category": "action", "severity": "warn", "outcome": "success",
            "resourceId": "p", "actor": {"type": "apiKey", "id": "k", "onBehalfOf": "u"},
            "message": "Project created", "metadata": {"name": "Großes Haus", "count": 7},
        });
        let filter = |value| serde_json::from_value::<EntryFilter>(value).unwrap();
        for value in [
            json!({}),
            json!({"action": "users.*"}),
            json!({"action": "users.project.created", "severity": "info"}),
            json!({"actorId": "k"}),
            json!({"actorId": "u", "resourceId": "p"}),
            json!({"q": "HAUS created 7"}),
            json!({"q": "name"}),
        ] {
            assert!(filter(value.clone()).matches(&entry), "{value}");
        }
        for value in [
            json!({"action": "users"}),
            json!({"severity": "error"}),
            json!({"actorId": "x"}),
            json!({"q": "haus missing"}),
            json!({"category": "access"}),
            json!({"ipAddress": "192.0.2.1"}),
        ] {
            assert!(!filter(value.clone()).matches(&entry), "{value}");
        }
    }
}
