//! Which organization a session works in, and what that organization demands of a sign-in.

use coder_core::{Code, Failure, OrganizationId, Problem};
use coder_middleware::RequestContext;

use super::Auth;
use super::people::Membership;
use crate::model::{AuthPolicy, LoginMethod};

/// The organization of a session and its policy.
#[derive(Debug)]
pub(crate) struct Workplace<'a> {
    /// None for a person without an organization.
    pub(crate) membership: Option<&'a Membership>,
    /// The organization's, or the platform's.
    pub(crate) policy: AuthPolicy,
}

impl Workplace<'_> {
    /// The organization's id.
    pub(crate) fn organization_id(&self) -> Option<OrganizationId> {
        self.membership.map(|membership| membership.organization_id)
    }

    /// The person's roles there.
    pub(crate) fn roles(&self) -> Vec<String> {
        self.membership.map(|membership| membership.roles.clone()).unwrap_or_default()
    }
}

impl Auth {
    /// The policy of an organization.
    pub(crate) async fn policy(
        &self,
        organization_id: Option<OrganizationId>,
    ) -> Result<AuthPolicy, Failure> {
        let Some(organization_id) = organization_id else { return Ok(AuthPolicy::default()) };
        let found = self.policies.find(&AuthPolicy::partition(organization_id), AuthPolicy::ID).await?;
        Ok(found.map(|found| found.data).unwrap_or_default())
    }

    /// The organization to sign in to: the preferred one, else the default, else any whose policy lets the
    /// person in this way and from this address. `403` if none does.
    pub(crate) async fn workplace<'a>(
        &self,
        context: &RequestContext,
        memberships: &'a [Membership],
        preferred: Option<OrganizationId>,
        amr: &[String],
    ) -> Result<Workplace<'a>, Failure> {
        let mut candidates: Vec<&Membership> = memberships.iter().collect();
        candidates.sort_by_key(|one| (Some(one.organization_id) != preferred, !one.is_default));
        for membership in &candidates {
            let policy = self.policy(Some(membership.organization_id)).await?;
            if admits(&policy, context, amr) {
                return Ok(Workplace { membership: Some(membership), policy });
            }
        }
        if candidates.is_empty() {
            return Ok(Workplace { membership: None, policy: AuthPolicy::default() });
        }
        Err(refused())
    }

    /// One organization of the person's, under the same conditions; `404` if they are no member.
    pub(crate) async fn workplace_at<'a>(
        &self,
        context: &RequestContext,
        memberships: &'a [Membership],
        wanted: OrganizationId,
        amr: &[String],
    ) -> Result<Workplace<'a>, Failure> {
        let membership = memberships.iter().find(|one| one.organization_id == wanted);
        let membership = membership
            .ok_or_else(|| Problem::new(Code::NotFound, "You are no member of such an organization."))?;
        let policy = self.policy(Some(wanted)).await?;
        if admits(&policy, context, amr) {
            Ok(Workplace { membership: Some(membership), policy })
        } else {
            Err(refused())
        }
    }
}

fn admits(policy: &AuthPolicy, context: &RequestContext, amr: &[String]) -> bool {
    let method =
        if amr.iter().any(|method| method == "pwd") { LoginMethod::Password } else { LoginMethod::External };
    let from_here = match context.identity().client_address {
        Some(address) => policy.allows_address(address),
        None => policy.allowed_cidrs.is_empty(),
    };
    policy.login_methods.contains(&method) && from_here
}

fn refused() -> Failure {
    let detail = "The organization does not let its members sign in this way or from this network.";
    Problem::new(Code::Forbidden, detail).into()
}
