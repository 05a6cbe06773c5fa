//! How long to wait before something is tried again.

use std::time::Duration;

use coder_core::Ambient;

/// Wait after the first failure, in milliseconds.
const FIRST: u64 = 2_000;

/// The longest wait.
pub const LONGEST_BACK_OFF: Duration = Duration::from_mins(5);

/// The wait after so many failed attempts: 2 seconds after the first, then twice as long each time, up to
/// 5 minutes. Up to a quarter is added by chance, so that what failed together does not come back together.
pub fn back_off(ambient: &Ambient, failed: u32) -> Duration {
    wait(failed, u16::from_le_bytes(ambient.random()))
}

fn wait(failed: u32, chance: u16) -> Duration {
    let doubled = FIRST << failed.saturating_sub(1).min(16);
    let wait = doubled + doubled / 4 * u64::from(chance) / 65_536;
    Duration::from_millis(wait).min(LONGEST_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_two_seconds_to_five_minutes_and_stay_there() {
        let seconds = [0, 1, 2, 5].map(|failed| wait(failed, 0).as_secs());
        assert_eq!(seconds, [2, 2, 4, 32]);
        let most = wait(1, u16::MAX);
        assert!(most > Duration::from_millis(2400) && most <= Duration::from_millis(2500), "{most:?}");
        assert_eq!([wait(9, u16::MAX), wait(u32::MAX, u16::MAX)], [LONGEST_BACK_OFF; 2]);
    }
}
