//! Metrics in the Prometheus world. Every name and label is here; label values are constants of the code or of
//! the groups' declarations, so that no request can add a series.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use coder_core::{Code, Timestamp};
use http::Method;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::render`]: `OpenMetrics`, which every current Prometheus asks for.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the duration buckets, in seconds: from a cached answer to a long stream.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 240.0];

/// The platform's counters. Clones count into the same place.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Families>);

/// Declares an enum of label values.
macro_rules! label_values {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
            pub enum $name { $($(#[$variant_doc])* $variant),+ }

            impl $name {
                /// The label's value.
                pub fn as_str(self) -> &'static str {
                    match self { $(Self::$variant => $text),+ }
                }
            }

            impl EncodeLabelValue for $name {
                fn encode(
                    &self,
                    encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
                ) -> Result<(), std::fmt::Error> {
                    EncodeLabelValue::encode(&self.as_str(), encoder)
                }
            }
        )+
    };
}

label_values! {
    /// What became of an event that a consumer was given.
    Consumption {
        /// Done.
        Done = "done",
        /// Seen before.
        Duplicate = "duplicate",
        /// It comes again.
        Retry = "retry",
        /// It went to the dead letters.
        Rejected = "rejected",
        /// No consumer takes its type.
        Ignored = "ignored",
    }
    /// What became of a run of a job.
    JobOutcome {
        /// Done.
        Succeeded = "succeeded",
        /// It runs again.
        Failed = "failed",
        /// It was given up.
        Dead = "dead",
        /// It was called off.
        Cancelled = "cancelled",
        /// Another host has it, or its slot has run.
        Skipped = "skipped",
    }
}

/// The circuit to a group. The gauge shows 0, 1 and 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Requests pass.
    Closed,
    /// A single request tries.
    HalfOpen,
    /// Requests are refused at once.
    Open,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    group: &'static str,
    operation: &'static str,
    method: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    group: &'static str,
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    group: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    group: &'static str,
    entity: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConsumerLabels {
    group: &'static str,
    consumer: &'static str,
    outcome: Consumption,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    group: &'static str,
    job: &'static str,
    outcome: JobOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    status: u32,
    sub_status: u32,
}

#[derive(Debug)]
struct Families {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabels, Histogram>,
    in_flight: Gauge,
    rate_limited: Family<LimitLabels, Counter>,
    authentication_failures: Family<ReasonLabels, Counter>,
    outbox_pending: Family<GroupLabels, Gauge>,
    published: Family<GroupLabels, Counter>,
    consumed: Family<ConsumerLabels, Counter>,
    active: Family<QueueLabels, Gauge>,
    dead: Family<QueueLabels, Gauge>,
    lag: Family<QueueLabels, Gauge<f64, AtomicU64>>,
    jobs: Family<JobLabels, Counter>,
    circuits: Family<GroupLabels, Gauge>,
    replays: Family<GroupLabels, Counter>,
    store_units: Counter<f64, AtomicU64>,
    store_failures: Family<StoreLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters that stand at zero.
    pub fn new() -> Self {
        let mut families = Families {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            rate_limited: Family::default(),
            authentication_failures: Family::default(),
            outbox_pending: Family::default(),
            published: Family::default(),
            consumed: Family::default(),
            active: Family::default(),
            dead: Family::default(),
            lag: Family::default(),
            jobs: Family::default(),
            circuits: Family::default(),
            replays: Family::default(),
            store_units: Counter::default(),
            store_failures: Family::default(),
        };
        families.register();
        Self(Arc::new(families))
    }

    /// A request arrived: it counts as in flight until the returned value is finished or dropped.
    pub fn start(&self, at: Timestamp) -> Measure {
        self.0.in_flight.inc();
        Measure { metrics: self.clone(), at }
    }

    /// A request was refused for its rate; `kind` names the limit, such as `address`.
    pub fn rate_limited(&self, kind: &'static str) {
        self.0.rate_limited.get_or_create(&LimitLabels { kind }).inc();
    }

    /// A caller was not believed, and was told this code.
    pub fn authentication_failed(&self, code: Code) {
        self.0.authentication_failures.get_or_create(&ReasonLabels { reason: code.as_str() }).inc();
    }

    /// So many events of a group wait to be published.
    pub fn outbox_pending(&self, group: &'static str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.0.outbox_pending.get_or_create(&GroupLabels { group }).set(count);
    }

    /// An event of this group was published.
    pub fn event_published(&self, group: &'static str) {
        self.0.published.get_or_create(&GroupLabels { group }).inc();
    }

    /// A consumer was given an event.
    pub fn event_consumed(&self, group: &'static str, consumer: &'static str, outcome: Consumption) {
        self.0.consumed.get_or_create(&ConsumerLabels { group, consumer, outcome }).inc();
    }

    /// What waits for a group at an entity of the broker: messages to be delivered, dead letters, and how long the
    /// oldest of the former has waited.
    pub fn waiting(
        &self,
        group: &'static str,
        entity: &'static str,
        active: u64,
        dead: u64,
        oldest: Duration,
    ) {
        let labels = QueueLabels { group, entity };
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.0.active.get_or_create(&labels).set(count(active));
        self.0.dead.get_or_create(&labels).set(count(dead));
        self.0.lag.get_or_create(&labels).set(oldest.as_secs_f64());
    }

    /// A run of a job ended.
    pub fn job(&self, group: &'static str, job: &'static str, outcome: JobOutcome) {
        self.0.jobs.get_or_create(&JobLabels { group, job, outcome }).inc();
    }

    /// The circuit to a group changed.
    pub fn circuit(&self, group: &'static str, state: CircuitState) {
        let value = match state {
            CircuitState::Closed => 0,
            CircuitState::HalfOpen => 1,
            CircuitState::Open => 2,
        };
        self.0.circuits.get_or_create(&GroupLabels { group }).set(value);
    }

    /// An answer was given again for its idempotency key.
    pub fn idempotent_replay(&self, group: &'static str) {
        self.0.replays.get_or_create(&GroupLabels { group }).inc();
    }

    /// An operation of the document store cost so many request units.
    pub fn store_operation(&self, request_units: f64) {
        // A counter takes no negative number, and no cost is one.
        self.0.store_units.inc_by(request_units.max(0.0));
    }

    /// The document store failed at an operation, and said so by its status and what it adds to that. Both are the
    /// service's own, from a list of a few dozen.
    pub fn store_failure(&self, status: u16, sub_status: Option<u32>) {
        let labels = StoreLabels { status: status.into(), sub_status: sub_status.unwrap_or_default() };
        self.0.store_failures.get_or_create(&labels).inc();
    }

    /// All metrics as text; see [`METRICS_CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        text::encode(&mut page, &self.0.registry).ok();
        page
    }
}

