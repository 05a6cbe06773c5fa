//! Sessions over time.

use coder_core::{Ambient, SessionId, Timestamp};
use coder_database::{Document, Record};
use jiff::SignedDuration;
use serde_json::json;

use super::{Device, Rotation, ends, surplus};
use crate::model::{AuthPolicy, ClientKind, RevokedReason, Session};
use crate::refresh::ProvenGeneration;

const DAY: i64 = 24 * 3600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn session(start: i64) -> Session {
    let (idle_expires_at, absolute_expires_at) = ends(at(start), &AuthPolicy::default());
    Session {
        user_id: Ambient::system().new_id(),
        current_organization_id: None,
        roles: Vec::new(),
        roles_read_at: None,
        generation: 1,
        rotated_at: at(start),
        salt: String::new(),
        amr: vec!["pwd".into()],
        auth_time: at(start),
        client_kind: ClientKind::Browser,
        device_name: None,
        user_agent: None,
        ip_address: None,
        last_used_at: at(start),
        idle_expires_at,
        absolute_expires_at,
        revoked_at: None,
        revoked_reason: None,
    }
}

#[test]
fn disuse_ends_a_session_and_use_puts_it_off() {
    let (mut session, policy) = (session(0), AuthPolicy::default());
    assert!(session.is_live(at(14 * DAY - 1)));
    assert!(!session.is_live(at(14 * DAY)));
    session.touch(at(10 * DAY), &policy);
    assert!(session.is_live(at(24 * DAY - 1)));
    session.touch(at(23 * DAY), &policy);
    assert!(session.is_live(at(30 * DAY - 1)));
    assert!(!session.is_live(at(30 * DAY)), "the absolute end does not move");
    assert_eq!(session.kept_until(), at(37 * DAY));
}

#[test]
fn a_policy_only_shortens() {
    let short =
        AuthPolicy { session_idle_seconds: 600, session_absolute_seconds: 3600, ..AuthPolicy::default() };
    assert_eq!(ends(at(0), &short), (at(600), at(3600)));
    let odd =
        AuthPolicy { session_idle_seconds: 7200, session_absolute_seconds: 3600, ..AuthPolicy::default() };
    assert_eq!(ends(at(0), &odd), (at(3600), at(3600)));
    let long = AuthPolicy {
        session_idle_seconds: i64::MAX,
        session_absolute_seconds: i64::MAX,
        ..AuthPolicy::default()
    };
    assert_eq!(ends(at(0), &long), (at(14 * DAY), at(30 * DAY)));
}

#[test]
fn a_use_is_written_once_a_minute() {
    let session = session(0);
    assert!(!session.is_use_due(at(59)));
    assert!(session.is_use_due(at(60)));
}

#[test]
fn decides_by_generation() {
    let mut session = session(0);
    session.advance(2, at(100), &AuthPolicy::default());
    for (presented, second, expected) in [
        (2, 100, Rotation::Advance(3)),
        (2, 5000, Rotation::Advance(3)),
        (1, 100, Rotation::Repeat(2)),
        (1, 110, Rotation::Repeat(2)),
        (1, 111, Rotation::Reuse),
        (0, 100, Rotation::Reuse),
        (3, 100, Rotation::Reuse),
        (u32::MAX, 100, Rotation::Reuse),
        (2, 15 * DAY, Rotation::Ended),
        (1, 15 * DAY, Rotation::Ended),
    ] {
        assert_eq!(
            session.rotation(ProvenGeneration::of(presented), at(second)),
            expected,
            "generation {presented} at {second}"
        );
    }
}

#[test]
fn after_a_reuse_even_the_newest_token_is_dead() {
    let mut session = session(0);
    session.advance(2, at(0), &AuthPolicy::default());
    assert_eq!(session.rotation(ProvenGeneration::of(1), at(11)), Rotation::Reuse);
    assert!(session.revoke(RevokedReason::ReuseDetected, at(11)));
    assert_eq!(session.rotation(ProvenGeneration::of(2), at(12)), Rotation::Ended);
}

