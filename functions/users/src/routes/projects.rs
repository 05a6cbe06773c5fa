//! Projects: their life, and the profile of their application.

use coder_core::{Code, Failure, Problem, ProjectId, Result, Scope, TeamId, UserId};
use coder_database::{Filter, Meta, Record};
use coder_handler::crud::Words;
use coder_handler::{Crud as _, Resource, Routes};
use coder_middleware::{
    Access as _, Allowed, Body, Example, Filters, IfMatch, Json, NoContent, Path, State, Unit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::teams::{check_scope_gift, snapshot_for_teams};
use crate::catalogue::{ProjectCreate, ProjectDelete, ProjectRead, ProjectUpdate};
use crate::model::{
    CONTAINER, Environment, EnvironmentKind, Project, ProjectStatus, Repository, RepositoryProvider, claims,
};
use crate::names::{Check, Clean as _};
use crate::rules::Limit;
use crate::service::{Snapshot, Users};

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let item = Project::WORDS.item;
    let verb = |verb: &str| format!("{item}/{verb}");
    routes
        .crud_list::<Project>()
        .crud_create::<Project>()
        .crud_get::<Project>()
        .crud_update::<Project>()
        .delete(item, "delete_project", "Delete an archived project", delete_project)
        .problems([Code::InvalidState])
        .post(&verb("archive"), "archive_project", "Put a project away", archive_project)
        .problems([Code::InvalidState])
        .post(&verb("restore"), "restore_project", "Bring an archived project back", restore_project)
        .problems([Code::InvalidState])
}

/// What a client writes of a project.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectWrite {
    /// The name.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Prefix of its task numbers; unique in the organization.
    #[schemars(regex(pattern = crate::model::patterns::PROJECT_KEY))]
    pub key: String,
    /// What the project is for; may have several lines.
    #[schemars(length(max = 5000))]
    pub description: Option<String>,
    /// The team that it belongs to.
    pub team_id: Option<TeamId>,
    /// Who leads it: a member of the organization.
    pub lead_user_id: Option<UserId>,
    /// Where its code is.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub repositories: Vec<Repository>,
    /// Where it runs; names are unique.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub environments: Vec<Environment>,
}

impl Example for ProjectWrite {
    fn example() -> Self {
        Self {
            name: "Web shop".to_owned(),
            key: "SHOP".to_owned(),
            description: Some("Sells what the warehouse has.".to_owned()),
            team_id: None,
            lead_user_id: None,
            repositories: vec![Repository {
                url: "https://github.com/example/shop".to_owned(),
                provider: RepositoryProvider::Github,
                default_branch: "main".to_owned(),
            }],
            environments: vec![Environment {
                name: "live".to_owned(),
                kind: EnvironmentKind::Production,
                requires_approval: Some(true),
            }],
        }
    }
}

impl ProjectWrite {
    /// The project as it is wanted.
    fn onto(self, before: Project) -> Project {
        let Self { name, key, description, team_id, lead_user_id, repositories, environments } = self;
        Project { name, key, description, team_id, lead_user_id, repositories, environments, ..before }
    }
}

/// A project without its profile, which can be large and has an address of its own.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProjectView {
    /// The server's fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// What clients write.
    #[serde(flatten)]
    pub project: ProjectWrite,
    /// Whether it is in use.
    pub status: ProjectStatus,
}

impl Example for ProjectView {
    fn example() -> Self {
        Project::view(Record::example(ProjectWrite::example().onto(Project::new("", ""))))
    }
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectFilters {
    /// Only those of this team.
    pub team_id: Option<TeamId>,
    /// Only those in this status.
    pub status: Option<ProjectStatus>,
    /// Part of the name, or the beginning of the key.
    #[schemars(length(min = 1, max = 100))]
    pub q: Option<String>,
}

impl Filters for ProjectFilters {
    const SORT: &'static [&'static str] = &["name", "updatedAt"];

    fn filter(&self) -> Option<Filter> {
        let team = self.team_id.map(|id| Filter::eq("teamId", id.to_string()));
        let status = self.status.map(|status| Filter::Eq("status".to_owned(), json!(status)));
        let all: Vec<Filter> = [team, status, self.q.as_deref().map(search)].into_iter().flatten().collect();
        (!all.is_empty()).then_some(Filter::And(all))
    }
}

