//! The platform as a real process under the load of many clients, while it is killed and everything around it goes
//! wrong. Afterwards a checker that knows what was acknowledged compares it with all that the platform shows.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod acts;
mod check;
mod clients;
mod company;
mod disk;
mod doctored;
mod faults;
mod ledger;
mod observe;
mod storm;

/// Kills, unless somebody wants more: `CODER_CHAOS_KILLS=200 cargo test -p coder-tests --test chaos -- --nocapture`.
/// From the twenty-first on, faults coincide.
const KILLS: usize = 20;

#[expect(clippy::disallowed_methods, reason = "whoever wants more kills has no other way to say so")]
fn kills() -> usize {
    std::env::var("CODER_CHAOS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// The test, as its harness calls it.
const STORM: &str = "nothing_is_lost_and_nothing_happens_twice";

#[test]
fn nothing_is_lost_and_nothing_happens_twice() {
    let disk = disk::Disk::mounted();
    if disk.is_none() {
        if disk::again_on_one(STORM, kills()) {
            return;
        }
        storm::not_tried("a full disk", "nobody may mount one here");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let faults = runtime.block_on(storm::rage(kills(), disk));
    assert!(faults.is_empty(), "{faults:#?}");
}
