//! What an organization demands of its people's sign-in.

use std::net::IpAddr;

use coder_core::{Fault, OrganizationId};
use coder_database::{Entity, Partition};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::session::{ABSOLUTE_SECONDS, IDLE_SECONDS};

/// The policy of an organization; one in its partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthPolicy {
    /// 12–64 code points.
    pub password_min_length: u32,
    /// Whether members need a second factor.
    pub mfa_required: bool,
    /// How members may sign in; at least one.
    pub login_methods: Vec<LoginMethod>,
    /// Seconds of disuse that end a session; 300 to the platform's own.
    pub session_idle_seconds: i64,
    /// Seconds that end a session; 300 to the platform's own.
    pub session_absolute_seconds: i64,
    /// Longest life of an API key: 1–365 days.
    pub api_key_max_days: u32,
    /// Networks to sign in from; empty is everywhere.
    #[schemars(with = "Vec<String>")]
    pub allowed_cidrs: Vec<IpNet>,
}

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// E-mail and password.
    Password,
    /// One of the organization's providers.
    External,
}

impl Default for AuthPolicy {
    fn default() -> Self {
        Self {
            password_min_length: 12,
            mfa_required: false,
            login_methods: vec![LoginMethod::Password, LoginMethod::External],
            session_idle_seconds: IDLE_SECONDS,
            session_absolute_seconds: ABSOLUTE_SECONDS,
            api_key_max_days: 365,
            allowed_cidrs: Vec::new(),
        }
    }
}

impl Entity for AuthPolicy {
    const TYPE: &'static str = "auth-policy";
}

impl AuthPolicy {
    /// The document id.
    pub const ID: &'static str = "auth-policy";
    /// Shortest session that a policy can ask for: shorter ones lock people out between two clicks.
    pub const MIN_SESSION_SECONDS: i64 = 300;
    /// Most networks.
    pub const MAX_CIDRS: usize = 100;

    /// The organization's partition.
    pub fn partition(organization_id: OrganizationId) -> Partition {
        Partition::organization(organization_id)
    }

    /// Every value outside its bounds.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut bounds = |pointer: &str, value: i64, least: i64, most: i64| {
            if !(least..=most).contains(&value) {
                let message = format!("This must be {least} to {most}.");
                faults.push(Fault::new(pointer, "out_of_range", message));
            }
        };
        bounds("/passwordMinLength", self.password_min_length.into(), 12, 64);
        bounds("/sessionIdleSeconds", self.session_idle_seconds, Self::MIN_SESSION_SECONDS, IDLE_SECONDS);
        let absolute = self.session_absolute_seconds;
        bounds("/sessionAbsoluteSeconds", absolute, Self::MIN_SESSION_SECONDS, ABSOLUTE_SECONDS);
        bounds("/apiKeyMaxDays", self.api_key_max_days.into(), 1, 365);
        if self.login_methods.is_empty() {
            faults.push(Fault::new("/loginMethods", "too_few", "At least one way to sign in is needed."));
        }
        if self.allowed_cidrs.len() > Self::MAX_CIDRS {
            let message = format!("At most {} networks are allowed.", Self::MAX_CIDRS);
            faults.push(Fault::new("/allowedCidrs", "too_many", message));
        }
        faults
    }

    /// Whether members may sign in from this address. An IPv4 address in IPv6 clothing counts as itself.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_cidrs.is_empty() || self.allowed_cidrs.iter().any(|cidr| cidr.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::AuthPolicy;

    #[test]
    fn the_default_holds_and_an_old_document_is_filled_up() {
        assert_eq!(AuthPolicy::default().faults(), []);
        let read: AuthPolicy = serde_json::from_str(r#"{"mfaRequired": true}"#).unwrap();
        assert_eq!(read, AuthPolicy { mfa_required: true, ..AuthPolicy::default() });
    }

    #[test]
    fn finds_every_fault() {
        let policy = AuthPolicy {
            password_min_length: 11,
            login_methods: Vec::new(),
            session_idle_seconds: 299,
            session_absolute_seconds: 30 * 24 * 3600 + 1,
            api_key_max_days: 0,
            allowed_cidrs: vec!["10.0.0.0/8".parse().unwrap(); 101],
            ..AuthPolicy::default()
        };
        let pointers: Vec<_> = policy.faults().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/passwordMinLength",
                "/sessionIdleSeconds",
                "/sessionAbsoluteSeconds",
                "/apiKeyMaxDays",
                "/loginMethods",
                "/allowedCidrs"
            ]
        );
    }

    #[test]
    fn allows_its_networks() {
        let mut policy = AuthPolicy::default();
        assert!(policy.allows_address("198.51.100.1".parse().unwrap()));
        policy.allowed_cidrs = vec!["10.0.0.0/8".parse().unwrap()];
        assert!(policy.allows_address("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!policy.allows_address("198.51.100.1".parse().unwrap()));
    }
}
