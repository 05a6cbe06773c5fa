//! The one table of route groups: where each is reached and what it may take.

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What the gateway, local or in the cloud, must know about a route group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The group's name, which is the second segment of its paths.
    pub name: &'static str,
    /// What every path of the group begins with.
    pub prefix: &'static str,
    /// The port of the group's handler when it is started alone.
    pub port: u16,
    /// How long the group may take to the first byte of its answer.
    pub header_timeout: Duration,
    /// The largest request body that any operation of the group takes, in bytes. Handlers may set less.
    pub body_limit: u64,
    /// Whether some answers are event streams or large downloads, which nothing on the way may buffer.
    pub streams: bool,
}

impl Group {
    const fn new(name: &'static str, prefix: &'static str, port: u16) -> Self {
        let header_timeout = Duration::from_secs(30);
        Self { name, prefix, port, header_timeout, body_limit: MIB, streams: false }
    }

    const fn seconds(mut self, header_timeout: u64) -> Self {
        self.header_timeout = Duration::from_secs(header_timeout);
        self
    }

    const fn body(mut self, limit: u64) -> Self {
        self.body_limit = limit;
        self
    }

    const fn streams(mut self) -> Self {
        self.streams = true;
        self
    }
}

/// All groups of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteTable {
    groups: &'static [Group],
}

/// The function front end gives up after this many seconds, so waiting longer is of no use.
const LONGEST: u64 = 230;

const PLATFORM: &[Group] = &[
    // Models think for long; images come inline.
    Group::new("ai", "/api/ai", 3002).seconds(LONGEST).body(4 * MIB).streams(),
    Group::new("planning", "/api/planning", 3003),
    // A blob of a workspace comes in one request.
    Group::new("execution", "/api/execution", 3004).seconds(LONGEST).body(25 * MIB).streams(),
    Group::new("mcp", "/api/mcp", 3005).seconds(LONGEST).streams(),
    Group::new("knowledge", "/api/knowledge", 3006).streams(),
    Group::new("dashboard", "/api/dashboard", 3007),
    // Imported calendars.
    Group::new("calendar", "/api/calendar", 3008).body(5 * MIB),
    Group::new("messaging", "/api/messaging", 3009).streams(),
    // Batches of entries in, exports out.
    Group::new("logging", "/api/logging", 3010).body(4 * MIB).streams(),
    Group::new("learning", "/api/learning", 3011),
    // The state of a shared document.
    Group::new("collaboration", "/api/collaboration", 3012).body(4 * MIB).streams(),
    // Uploaded reports; an analysis can be waited for.
    Group::new("quality", "/api/quality", 3013).seconds(120).body(20 * MIB),
    Group::new("resource", "/api/resource", 3014),
    Group::new("workflow", "/api/workflow", 3015).seconds(LONGEST).streams(),
    // Telemetry in batches; live tails.
    Group::new("observability", "/api/observability", 3016).body(4 * MIB).streams(),
    Group::new("notifications", "/api/notifications", 3017).streams(),
    Group::new("prompts", "/api/prompts", 3018),
    Group::new("secrets", "/api/secrets", 3019),
    Group::new("usage", "/api/usage", 3020),
    // A text of 1 MiB and the JSON around it.
    Group::new("embeddings", "/api/embeddings", 3021).body(2 * MIB),
    Group::new("auth", "/api/auth", 3022),
    Group::new("users", "/api/users", 3023),
];

impl RouteTable {
    /// The table of the platform.
    pub const PLATFORM: Self = Self { groups: PLATFORM };

    /// Every group, in the order of the table.
    pub fn groups(self) -> impl ExactSizeIterator<Item = &'static Group> {
        self.groups.iter()
    }

    /// The group of this name; names are exact, upper and lower case included.
    pub fn group(self, name: &str) -> Option<&'static Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_group_has_its_own_prefix_and_port() {
        let groups = RouteTable::PLATFORM.groups();
        assert_eq!(groups.len(), 22);
        let ports: BTreeSet<u16> = RouteTable::PLATFORM.groups().map(|group| group.port).collect();
        assert_eq!(ports.len(), 22);
        assert!(ports.iter().all(|port| (3002..=3046).contains(port)));
        for group in groups {
            assert_eq!(group.prefix, format!("/api/{}", group.name));
            assert_eq!(RouteTable::PLATFORM.group(group.name), Some(group));
            assert!(group.body_limit >= MIB);
            assert!((30..=LONGEST).contains(&group.header_timeout.as_secs()));
        }
        assert_eq!(RouteTable::PLATFORM.group("AI"), None);
    }
}
