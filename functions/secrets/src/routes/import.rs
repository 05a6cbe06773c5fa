//! Many secrets from one text.

use coder_core::{Code, Problem, Result};
use coder_handler::Routes;
use coder_middleware::{Body, Example, Json, State};
use coder_vault::Zeroizing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::access::InOrganization;
use crate::catalogue::SecretCreate;
use crate::model::SecretScope;
use crate::service::Secrets;
use crate::service::import::{Destination, Format, LineFault, OnConflict, Summary};
use crate::service::input::{ENVIRONMENT, FOLDER, default_environment, default_folder, default_scope};

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    routes
        .post("/import", "import_secrets", "Import up to 500 secrets from a text", import)
        .problems([Code::KeyUnavailable])
}

/// What is to be imported, and where it goes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportInput {
    /// How the text is written.
    format: Format,
    /// The text; never stored.
    #[schemars(length(min = 1, max = 900_000))]
    #[serde(serialize_with = "documented")]
    content: String,
    /// For whom.
    #[serde(default = "default_scope")]
    scope: SecretScope,
    /// The team or project; left out for the organization and for oneself.
    #[schemars(length(max = 36))]
    scope_id: Option<String>,
    /// The environment.
    #[serde(default = "default_environment")]
    #[schemars(regex(pattern = ENVIRONMENT))]
    environment: String,
    /// The folder.
    #[serde(default = "default_folder")]
    #[schemars(length(max = 256), regex(pattern = FOLDER))]
    folder: String,
    /// What happens to a name that is taken.
    on_conflict: OnConflict,
    /// Only says what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// The text of the example.
const DOCUMENTED: &str = "DB_USER=ada\nDB_PASSWORD='correct horse'\n";

/// Whatever the text is: only the example is ever written.
fn documented<S: Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(DOCUMENTED)
}

impl std::fmt::Debug for ImportInput {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ImportInput").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Example for ImportInput {
    fn example() -> Self {
        Self {
            format: Format::Dotenv,
            content: DOCUMENTED.to_owned(),
            scope: SecretScope::Organization,
            scope_id: None,
            environment: default_environment(),
            folder: default_folder(),
            on_conflict: OnConflict::Skip,
            dry_run: true,
        }
    }
}

impl Example for Summary {
    fn example() -> Self {
        let message = "There is no `=`.".to_owned();
        let fault = LineFault { line: 3, name: None, code: "invalid_format", message };
        Self { created: 2, failed: 1, errors: vec![fault], dry_run: true, ..Self::default() }
    }
}

async fn import(
    State(secrets): State<Secrets>,
    who: InOrganization<SecretCreate>,
    Body(input): Body<ImportInput>,
) -> Result<Json<Summary>> {
    let content = Zeroizing::new(input.content);
    let target = secrets.target(&who.asker, input.scope, input.scope_id).await?;
    let unit = who.asker.transaction().await?;
    if content.is_empty() {
        return Err(Problem::fault("/content", "too_short", "This must not be empty.").into());
    }
    let to = Destination {
        target,
        environment: input.environment,
        folder: input.folder,
        on_conflict: input.on_conflict,
        dry_run: input.dry_run,
    };
    let summary = secrets.import(&who.asker, input.format, &content, &to).await?;
    unit.commit(Json(summary)).await
}
