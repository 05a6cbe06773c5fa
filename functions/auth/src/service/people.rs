//! What the users group is asked: making a person, and where a person is a member.

use coder_core::{Code, Failure, Fault, OrganizationId, Problem, Scope, UserId};
use coder_handler::peers::PeerAnswer;
use coder_middleware::Example;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Auth;
use crate::email::EmailAddress;

/// A person to be made.
#[derive(Debug)]
pub(crate) struct NewPerson<'a> {
    pub(crate) user_id: UserId,
    pub(crate) email: &'a EmailAddress,
    pub(crate) display_name: &'a str,
    pub(crate) organization_name: Option<&'a str>,
    pub(crate) invitation_token: Option<&'a str>,
    /// A membership to start with: the organization and a role there.
    pub(crate) membership: Option<(OrganizationId, &'a str)>,
    pub(crate) email_verified: bool,
}

/// A person as the users group knows them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Person {
    #[serde(default)]
    pub(crate) display_name: Option<String>,
    pub(crate) memberships: Vec<Membership>,
}

/// A membership that counts now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Membership {
    /// The organization.
    pub(crate) organization_id: OrganizationId,
    /// Its name.
    pub(crate) name: String,
    /// Its short name in addresses.
    pub(crate) slug: String,
    /// `personal` or `company`.
    pub(crate) kind: String,
    /// The person's roles there.
    pub(crate) roles: Vec<String>,
    /// `owner`, `admin` or `other`: nobody acts on a person of a higher rank.
    pub(crate) rank: String,
    /// Whether a sign-in chooses it unless another was used last.
    pub(crate) is_default: bool,
}

impl Example for Membership {
    fn example() -> Self {
        Self {
            organization_id: coder_core::id::EXAMPLE.into(),
            name: "Analytical Engines".into(),
            slug: "analytical-engines".into(),
            kind: "company".into(),
            roles: vec!["owner".into()],
            rank: "owner".into(),
            is_default: true,
        }
    }
}

/// What became of a provision.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Provisioned {
    pub(crate) organization_id: Option<OrganizationId>,
    pub(crate) memberships: Vec<Membership>,
}

/// Whether a scope was found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    scope_known: bool,
}

impl Auth {
    /// Makes a person with an organization of their own, or as a member of the one that invited them or whose
    /// login provider they came by. Safe to repeat.
    pub(crate) async fn provision(&self, person: &NewPerson<'_>) -> Result<Provisioned, Failure> {
        let mut body = json!({
            "userId": person.user_id,
            "email": person.email,
            "displayName": person.display_name,
            "emailVerified": person.email_verified,
        });
        for (name, value) in
            [("organizationName", person.organization_name), ("invitationToken", person.invitation_token)]
        {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        if let Some((organization_id, role)) = person.membership {
            body["membership"] = json!({"organizationId": organization_id, "role": role});
        }
        let answer = self.peers.call("users", Method::POST, "/internal/provision", Some(&body)).await?;
        passed_through(answer)?.success("users")
    }

    /// Whether the organization has such a team or project.
    pub(crate) async fn has_scope(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
        scope: Scope,
    ) -> Result<bool, Failure> {
        let body = json!({"organizationId": organization_id, "userId": user_id, "scope": scope});
        let answer = self.peers.call("users", Method::POST, "/internal/permissions", Some(&body)).await?;
        Ok(answer.success::<Place>("users")?.scope_known)
    }

    /// Where the person is a member; none if the users group does not know them.
    pub(crate) async fn person(&self, user_id: UserId) -> Result<Option<Person>, Failure> {
        let path = format!("/internal/memberships?userId={user_id}");
        let answer = self.peers.call("users", Method::GET, &path, None).await?;
        if answer.status == http::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.success("users").map(Some)
    }
}

/// A refusal that is the caller's own to know: problems below 500 go on as they are, but for those that speak of
/// the call itself.
fn passed_through(answer: PeerAnswer) -> Result<PeerAnswer, Failure> {
    let code = Code::ALL.iter().copied().find(|code| answer.body["code"] == code.as_str());
    match code {
        Some(code)
            if matches!(answer.status.as_u16(), 404 | 409 | 410 | 422) || code == Code::EmailMismatch =>
        {
            let detail = answer.body["detail"].as_str().unwrap_or(code.title());
            let errors = answer.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
            let problem =
                Problem { errors: errors.iter().map(fault).collect(), ..Problem::new(code, detail) };
            Err(problem.into())
        }
        _ => Ok(answer),
    }
}

fn fault(error: &Value) -> Fault {
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    Fault::new(text("pointer"), "invalid_value", text("message"))
}
