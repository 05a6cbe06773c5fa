//! Running work under a lease: with a deadline, renewing the lease on the way, and catching panics.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use coder_core::Failure;
use coder_jobs::lease::LEASE;
use coder_telemetry::redact;
use futures_util::FutureExt as _;
use tokio::time::Instant;

/// How the work ended.
#[derive(Debug)]
pub(super) enum Ended<T> {
    /// By itself.
    Returned(T),
    /// It panicked or took too long.
    Broken(String),
    /// The lease is another's: the work was dropped where it was.
    LeaseLost,
}

/// How long a lease is believed to last since it was last renewed: the claim took some time, too.
const BELIEVED: Duration = LEASE.unsigned_abs().saturating_sub(Duration::from_secs(5));

/// Runs `work` for at most `deadline` and calls `renew` every third of the lease, which answers whether the
/// lease is still held. Where that cannot be found out in time, the lease counts as lost.
pub(super) async fn under_lease<T, R>(
    deadline: Duration,
    work: impl Future<Output = T>,
    renew: impl Fn() -> R,
) -> Ended<T>
where
    R: Future<Output = Result<bool, Failure>>,
{
    let work = tokio::time::timeout(deadline, AssertUnwindSafe(work).catch_unwind());
    let lost = async {
        let mut ends = Instant::now() + BELIEVED;
        loop {
            let next = Instant::now() + LEASE.unsigned_abs() / 3;
            tokio::time::sleep_until(next.min(ends)).await;
            let asked = Instant::now();
            if asked >= ends {
                return;
            }
            match tokio::time::timeout_at(ends, renew()).await {
                Ok(Ok(true)) => ends = asked + BELIEVED,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(failure)) => tracing::warn!(cause = %failure, "a lease could not be renewed"),
            }
        }
    };
    tokio::select! {
        ended = work => match ended {
            Ok(Ok(value)) => Ended::Returned(value),
            Ok(Err(panic)) => Ended::Broken(format!("it panicked: {}", message(panic.as_ref()))),
            Err(_) => Ended::Broken(format!("it ran longer than {} s", deadline.as_secs())),
        },
        () = lost => Ended::LeaseLost,
    }
}

/// What is recorded of a failure, for operators: its cause, without secrets.
pub(crate) fn reason(failure: &Failure) -> String {
    let text = match failure {
        Failure::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    };
    redact(&text).into_owned()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const LONG: Duration = Duration::from_mins(3);

    #[tokio::test(start_paused = true)]
    async fn renews_until_the_work_is_done() {
        let renewals = AtomicU32::new(0);
        let renew = async || {
            // One failure in between is borne.
            if renewals.fetch_add(1, Ordering::SeqCst) == 1 { Err(Failure::Stale) } else { Ok(true) }
        };
        let ended = under_lease(LONG, tokio::time::sleep(Duration::from_secs(90)), renew).await;
        assert!(matches!(ended, Ended::Returned(())), "{ended:?}");
        assert_eq!(renewals.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn stops_when_the_lease_is_lost_or_the_time_is_up() {
        let start = Instant::now();
        let ended = under_lease(LONG, std::future::pending::<()>(), async || Ok(false)).await;
        assert!(matches!(ended, Ended::LeaseLost), "{ended:?}");
        assert_eq!(start.elapsed().as_secs(), 20);
        let ended = under_lease(LONG, std::future::pending::<()>(), async || Ok(true)).await;
        assert!(matches!(&ended, Ended::Broken(reason) if reason.contains("180 s")), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn stops_when_the_lease_has_ended_since_nobody_could_renew_it() {
        let work = std::future::pending::<()>;
        let start = Instant::now();
        let ended = under_lease(LONG, work(), async || Err(Failure::Stale)).await;
        assert!(matches!(ended, Ended::LeaseLost), "{ended:?}");
        assert_eq!(start.elapsed(), BELIEVED);
        let (start, renewals) = (Instant::now(), AtomicU32::new(0));
        let renew = async || match renewals.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(true),
            _ => std::future::pending().await,
        };
        let ended = under_lease(LONG, work(), renew).await;
        assert!(matches!(ended, Ended::LeaseLost), "{ended:?}");
        assert_eq!(start.elapsed(), BELIEVED + Duration::from_secs(20), "counted from the last success");
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let ended = under_lease(LONG, async { panic!("on purpose") }, async || Ok(true)).await;
        let Ended::<()>::Broken(reason) = ended else { panic!("{ended:?}") };
        assert_eq!(reason, "it panicked: on purpose");
    }
}
