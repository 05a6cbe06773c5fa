//! Answers whether something would be allowed: to callers about themselves, to other groups about anybody.

use coder_core::{Code, Failure, Fault, OrganizationId, Pattern, Problem, Result, Scope, UserId};
use coder_handler::Routes;
use coder_middleware::{Access as _, Body, Example, Json, SignedInOrService, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::service::Users;
use crate::service::gift::Giver;

/// Adds the routes.
pub fn routes(routes: Routes<Users>) -> Routes<Users> {
    routes
        .post("/authorize", "authorize_actions", "Say which of up to 100 actions are allowed", authorize)
        .problems([Code::ValidationFailed, Code::NotFound])
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthorizeRequest {
    /// The actions.
    #[schemars(length(min = 1, max = 100))]
    pub checks: Vec<PermissionCheck>,
    /// Whose; the caller's own if it is left out. Only services name another.
    pub user_id: Option<UserId>,
    /// Where; the caller's own if it is left out. Only services name another.
    pub organization_id: Option<OrganizationId>,
}

/// One action.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermissionCheck {
    /// `<group>.<resource>.<action>`.
    #[schemars(length(min = 5, max = 120))]
    pub permission: String,
    /// Where; the organization if it is left out.
    pub scope: Option<Scope>,
}

/// The answers, in order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizeAnswer {
    /// One for each action.
    pub results: Vec<PermissionResult>,
    /// Rises with every change of what somebody may do.
    pub permission_version: u64,
}

/// Whether one action is allowed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PermissionResult {
    /// The action.
    pub permission: String,
    /// Where.
    pub scope: Scope,
    /// Whether it is allowed; false at a scope that the organization does not have.
    pub allowed: bool,
}

impl Example for AuthorizeRequest {
    fn example() -> Self {
        let checks = vec![PermissionCheck { permission: "users.team.read".to_owned(), scope: None }];
        Self { checks, user_id: None, organization_id: None }
    }
}

impl Example for AuthorizeAnswer {
    fn example() -> Self {
        let scope = Scope::Organization(coder_core::id::EXAMPLE.into());
        let result = PermissionResult { permission: "users.team.read".to_owned(), scope, allowed: true };
        Self { results: vec![result], permission_version: 7 }
    }
}

async fn authorize(
    State(users): State<Users>,
    who: SignedInOrService,
    Body(input): Body<AuthorizeRequest>,
) -> Result<Json<AuthorizeAnswer>> {
    check_names(&input.checks)?;
    let (user_id, organization_id) = subject(&who, &input)?;
    let scopes: Vec<Scope> = input.checks.iter().filter_map(|check| check.scope).collect();
    let snapshot = users.snapshot(organization_id, user_id, &scopes).await?;
    let access = snapshot.access(&users, user_id);
    let key = who.caller.map(|_| Giver::of(who.context())).transpose()?;
    let answer = |PermissionCheck { permission, scope }| {
        let scope = scope.unwrap_or(Scope::Organization(organization_id));
        let by_key = || key.is_none_or(|key| key.key_allows(&snapshot, scope, &permission));
        // Operators' permissions are given by configuration, so that no pattern of a role covers them.
        let held = !permission.starts_with("platform.")
            && access.at(scope).is_some_and(|held| held.allows(&permission))
            && by_key();
        PermissionResult { permission, scope, allowed: held }
    };
    let results = input.checks.into_iter().map(answer).collect();
    Ok(Json(AuthorizeAnswer { results, permission_version: snapshot.permissions.permission_version() }))
}

/// Whom the request is about.
fn subject(who: &SignedInOrService, input: &AuthorizeRequest) -> Result<(UserId, OrganizationId)> {
    let Some((own, organization_id)) = who.caller else {
        let mut faults = Vec::new();
        for (given, pointer) in
            [(input.user_id.is_some(), "/userId"), (input.organization_id.is_some(), "/organizationId")]
        {
            if !given {
                faults.push(Fault::new(pointer, "required", "A service says whom it asks about."));
            }
        }
        return input.user_id.zip(input.organization_id).ok_or_else(|| Problem::invalid(faults).into());
    };
    let Some(organization_id) = organization_id else {
        return Err(Failure::problem(Code::Forbidden, "The access token is for no organization."));
    };
    if input.user_id.is_some_and(|id| id != own) {
        let detail = "Ask about yourself; `GET /api/users/people/{userId}/permissions` is about others.";
        return Err(Failure::problem(Code::Forbidden, detail));
    }
    if input.organization_id.is_some_and(|id| id != organization_id) {
        return Err(Problem::not_found("organization").into());
    }
    Ok((own, organization_id))
}

fn check_names(checks: &[PermissionCheck]) -> Result<(), Problem> {
    let literal = |text: &str| Pattern::parse(text).is_some() && !text.contains('*');
    let wrong = checks.iter().enumerate().filter(|(_, check)| !literal(&check.permission));
    let faults: Vec<Fault> = wrong
        .map(|(index, _)| {
            let message = "A permission is `<group>.<resource>.<action>`, without `*`.";
            Fault::new(format!("/checks/{index}/permission"), "invalid_format", message)
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}
