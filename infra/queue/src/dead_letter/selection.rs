//! Which dead letters are meant.

use coder_database::Filter;

use super::{Reason, State};

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
}
