//! When signing keys change: `next` is published a day before it signs, `active` signs for 90 days, `retiring`
//! stays published for another day, far longer than any token lives.

use coder_core::Timestamp;

use crate::model::{KeyState, SigningKey};

const DAY: i64 = 24 * 3600;
/// Seconds that a key is published before it signs.
pub const PUBLISHED_BEFORE_SECONDS: i64 = DAY;
/// Seconds that a key signs.
pub const ACTIVE_SECONDS: i64 = 90 * DAY;
/// Seconds that a key stays published after it signed.
pub const RETIRING_SECONDS: i64 = DAY;

/// A change that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is no key at all: make one that signs at once, since nobody can have learnt another.
    CreateActive,
    /// Make the successor and publish it.
    CreateNext,
    /// This key signs from now on; the active ones retire.
    Activate(String),
    /// This key ceases to sign.
    Retire(String),
    /// This key goes.
    Delete(String),
}

/// The changes that are due, in the order to make them. When a job comes late, a successor still gets its day
/// of publication, and the old key signs on meanwhile.
pub fn due(keys: &[SigningKey], now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut active: Vec<&SigningKey> = of_state(keys, KeyState::Active).collect();
    active.sort_by_key(|key| (key.activated_at, key.kid.clone()));
    let newest_active = active.pop();
    // Two hosts may have made the first key at once.
    steps.extend(active.into_iter().map(|key| Step::Retire(key.kid.clone())));
    let next = of_state(keys, KeyState::Next).min_by_key(|key| (key.published_at, key.kid.clone()));
    let signed_for = newest_active.map(|key| age(key.activated_at, now));
    match (signed_for, next) {
        (None, None) => steps.push(Step::CreateActive),
        (None, Some(next)) => steps.push(Step::Activate(next.kid.clone())),
        (Some(seconds), None) if seconds >= ACTIVE_SECONDS - PUBLISHED_BEFORE_SECONDS => {
            steps.push(Step::CreateNext);
        }
        (Some(seconds), Some(next))
            if seconds >= ACTIVE_SECONDS && age(Some(next.published_at), now) >= PUBLISHED_BEFORE_SECONDS =>
        {
            steps.extend(newest_active.map(|key| Step::Retire(key.kid.clone())));
            steps.push(Step::Activate(next.kid.clone()));
        }
        _ => {}
    }
    let over = of_state(keys, KeyState::Retiring).filter(|key| age(key.retired_at, now) >= RETIRING_SECONDS);
    steps.extend(over.map(|key| Step::Delete(key.kid.clone())));
    steps
}

impl SigningKey {
    /// The key begins to sign.
    pub fn activate(&mut self, now: Timestamp) {
        self.state = KeyState::Active;
        self.activated_at = Some(now);
    }

    /// The key ceases to sign.
    pub fn retire(&mut self, now: Timestamp) {
        self.state = KeyState::Retiring;
        self.retired_at = Some(now);
    }
}

fn of_state(keys: &[SigningKey], state: KeyState) -> impl Iterator<Item = &SigningKey> {
    keys.iter().filter(move |key| key.state == state)
}

/// Seconds since then; a time that is missing counts as long ago.
fn age(since: Option<Timestamp>, now: Timestamp) -> i64 {
    since.map_or(i64::MAX, |since| now.duration_since(since).as_secs())
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use jiff::SignedDuration;
    use serde_json::Value;

    use super::{DAY, Step, due};
    use crate::model::{KeyState, SigningKey};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn key(kid: &str, state: KeyState, since: i64) -> SigningKey {
        SigningKey {
            kid: kid.into(),
            alg: "RS256".into(),
            wrapped_key: String::new(),
            public_jwk: Value::Null,
            state,
            published_at: at(since),
            activated_at: (state != KeyState::Next).then(|| at(since)),
            retired_at: (state == KeyState::Retiring).then(|| at(since)),
        }
    }

    /// What the job does with the steps.
    fn apply(keys: &mut Vec<SigningKey>, now: i64) {
        for step in due(keys, at(now)) {
            match step {
                Step::CreateActive => keys.push(key(&format!("made {now}"), KeyState::Active, now)),
                Step::CreateNext => keys.push(key(&format!("made {now}"), KeyState::Next, now)),
                Step::Activate(kid) => keys.iter_mut().find(|key| key.kid == kid).unwrap().activate(at(now)),
                Step::Retire(kid) => keys.iter_mut().find(|key| key.kid == kid).unwrap().retire(at(now)),
                Step::Delete(kid) => keys.retain(|key| key.kid != kid),
            }
        }
    }

    #[test]
    fn one_key_signs_at_any_time_and_every_token_can_be_checked() {
        let mut keys = Vec::new();
        let mut published: Vec<(String, i64)> = Vec::new();
        let mut signed: Vec<(String, i64)> = Vec::new();
        for quarter in 0..400 * 96 {
            let now = quarter * 900;
            apply(&mut keys, now);
            for key in &keys {
                if !published.iter().any(|(kid, _)| *kid == key.kid) {
                    published.push((key.kid.clone(), now));
                }
            }
            let active: Vec<_> = keys.iter().filter(|key| key.state == KeyState::Active).collect();
            assert_eq!(active.len(), 1, "day {}", now / DAY);
            let kid = active[0].kid.clone();
            let since = published.iter().find(|(known, _)| *known == kid).unwrap().1;
            assert!(published.len() == 1 || now - since >= DAY, "{kid} signs too early at {now}");
            signed.push((kid, now));
            // Tokens of the last quarter of an hour, and then a day's worth, are still checkable.
            for (kid, _) in signed.iter().rev().take_while(|(_, when)| now - when < DAY) {
                assert!(keys.iter().any(|key| key.kid == *kid), "{kid} is gone at {now}");
            }
        }
        assert_eq!(published.len(), 5, "400 days see five keys: {published:?}");
        assert!(keys.len() <= 3);
    }

    #[test]
    fn a_late_job_still_publishes_before_it_signs() {
        let mut keys = vec![key("old", KeyState::Active, 0)];
        assert_eq!(due(&keys, at(89 * DAY - 1)), []);
        assert_eq!(due(&keys, at(200 * DAY)), [Step::CreateNext]);
        apply(&mut keys, 200 * DAY);
        assert_eq!(due(&keys, at(201 * DAY - 1)), []);
        assert_eq!(
            due(&keys, at(201 * DAY)),
            [Step::Retire("old".into()), Step::Activate("made 17280000".into())]
        );
    }

    #[test]
    fn a_lost_active_key_is_replaced_at_once() {
        assert_eq!(due(&[], at(0)), [Step::CreateActive]);
        assert_eq!(due(&[key("next", KeyState::Next, 0)], at(1)), [Step::Activate("next".into())]);
        let retiring = [key("old", KeyState::Retiring, 0)];
        assert_eq!(due(&retiring, at(1)), [Step::CreateActive]);
        assert_eq!(due(&retiring, at(DAY)), [Step::CreateActive, Step::Delete("old".into())]);
    }

    #[test]
    fn of_two_active_keys_the_newer_stays() {
        let keys =
            [key("b", KeyState::Active, 1), key("a", KeyState::Active, 0), key("c", KeyState::Active, 1)];
        assert_eq!(due(&keys, at(2)), [Step::Retire("a".into()), Step::Retire("b".into())]);
    }
}
