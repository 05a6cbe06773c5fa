//! Credentials that were taken back before their time: what a signature alone cannot tell.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use coder_core::Ambient;
use coder_core::id::{OrganizationId, SessionId, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};

/// The list is swept at this size and each time it doubles.
const FIRST_SWEEP: usize = 1_024;

/// How many revocations may wait to be told to other processes.
const OUTLET: usize = 1_024;

/// Whose credentials do not hold any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Revoked {
    /// All tokens of a session.
    Session(SessionId),
    /// Everything a user was issued.
    User(UserId),
    /// Everything a user was issued for one organization.
    Membership(UserId, OrganizationId),
    /// An API key, by its public id.
    Key(Box<str>),
}

/// An entry of the list, as processes tell it to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    /// Whose credentials.
    pub revoked: Revoked,
    /// Those that were issued earlier do not hold.
    pub before: Timestamp,
    /// When all of them have ended by themselves, and the entry has no meaning any more.
    pub until: Timestamp,
}

/// What a list was told and others have not heard yet, for a [`crate::RevocationRelay`]. It holds 1,024; what does
/// not fit is left to the store's list, which every process reads anyway.
#[derive(Debug)]
pub struct Outlet(mpsc::Receiver<Revocation>);

impl Outlet {
    /// The next revocation; `None` when the list is gone and all was taken.
    pub async fn next(&mut self) -> Option<Revocation> {
        self.0.recv().await
    }
}

/// What was revoked, kept until every credential concerned has ended by itself; that bounds the list. Asking
/// costs one atomic load while nothing is revoked, a shared lock otherwise.
#[derive(Debug)]
pub struct Revocations {
    ambient: Ambient,
    any: AtomicBool,
    fresh_at: AtomicI64,
    heard: Notify,
    lists: RwLock<Lists>,
    outlet: Option<mpsc::Sender<Revocation>>,
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
            heard: Notify::new(),
            lists: RwLock::default(),
            outlet: None,
        }
    }

    /// An empty list, and the outlet for what it is told from now on, be it by the platform or by a feed. What
    /// changes nothing does not come out, nor does what was heard from a relay.
    pub fn with_outlet(ambient: Ambient) -> (Self, Outlet) {
        let (sender, receiver) = mpsc::channel(OUTLET);
        (Self { outlet: Some(sender), ..Self::new(ambient) }, Outlet(receiver))
    }

    /// Revokes a session. `until` is when its last access token ends.
    pub fn revoke_session(&self, session: SessionId, until: Timestamp) {
        self.tell(Revoked::Session(session), Timestamp::MAX, until);
    }

    /// Revokes all that a user was issued before `before`, in every organization.
    pub fn revoke_user(&self, user: UserId, before: Timestamp, until: Timestamp) {
        self.tell(Revoked::User(user), before, until);
    }

    /// Revokes all that a user was issued for one organization before `before`.
    pub fn revoke_membership(
        &self,
        user: UserId,
        organization: OrganizationId,
        before: Timestamp,
        until: Timestamp,
    ) {
        self.tell(Revoked::Membership(user, organization), before, until);
    }

    /// Revokes an API key by its public id. `until` is when no verified copy of it is cached any more.
    pub fn revoke_key(&self, key_id: &str, until: Timestamp) {
        self.tell(Revoked::Key(key_id.into()), Timestamp::MAX, until);
    }

    /// Takes over what another process has revoked. It says nothing of how complete the list is, so it does not
    /// make it fresher.
    pub fn hear(&self, revocation: Revocation) {
        self.record(&revocation);
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
        self.heard.notify_waiters();
    }

    /// Waits until the feed was complete for the first time; at once if it was before.
    pub async fn first_heard(&self) {
        let mut heard = pin!(self.heard.notified());
        // From here on no note is missed, whenever it comes.
        heard.as_mut().enable();
        if self.fresh_at().is_none() {
            heard.await;
        }
    }

    /// When the feed was last known to be complete; `None` before the first time. Whoever must not accept a
    /// revoked credential compares this with the clock and refuses when it is too long ago.
    pub fn fresh_at(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.fresh_at.load(Ordering::Acquire)).ok()
    }

    fn tell(&self, revoked: Revoked, before: Timestamp, until: Timestamp) {
        let revocation = Revocation { revoked, before, until };
        if self.record(&revocation)
            && let Some(outlet) = &self.outlet
            && outlet.try_send(revocation).is_err()
        {
            tracing::warn!("a revocation is not told at once: other processes will read it from the store");
        }
    }

    /// Whether the list did not cover it before.
    fn record(&self, revocation: &Revocation) -> bool {
        let now = self.ambient.now();
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        let changed = lists.insert(revocation);
        lists.sweep(now);
        self.any.store(lists.len() > 0, Ordering::Release);
        changed
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
    fn insert(&mut self, revocation: &Revocation) -> bool {
        let entry = Entry { before: revocation.before, until: revocation.until };
        match &revocation.revoked {
            Revoked::Session(session) => insert(&mut self.sessions, *session, entry),
            Revoked::User(user) => insert(&mut self.users, *user, entry),
            Revoked::Membership(user, organization) => {
                insert(&mut self.memberships, (*user, *organization), entry)
            }
            Revoked::Key(key_id) => insert(&mut self.keys, key_id.clone(), entry),
        }
    }

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

/// Revoking twice widens: neither an older time of issue nor an earlier end takes anything back. Says whether
/// anything changed.
fn insert<K: Eq + Hash>(list: &mut HashMap<K, Entry>, key: K, new: Entry) -> bool {
    match list.entry(key) {
        std::collections::hash_map::Entry::Vacant(vacant) => {
            vacant.insert(new);
            true
        }
        std::collections::hash_map::Entry::Occupied(mut occupied) => {
            let entry = occupied.get_mut();
            let changed = entry.before < new.before || entry.until < new.until;
            entry.before = entry.before.max(new.before);
            entry.until = entry.until.max(new.until);
            changed
        }
    }
}

#[cfg(test)]
mod tests;
