//! What the platform tells its operators: log lines without secrets, and metrics with bounded labels.
//!
//! Entry points: [`init`] once at start-up, [`redact`] for text that leaves by another way, [`Metrics`] for
//! whoever counts.

mod logs;
mod metrics;
mod redaction;

pub use logs::{Format, LogError, init, subscriber};
pub use metrics::{CircuitState, Consumption, JobOutcome, METRICS_CONTENT_TYPE, Measure, Metrics};
pub use redaction::{REDACTED, is_sensitive, redact};
