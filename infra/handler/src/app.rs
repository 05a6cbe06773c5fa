//! The function app of a group: its functions, what starts each of them, and the `function.json` by which the
//! Functions host knows it.

use std::fmt::Write as _;

use coder_database::Destination;
use coder_queue::cloud_event;
use coder_queue::message::property;
use serde::Serialize;
use serde_json::{Value, json};

use crate::functions::{ON_DEAD_JOB, ON_DEAD_LETTER, ON_EVENT, RUN_JOB};
use crate::group::{Group, Subscription};

/// The function that takes every HTTP request. Its `function.json` is that of the app of all groups.
pub const HTTP: &str = "http";

/// The app setting, or the family of settings that begin so, in which the host finds the Service Bus namespace:
/// `ServiceBus__fullyQualifiedNamespace`.
pub const CONNECTION: &str = "ServiceBus";

/// Longest condition that Service Bus takes in a subscription's filter, in characters.
pub const FILTER_CHARACTERS: usize = 1024;

/// Longest name of a function, in characters.
const NAME_CHARACTERS: usize = 128;

/// A function that the host calls with a body of its own, beside [`HTTP`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Function {
    /// The name of its folder.
    pub name: String,
    /// What starts it.
    #[serde(flatten)]
    pub trigger: Trigger,
}

/// What starts a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "trigger", rename_all = "camelCase")]
pub enum Trigger {
    /// A message of the group's subscription.
    Subscription {
        /// Whether messages about one subject come one after the other.
        #[serde(skip)]
        ordered: bool,
    },
    /// A message of that subscription which the broker gave up.
    SubscriptionDeadLetters,
    /// The clock.
    Timer {
        /// When, as NCRONTAB in UTC.
        schedule: &'static str,
    },
    /// A message about one of the group's one-time jobs.
    Jobs,
    /// Such a message which the broker gave up.
    JobDeadLetters,
}

impl Group {
    /// The functions of the group's app, without [`HTTP`], which every app has.
    pub fn app(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        let mut add = |name: &str, trigger| functions.push(Function { name: name.to_owned(), trigger });
        if let Some(Subscription { ordered, .. }) = self.subscription() {
            add(ON_EVENT, Trigger::Subscription { ordered });
            add(ON_DEAD_LETTER, Trigger::SubscriptionDeadLetters);
        }
        for (name, schedule) in &self.timers {
            add(&format!("every-{name}"), Trigger::Timer { schedule });
        }
        // A timer, too, is run by a job when an operator wants it now.
        if !self.jobs.is_empty() || !self.timers.is_empty() {
            add(RUN_JOB, Trigger::Jobs);
            if !self.containers.is_empty() {
                add(ON_DEAD_JOB, Trigger::JobDeadLetters);
            }
        }
        functions
    }
}

impl Function {
    /// The content of its `function.json` in the app of this group.
    pub fn json(&self, group: &str) -> Value {
        let message = |topic: Destination, subscription: String| {
            json!({
                "type": "serviceBusTrigger",
                "direction": "in",
                "name": "message",
                "topicName": topic.name(),
                "subscriptionName": subscription,
                "connection": CONNECTION,
                "cardinality": "one",
                // As text, the host would copy the message's own fields over those of the broker.
                "dataType": "binary",
            })
        };
        let binding = match self.trigger {
            Trigger::Subscription { ordered } => {
                let mut binding = message(Destination::Events, group.to_owned());
                if ordered {
                    binding["isSessionsEnabled"] = true.into();
                }
                binding
            }
            Trigger::SubscriptionDeadLetters => {
                message(Destination::Events, format!("{group}/$DeadLetterQueue"))
            }
            Trigger::Jobs => message(Destination::Jobs, group.to_owned()),
            Trigger::JobDeadLetters => message(Destination::Jobs, format!("{group}/$DeadLetterQueue")),
            Trigger::Timer { schedule } => json!({
                "type": "timerTrigger",
                "direction": "in",
                "name": "tick",
                "schedule": schedule,
                "useMonitor": true,
            }),
        };
        json!({"bindings": [binding]})
    }
}

/// Why the host, or our own surface, cannot have a function of this name.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    let letter = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !letter || !fits || name.len() > NAME_CHARACTERS {
        return Some(format!(
            "the host takes letters, digits, `-` and `_`, a letter first, 1 to {NAME_CHARACTERS} characters"
        ));
    }
    // `host` is a folder of the host's own; paths below the others lead elsewhere.
    let taken = ["host", "api", "admin", "runtime", HTTP];
    taken.iter().any(|taken| name.eq_ignore_ascii_case(taken)).then(|| "the name is taken".to_owned())
}

