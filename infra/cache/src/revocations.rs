//! Credentials that were taken back before their time: what a signature alone cannot tell.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use coder_core::Ambient;
use coder_core::id::{OrganizationId, SessionId, UserId};
use jiff::Timestamp;

/// The list is swept at this size and each time it doubles.
const FIRST_SWEEP: usize = 1_024;

/// What was revoked, kept until every credential concerned has ended by itself; that bounds the list. Asking
/// costs one atomic load while nothing is revoked, a shared lock otherwise.
#[derive(Debug)]
pub struct Revocations {
    ambient: Ambient,
    any: AtomicBool,
    fresh_at: AtomicI64,
    lists: RwLock<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    sessions: HashMap<SessionId, Entry>,
    users: HashMap<UserId, Entry>,
    memberships: HashMap<(UserId, OrganizationId), Entry>,
    keys: HashMap<Box<str>, Entry>,
    sweep_at: usize,
}

/// Credentials issued before `before` are revoked; the entry itself counts until `until`.
#[derive(Debug, Clone, Copy)]
struct Entry {
    before: Timestamp,
    until: Timestamp,
}

impl Revocations {
    /// An empty list, which has heard from no feed yet.
    pub fn new(ambient: Ambient) -> Self {
        Self {
            ambient,
            any: AtomicBool::new(false),
            fresh_at: AtomicI64::new(i64::MIN),
            lists: RwLock::default(),
        }
    }

    /// Revokes a session. `until` is when its last access token ends.
    pub fn revoke_session(&self, session: SessionId, until: Timestamp) {
        self.record(|lists| insert(&mut lists.sessions, session, Timestamp::MAX, until));
    }

    /// Revokes all that a user was issued before `before`, in every organization.
    pub fn revoke_user(&self, user: UserId, before: Timestamp, until: Timestamp) {
        self.record(|lists| insert(&mut lists.users, user, before, until));
    }

    /// Revokes all that a user was issued for one organization before `before`.
    pub fn revoke_membership(
        &self,
        user: UserId,
        organization: OrganizationId,
        before: Timestamp,
        until: Timestamp,
    ) {
        self.record(|lists| insert(&mut lists.memberships, (user, organization), before, until));
    }

    /// Revokes an API key by its public id. `until` is when no verified copy of it is cached any more.
    pub fn revoke_key(&self, key_id: &str, until: Timestamp) {
        self.record(|lists| insert(&mut lists.keys, key_id.into(), Timestamp::MAX, until));
    }

    /// Whether an access token was revoked. Tokens tell their time of issue in whole seconds, so one that was
    /// issued in the very second of a user's revocation counts as revoked.
    pub fn is_revoked(
        &self,
        session: SessionId,
        user: UserId,
        organization: Option<OrganizationId>,
        issued_at: Timestamp,
    ) -> bool {
        self.ask(|lists, now| {
            let covers = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.covers(issued_at, now));
            covers(lists.sessions.get(&session))
                || covers(lists.users.get(&user))
                || organization.is_some_and(|id| covers(lists.memberships.get(&(user, id))))
        })
    }

    /// Whether an API key was revoked.
    pub fn is_key_revoked(&self, key_id: &str) -> bool {
        self.ask(|lists, now| lists.keys.get(key_id).is_some_and(|entry| entry.covers(Timestamp::MIN, now)))
    }

    /// Notes that the feed of revocations was complete at `at`. An older time than known changes nothing.
    pub fn mark_fresh(&self, at: Timestamp) {
        self.fresh_at.fetch_max(at.as_millisecond(), Ordering::AcqRel);
    }

    /// When the feed was last known to be complete; `None` before the first time. Whoever must not accept a
    /// revoked credential compares this with the clock and refuses when it is too long ago.
    pub fn fresh_at(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.fresh_at.load(Ordering::Acquire)).ok()
    }

    fn record(&self, change: impl FnOnce(&mut Lists)) {
        let now = self.ambient.now();
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut lists);
        lists.sweep(now);
        self.any.store(lists.len() > 0, Ordering::Release);
    }

    fn ask(&self, question: impl FnOnce(&Lists, Timestamp) -> bool) -> bool {
        self.any.load(Ordering::Acquire) && {
            let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
            question(&lists, self.ambient.now())
        }
    }
}

impl Entry {
    fn covers(&self, issued_at: Timestamp, now: Timestamp) -> bool {
        now < self.until && issued_at < self.before
    }
}

impl Lists {
    fn len(&self) -> usize {
        self.sessions.len() + self.users.len() + self.memberships.len() + self.keys.len()
    }

    /// Drops what has run out, rarely enough that a revocation costs a constant time on average.
    fn sweep(&mut self, now: Timestamp) {
        if self.len() < self.sweep_at.max(FIRST_SWEEP) {
            return;
        }
        self.sessions.retain(|_, entry| now < entry.until);
        self.users.retain(|_, entry| now < entry.until);
        self.memberships.retain(|_, entry| now < entry.until);
        self.keys.retain(|_, entry| now < entry.until);
        self.sweep_at = self.len() * 2;
    }
}

/// Revoking twice widens: neither an older time of issue nor an earlier end takes anything back.
fn insert<K: Eq + Hash>(list: &mut HashMap<K, Entry>, key: K, before: Timestamp, until: Timestamp) {
    let entry = list.entry(key).or_insert(Entry { before, until });
    entry.before = entry.before.max(before);
    entry.until = entry.until.max(until);
}

#[cfg(test)]
mod tests;
