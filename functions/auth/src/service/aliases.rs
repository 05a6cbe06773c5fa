//! Finding an organization by its short name or by a domain that it has verified.

use coder_core::{Failure, OrganizationId};
use coder_handler::Cause;

use super::{Auth, repository};
use crate::model::{Alias, CONTAINER, OrganizationAlias};

impl Auth {
    /// The organization of the name, if one is known.
    pub(crate) async fn organization_of(&self, alias: Alias<'_>) -> Result<Option<OrganizationId>, Failure> {
        let aliases = repository::<OrganizationAlias>(&self.runtime);
        Ok(aliases.find(&alias.partition(), Alias::ID).await?.map(|found| found.data.alias_of))
    }

    /// Notes that the name is this organization's now.
    pub(crate) async fn set_alias(
        &self,
        cause: Cause<'_>,
        alias: Alias<'_>,
        organization_id: OrganizationId,
    ) -> Result<(), Failure> {
        if self.organization_of(alias).await? == Some(organization_id) {
            return Ok(());
        }
        let mut transaction = cause.begin(CONTAINER, alias.partition()).without_audit();
        transaction.mirror(Alias::ID, OrganizationAlias { alias_of: organization_id })?;
        cause.commit(transaction).await
    }

    /// Forgets that the name is this organization's; one that another has taken meanwhile stays.
    pub(crate) async fn drop_alias(
        &self,
        cause: Cause<'_>,
        alias: Alias<'_>,
        organization_id: OrganizationId,
    ) -> Result<(), Failure> {
        let aliases = repository::<OrganizationAlias>(&self.runtime);
        let found = aliases.find(&alias.partition(), Alias::ID).await?;
        let Some(found) = found.filter(|found| found.data.alias_of == organization_id) else { return Ok(()) };
        let mut transaction = cause.begin(CONTAINER, alias.partition()).without_audit();
        transaction.delete(&found)?;
        cause.commit(transaction).await
    }
}
