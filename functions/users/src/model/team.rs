//! A team and who is in it.

use coder_core::{TeamId, Timestamp, UserId};
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{Check, Clean};

/// A team of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Team {
    /// The name; unique in the organization whatever its case.
    #[schemars(length(min = 1, max = 80))]
    pub name: String,
    /// Short name in addresses, made from the name.
    pub slug: String,
    /// What the team does; may have several lines.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// The team above.
    pub parent_team_id: Option<TeamId>,
    /// Since when the team is out of use.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub archived_at: Option<Timestamp>,
}

/// A person's place in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamMember {
    /// The team.
    pub team_id: TeamId,
    /// Who.
    pub user_id: UserId,
    /// As what.
    #[serde(default)]
    pub role: TeamRole,
}

/// What somebody is in a team.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// May change the team.
    Lead,
    /// Belongs to it.
    #[default]
    Member,
}

impl Entity for Team {
    const TYPE: &'static str = "team";
}

impl Entity for TeamMember {
    const TYPE: &'static str = "team-member";
}

impl TeamMember {
    /// The id of a person's place in a team.
    pub fn document_id(team_id: TeamId, user_id: UserId) -> String {
        format!("team-member:{team_id}:{user_id}")
    }
}

impl Clean for Team {
    fn clean(&mut self, check: &mut Check) {
        check.line("/name", &mut self.name, 80);
        check.optional_text("/description", &mut self.description, 1000);
        self.slug = crate::names::slug(&self.name).unwrap_or_else(|| "team".to_owned());
    }
}
