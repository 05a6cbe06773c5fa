use std::task::{Context, Waker};

use coder_core::{Ambient, ManualClock, OrganizationId, OsEntropy, SessionId, UserId};
use jiff::{SignedDuration, Timestamp};

use super::{FIRST_SWEEP, OUTLET, Revocation, Revocations, Revoked};

struct Fixture {
    list: Revocations,
    clock: ManualClock,
    ambient: Ambient,
    session: SessionId,
    user: UserId,
    organization: OrganizationId,
}

fn fixture() -> Fixture {
    let clock = ManualClock::at(second(1_000));
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    Fixture {
        list: Revocations::new(ambient.clone()),
        clock,
        session: ambient.new_id(),
        user: ambient.new_id(),
        organization: ambient.new_id(),
        ambient,
    }
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_second(number).unwrap()
}

impl Fixture {
    fn revoked(&self, issued_at: Timestamp) -> bool {
        self.list.is_revoked(self.session, self.user, Some(self.organization), issued_at)
    }
}

#[test]
fn nothing_is_revoked_at_first() {
    let f = fixture();
    assert!(!f.revoked(second(1_000)));
    assert!(!f.list.is_key_revoked("key"));
    assert_eq!(f.list.fresh_at(), None);
}

#[test]
fn a_session_is_revoked_whenever_its_token_was_issued() {
    let f = fixture();
    f.list.revoke_session(f.session, second(1_900));
    assert!(f.revoked(second(1)));
    assert!(f.revoked(second(1_800)));
    assert!(!f.list.is_revoked(f.ambient.new_id(), f.user, None, second(1)));
}

#[test]
fn a_user_is_revoked_up_to_a_time() {
    let f = fixture();
    f.list.revoke_user(f.user, second(1_000), second(1_900));
    assert!(f.revoked(second(999)));
    assert!(!f.revoked(second(1_000)), "signed in again");
    assert!(f.list.is_revoked(f.ambient.new_id(), f.user, None, second(999)), "in every session");
    assert!(!f.list.is_revoked(f.session, f.ambient.new_id(), None, second(999)));
}

#[test]
fn a_token_of_the_same_second_is_refused() {
    let f = fixture();
    let within = second(1_000).saturating_add(SignedDuration::from_millis(500)).unwrap();
    f.list.revoke_user(f.user, within, second(1_900));
    assert!(f.revoked(second(1_000)));
    assert!(!f.revoked(second(1_001)));
}

#[test]
fn a_membership_is_revoked_in_its_organization_only() {
    let f = fixture();
    f.list.revoke_membership(f.user, f.organization, second(1_000), second(1_900));
    assert!(f.revoked(second(999)));
    assert!(!f.revoked(second(1_000)));
    assert!(!f.list.is_revoked(f.session, f.user, None, second(999)));
    assert!(!f.list.is_revoked(f.session, f.user, Some(f.ambient.new_id()), second(999)));
}

#[test]
fn keys_are_revoked_by_id() {
    let f = fixture();
    f.list.revoke_key("one", second(1_060));
    assert!(f.list.is_key_revoked("one"));
    assert!(!f.list.is_key_revoked("two"));
    f.clock.advance(SignedDuration::from_secs(60));
    assert!(!f.list.is_key_revoked("one"));
}

#[test]
fn entries_end_and_later_ones_only_widen() {
    let f = fixture();
    f.list.revoke_user(f.user, second(1_000), second(1_100));
    f.list.revoke_user(f.user, second(500), second(1_050));
    f.clock.advance(SignedDuration::from_millis(99_999));
    assert!(f.revoked(second(999)));
    f.clock.advance(SignedDuration::from_millis(1));
    assert!(!f.revoked(second(999)));
}

