//! Who is who: recipients are asked of the `users` group each time; what it last said serves while it is away.

use std::sync::Arc;
use std::time::Duration;

use coder_core::{Ambient, OrganizationId, ProjectId, Result, Timestamp, UserId};
use coder_handler::Peers;
use http::Method;
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::json;

/// Answers that are remembered.
const ANSWERS: u64 = 10_000;
/// Seconds for which an answer may stand in for `users`.
const STALE_SECONDS: i64 = 300;

/// A person, as messages need them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The person.
    pub user_id: UserId,
    /// The name that others see.
    pub display_name: String,
    /// The address; `None` for agents and services.
    pub email: Option<String>,
    /// Language tag.
    pub locale: String,
    /// IANA time zone.
    pub time_zone: String,
}

/// Recipients, as people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Expansion {
    /// Everybody once.
    pub people: Vec<Person>,
    /// Recipients that the organization does not have.
    pub unknown: Vec<String>,
}

/// Asks the `users` group.
pub struct Directory {
    ambient: Ambient,
    peers: Arc<Peers>,
    answers: Cache<String, (Timestamp, Arc<Expansion>)>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Directory").finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memberships {
    memberships: Vec<Membership>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Membership {
    organization_id: OrganizationId,
    is_default: bool,
}

impl Directory {
    /// Has asked nothing yet.
    pub fn new(ambient: Ambient, peers: Arc<Peers>) -> Self {
        let answers = Cache::builder()
            .max_capacity(ANSWERS)
            .time_to_live(Duration::from_secs(STALE_SECONDS.unsigned_abs()))
            .build();
        Self { ambient, peers, answers }
    }

    /// The people behind recipients at this moment; with a project only those who may read it. While `users` is away,
    /// what it said at most five minutes ago.
    pub async fn expand(
        &self,
        organization_id: Option<OrganizationId>,
        recipients: &[String],
        project_id: Option<ProjectId>,
    ) -> Result<Arc<Expansion>> {
        if recipients.is_empty() {
            return Ok(Arc::default());
        }
        let mut body = json!({"recipients": recipients});
        if let Some(id) = organization_id {
            body["organizationId"] = json!(id);
        }
        if let Some(id) = project_id {
            body["projectId"] = json!(id);
        }
        let key = body.to_string();
        let asked = self.peers.call("users", Method::POST, "/internal/recipients", Some(&body)).await;
        match asked.and_then(|answer| answer.success::<Expansion>("users")) {
            Ok(expansion) => {
                let expansion = Arc::new(expansion);
                self.answers.insert(key, (self.ambient.now(), expansion.clone()));
                Ok(expansion)
            }
            Err(failure) => self.remembered(&key).ok_or(failure),
        }
    }

    fn remembered(&self, key: &str) -> Option<Arc<Expansion>> {
        let (at, expansion) = self.answers.get(key)?;
        (self.ambient.now().duration_since(at).as_secs() <= STALE_SECONDS).then_some(expansion)
    }

    /// The organization in whose inbox a person finds what is about themselves; `None` without any.
    pub async fn home(&self, user_id: UserId) -> Result<Option<OrganizationId>> {
        let memberships = self.memberships(user_id).await?;
        Ok(memberships.iter().find(|one| one.is_default).map(|one| one.organization_id))
    }

    /// Where a person is a member.
    pub async fn organizations(&self, user_id: UserId) -> Result<Vec<OrganizationId>> {
        Ok(self.memberships(user_id).await?.into_iter().map(|one| one.organization_id).collect())
    }

    async fn memberships(&self, user_id: UserId) -> Result<Vec<Membership>> {
        let path = format!("/internal/memberships?userId={user_id}");
        let answer = self.peers.call("users", Method::GET, &path, None).await?;
        if answer.status == http::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        Ok(answer.success::<Memberships>("users")?.memberships)
    }

    /// What a person may do at a scope, and whether the organization has it.
    pub async fn access(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
        scope: coder_core::Scope,
    ) -> Result<Access> {
        let body = json!({"organizationId": organization_id, "userId": user_id, "scope": scope});
        let answer = self.peers.call("users", Method::POST, "/internal/permissions", Some(&body)).await?;
        answer.success("users")
    }
}

/// What a person may do at a scope.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// The permissions that hold there.
    pub permissions: coder_core::PermissionSet,
    /// Whether the organization has such a scope.
    pub scope_known: bool,
}