/// The store compares letter by letter, so the usual spellings of a word are all looked for.
fn search(text: &str) -> Filter {
    let text = text.trim();
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let title = first + &letters.as_str().to_lowercase();
    let mut spellings = vec![text.to_owned(), text.to_lowercase(), text.to_uppercase(), title];
    spellings.sort();
    spellings.dedup();
    let key = Filter::StartsWith("key".to_owned(), text.to_uppercase());
    let names = spellings.into_iter().map(|text| Filter::Contains("name".to_owned(), text));
    Filter::Or(names.chain([key]).collect())
}

impl Resource for Project {
    type Service = Users;
    type Write = ProjectWrite;
    type View = ProjectView;
    type Filters = ProjectFilters;
    type Id = ProjectId;
    type Read = ProjectRead;
    type Create = ProjectCreate;
    type Update = ProjectUpdate;
    type Delete = ProjectDelete;

    const CONTAINER: &'static str = CONTAINER;
    const WORDS: Words =
        coder_handler::words!("project", "projects", "/projects", "projectId", project, projects);

    fn writable(&self) -> ProjectWrite {
        let Self { name, key, description, team_id, lead_user_id, repositories, environments, .. } =
            self.clone();
        ProjectWrite { name, key, description, team_id, lead_user_id, repositories, environments }
    }

    fn view(record: Record<Self>) -> ProjectView {
        ProjectView { project: record.data.writable(), status: record.data.status, meta: record.meta }
    }

    fn event(record: &Record<Self>) -> Value {
        json!({"projectId": record.meta.id, "key": record.data.key, "name": record.data.name})
    }

    async fn create(
        users: &Users,
        who: &Allowed<ProjectCreate>,
        unit: &mut Unit,
        id: ProjectId,
        write: ProjectWrite,
    ) -> Result<Self> {
        let snapshot = users.snapshot(who.organization_id, who.user_id, &[]).await?;
        let project = checked(users, &snapshot, write.onto(Self::new("", "")), None).await?;
        let present = users.projects.count(&who.partition(), None).await?;
        Limit::Projects.check(&snapshot.organization.data.limits, present, 1)?;
        claim_key(unit, &project.key, id)?;
        users.raise_version(unit, &snapshot.organization)?;
        Ok(project)
    }

    async fn update(
        users: &Users,
        who: &Allowed<ProjectUpdate>,
        unit: &mut Unit,
        before: &Record<Self>,
        write: ProjectWrite,
    ) -> Result<Self> {
        let (id, old) = (before.id::<ProjectId>()?, &before.data);
        let scope = Scope::Project(id);
        let snapshot = snapshot_for_teams(users, who.organization_id, who.user_id, &[], &[scope]).await?;
        let project = checked(users, &snapshot, write.onto(old.clone()), Some(old)).await?;
        if project.team_id != old.team_id {
            if let Some(team) = project.team_id {
                check_scope_gift(users, who.context(), &snapshot, scope, team, old.team_id)?;
            }
            users.raise_version(unit, &snapshot.organization)?;
        }
        if project.key != old.key {
            unit.release(claims::PROJECT_KEY, &[&old.key]);
            claim_key(unit, &project.key, id)?;
        }
        Ok(project)
    }

    async fn delete(
        users: &Users,
        who: &Allowed<ProjectDelete>,
        unit: &mut Unit,
        before: &Record<Self>,
    ) -> Result<()> {
        if before.data.status != ProjectStatus::Archived {
            return Err(Failure::problem(Code::InvalidState, "Archive the project first."));
        }
        unit.release(claims::PROJECT_KEY, &[&before.data.key]);
        let organization = users.organization(who.organization_id).await?;
        users.raise_version(unit, &organization)?;
        Ok(())
    }
}

fn claim_key(unit: &mut Unit, key: &str, id: ProjectId) -> Result<()> {
    let taken = Problem::new(Code::AlreadyExists, format!("Another project has the key `{key}`."));
    unit.claim(claims::PROJECT_KEY, &[key], &id.to_string(), taken)
}