impl Families {
    /// The library adds `_total` to counters and a full stop to descriptions.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests answered", self.requests.clone());
        let about = "Seconds from a request's arrival to its answer";
        registry.register("http_request_duration_seconds", about, self.durations.clone());
        registry.register("http_requests_in_flight", "Requests being worked on", self.in_flight.clone());
        registry.register("rate_limited", "Requests refused for their rate", self.rate_limited.clone());
        let about = "Callers who were not believed";
        registry.register("authentication_failures", about, self.authentication_failures.clone());
        registry.register(
            "outbox_pending",
            "Events that the last sweep of the outbox found due",
            self.outbox_pending.clone(),
        );
        registry.register("events_published", "Events published", self.published.clone());
        registry.register("events_consumed", "Events given to a consumer", self.consumed.clone());
        let about = "Messages of the broker that are to be delivered to a group";
        registry.register("messages_active", about, self.active.clone());
        registry.register("messages_dead", "Dead letters at the broker", self.dead.clone());
        let about = "Seconds that the oldest message for a group has waited";
        registry.register("messages_lag_seconds", about, self.lag.clone());
        registry.register("jobs", "Runs of jobs that ended", self.jobs.clone());
        let about = "Circuit to a group: 0 closed, 1 half open, 2 open";
        registry.register("circuit_state", about, self.circuits.clone());
        let about = "Answers given again for their idempotency key";
        registry.register("idempotent_replays", about, self.replays.clone());
        let about = "Request units that the document store charged";
        registry.register("store_request_units", about, self.store_units.clone());
        let about = "Operations that the document store failed at, being too busy among them";
        registry.register("store_failures", about, self.store_failures.clone());
    }
}

/// A request being worked on; see [`Metrics::start`].
#[derive(Debug)]
#[must_use = "a request that is not finished is not counted"]
pub struct Measure {
    metrics: Metrics,
    at: Timestamp,
}

impl Measure {
    /// The request was answered with this status.
    pub fn finish(
        self,
        at: Timestamp,
        group: &'static str,
        operation: &'static str,
        method: &Method,
        status: u16,
    ) {
        let families = &self.metrics.0;
        let labels = RequestLabels { group, operation, method: name_of(method), status: u32::from(status) };
        families.requests.get_or_create(&labels).inc();
        // A clock that went back counts as no time.
        let took = Duration::try_from(at.duration_since(self.at)).unwrap_or_default();
        families.durations.get_or_create(&OperationLabels { group, operation }).observe(took.as_secs_f64());
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.metrics.0.in_flight.dec();
    }
}

/// A client can make up methods; a label cannot.
fn name_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| method.as_str() == *known).unwrap_or("OTHER")
}

#[cfg(test)]
mod tests;
