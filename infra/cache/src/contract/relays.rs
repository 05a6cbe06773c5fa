//! What one process revokes, the others hear.

use std::sync::Arc;
use std::time::Duration;

use coder_core::{OrganizationId, SessionId, UserId};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use super::{Subject, start};
use crate::Revocations;

/// Within which all must have heard.
const SOON: Duration = Duration::from_secs(10);

/// The processes of a test; they leave when this is dropped.
struct Processes<'a> {
    subject: &'a Subject,
    tasks: JoinSet<()>,
}

impl<'a> Processes<'a> {
    fn new(subject: &'a Subject) -> Self {
        Self { subject, tasks: JoinSet::new() }
    }

    fn join(&mut self, number: usize) -> Arc<Revocations> {
        self.join_after(number, |_| {})
    }

    fn join_after(&mut self, number: usize, before: impl FnOnce(&Revocations)) -> Arc<Revocations> {
        let (list, outlet) = Revocations::with_outlet(self.subject.ambient.clone());
        before(&list);
        let list = Arc::new(list);
        let (relay, joined) = (self.subject.relays[number].clone(), list.clone());
        self.tasks.spawn(async move { relay.join(joined, outlet).await });
        list
    }
}

/// Waits until it holds, with nothing but turns of the scheduler in between.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(SOON, wait).await.is_ok(), "not within {SOON:?}: {what}");
}

fn later(seconds: i64) -> Timestamp {
    start().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn session_revoked(list: &Revocations, session: SessionId, subject: &Subject) -> bool {
    list.is_revoked(session, subject.ambient.new_id(), None, later(0))
}

pub async fn tells_the_other_process_every_kind(subject: &Subject) {
    let mut processes = Processes::new(subject);
    let (here, there) = (processes.join(0), processes.join(1));
    let (session, user, member): (SessionId, UserId, UserId) =
        (subject.ambient.new_id(), subject.ambient.new_id(), subject.ambient.new_id());
    let organization: OrganizationId = subject.ambient.new_id();
    let (before, until) = (later(1), later(900));
    here.revoke_session(session, until);
    here.revoke_user(user, before, until);
    here.revoke_membership(member, organization, before, until);
    here.revoke_key("key", until);
    eventually("the session", || session_revoked(&there, session, subject)).await;
    let other = || subject.ambient.new_id();
    eventually("the user", || there.is_revoked(other(), user, None, later(0))).await;
    eventually("the membership", || there.is_revoked(other(), member, Some(organization), later(0))).await;
    eventually("the key", || there.is_key_revoked("key")).await;
    assert!(!there.is_revoked(other(), user, None, before), "signed in again");
    assert!(!there.is_revoked(other(), member, None, later(0)), "in its organization only");
}

pub async fn tells_what_was_revoked_before_joining(subject: &Subject) {
    let mut processes = Processes::new(subject);
    let there = processes.join(1);
    let session = subject.ambient.new_id();
    let _here = processes.join_after(0, |list| list.revoke_session(session, later(900)));
    eventually("the session", || session_revoked(&there, session, subject)).await;
}

pub async fn tells_whoever_joins_later(subject: &Subject) {
    let mut processes = Processes::new(subject);
    let (here, there) = (processes.join(0), processes.join(1));
    let sessions: Vec<SessionId> = (0..300).map(|_| subject.ambient.new_id()).collect();
    for session in &sessions {
        here.revoke_session(*session, later(900));
    }
    let all = |list: &Revocations| sessions.iter().all(|one| session_revoked(list, *one, subject));
    eventually("the second process", || all(&there)).await;
    let last = processes.join(1);
    eventually("the third process", || all(&last)).await;
}

pub async fn keeps_quiet_about_what_is_over(subject: &Subject) {
    let mut processes = Processes::new(subject);
    let (here, there) = (processes.join(0), processes.join(1));
    here.revoke_key("short", later(60));
    here.revoke_key("long", later(900));
    eventually("both keys", || there.is_key_revoked("short") && there.is_key_revoked("long")).await;
    subject.clock.advance(SignedDuration::from_secs(60));
    let last = processes.join(1);
    eventually("the long one", || last.is_key_revoked("long")).await;
    // Back in time a list that had heard of the short one would still know it.
    subject.clock.advance(SignedDuration::from_secs(-60));
    assert!(!last.is_key_revoked("short"));
}

pub async fn does_not_vouch_for_completeness(subject: &Subject) {
    let mut processes = Processes::new(subject);
    let (here, there) = (processes.join(0), processes.join(1));
    here.revoke_key("key", later(900));
    eventually("the key", || there.is_key_revoked("key")).await;
    assert_eq!(there.fresh_at(), None);
}
