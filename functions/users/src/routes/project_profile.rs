//! The profile of a project's application: free objects by part, changed apart from the project, which it can be
//! larger than.

use coder_core::{Failure, ProjectId, Result, StoredAnswer};
use coder_database::{Change, Record};
use coder_handler::{Resource as _, Routes};
use coder_middleware::answer::{describe_json, render_json};
use coder_middleware::{Allowed, Answer, Example, IfMatch, OperationDescription, Patch, Path, State};
use serde_json::{Value, json};

use crate::catalogue::{ProjectRead, ProjectUpdate};
use crate::model::{CONTAINER, Project, ProjectProfile};
use crate::names::cleaned;
use crate::service::Users;

/// Bytes of JSON up to which an event tells a changed value.
const MAX_TOLD: usize = 2048;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    let path = "/projects/{projectId}/profile";
    routes.get(path, "get_project_profile", "Read what a project's application is like", get_profile).patch(
        path,
        "update_project_profile",
        "Change a project's profile",
        update_profile,
    )
}

/// A project's profile, with the project's `ETag`.
#[derive(Debug)]
struct Profile(Record<Project>);

impl Example for ProjectProfile {
    fn example() -> Self {
        let technical = json!({"languages": ["Rust"], "architecture": "modular monolith"});
        Self { technical: technical.as_object().cloned().unwrap_or_default(), ..Self::default() }
    }
}

impl Answer for Profile {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<ProjectProfile>(operation, 200, "Done.", &["ETag"]);
    }

    fn render(&self) -> Result<StoredAnswer> {
        let etag = format!("\"{}\"", self.0.meta.etag);
        render_json(200, &self.0.data.profile, vec![("etag".to_owned(), etag)])
    }
}

async fn get_profile(
    State(users): State<Users>,
    who: Allowed<ProjectRead>,
    Path(id): Path<ProjectId>,
) -> Result<Profile> {
    users.projects.get(&who.partition(), &id.to_string()).await.map(Profile)
}

async fn update_profile(
    State(users): State<Users>,
    who: Allowed<ProjectUpdate>,
    Path(id): Path<ProjectId>,
    if_match: IfMatch,
    patch: Patch<ProjectProfile>,
) -> Result<Profile> {
    let before = users.projects.get(&who.partition(), &id.to_string()).await?;
    if_match.check(&before.meta)?;
    let profile = cleaned(patch.apply(&before.data.profile)?)?;
    let mut unit = who.transaction(CONTAINER).await?;
    let parts = |profile: &ProjectProfile| serde_json::to_value(profile).map_err(Failure::internal);
    let changes = coder_database::audit::changes(&parts(&before.data.profile)?, &parts(&profile)?, &[]);
    let (record, _) = unit.replace(&before, Project { profile, ..before.data.clone() })?;
    let told: Vec<Change> = changes.into_iter().map(told).collect();
    unit.emit_changes("project.updated", &record.meta.id, Project::event(&record), &told);
    unit.commit(Profile(record)).await
}

/// A change of the profile as events tell it: an event has less room than a profile.
fn told(change: Change) -> Change {
    let fits = |value: &Value| value.to_string().len() <= MAX_TOLD;
    let brief = |value: Value| if fits(&value) { value } else { json!("[too long]") };
    Change { path: format!("/profile{}", change.path), from: brief(change.from), to: brief(change.to) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Change, told};

    #[test]
    fn events_tell_small_changes_whole() {
        let change = |to| Change { path: "/scale".into(), from: json!({}), to };
        assert_eq!(told(change(json!({"users": 5}))).to, json!({"users": 5}));
        let large = told(change(json!({"note": "x".repeat(5000)})));
        assert_eq!(
            (large.path.as_str(), large.from, large.to),
            ("/profile/scale", json!({}), json!("[too long]"))
        );
    }
}
