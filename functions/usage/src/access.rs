//! Who may do what, beyond single permissions: services of the platform beside people, and everybody's view of their
//! own use.

use std::marker::PhantomData;

use coder_core::{Code, Credential, Failure, OrganizationId, Permission, Result, Scope, UserId};
use coder_middleware::access::effective;
use coder_middleware::chain::Authentication;
use coder_middleware::request::Input;
use coder_middleware::{Access, Allowed, OperationDescription, RequestContext, Security, SignedIn};

use crate::catalogue::{CounterRead, ReportInspect, ReportRead};
use crate::model::Subject;

/// A caller who holds permission `P`, or another part of the platform in the name of an organization.
#[derive(Debug, Clone)]
pub struct AllowedOrService<P> {
    context: RequestContext,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The person, agent or service account; `None` for a part of the platform that acts for nobody.
    pub user_id: Option<UserId>,
    /// The part of the platform that asks, if one does.
    pub service: Option<String>,
    permission: PhantomData<fn() -> P>,
}

impl<P: Permission> Access for AllowedOrService<P> {
    const SECURITY: Security = Security::Permission(&P::DECLARATION);

    async fn admit(context: &RequestContext) -> Result<Self> {
        let (organization_id, user_id, service) = match of_service(context) {
            Some((group, Some(organization_id), user_id)) => (organization_id, user_id, Some(group)),
            Some(_) => {
                let detail = "Call in the name of the organization whose use it is.";
                return Err(Failure::problem(Code::Forbidden, detail));
            }
            None => {
                let who = Allowed::<P>::admit(context).await?;
                (who.organization_id, Some(who.user_id), None)
            }
        };
        Ok(Self { context: context.clone(), organization_id, user_id, service, permission: PhantomData })
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}

impl<S: Sync, P: Permission> Input<S> for AllowedOrService<P> {
    fn describe(operation: &mut OperationDescription) {
        operation.security.push(<Self as Access>::SECURITY);
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self> {
        Self::admit(context).await
    }
}

impl<P: Permission> AllowedOrService<P> {
    /// Who asks, as limits and reservations remember it.
    pub fn key(&self) -> String {
        match (&self.service, self.user_id) {
            (Some(group), _) => format!("service:{group}"),
            (None, user_id) => format!("user:{}", user_id.map(|id| id.to_string()).unwrap_or_default()),
        }
    }

    /// The subject of what is asked: people ask for themselves, services for anybody.
    pub fn subject(&self, asked: Option<Subject>) -> Subject {
        let asked = asked.unwrap_or_default();
        match self.service {
            Some(_) => Subject { user_id: asked.user_id.or(self.user_id), ..asked },
            None => Subject { user_id: self.user_id, ..asked },
        }
    }
}

/// The group, organization and person of a call by another part of the platform.
fn of_service(context: &RequestContext) -> Option<(String, Option<OrganizationId>, Option<UserId>)> {
    let Authentication::Verified(caller) = context.authentication() else { return None };
    let Credential::Service { group } = &caller.credential else { return None };
    Some((group.clone(), caller.organization_id, caller.user_id))
}

/// A caller who looks at use: at their own, at the organization's, or at everybody's.
#[derive(Debug, Clone)]
pub struct Reader {
    context: RequestContext,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The person, agent or service account.
    pub user_id: UserId,
    /// How much they see.
    pub sight: Sight,
    /// Whether they see the live use of teams and projects.
    pub counters: bool,
}

/// How much of the use somebody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// Their own.
    Own,
    /// Also that of the organization, teams and projects, without people.
    Organization,
    /// Everybody's.
    Everybody,
}

impl Access for Reader {
    const SECURITY: Security = Security::SignedIn;

    async fn admit(context: &RequestContext) -> Result<Self> {
        let who = SignedIn::admit(context).await?;
        let Some(organization_id) = who.organization_id else {
            let detail =
                "The access token is for no organization; call `POST /api/auth/switch-organization`.";
            return Err(Failure::problem(Code::Forbidden, detail));
        };
        let scope = Scope::Organization(organization_id);
        let held = effective(context, organization_id, who.user_id, scope).await?;
        let allows = |permission: &str| held.allows(permission);
        let sight = match (allows(ReportInspect::DECLARATION.name), allows(ReportRead::DECLARATION.name)) {
            (true, _) => Sight::Everybody,
            (false, true) => Sight::Organization,
            (false, false) => Sight::Own,
        };
        let counters = allows(CounterRead::DECLARATION.name);
        Ok(Self { context: context.clone(), organization_id, user_id: who.user_id, sight, counters })
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}

impl<S: Sync> Input<S> for Reader {
    fn describe(operation: &mut OperationDescription) {
        operation.security.push(<Self as Access>::SECURITY);
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self> {
        Self::admit(context).await
    }
}

impl Reader {
    /// The person to whom a question is narrowed: whoever sees only their own, and whoever asks about people
    /// without seeing everybody, gets their own.
    pub fn narrowed(&self, user_id: Option<UserId>, asks_about_people: bool) -> Option<UserId> {
        match self.sight {
            Sight::Everybody => user_id,
            Sight::Organization if user_id.is_none() && !asks_about_people => None,
            Sight::Organization | Sight::Own => Some(self.user_id),
        }
    }
}
