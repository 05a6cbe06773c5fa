//! Evidence that a request may run. Each handler takes exactly one of these types; it exists only after its
//! check, and transactions on tenant data are opened on it.

use std::future::Future;
use std::marker::PhantomData;

use coder_core::{Code, Credential, Failure, OrganizationId, Permission, Problem, Scope, SessionId, UserId};
use coder_database::Partition;

use crate::chain::Authentication;
use crate::describe::{OperationDescription, Security};
use crate::effective::holds;
pub use crate::effective::{Effective, effective};
use crate::request::{Input, RequestContext};
use crate::token::Acting;
use crate::unit::Unit;

/// How old a sign-in may be for a sensitive action, in seconds.
pub const FRESH_SECONDS: i64 = 15 * 60;

/// Evidence of access.
pub trait Access: Sized + Send + Sync {
    /// Who passes.
    const SECURITY: Security;
    /// Checks the request.
    fn admit(context: &RequestContext) -> impl Future<Output = Result<Self, Failure>> + Send;
    /// The request that was admitted.
    fn context(&self) -> &RequestContext;

    /// Opens a transaction on a partition of a container; a request that was answered before under the same
    /// idempotency key ends here with that answer.
    fn begin(
        &self,
        container: &'static str,
        partition: Partition,
    ) -> impl Future<Output = Result<Unit, Failure>> + Send {
        Unit::begin(self.context(), container, partition)
    }
}

macro_rules! access_is_input {
    ($(<$($generic:ident: $bound:path),*>)? $type:ty) => {
        impl<S: Sync $(, $($generic: $bound),*)?> Input<S> for $type {
            fn describe(operation: &mut OperationDescription) {
                operation.security.push(<Self as Access>::SECURITY);
            }

            async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
                Self::admit(context).await
            }
        }
    };
}

/// Anybody; a credential is neither needed nor, if bad, a fault.
#[derive(Debug, Clone)]
pub struct Anyone {
    context: RequestContext,
}

impl Access for Anyone {
    const SECURITY: Security = Security::Anyone;

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        Ok(Self { context: context.clone() })
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}
access_is_input!(Anyone);

/// A signed-in caller, acting on what is their own.
#[derive(Debug, Clone)]
pub struct SignedIn {
    context: RequestContext,
    /// The person, agent or service.
    pub user_id: UserId,
    /// The organization of the credential, if it has one.
    pub organization_id: Option<OrganizationId>,
}

impl Access for SignedIn {
    const SECURITY: Security = Security::SignedIn;

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        let caller = caller(context)?;
        let Some(user_id) = caller.user_id else {
            return Err(Failure::problem(
                Code::Forbidden,
                "This is for people; a service has nothing of its own here.",
            ));
        };
        enrolled(context, caller)?;
        Ok(Self { context: context.clone(), user_id, organization_id: caller.organization_id })
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}
access_is_input!(SignedIn);

/// A caller with a session; API keys are refused.
#[derive(Debug, Clone)]
pub struct InSession {
    context: RequestContext,
    /// The person.
    pub user_id: UserId,
    /// The organization of the token, if the person has chosen one.
    pub organization_id: Option<OrganizationId>,
    /// The session.
    pub session_id: SessionId,
}

impl Access for InSession {
    const SECURITY: Security = Security::Session;

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        let caller = caller(context)?;
        let (Some(user_id), Credential::Session { session_id, .. }) = (caller.user_id, &caller.credential)
        else {
            let detail = "This needs a signed-in session; an API key is not enough.";
            return Err(Failure::problem(Code::Forbidden, detail));
        };
        enrolled(context, caller)?;
        let (organization_id, session_id) = (caller.organization_id, *session_id);
        Ok(Self { context: context.clone(), user_id, organization_id, session_id })
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}
access_is_input!(InSession);

/// A caller whose session was authenticated in the last 15 minutes.
#[derive(Debug, Clone)]
pub struct FreshSession(pub InSession);

impl Access for FreshSession {
    const SECURITY: Security = Security::FreshSession;

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        let session = InSession::admit(context).await?;
        fresh(context)?;
        Ok(Self(session))
    }

    fn context(&self) -> &RequestContext {
        &self.0.context
    }
}
access_is_input!(FreshSession);

/// A caller who holds permission `P` in the organization, or in the project or team that the path names.
#[derive(Debug, Clone)]
pub struct Allowed<P> {
    context: RequestContext,
    /// The person, agent or service.
    pub user_id: UserId,
    /// The tenant.
    pub organization_id: OrganizationId,
    permission: PhantomData<fn() -> P>,
}

impl<P: Permission> Access for Allowed<P> {
    const SECURITY: Security = Security::Permission(&P::DECLARATION);

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        let who = SignedIn::admit(context).await?;
        let Some(organization_id) = who.organization_id else {
            let detail =
                "The access token is for no organization; call `POST /api/auth/switch-organization`.";
            return Err(Failure::problem(Code::Forbidden, detail));
        };
        let allowed =
            Self { context: context.clone(), user_id: who.user_id, organization_id, permission: PhantomData };
        let scope = path_scope(context).unwrap_or(Scope::Organization(organization_id));
        if allowed.holds(P::DECLARATION.name, scope).await? {
            Ok(allowed)
        } else {
            Err(Problem::missing_permission(P::DECLARATION.name).into())
        }
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}

