//! External login providers: whether one may be used, and finding it when nobody has signed in yet.

use coder_core::{Code, Failure, Fault, OrganizationId, Problem, UserId};
use coder_handler::Cause;

use super::people::Membership;
use super::{Auth, repository};
use crate::model::{CONTAINER, ExternalProvider, ProviderId, ProviderOwner};
use crate::oidc::{OidcClient, OidcFault};
use coder_outbound::OutboundError;

/// A provider that can be signed in with.
#[derive(Debug)]
pub(crate) struct LoginProvider {
    pub(crate) id: ProviderId,
    /// None for the platform's own.
    pub(crate) owner: Option<OrganizationId>,
    pub(crate) settings: ExternalProvider,
}

impl Auth {
    /// The client for providers; `503` where this machine cannot call out at all.
    pub(crate) fn oidc(&self) -> Result<&OidcClient, Failure> {
        let away = || Problem::unavailable("External logins are not available at the moment.", 60);
        self.oidc_client.as_ref().ok_or_else(|| away().into())
    }

    /// An enabled provider by its id; `404` if there is none.
    pub(crate) async fn login_provider(&self, id: ProviderId) -> Result<LoginProvider, Failure> {
        let gone = || Problem::new(Code::NotFound, "There is no such login provider.");
        let owners = repository::<ProviderOwner>(&self.runtime);
        let owner = owners.find(&ProviderOwner::partition(id), &id.to_string()).await?.ok_or_else(gone)?;
        let owner = owner.data.owner_organization_id;
        let found = self.providers.find(&ExternalProvider::partition(owner), &id.to_string()).await?;
        let settings = found.map(|found| found.data).filter(|settings| settings.enabled).ok_or_else(gone)?;
        Ok(LoginProvider { id, owner, settings })
    }

    /// The caller's membership, which says what roles they may let others have.
    pub(crate) async fn giver(
        &self,
        user_id: UserId,
        organization_id: OrganizationId,
    ) -> Result<Membership, Failure> {
        let memberships = self.person(user_id).await?.map(|person| person.memberships).unwrap_or_default();
        let here = memberships.into_iter().find(|one| one.organization_id == organization_id);
        here.ok_or_else(|| Problem::not_found("membership").into())
    }

    /// Asks the issuer who it is and looks for the secret; what does not hold is a fault of the input.
    pub(crate) async fn check_provider(
        &self,
        provider: &ExternalProvider,
        owner: OrganizationId,
    ) -> Result<(), Failure> {
        let mut faults = Vec::new();
        if let Some(reference) = &provider.client_secret_ref
            && self.secrets.resolve(Some(owner), reference).await?.is_none()
        {
            faults.push(Fault::new("/clientSecretRef", "unknown_secret", "There is no such text that the platform may use; flag the secret with `systemUse`, and name a field."));
        }
        match self.oidc()?.discover(&provider.issuer).await {
            Ok(_) => {}
            Err(OidcFault::Outbound(OutboundError::Refused(reason))) => {
                faults.push(Fault::new("/issuer", "refused", format!("The address is refused: {reason}.")));
            }
            Err(fault @ (OidcFault::Metadata(_) | OidcFault::Answer { .. })) => {
                faults.push(Fault::new(
                    "/issuer",
                    "issuer_mismatch",
                    format!("This is not usable: {fault}."),
                ));
            }
            Err(other) => return Err(other.into()),
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults).into()) }
    }

    /// Notes whose a provider is; before the provider itself, so that none is ever without.
    pub(crate) async fn set_provider_owner(
        &self,
        cause: Cause<'_>,
        id: ProviderId,
        owner: OrganizationId,
    ) -> Result<(), Failure> {
        let mut transaction = cause.begin(CONTAINER, ProviderOwner::partition(id)).without_audit();
        transaction.mirror(id, ProviderOwner { owner_organization_id: Some(owner) })?;
        cause.commit(transaction).await
    }

    /// Forgets whose a provider was; nobody can begin a login with it from then on.
    pub(crate) async fn drop_provider_owner(&self, cause: Cause<'_>, id: ProviderId) -> Result<(), Failure> {
        let partition = ProviderOwner::partition(id);
        let owners = repository::<ProviderOwner>(&self.runtime);
        let Some(found) = owners.find(&partition, &id.to_string()).await? else { return Ok(()) };
        let mut transaction = cause.begin(CONTAINER, partition).without_audit();
        transaction.delete(&found)?;
        cause.commit(transaction).await
    }
}