impl Subscription {
    /// The condition of the subscription's filter in the SQL of Service Bus: messages for this group alone, and
    /// those for everybody whose type matches a pattern. A `*` amid a pattern lets through more than is wanted,
    /// which the group's consumers pass over.
    pub fn filter(&self, group: &str) -> String {
        let covered = |pattern: &str| {
            self.patterns.iter().any(|other| *other != pattern && cloud_event::matches(other, pattern))
        };
        let wanted = self.patterns.iter().copied().filter(|pattern| !covered(pattern));
        let (open, exact): (Vec<&str>, Vec<&str>) = wanted.partition(|pattern| pattern.contains('*'));
        let mut types = Vec::new();
        if !exact.is_empty() {
            let list: Vec<String> = exact.iter().map(|name| quoted(name)).collect();
            types.push(format!("{} IN ({})", property::TYPE, list.join(",")));
        }
        for pattern in open {
            types.push(format!("{} LIKE {}", property::TYPE, quoted(&pattern.replace('*', "%"))));
        }
        let mut filter = format!("{} = {}", property::TARGET, quoted(group));
        if !types.is_empty() {
            write!(filter, " OR (NOT EXISTS({}) AND ({}))", property::TARGET, types.join(" OR ")).ok();
        }
        filter
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(patterns: &[&'static str]) -> String {
        Subscription { patterns: patterns.to_vec(), ordered: false }.filter("notes")
    }

    #[test]
    fn a_filter_asks_for_types_and_for_what_is_sent_to_the_group_alone() {
        assert_eq!(
            filter(&["coder.auth.login.succeeded", "coder.users.team.*", "coder.users.user.purged"]),
            "target = 'notes' OR (NOT EXISTS(target) AND (type IN \
             ('coder.auth.login.succeeded','coder.users.user.purged') OR type LIKE 'coder.users.team.%'))"
        );
    }

    #[test]
    fn a_filter_leaves_out_what_another_pattern_covers() {
        let all = "target = 'notes' OR (NOT EXISTS(target) AND (type LIKE 'coder.%'))";
        assert_eq!(filter(&["coder.*", "coder.users.*", "coder.users.user.purged"]), all);
        let both = filter(&["coder.*.deleted", "coder.users.*"]);
        assert!(both.ends_with("(type LIKE 'coder.%.deleted' OR type LIKE 'coder.users.%'))"), "{both}");
    }

    #[test]
    fn a_function_says_what_starts_it() {
        let function = |trigger| Function { name: "f".into(), trigger }.json("notes")["bindings"][0].clone();
        let plain = function(Trigger::Subscription { ordered: false });
        assert_eq!(
            plain,
            json!({
                "type": "serviceBusTrigger", "direction": "in", "name": "message", "topicName": "coder-events",
                "subscriptionName": "notes", "connection": "ServiceBus", "cardinality": "one",
                "dataType": "binary",
            })
        );
        assert_eq!(function(Trigger::Subscription { ordered: true })["isSessionsEnabled"], true);
        let dead = function(Trigger::SubscriptionDeadLetters);
        assert_eq!(dead["subscriptionName"], "notes/$DeadLetterQueue");
        let jobs = function(Trigger::Jobs);
        assert_eq!((&jobs["topicName"], &jobs["subscriptionName"]), (&json!("coder-jobs"), &json!("notes")));
        let dead = function(Trigger::JobDeadLetters);
        assert_eq!(
            (&dead["topicName"], &dead["subscriptionName"]),
            (&jobs["topicName"], &json!("notes/$DeadLetterQueue"))
        );
        let timer = function(Trigger::Timer { schedule: "0 * * * * *" });
        assert_eq!((&timer["type"], &timer["schedule"]), (&json!("timerTrigger"), &json!("0 * * * * *")));
    }

    #[test]
    fn names_that_the_host_refuses_are_known() {
        for name in ["on-event", "every-Minute_2", "a", &"a".repeat(128)] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        for name in ["", "2-times", "-a", "a.b", "a b", "ä", "Host", "api", "HTTP", "admin", &"a".repeat(129)]
        {
            assert!(name_fault(name).is_some(), "{name}");
        }
    }
}
