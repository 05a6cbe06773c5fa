//! Time as measurements need it, and what a list of measurements says.

use std::time::{Duration, Instant};

/// Runs it and tells how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = now();
    let outcome = work.await;
    (outcome, start.elapsed())
}

/// The monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The value below which so many of a hundred lie.
pub(crate) fn percentile(all: &mut [Duration], percent: usize) -> Duration {
    all.sort_unstable();
    let last = all.len().saturating_sub(1);
    all.get((all.len() * percent / 100).min(last)).copied().unwrap_or_default()
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are small")]
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