#[test]
fn the_first_reason_of_a_revocation_stays() {
    let mut session = session(0);
    assert!(session.revoke(RevokedReason::Logout, at(5)));
    assert!(!session.revoke(RevokedReason::PasswordReset, at(6)));
    assert_eq!((session.revoked_at, session.revoked_reason), (Some(at(5)), Some(RevokedReason::Logout)));
    assert_eq!(session.ends_at(), at(5));
    assert_eq!(session.kept_until(), at(5 + 7 * DAY));
}

fn stored(start: i64) -> Record<Session> {
    let id: SessionId = Ambient::system().new_id();
    let mut body = serde_json::to_value(session(start)).unwrap();
    for (field, value) in [
        ("id", json!(id)),
        ("organizationId", json!(null)),
        ("type", json!("session")),
        ("createdAt", json!(at(start))),
        ("createdBy", json!("auth")),
        ("updatedAt", json!(at(start))),
        ("updatedBy", json!("auth")),
        ("etag", json!("0")),
    ] {
        body[field] = value;
    }
    Record::from_document(Document { id: id.to_string(), etag: "0".into(), body }).unwrap()
}

#[test]
fn the_oldest_live_session_makes_room() {
    let mut sessions: Vec<_> = (0..19).rev().map(stored).collect();
    assert!(surplus(&sessions, 1, at(100)).is_empty());
    sessions.push(stored(50));
    let fallen: Vec<_> = surplus(&sessions, 1, at(100)).iter().map(|one| one.meta.created_at).collect();
    assert_eq!(fallen, [at(0)]);
    sessions.extend([stored(60), stored(61)]);
    let fallen: Vec<_> = surplus(&sessions, 1, at(100)).iter().map(|one| one.meta.created_at).collect();
    assert_eq!(fallen, [at(0), at(1), at(2)]);
    for session in &mut sessions[..3] {
        session.data.revoke(RevokedReason::Logout, at(70));
    }
    assert!(surplus(&sessions, 1, at(100)).is_empty(), "ended sessions do not count");
}

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const CHROME: &str =
    "Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const EDGE: &str =
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0";
const SAFARI: &str =
    "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15";

#[test]
fn a_device_is_known_by_kind_browser_and_network() {
    let id = |kind, agent: &str, address: &str| {
        Device::new(kind, Some(agent), Some(address.parse().unwrap())).document_id()
    };
    let known = id(ClientKind::Browser, FIREFOX, "192.0.2.7");
    assert_eq!(id(ClientKind::Browser, &FIREFOX.replace("140", "141"), "192.0.2.250"), known);
    assert_eq!(id(ClientKind::Browser, FIREFOX, "::ffff:192.0.2.8"), known);
    for (kind, agent, address) in [
        (ClientKind::Cli, FIREFOX, "192.0.2.7"),
        (ClientKind::Browser, CHROME, "192.0.2.7"),
        (ClientKind::Browser, FIREFOX, "192.0.3.7"),
        (ClientKind::Browser, FIREFOX, "2001:db8::1"),
    ] {
        assert_ne!(id(kind, agent, address), known, "{agent} {address}");
    }
    let six = id(ClientKind::Browser, FIREFOX, "2001:db8:7::1");
    assert_eq!(id(ClientKind::Browser, FIREFOX, "2001:db8:7:ffff::9"), six);
    assert_ne!(id(ClientKind::Browser, FIREFOX, "2001:db8:8::1"), six);
}

#[test]
fn browsers_are_told_apart_by_their_last_name() {
    let ids: Vec<_> = [FIREFOX, CHROME, EDGE, SAFARI, "curl/8"]
        .iter()
        .map(|agent| Device::new(ClientKind::Browser, Some(agent), None).document_id())
        .collect();
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[at + 1..].contains(id), "{at}");
    }
}
