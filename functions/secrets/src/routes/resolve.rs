//! Values by reference.

use coder_core::{Code, Credential, Permission as _, Problem, ProjectId, Result, Scope, TeamId};
use coder_handler::Routes;
use coder_middleware::request::Input;
use coder_middleware::{Access, Body, Example, OperationDescription, RequestContext, Security, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reveal::{Valued, WithValues};
use crate::access::Asker;
use crate::catalogue::SecretResolve;
use crate::model::SecretId;
use crate::service::Secrets;
use crate::service::input::{ENVIRONMENT, FOLDER, NAME, default_environment, default_folder};
use crate::service::resolve::{Asked, Found, Named};
use crate::value::SecretValue;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    routes
        .post("/resolve", "resolve_secrets", "Resolve up to 50 references to values", resolve)
        .problems([Code::KeyUnavailable])
        .described(|operation| operation.never_kept = true)
}

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResolveInput {
    /// Texts `secret:<secretId>[@<version>][#<field>]`, or names and where they are looked for.
    #[schemars(length(min = 1, max = 50))]
    references: Vec<ReferenceInput>,
    /// Why; some secrets ask for it.
    #[schemars(length(max = 500))]
    reason: Option<String>,
}

/// One reference.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReferenceInput {
    /// By id.
    Text(#[schemars(length(min = 1, max = 300))] String),
    /// By name: the narrowest scope wins, then the environment itself before `default`.
    Named(NamedInput),
}

/// A name and where it is looked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamedInput {
    /// The name.
    #[schemars(regex(pattern = NAME))]
    name: String,
    /// The environment.
    #[serde(default = "default_environment")]
    #[schemars(regex(pattern = ENVIRONMENT))]
    environment: String,
    /// The folder.
    #[serde(default = "default_folder")]
    #[schemars(length(max = 256), regex(pattern = FOLDER))]
    folder: String,
    /// The project.
    project_id: Option<ProjectId>,
    /// The team.
    team_id: Option<TeamId>,
    /// The version; the current one if it is left out.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    version: Option<u32>,
    /// One field of the value.
    #[schemars(length(min = 1, max = 200))]
    field: Option<String>,
}

impl Example for ResolveInput {
    fn example() -> Self {
        let reference = format!("secret:{}#key", coder_core::id::EXAMPLE);
        Self { references: vec![ReferenceInput::Text(reference)], reason: None }
    }
}

/// One outcome for each reference, in order.
#[derive(Debug)]
pub struct Results(Vec<Result<Found, Problem>>);

/// The outcomes as they are documented.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResultsView {
    /// One for each reference, in order.
    results: Vec<ResultView>,
}

/// An outcome: a value, or an error.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultView {
    /// The secret.
    secret_id: Option<SecretId>,
    /// The version.
    version: Option<u32>,
    /// The value, or the field of it.
    value: Option<SecretValue>,
    /// Why there is no value.
    error: Option<ErrorView>,
}

/// Why there is no value.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorView {
    /// The problem's code.
    code: String,
    /// What to do about it.
    detail: String,
}

impl Example for ResultsView {
    fn example() -> Self {
        let found = ResultView {
            secret_id: Some(coder_core::id::EXAMPLE.into()),
            version: Some(1),
            value: Some(SecretValue::example()),
            error: None,
        };
        Self { results: vec![found] }
    }
}

impl Valued for Results {
    type Shown = ResultsView;

    fn expose(&self) -> Value {
        let results = self.0.iter().map(|outcome| match outcome {
            Ok(found) => json!({
                "secretId": found.secret.meta.id,
                "version": found.opened.version,
                "value": found.opened.value.expose(),
            }),
            Err(problem) => json!({"error": {"code": problem.code.as_str(), "detail": problem.detail}}),
        });
        json!({"results": results.collect::<Vec<_>>()})
    }
}

/// A person or key that may resolve references, or a part of the platform.
#[derive(Debug, Clone)]
pub struct Resolver(Asker);

impl Input<Secrets> for Resolver {
    fn describe(operation: &mut OperationDescription) {
        operation.security.push(Security::SignedInOrService);
    }

    async fn extract(context: &RequestContext, _: &Secrets) -> Result<Self> {
        let asker = Asker::admit(context).await?;
        let needed = SecretResolve::DECLARATION.name;
        let scope = match asker.credential() {
            Some(Credential::Service { .. }) => return Ok(Self(asker)),
            // A key of one project resolves what is there.
            Some(Credential::ApiKey { scope, .. }) => *scope,
            _ => Scope::Organization(asker.organization_id),
        };
        if asker.effective(scope).await?.allows(needed) {
            Ok(Self(asker))
        } else {
            Err(Problem::missing_permission(needed).into())
        }
    }
}

async fn resolve(
    State(secrets): State<Secrets>,
    Resolver(asker): Resolver,
    Body(input): Body<ResolveInput>,
) -> Result<WithValues<Results>> {
    secrets.limit_values(&asker).await?;
    let mut faults = Vec::new();
    let mut wanted = Vec::with_capacity(input.references.len());
    for (index, reference) in input.references.into_iter().enumerate() {
        match reference {
            ReferenceInput::Text(text) => match text.parse() {
                Ok(reference) => wanted.push(Asked::Reference(reference)),
                Err(error) => {
                    let error: crate::reference::NoReference = error;
                    let pointer = format!("/references/{index}");
                    faults.push(coder_core::Fault::new(pointer, "invalid_format", format!("{error}.")));
                }
            },
            ReferenceInput::Named(named) => wanted.push(Asked::Named(named.into())),
        }
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults).into());
    }
    let results = secrets.resolve(&asker, wanted, input.reason.as_deref()).await?;
    Ok(WithValues(Results(results)))
}

impl From<NamedInput> for Named {
    fn from(input: NamedInput) -> Self {
        Self {
            name: input.name,
            environment: input.environment,
            folder: input.folder,
            project_id: input.project_id.map(|id| id.to_string()),
            team_id: input.team_id.map(|id| id.to_string()),
            version: input.version,
            field: input.field,
        }
    }
}
