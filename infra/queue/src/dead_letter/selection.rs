//! Which dead letters are meant.

use coder_database::Filter;

use super::{DeadLetter, Reason, State};

/// Dead letters by what they are; `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What the event type begins with.
    pub type_prefix: Option<String>,
    /// Why they are dead.
    pub reason: Option<Reason>,
    /// The consumer that failed.
    pub consumer: Option<String>,
    /// What was decided.
    pub state: Option<State>,
    /// Whether they have an event; without one they cannot be sent again.
    pub has_event: Option<bool>,
}

impl Selection {
    /// The stored filter; `None` if all are meant.
    pub fn filter(&self) -> Option<Filter> {
        let prefix = self.type_prefix.clone().map(|prefix| Filter::StartsWith("eventType".into(), prefix));
        let reason = self.reason.map(|reason| Filter::eq("reason", reason.as_str()));
        let consumer = self.consumer.as_deref().map(|name| Filter::eq("consumer", name));
        let state = self.state.map(|state| Filter::eq("state", state.as_str()));
        let event = self.has_event.map(|has| {
            let none = Filter::IsNull("eventId".into());
            if has { Filter::Not(Box::new(none)) } else { none }
        });
        [prefix, reason, consumer, state, event].into_iter().flatten().reduce(Filter::and)
    }

    /// Whether this one is meant.
    pub fn takes(&self, letter: &DeadLetter) -> bool {
        let kind = letter.event_type.as_deref().unwrap_or_default();
        self.type_prefix.as_deref().is_none_or(|prefix| kind.starts_with(prefix))
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.consumer.as_deref().is_none_or(|name| letter.consumer.as_deref() == Some(name))
            && self.state.is_none_or(|state| state == letter.state)
            && self.has_event.is_none_or(|has| has == letter.event_id.is_some())
    }
}
