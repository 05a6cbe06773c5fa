//! A project: its repositories, its environments and the profile of its application.

use coder_core::{TeamId, UserId};
use coder_database::Entity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::patterns;
use crate::names::{Check, Clean};

/// Bytes that each part of a profile may take as JSON.
pub const MAX_PROFILE_PART_BYTES: usize = 20 * 1024;

/// A project of an organization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// The name.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Prefix of its task numbers; unique in the organization, fixed once a task has used it.
    #[schemars(regex(pattern = patterns::PROJECT_KEY))]
    pub key: String,
    /// What the project is for; may have several lines.
    #[schemars(length(max = 5000))]
    pub description: Option<String>,
    /// The team that it belongs to.
    pub team_id: Option<TeamId>,
    /// Who leads it.
    pub lead_user_id: Option<UserId>,
    /// Whether it is in use.
    #[serde(default)]
    pub status: ProjectStatus,
    /// Where its code is.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub repositories: Vec<Repository>,
    /// Where it runs; names are unique.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub environments: Vec<Environment>,
    /// What its application is like.
    #[serde(default)]
    pub profile: ProjectProfile,
}

/// Whether a project is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectStatus {
    /// In use.
    #[default]
    Active,
    /// Put away; can be restored or deleted.
    Archived,
}

/// A source code repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repository {
    /// Address to clone from; `https` only.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Who hosts it.
    pub provider: RepositoryProvider,
    /// The branch that work starts from.
    #[serde(default = "default_branch")]
    #[schemars(length(min = 1, max = 200))]
    pub default_branch: String,
}

/// Who hosts a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum RepositoryProvider {
    Github,
    Gitlab,
    AzureDevops,
    Bitbucket,
    Other,
}

/// A place where the project runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Environment {
    /// The name; unique in the project.
    #[schemars(length(min = 1, max = 50))]
    pub name: String,
    /// What it is for.
    pub kind: EnvironmentKind,
    /// Whether somebody must approve a deployment; true for production unless said otherwise.
    pub requires_approval: Option<bool>,
}

/// What an environment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum EnvironmentKind {
    Dev,
    Test,
    Staging,
    Production,
}

/// What an application is like; each part is a free object of at most 20 KiB as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProjectProfile {
    /// Domain, users, value.
    pub business: Map<String, Value>,
    /// Languages, frameworks, architecture.
    pub technical: Map<String, Value>,
    /// Load, data, growth.
    pub scale: Map<String, Value>,
    /// Laws and standards that apply.
    pub regulatory: Map<String, Value>,
    /// Size, skills, ways of working.
    pub team: Map<String, Value>,
    /// What matters most.
    pub priorities: Map<String, Value>,
}

fn default_branch() -> String {
    "main".to_owned()
}

impl Entity for Project {
    const TYPE: &'static str = "project";
}

impl Project {
    /// An active project with nothing but a name and a key.
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key: key.into(),
            description: None,
            team_id: None,
            lead_user_id: None,
            status: ProjectStatus::Active,
            repositories: Vec::new(),
            environments: Vec::new(),
            profile: ProjectProfile::default(),
        }
    }
}

impl Clean for ProjectProfile {
    fn clean(&mut self, check: &mut Check) {
        let parts = [
            ("business", &self.business),
            ("technical", &self.technical),
            ("scale", &self.scale),
            ("regulatory", &self.regulatory),
            ("team", &self.team),
            ("priorities", &self.priorities),
        ];
        for (name, part) in parts {
            check.json_size(&format!("/{name}"), part, MAX_PROFILE_PART_BYTES);
        }
    }
}

impl Clean for Project {
    fn clean(&mut self, check: &mut Check) {
        check.line("/name", &mut self.name, 100);
        check.optional_text("/description", &mut self.description, 5000);
        for (index, repository) in self.repositories.iter_mut().enumerate() {
            check.https_url(&format!("/repositories/{index}/url"), &mut repository.url);
            check.line(&format!("/repositories/{index}/defaultBranch"), &mut repository.default_branch, 200);
        }
        for (index, environment) in self.environments.iter_mut().enumerate() {
            check.line(&format!("/environments/{index}/name"), &mut environment.name, 50);
            let by_default = environment.kind == EnvironmentKind::Production;
            environment.requires_approval.get_or_insert(by_default);
        }
        check.unique("/environments", "name", self.environments.iter().map(|one| one.name.as_str()));
        check.within("/profile", &mut self.profile);
    }
}