#[test]
fn what_has_run_out_is_swept_and_what_holds_is_kept() {
    let f = fixture();
    f.list.revoke_session(f.session, second(9_000));
    for _ in 0..FIRST_SWEEP {
        f.list.revoke_session(f.ambient.new_id(), second(1_010));
    }
    f.clock.advance(SignedDuration::from_secs(10));
    for _ in 0..FIRST_SWEEP {
        f.list.revoke_session(f.ambient.new_id(), second(2_000));
    }
    assert!(f.list.lists.read().unwrap().len() <= FIRST_SWEEP + 1);
    assert!(f.revoked(second(1)));
}

#[test]
fn freshness_only_moves_forward() {
    let f = fixture();
    f.list.mark_fresh(second(1_000));
    f.list.mark_fresh(second(990));
    assert_eq!(f.list.fresh_at(), Some(second(1_000)));
    f.list.mark_fresh(second(1_001));
    assert_eq!(f.list.fresh_at(), Some(second(1_001)));
}

#[tokio::test]
async fn what_changes_something_comes_out_and_what_was_heard_does_not() {
    let f = fixture();
    let (list, mut outlet) = Revocations::with_outlet(f.ambient.clone());
    let told = |revoked, before, until| Revocation { revoked, before, until };
    list.hear(told(Revoked::Session(f.session), Timestamp::MAX, second(1_900)));
    assert!(list.is_revoked(f.session, f.user, None, second(1)));
    // As a feed tells it again, and others besides.
    list.revoke_session(f.session, second(1_900));
    list.revoke_user(f.user, second(1_000), second(1_900));
    list.revoke_user(f.user, second(999), second(1_900));
    list.revoke_user(f.user, second(1_001), second(1_800));
    drop(list);
    let first = told(Revoked::User(f.user), second(1_000), second(1_900));
    assert_eq!(outlet.next().await, Some(first));
    assert_eq!(outlet.next().await, Some(told(Revoked::User(f.user), second(1_001), second(1_800))));
    assert_eq!(outlet.next().await, None);
}

#[tokio::test]
async fn an_outlet_that_nobody_empties_stays_small_and_the_list_whole() {
    let f = fixture();
    let (list, mut outlet) = Revocations::with_outlet(f.ambient.clone());
    let sessions: Vec<SessionId> = (0..2 * OUTLET).map(|_| f.ambient.new_id()).collect();
    for session in &sessions {
        list.revoke_session(*session, second(1_900));
    }
    assert!(sessions.iter().all(|session| list.is_revoked(*session, f.user, None, second(1))));
    drop(list);
    let mut told = 0;
    while outlet.next().await.is_some() {
        told += 1;
    }
    assert_eq!(told, OUTLET);
}

#[test]
fn entries_are_told_in_these_words() {
    let f = fixture();
    let before = second(1_000);
    let entry = |revoked| Revocation { revoked, before, until: Timestamp::MAX };
    let (session, user, organization) = (f.session, f.user, f.organization);
    let cases = [
        (Revoked::Session(session), format!(r#"{{"session":"{session}"}}"#)),
        (Revoked::User(user), format!(r#"{{"user":"{user}"}}"#)),
        (Revoked::Membership(user, organization), format!(r#"{{"membership":["{user}","{organization}"]}}"#)),
        (Revoked::Key("k".into()), r#"{"key":"k"}"#.to_owned()),
    ];
    for (revoked, words) in cases {
        let text = serde_json::to_string(&entry(revoked.clone())).unwrap();
        let expected = format!(
            r#"{{"revoked":{words},"before":"1970-01-01T00:16:40Z","until":"9999-12-30T22:00:00.999999999Z"}}"#
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Revocation>(&text).unwrap(), entry(revoked));
    }
}

#[tokio::test]
async fn whoever_waits_for_the_first_list_is_told_when_it_comes_and_not_before() {
    let f = fixture();
    let mut wait = Box::pin(f.list.first_heard());
    assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    f.list.mark_fresh(second(1_000));
    wait.await;
    // From then on nobody waits.
    f.list.first_heard().await;
}
