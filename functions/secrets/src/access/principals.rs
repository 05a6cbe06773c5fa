//! What the `users` group knows of people: roles, teams, and roles that were granted at a team or project.

use coder_core::{Failure, OrganizationId, Result, Scope, UserId};
use coder_middleware::token::Acting;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::catalogue::SecretUpdate;
use crate::model::{Principal, PrincipalKind};
use crate::service::Secrets;

/// The built-in role that brings some verbs only where it was granted.
const MEMBER: &str = "member";

#[derive(Debug, Deserialize)]
struct Person {
    kind: String,
    memberships: Vec<Membership>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Membership {
    organization_id: OrganizationId,
    roles: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Explained {
    permissions: Vec<ExplainedPermission>,
}

#[derive(Debug, Deserialize)]
struct ExplainedPermission {
    permission: String,
    sources: Vec<Source>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    #[serde(rename = "source")]
    origin: String,
    role: Option<String>,
    scope: Option<Scope>,
    #[serde(default)]
    inherited_through: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Places {
    items: Vec<Place>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    user_id: UserId,
}

impl Secrets {
    /// The roles of somebody whose membership counts; `None` for everybody else.
    pub(crate) async fn roles_of(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
    ) -> Result<Option<Vec<String>>> {
        let person = self.person(user_id).await?;
        let memberships = person.map(|person| person.memberships).unwrap_or_default();
        let here = memberships.into_iter().find(|one| one.organization_id == organization_id);
        Ok(here.map(|membership| membership.roles))
    }

    async fn person(&self, user_id: UserId) -> Result<Option<Person>> {
        let path = format!("/internal/memberships?userId={user_id}");
        let answer = self.peers.call("users", Method::GET, &path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.success("users").map(Some)
    }

    /// Whether somebody is directly in a team.
    pub(crate) async fn is_in_team(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
        team: &str,
    ) -> Result<bool> {
        let acting = Acting { organization_id, user_id: Some(user_id) };
        let mut cursor = String::new();
        loop {
            let path = format!("/teams/{team}/members?limit=200{cursor}");
            let answer = self.peers.call_for(Some(acting), "users", Method::GET, &path, None).await?;
            if answer.status.is_client_error() {
                return Ok(false);
            }
            let page: Places = answer.success("users")?;
            if page.items.iter().any(|place| place.user_id == user_id) {
                return Ok(true);
            }
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(false),
            }
        }
    }

    /// Whether somebody has the role `member` by a grant at a team or project that reaches this scope.
    pub(crate) async fn is_member_by_grant(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
        scope: Scope,
    ) -> Result<bool> {
        let (kind, id) = match scope {
            Scope::Organization(_) => return Ok(false),
            Scope::Team(id) => ("team", id.to_string()),
            Scope::Project(id) => ("project", id.to_string()),
        };
        let acting = Acting { organization_id, user_id: Some(user_id) };
        let path = format!("/people/{user_id}/permissions?scopeType={kind}&scopeId={id}");
        let answer = self.peers.call_for(Some(acting), "users", Method::GET, &path, None).await?;
        if answer.status.is_client_error() {
            return Ok(false);
        }
        let explained: Explained = answer.success("users")?;
        let wanted = <SecretUpdate as coder_core::Permission>::DECLARATION.name;
        let found = explained.permissions.into_iter().find(|one| one.permission == wanted);
        Ok(found.is_some_and(|one| one.sources.iter().any(Source::is_granted_member)))
    }

    /// Whether the organization has such a team or project.
    pub(crate) async fn scope_exists(&self, organization_id: OrganizationId, scope: Scope) -> Result<bool> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Known {
            scope_known: bool,
        }
        // Whoever it is: the answer tells whether there is such a scope.
        let nobody = UserId::from(coder_core::id::Uuid::nil());
        let body = json!({"organizationId": organization_id, "userId": nobody, "scope": scope});
        let answer = self.peers.call("users", Method::POST, "/internal/permissions", Some(&body)).await?;
        Ok(answer.success::<Known>("users")?.scope_known)
    }

    /// Whether the organization has such a person, team, role or service identity.
    pub(crate) async fn principal_exists(
        &self,
        organization_id: OrganizationId,
        principal: &Principal,
    ) -> Result<bool> {
        match principal.kind {
            PrincipalKind::User | PrincipalKind::Service => {
                let Ok(user_id) = principal.id.parse() else { return Ok(false) };
                let Some(person) = self.person(user_id).await? else { return Ok(false) };
                let human = person.kind == "human";
                let here = person.memberships.iter().any(|one| one.organization_id == organization_id);
                Ok(here && (principal.kind == PrincipalKind::User || !human))
            }
            PrincipalKind::Team => match principal.id.parse() {
                Ok(team) => self.scope_exists(organization_id, Scope::Team(team)).await,
                Err(_) => Ok(false),
            },
            PrincipalKind::Role => self.role_exists(organization_id, &principal.id).await,
        }
    }

    async fn role_exists(&self, organization_id: OrganizationId, name: &str) -> Result<bool> {
        let body = json!({"organizationId": organization_id, "roles": [name]});
        let answer = self.peers.call("users", Method::POST, "/internal/roles", Some(&body)).await?;
        let roles: serde_json::Value = answer.success("users")?;
        let known = roles["roles"].as_object().ok_or_else(|| Failure::internal("`users` named no roles"))?;
        Ok(known.contains_key(name))
    }
}

impl Source {
    fn is_granted_member(&self) -> bool {
        let narrower = matches!(self.scope, Some(Scope::Team(_) | Scope::Project(_)));
        let member =
            self.role.as_deref() == Some(MEMBER) || self.inherited_through.iter().any(|one| one == MEMBER);
        self.origin == "grant" && narrower && member
    }
}