/// The project in its stored form, with a team and a lead that the organization has; `422` with every fault.
async fn checked(
    users: &Users,
    snapshot: &Snapshot,
    mut project: Project,
    before: Option<&Project>,
) -> Result<Project> {
    let mut check = Check::default();
    project.clean(&mut check);
    if project.team_id.is_some_and(|team| !snapshot.permissions.teams().contains(team)) {
        check.fault("/teamId", "unknown_team", "There is no such team in this organization.");
    }
    let new_lead = project.lead_user_id.filter(|lead| before.and_then(|old| old.lead_user_id) != Some(*lead));
    if let Some(lead) = new_lead
        && users.find_membership(snapshot.organization_id(), lead).await?.is_none()
    {
        check.fault("/leadUserId", "not_a_member", "Only a member of the organization can lead a project.");
    }
    check.finish()?;
    Ok(project)
}

/// Says twice what is meant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfirmProjectDeletion {
    /// The project's key.
    #[schemars(length(min = 1, max = 10))]
    pub confirm: String,
}

impl Example for ConfirmProjectDeletion {
    fn example() -> Self {
        Self { confirm: "SHOP".to_owned() }
    }
}

async fn delete_project(
    State(users): State<Users>,
    who: Allowed<ProjectDelete>,
    Path(id): Path<ProjectId>,
    if_match: IfMatch,
    Body(input): Body<ConfirmProjectDeletion>,
) -> Result<NoContent> {
    let before = users.projects.get(&who.partition(), &id.to_string()).await?;
    if_match.check(&before.meta)?;
    if input.confirm != before.data.key {
        let message = "Repeat the project's key to delete it for good.";
        return Err(Problem::fault("/confirm", "not_confirmed", message).into());
    }
    let mut unit = who.transaction(CONTAINER).await?;
    Project::delete(&users, &who, &mut unit, &before).await?;
    unit.delete(&before)?;
    unit.emit("project.deleted", &before.meta.id, Project::event(&before));
    unit.commit(NoContent).await
}

async fn archive_project(
    State(users): State<Users>,
    who: Allowed<ProjectUpdate>,
    Path(id): Path<ProjectId>,
) -> Result<Json<ProjectView>> {
    turn(&users, &who, id, ProjectStatus::Archived).await
}

async fn restore_project(
    State(users): State<Users>,
    who: Allowed<ProjectUpdate>,
    Path(id): Path<ProjectId>,
) -> Result<Json<ProjectView>> {
    turn(&users, &who, id, ProjectStatus::Active).await
}

/// Takes a project to the other status.
async fn turn(
    users: &Users,
    who: &Allowed<ProjectUpdate>,
    id: ProjectId,
    status: ProjectStatus,
) -> Result<Json<ProjectView>> {
    let mut unit = who.transaction(CONTAINER).await?;
    let before = users.projects.get(&who.partition(), &id.to_string()).await?;
    let (event, already) = match status {
        ProjectStatus::Archived => ("project.archived", "The project is archived already."),
        ProjectStatus::Active => ("project.restored", "The project is not archived."),
    };
    if before.data.status == status {
        return Err(Failure::problem(Code::InvalidState, already));
    }
    let (record, _) = unit.replace(&before, Project { status, ..before.data.clone() })?;
    unit.emit(event, &record.meta.id, Project::event(&record));
    unit.commit(Json(Project::view(record))).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ProjectFilters;
    use coder_middleware::Filters as _;

    #[test]
    fn a_search_finds_the_usual_spellings_and_the_beginning_of_the_key() {
        let filter =
            |q: &str| ProjectFilters { team_id: None, status: None, q: Some(q.into()) }.filter().unwrap();
        let project = json!({"name": "Web shop", "key": "SHOP"});
        for (q, found) in
            [("shop", true), ("SHO", true), ("web", true), ("WEB S", true), ("hop", true), ("bsh", false)]
        {
            assert_eq!(filter(q).matches(&project), found, "{q}");
        }
        assert!(filter("über").matches(&json!({"name": "Über uns", "key": "U1"})));
        assert!(ProjectFilters { team_id: None, status: None, q: None }.filter().is_none());
    }
}
