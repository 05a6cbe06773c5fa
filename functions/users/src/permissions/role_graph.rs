//! Roles and what they inherit.

use std::collections::{HashMap, HashSet, VecDeque};

use coder_core::{Code, Fault, Problem};

use crate::model::Role;

/// Steps of inheritance that a chain of roles may have.
pub const MAX_INHERITANCE: usize = 5;

/// Why a role cannot be as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleGraphError {
    /// A role that it wants to inherit is not there.
    #[error("There is no role `{name}`.")]
    UnknownRole {
        /// Its place in `inherits`.
        index: usize,
        /// Its name.
        name: String,
    },
    /// The role would inherit itself.
    #[error("The role would inherit itself: {}.", path.join(" → "))]
    Cycle {
        /// The roles on the way round, the changed one at both ends.
        path: Vec<String>,
    },
    /// A chain through the role would be too long.
    #[error("A role can inherit over {MAX_INHERITANCE} steps at most.")]
    TooDeep,
}

impl From<RoleGraphError> for Problem {
    fn from(error: RoleGraphError) -> Self {
        let message = error.to_string();
        match error {
            RoleGraphError::UnknownRole { index, .. } => {
                Self::fault(format!("/inherits/{index}"), "unknown_role", message)
            }
            RoleGraphError::Cycle { .. } => {
                let fault = Fault::new("/inherits", Code::RoleCycle.as_str(), message);
                Self { code: Code::RoleCycle, ..Self::invalid(vec![fault]) }
            }
            RoleGraphError::TooDeep => Self::fault("/inherits", "too_deep", message),
        }
    }
}

/// A role as it comes to somebody who holds another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleUse<'a> {
    /// The role.
    pub role: &'a Role,
    /// The way to it: the held role first, the one that inherits it last. Empty for the held role itself.
    pub through: Vec<&'a str>,
}

/// The roles of an organization, the built-in ones among them.
#[derive(Debug, Clone, Default)]
pub struct RoleGraph {
    roles: HashMap<String, Role>,
}

impl RoleGraph {
    /// The graph of these roles; of two with one name a built-in one stays.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Self {
        let mut graph = Self::default();
        for role in roles {
            if role.built_in || !graph.roles.get(&role.name).is_some_and(|there| there.built_in) {
                graph.roles.insert(role.name.clone(), role);
            }
        }
        graph
    }

    /// The role of this name.
    pub fn get(&self, name: &str) -> Option<&Role> {
        self.roles.get(name)
    }

    /// The role and everything it inherits, each once, by the shortest way. Nothing for an unknown name; a
    /// stored cycle does no harm.
    pub fn closure(&self, name: &str) -> Vec<RoleUse<'_>> {
        self.get(name).map(|role| self.closure_of(role)).unwrap_or_default()
    }

    /// The closure of a role that need not be stored as it is.
    pub fn closure_of<'a>(&'a self, role: &'a Role) -> Vec<RoleUse<'a>> {
        if role.inherits.is_empty() {
            return vec![RoleUse { role, through: Vec::new() }];
        }
        let mut seen = HashSet::from([role.name.as_str()]);
        let mut waiting = VecDeque::from([RoleUse { role, through: Vec::new() }]);
        let mut found = Vec::new();
        while let Some(one) = waiting.pop_front() {
            for name in &one.role.inherits {
                if let Some(role) = self.get(name).filter(|_| seen.insert(name)) {
                    let through = one.through.iter().copied().chain([one.role.name.as_str()]).collect();
                    waiting.push_back(RoleUse { role, through });
                }
            }
            found.push(one);
        }
        found
    }

    /// Whether a role may be created or changed to be this.
    pub fn check_change(&self, changed: &Role) -> Result<(), RoleGraphError> {
        let name = changed.name.as_str();
        let known = |inherited: &String| inherited == name || self.roles.contains_key(inherited);
        if let Some(index) = changed.inherits.iter().position(|inherited| !known(inherited)) {
            return Err(RoleGraphError::UnknownRole { index, name: changed.inherits[index].clone() });
        }
        let closes = |one: &RoleUse<'_>| one.role.inherits.iter().any(|inherited| inherited == name);
        if let Some(last) = self.closure_of(changed).into_iter().find(closes) {
            let way = last.through.into_iter().chain([last.role.name.as_str(), name]);
            return Err(RoleGraphError::Cycle { path: way.map(str::to_owned).collect() });
        }
        let inherited = |role: &str| -> Vec<&str> {
            let role = if role == name { Some(changed) } else { self.get(role) };
            role.map(|role| role.inherits.iter().map(String::as_str).collect()).unwrap_or_default()
        };
        let heirs = |role: &str| -> Vec<&str> {
            let inherits = |one: &&Role| one.inherits.iter().any(|inherited| inherited == role);
            self.roles.values().filter(inherits).map(|one| one.name.as_str()).collect()
        };
        let steps = longest_way(name, inherited) + longest_way(name, heirs);
        if steps > MAX_INHERITANCE { Err(RoleGraphError::TooDeep) } else { Ok(()) }
    }

    /// `422` unless every name is a role of the organization.
    pub fn check_names(&self, pointer: &str, names: &[String]) -> Result<(), Problem> {
        let unknown = names.iter().enumerate().filter(|(_, name)| !self.roles.contains_key(*name));
        let faults: Vec<Fault> = unknown
            .map(|(index, name)| {
                Fault::new(
                    format!("{pointer}/{index}"),
                    "unknown_role",
                    format!("There is no role `{name}`."),
                )
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }
}

/// Steps of the longest way from a role, counted level by level; past [`MAX_INHERITANCE`] it stops counting, and
/// so ends on a cycle too.
fn longest_way<'a>(start: &'a str, next: impl Fn(&str) -> Vec<&'a str>) -> usize {
    let mut level = HashSet::from([start]);
    let mut steps = 0;
    while steps <= MAX_INHERITANCE {
        level = level.into_iter().flat_map(&next).collect();
        if level.is_empty() {
            break;
        }
        steps += 1;
    }
    steps
}
