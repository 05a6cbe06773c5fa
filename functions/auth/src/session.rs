//! The rules of sessions: when they end, what a refresh token's generation means, and which sign-in comes from
//! a new device.

use std::net::IpAddr;

use coder_core::{Timestamp, text};
use coder_database::Record;
use ipnet::IpNet;
use jiff::SignedDuration;

use crate::model::{AuthPolicy, ClientKind, RevokedReason, Session};
use crate::refresh::ProvenGeneration;

/// Seconds of disuse that end a session, unless the policy says fewer.
pub const IDLE_SECONDS: i64 = 14 * 24 * 3600;
/// Seconds that end a session, unless the policy says fewer.
pub const ABSOLUTE_SECONDS: i64 = 30 * 24 * 3600;
/// Live sessions of a person.
pub const MAX_LIVE: usize = 20;

/// Two tabs may use one refresh token this far apart.
const GRACE: SignedDuration = SignedDuration::from_secs(10);
/// A session's use is written at most this often.
const USE_WRITTEN: SignedDuration = SignedDuration::from_mins(1);

/// What becomes of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The newest one: the session goes on with this generation, written under `If-Match`.
    Advance(u32),
    /// The one before, used again at once: the current pair is handed out again.
    Repeat(u32),
    /// An older one: somebody has a copy, the session is revoked.
    Reuse,
    /// The session is over.
    Ended,
}

impl Session {
    /// Whether the session goes on at this time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.ends_at()
    }

    /// What becomes of a refresh token of this session. One from the future can only come from a copy of the
    /// session's past, so it counts as reuse too.
    pub fn rotation(&self, presented: ProvenGeneration, now: Timestamp) -> Rotation {
        let presented = presented.get();
        if !self.is_live(now) {
            Rotation::Ended
        } else if presented == self.generation {
            Rotation::Advance(self.generation.saturating_add(1))
        } else if presented.checked_add(1) == Some(self.generation)
            && now.duration_since(self.rotated_at) <= GRACE
        {
            Rotation::Repeat(self.generation)
        } else {
            Rotation::Reuse
        }
    }

    /// Moves on to the next generation.
    pub fn advance(&mut self, generation: u32, now: Timestamp, policy: &AuthPolicy) {
        self.generation = generation;
        self.rotated_at = now;
        self.touch(now, policy);
    }

    /// Whether a use at this time is worth a write.
    pub fn is_use_due(&self, now: Timestamp) -> bool {
        now.duration_since(self.last_used_at) >= USE_WRITTEN
    }

    /// Notes a use: the end by disuse slides on, the other does not.
    pub fn touch(&mut self, now: Timestamp, policy: &AuthPolicy) {
        self.last_used_at = now;
        self.idle_expires_at = idle_end(now, policy).min(self.absolute_expires_at);
    }

    /// Ends the session; one that was revoked before keeps its first reason. Answers whether it was live.
    pub fn revoke(&mut self, reason: RevokedReason, now: Timestamp) -> bool {
        let was_live = self.is_live(now);
        if self.revoked_at.is_none() {
            self.revoked_at = Some(now);
            self.revoked_reason = Some(reason);
        }
        was_live
    }
}

/// The ends of a session that begins now: by disuse, and in any case.
pub fn ends(now: Timestamp, policy: &AuthPolicy) -> (Timestamp, Timestamp) {
    let absolute = later(now, policy.session_absolute_seconds.min(ABSOLUTE_SECONDS));
    (idle_end(now, policy).min(absolute), absolute)
}

fn idle_end(now: Timestamp, policy: &AuthPolicy) -> Timestamp {
    later(now, policy.session_idle_seconds.min(IDLE_SECONDS))
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// The sessions that fall out when `more` are to live: the oldest.
pub fn surplus(sessions: &[Record<Session>], more: usize, now: Timestamp) -> Vec<&Record<Session>> {
    let mut live: Vec<_> = sessions.iter().filter(|session| session.data.is_live(now)).collect();
    // The ids are made in the order of time, which settles what the times leave open.
    live.sort_by(|a, b| (a.meta.created_at, &a.meta.id).cmp(&(b.meta.created_at, &b.meta.id)));
    let over = (live.len() + more).saturating_sub(MAX_LIVE);
    live.truncate(over);
    live
}

/// What makes two sign-ins come from one device: the kind of program, the family of browsers, the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    client_kind: ClientKind,
    browser: Browser,
    network: Option<IpNet>,
}

/// Families of browsers that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Browser {
    Edge,
    Opera,
    Firefox,
    Chrome,
    Safari,
    Other,
}

impl Device {
    /// The device of a sign-in.
    pub fn new(client_kind: ClientKind, user_agent: Option<&str>, address: Option<IpAddr>) -> Self {
        Self {
            client_kind,
            browser: browser(user_agent.unwrap_or_default()),
            network: address.and_then(network),
        }
    }

    /// The id of the trace that the device leaves; a sign-in without one is from a new device.
    pub fn document_id(&self) -> String {
        let network = self.network.map(|network| network.to_string()).unwrap_or_default();
        let browser = format!("{:?}", self.browser);
        format!("device:{}", text::sha256_hex(&[self.client_kind.as_str(), &browser, &network]))
    }
}

/// Browsers name their ancestors too, so the order matters.
fn browser(user_agent: &str) -> Browser {
    let named = |names: &[&str]| names.iter().any(|name| user_agent.contains(name));
    if named(&["Edg/", "EdgA/", "EdgiOS/"]) {
        Browser::Edge
    } else if named(&["OPR/", "Opera"]) {
        Browser::Opera
    } else if named(&["Firefox/", "FxiOS/"]) {
        Browser::Firefox
    } else if named(&["Chrome/", "CriOS/", "Chromium/"]) {
        Browser::Chrome
    } else if named(&["Safari/"]) {
        Browser::Safari
    } else {
        Browser::Other
    }
}

/// The /24 or /48 that the address is in.
fn network(address: IpAddr) -> Option<IpNet> {
    let address = address.to_canonical();
    IpNet::new(address, if address.is_ipv4() { 24 } else { 48 }).ok().map(|network| network.trunc())
}

#[cfg(test)]
mod tests;