impl<S: Sync, P: Permission> Input<S> for Allowed<P> {
    fn describe(operation: &mut OperationDescription) {
        operation.security.push(<Self as Access>::SECURITY);
    }

    async fn extract(context: &RequestContext, _: &S) -> Result<Self, Failure> {
        Self::admit(context).await
    }
}

impl<P: Permission> Allowed<P> {
    /// The tenant's partition.
    pub fn partition(&self) -> Partition {
        Partition::organization(self.organization_id)
    }

    /// Opens a transaction on the tenant's partition.
    pub async fn transaction(&self, container: &'static str) -> Result<Unit, Failure> {
        self.begin(container, self.partition()).await
    }

    /// Demands a sign-in of the last 15 minutes, for the sensitive part of an operation.
    pub fn demand_fresh(&self) -> Result<(), Failure> {
        fresh(&self.context)
    }

    /// Whether the caller also holds another permission at a scope.
    pub async fn holds(&self, permission: &str, scope: Scope) -> Result<bool, Failure> {
        holds(&self.context, self.organization_id, self.user_id, permission, scope).await
    }

    /// Everything that the caller may do at a scope; an API key's own limits included.
    pub async fn effective(&self, scope: Scope) -> Result<Effective, Failure> {
        effective(&self.context, self.organization_id, self.user_id, scope).await
    }
}

/// Another part of the platform.
#[derive(Debug, Clone)]
pub struct FromService {
    context: RequestContext,
    /// The calling group.
    pub group: String,
    /// For whom it calls; `None` if for itself.
    pub acting: Option<Acting>,
}

impl Access for FromService {
    const SECURITY: Security = Security::Service;

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        let caller = caller(context)?;
        match &caller.credential {
            Credential::Service { group } => {
                let user_id = caller.user_id;
                let acting =
                    caller.organization_id.map(|organization_id| Acting { organization_id, user_id });
                Ok(Self { context: context.clone(), group: group.clone(), acting })
            }
            _ => Err(Failure::problem(Code::Forbidden, "Only services of the platform may call this.")),
        }
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}
access_is_input!(FromService);

/// A signed-in caller on what is their own, or another part of the platform on anybody's behalf.
#[derive(Debug, Clone)]
pub struct SignedInOrService {
    context: RequestContext,
    /// The person, agent or service account with the organization of the credential; `None` for a part of the
    /// platform.
    pub caller: Option<(UserId, Option<OrganizationId>)>,
}

impl Access for SignedInOrService {
    const SECURITY: Security = Security::SignedInOrService;

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        let caller = caller(context)?;
        if matches!(caller.credential, Credential::Service { .. }) && caller.user_id.is_none() {
            return Ok(Self { context: context.clone(), caller: None });
        }
        let SignedIn { context, user_id, organization_id } = SignedIn::admit(context).await?;
        Ok(Self { context, caller: Some((user_id, organization_id)) })
    }

    fn context(&self) -> &RequestContext {
        &self.context
    }
}
access_is_input!(SignedInOrService);

/// A platform operator with a session.
#[derive(Debug, Clone)]
pub struct Operator(pub InSession);

impl Access for Operator {
    const SECURITY: Security = Security::Operator;

    async fn admit(context: &RequestContext) -> Result<Self, Failure> {
        let session = InSession::admit(context).await?;
        if caller(context)?.operator {
            Ok(Self(session))
        } else {
            Err(Problem::missing_permission("platform.*").into())
        }
    }

    fn context(&self) -> &RequestContext {
        &self.0.context
    }
}
access_is_input!(Operator);

/// The project or team that the path names; permissions are checked there.
fn path_scope(context: &RequestContext) -> Option<Scope> {
    let project = context.path_parameter("projectId").and_then(|id| id.parse().ok()).map(Scope::Project);
    project.or_else(|| context.path_parameter("teamId").and_then(|id| id.parse().ok()).map(Scope::Team))
}

pub(crate) fn caller(context: &RequestContext) -> Result<&coder_core::Caller, Failure> {
    match context.authentication() {
        Authentication::Verified(caller) => Ok(caller),
        Authentication::Refused(problem) => Err(problem.clone().into()),
        Authentication::Anonymous => {
            let detail = "Send an access token as `Authorization: Bearer …` or an API key as `X-API-Key`.";
            Err(Failure::problem(Code::Unauthenticated, detail))
        }
    }
}

fn enrolled(context: &RequestContext, caller: &coder_core::Caller) -> Result<(), Failure> {
    match &caller.credential {
        Credential::Session { enrolment_only: true, .. } if !context.operation().during_enrolment => {
            let detail = "The organization demands a second factor: call `POST /api/auth/mfa/totp` first.";
            Err(Failure::problem(Code::MfaRequired, detail))
        }
        _ => Ok(()),
    }
}

fn fresh(context: &RequestContext) -> Result<(), Failure> {
    let age = match &caller(context)?.credential {
        Credential::Session { auth_time, .. } => {
            context.runtime().ambient.now().duration_since(*auth_time).as_secs()
        }
        _ => {
            return Err(Failure::problem(
                Code::Forbidden,
                "This needs a signed-in session; an API key is not enough.",
            ));
        }
    };
    if age <= FRESH_SECONDS {
        Ok(())
    } else {
        Err(Problem::reauthenticate(FRESH_SECONDS.unsigned_abs()).into())
    }
}
