//! Permissions: names of three segments, patterns over them, and where a grant of them holds.

use std::collections::BTreeSet;
use std::fmt;

use crate::id::{OrganizationId, ProjectId, TeamId};

/// A permission of a route group, as a type: `Call<TeamCreate>` is the evidence that the caller holds it.
pub trait Permission: Send + Sync + 'static {
    /// What the catalogue says of it.
    const DECLARATION: PermissionDeclaration;
}

/// A row of the permission catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionDeclaration {
    /// `<group>.<resource>.<action>`.
    pub name: &'static str,
    /// What it allows, for people.
    pub summary: &'static str,
    /// The least of the built-in roles that holds it; every higher one does too.
    pub held_by: BuiltInRole,
}

/// The built-in roles, least first. `viewer` and `owner` hold permissions by pattern, the others by catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltInRole {
    /// Reads everything that is not privileged.
    Viewer,
    /// Reads and writes ordinary resources.
    Member,
    /// Everything but deleting the organization and touching owners.
    Admin,
    /// Everything.
    Owner,
}

impl BuiltInRole {
    /// Every built-in role, highest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Viewer];

    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// Declares the permissions of a group: a type for each, and the table of all.
#[macro_export]
macro_rules! permissions {
    ($($name:ident = $text:literal, $role:ident, $summary:literal;)+) => {
        $(
            #[doc = $summary]
            #[derive(Debug, Clone, Copy)]
            pub struct $name;
            impl $crate::permission::Permission for $name {
                const DECLARATION: $crate::permission::PermissionDeclaration = $crate::permission::PermissionDeclaration {
                    name: $text, summary: $summary, held_by: $crate::permission::BuiltInRole::$role,
                };
            }
        )+
        /// Every permission of this group.
        pub const PERMISSIONS: &[$crate::permission::PermissionDeclaration] =
            &[$(<$name as $crate::permission::Permission>::DECLARATION),+];
    };
}

/// A pattern over permission names: `*` matches one segment or, last, all that follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// The longest accepted pattern, in bytes.
    pub const MAX_BYTES: usize = 120;

    /// Reads a pattern: one to three segments of `[a-z0-9-]` or `*`; a shorter one must end in `*`.
    pub fn parse(text: &str) -> Option<Self> {
        let segments: Vec<&str> = text.split('.').collect();
        let fits = |segment: &&str| {
            *segment == "*"
                || (!segment.is_empty()
                    && segment.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        };
        let whole = segments.len() == 3 || (segments.len() < 3 && segments.last() == Some(&"*"));
        (text.len() <= Self::MAX_BYTES && whole && segments.iter().all(fits)).then(|| Self(text.to_owned()))
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern covers this permission.
    pub fn matches(&self, permission: &str) -> bool {
        let mut wanted = permission.split('.');
        let mut segments = self.0.split('.').peekable();
        while let Some(segment) = segments.next() {
            let Some(name) = wanted.next() else { return false };
            if segment == "*" && segments.peek().is_none() {
                return true;
            }
            if segment != "*" && segment != name {
                return false;
            }
        }
        wanted.next().is_none()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A union of patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct PermissionSet(BTreeSet<Pattern>);

impl PermissionSet {
    /// Whether any pattern covers the permission.
    pub fn allows(&self, permission: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(permission))
    }

    /// Adds a pattern.
    pub fn insert(&mut self, pattern: Pattern) {
        self.0.insert(pattern);
    }

    /// Adds every pattern of another set.
    pub fn extend(&mut self, patterns: impl IntoIterator<Item = Pattern>) {
        self.0.extend(patterns);
    }

    /// The patterns, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }
}

impl FromIterator<Pattern> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

/// Where a grant or a key holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(tag = "type", content = "id", rename_all = "lowercase", deny_unknown_fields)]
pub enum Scope {
    /// The whole organization.
    Organization(OrganizationId),
    /// A team and everything below it.
    Team(TeamId),
    /// A project.
    Project(ProjectId),
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, permission: &str, expected: bool) {
        assert_eq!(
            Pattern::parse(pattern).unwrap().matches(permission),
            expected,
            "{pattern} ~ {permission}"
        );
    }

    #[test]
    fn matches_by_segment() {
        check("*", "users.team.update", true);
        check("users.*", "users.team.update", true);
        check("users.*", "auth.policy.read", false);
        check("*.*.read", "users.team.read", true);
        check("*.*.read", "users.team.inspect", false);
        check("users.team.update", "users.team.update", true);
        check("users.team.update", "users.team.updates", false);
        check("users.team.*", "users.team", false);
        check("*.*.read", "users.team.member.read", false);
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for text in [
            "",
            "users",
            "users.team",
            "users..read",
            "a.b.c.d",
            "Users.team.read",
            "u*.team.read",
            "a.b.c d",
        ] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
