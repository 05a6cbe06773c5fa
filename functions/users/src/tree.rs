//! The hierarchy of an organization's teams.

use std::collections::{HashMap, HashSet};

use coder_core::{Problem, TeamId};
use schemars::JsonSchema;
use serde::Serialize;

/// Levels of teams; a team without a parent is on the first.
pub const MAX_DEPTH: usize = 5;

/// Why a team cannot have a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is no such parent.
    #[error("There is no team {0} in this organization.")]
    UnknownParent(TeamId),
    /// The team would be below itself.
    #[error("A team cannot be below itself.")]
    Cycle,
    /// There would be too many levels.
    #[error("Teams can be {MAX_DEPTH} levels deep at most.")]
    TooDeep,
}

impl From<TreeError> for Problem {
    fn from(error: TreeError) -> Self {
        let code = match error {
            TreeError::UnknownParent(_) => "unknown_team",
            TreeError::Cycle => "team_cycle",
            TreeError::TooDeep => "too_deep",
        };
        Self::fault("/parentTeamId", code, error.to_string())
    }
}

/// Which team is below which. Every walk ends, even over documents that should never have been written.
#[derive(Debug, Clone, Default)]
pub struct TeamTree {
    parents: HashMap<TeamId, Option<TeamId>>,
    children: HashMap<TeamId, Vec<TeamId>>,
}

impl FromIterator<(TeamId, Option<TeamId>)> for TeamTree {
    fn from_iter<I: IntoIterator<Item = (TeamId, Option<TeamId>)>>(teams: I) -> Self {
        let mut tree = Self::default();
        for (team, parent) in teams {
            tree.parents.insert(team, parent);
            if let Some(parent) = parent {
                tree.children.entry(parent).or_default().push(team);
            }
        }
        tree
    }
}

impl TeamTree {
    /// Whether the organization has this team.
    pub fn contains(&self, team: TeamId) -> bool {
        self.parents.contains_key(&team)
    }

    /// The teams directly below.
    pub fn children(&self, team: TeamId) -> &[TeamId] {
        self.children.get(&team).map_or(&[], Vec::as_slice)
    }

    /// The team and those above it, nearest first; nothing for an unknown team.
    pub fn lineage(&self, team: TeamId) -> impl Iterator<Item = TeamId> + '_ {
        let known = |team: TeamId| self.contains(team).then_some(team);
        let above = move |team: &TeamId| self.parents.get(team).copied().flatten().and_then(known);
        std::iter::successors(known(team), above).take(MAX_DEPTH)
    }

    /// Whether `team` may have this parent: its own subtree comes along. `None` is a team that is not yet there.
    pub fn check_parent(&self, team: Option<TeamId>, parent: Option<TeamId>) -> Result<(), TreeError> {
        let Some(parent) = parent else { return Ok(()) };
        if !self.contains(parent) {
            return Err(TreeError::UnknownParent(parent));
        }
        if team.is_some_and(|team| self.lineage(parent).any(|above| above == team)) {
            return Err(TreeError::Cycle);
        }
        let height = team.map_or(1, |team| self.height(team));
        if self.lineage(parent).count() + height > MAX_DEPTH { Err(TreeError::TooDeep) } else { Ok(()) }
    }

    /// Levels of the subtree, the team's own included.
    fn height(&self, team: TeamId) -> usize {
        let mut level = vec![team];
        let mut height = 0;
        while !level.is_empty() && height <= MAX_DEPTH {
            height += 1;
            level = level.iter().flat_map(|team| self.children(*team)).copied().collect();
        }
        height
    }
}

/// A team with the teams below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Branch<T> {
    /// The team.
    #[serde(flatten)]
    pub team: T,
    /// The teams below, in the order that they were given in.
    pub children: Vec<Branch<T>>,
}

/// Nests teams, given with their ids and parents. One whose parent is not among them is a root.
pub fn nest<T>(teams: Vec<(TeamId, Option<TeamId>, T)>) -> Vec<Branch<T>> {
    let ids: HashSet<TeamId> = teams.iter().map(|(id, ..)| *id).collect();
    let mut below: HashMap<Option<TeamId>, Vec<(TeamId, T)>> = HashMap::new();
    for (id, parent, team) in teams {
        below.entry(parent.filter(|parent| ids.contains(parent))).or_default().push((id, team));
    }
    branches(None, &mut below)
}

fn branches<T>(
    parent: Option<TeamId>,
    below: &mut HashMap<Option<TeamId>, Vec<(TeamId, T)>>,
) -> Vec<Branch<T>> {
    let teams = below.remove(&parent).unwrap_or_default();
    teams.into_iter().map(|(id, team)| Branch { team, children: branches(Some(id), below) }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Branch, TeamTree, TreeError, nest};
    use coder_core::{Problem, TeamId, id::Uuid};

    fn team(n: u128) -> TeamId {
        TeamId::from(Uuid::from_u128(n))
    }

    fn tree(edges: &[(u128, u128)]) -> TeamTree {
        edges.iter().map(|(id, parent)| (team(*id), (*parent != 0).then(|| team(*parent)))).collect()
    }

    #[test]
    fn re_parenting_keeps_the_tree_a_tree_of_five_levels() {
        // 1 > 2 > 3 > 4 > 5, and 6 > 7 apart.
        let tree = tree(&[(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 0), (7, 6)]);
        let check = |id: Option<u128>, parent: Option<u128>, expected: Result<(), TreeError>| {
            assert_eq!(
                tree.check_parent(id.map(team), parent.map(team)),
                expected,
                "{id:?} below {parent:?}"
            );
        };
        check(None, Some(4), Ok(()));
        check(None, Some(5), Err(TreeError::TooDeep));
        check(None, None, Ok(()));
        check(Some(6), Some(3), Ok(()));
        check(Some(6), Some(4), Err(TreeError::TooDeep));
        check(Some(2), Some(1), Ok(()));
        check(Some(2), None, Ok(()));
        check(Some(2), Some(6), Ok(()));
        check(Some(2), Some(7), Err(TreeError::TooDeep));
        check(Some(1), Some(1), Err(TreeError::Cycle));
        check(Some(1), Some(5), Err(TreeError::Cycle));
        check(Some(1), Some(99), Err(TreeError::UnknownParent(team(99))));
        let problem = Problem::from(TreeError::Cycle);
        assert_eq!((problem.code.status(), problem.errors[0].code), (422, "team_cycle"));
    }

    #[test]
    fn lineage_goes_up_and_ends_on_a_stored_cycle() {
        let sound = tree(&[(1, 0), (2, 1), (3, 2), (8, 77)]);
        assert_eq!(sound.lineage(team(3)).collect::<Vec<_>>(), [team(3), team(2), team(1)]);
        assert_eq!(sound.lineage(team(8)).collect::<Vec<_>>(), [team(8)]);
        assert_eq!(sound.lineage(team(9)).count(), 0);
        let broken = tree(&[(1, 2), (2, 1)]);
        assert_eq!(broken.lineage(team(1)).count(), super::MAX_DEPTH);
        assert_eq!(broken.check_parent(None, Some(team(1))), Err(TreeError::TooDeep));
    }

    #[test]
    fn nests_in_order_and_roots_what_has_no_parent_here() {
        let leaf = |name| Branch { team: name, children: Vec::new() };
        let nested = nest(vec![
            (team(1), None, "a"),
            (team(3), Some(team(1)), "c"),
            (team(2), Some(team(1)), "b"),
            (team(4), Some(team(99)), "d"),
        ]);
        assert_eq!(nested, [Branch { team: "a", children: vec![leaf("c"), leaf("b")] }, leaf("d")]);
    }
}
