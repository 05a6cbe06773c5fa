//! The suite that every provider of [`Cache`], [`RateLimiter`] and [`RevocationRelay`] passes: what the traits say,
//! as tests.
//!
//! A provider's test writes `coder_cache::contract_tests!(crate::subject);` in a module of its own, where `subject`
//! is an `async fn() -> Subject` that gives a fresh provider, or an `Option` of one where it cannot always be had. Each
//! case becomes a test.
#![expect(clippy::unwrap_used, reason = "test code: a failed look-up is a failed test")]
#![expect(
    missing_docs,
    clippy::missing_panics_doc,
    reason = "the cases' names say what they prove; they panic on failure"
)]

use std::any::Any;
use std::sync::Arc;

use coder_core::{Ambient, ManualClock};
use jiff::Timestamp;

use crate::{Cache, RateLimiter, RevocationRelay};

pub mod buckets;
pub mod bytes;
pub mod relays;

/// Makes a test of every case of the suite.
#[macro_export]
macro_rules! contract_tests {
    ($subject:path) => {
        $crate::contract_tests! { $subject;
            bytes: keeps_until_the_time_is_over, replaces_and_removes, a_time_without_end_and_none_at_all,
                gives_back_every_byte, tells_keys_apart;
            buckets: a_burst_passes_and_then_one_a_second, nothing_is_lost_to_rounding, keys_do_not_share,
                a_refusal_takes_nothing_and_waiting_as_told_is_enough, a_cost_over_the_burst_needs_a_rested_key,
                a_cost_of_nothing_only_asks, a_lower_limit_holds_at_once, extremes_do_not_overflow,
                a_clock_that_goes_back_neither_gives_nor_locks_out, two_processes_share_a_bucket,
                parallel_requests_take_exactly_what_there_is;
            relays: tells_the_other_process_every_kind, tells_what_was_revoked_before_joining,
                tells_whoever_joins_later, keeps_quiet_about_what_is_over, does_not_vouch_for_completeness;
        }
    };
    ($subject:path; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let subject: Option<$crate::contract::Subject> = $subject().await.into();
                    if let Some(subject) = subject {
                        $crate::contract::$module::$case(&subject).await;
                    }
                }
            )+
        })+
    };
}

/// A fresh provider under test.
#[derive(Debug)]
pub struct Subject {
    /// An empty cache.
    pub cache: Arc<dyn Cache>,
    /// What two processes count with; a provider that knows one process gives the same twice.
    pub limiters: [Arc<dyn RateLimiter>; 2],
    /// What two processes join; likewise.
    pub relays: [Arc<dyn RevocationRelay>; 2],
    /// The clock that all of them look at.
    pub clock: ManualClock,
    /// Bundles that clock.
    pub ambient: Ambient,
    /// What must live as long as the provider, such as a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// When the suite begins.
pub fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}
