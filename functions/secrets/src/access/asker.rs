//! Who asks: a person or key of an organization, or a part of the platform for one of them or for itself.

use coder_core::{Caller, Code, Credential, Failure, OrganizationId, Result, UserId};
use coder_database::Partition;
use coder_middleware::effective::{Effective, effective};
use coder_middleware::{Access, Authentication, RequestContext, Security, SignedInOrService, Unit};

use crate::model::CONTAINER;

/// Who asks, in one organization.
#[derive(Debug, Clone)]
pub struct Asker {
    context: RequestContext,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The person; `None` for a part of the platform that asks for itself.
    pub user_id: Option<UserId>,
    /// The part of the platform that asks.
    pub group: Option<String>,
}

impl Access for Asker {
    const SECURITY: Security = Security::SignedInOrService;

    async fn admit(context: &RequestContext) -> Result<Self> {
        SignedInOrService::admit(context).await?;
        let Some(caller) = caller(context) else {
            return Err(Failure::internal("an admitted request has no caller"));
        };
        let Some(organization_id) = caller.organization_id else {
            let detail =
                "The access token is for no organization; call `POST /api/auth/switch-organization`.";
            return Err(Failure::problem(Code::Forbidden, detail));
        };
        let group = match &caller.credential {
            Credential::Service { group } => Some(group.clone()),
            _ => None,
        };
        Ok(Self { context: context.clone(), organization_id, user_id: caller.user_id, group })
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}

fn caller(context: &RequestContext) -> Option<&Caller> {
    match context.authentication() {
        Authentication::Verified(caller) => Some(caller),
        _ => None,
    }
}

impl Asker {
    /// The person, for what only people can do.
    pub fn person(&self) -> Result<UserId> {
        self.user_id.ok_or_else(|| {
            Failure::problem(Code::Forbidden, "This is for people; a service has nothing of its own here.")
        })
    }

    /// What the person may do at a scope, cut by the limits of an API key; nothing for a service by itself.
    pub async fn effective(&self, scope: coder_core::Scope) -> Result<Effective> {
        effective(&self.context, self.organization_id, self.person()?, scope).await
    }

    /// What was shown to prove who asks.
    pub fn credential(&self) -> Option<&Credential> {
        caller(&self.context).map(|caller| &caller.credential)
    }

    /// Where the API key holds, if one was used.
    pub fn key_scope(&self) -> Option<coder_core::Scope> {
        match self.credential() {
            Some(Credential::ApiKey { scope, .. }) => Some(*scope),
            _ => None,
        }
    }

    /// Whether the API key, if one was used, was given the permission anywhere.
    pub fn key_allows(&self, permission: &str) -> bool {
        match self.credential() {
            Some(Credential::ApiKey { permissions, .. }) => permissions.allows(permission),
            _ => true,
        }
    }

    /// The organization's partition.
    pub fn partition(&self) -> Partition {
        Partition::organization(self.organization_id)
    }

    /// Opens the request's transaction.
    pub async fn transaction(&self) -> Result<Unit> {
        self.begin(CONTAINER, self.partition()).await
    }

    /// Opens a transaction beside the request's own.
    pub fn aside(&self) -> Unit {
        Unit::aside(&self.context, CONTAINER, self.partition())
    }
}
