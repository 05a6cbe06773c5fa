//! Making the value of a rotation.

use coder_core::{OrganizationId, Problem, Result};
use coder_database::{Partition, Record};

use super::Secrets;
use crate::model::Secret;
use crate::value::{Kind, SecretValue, generate};

/// Whether the platform can make up a value of this kind.
pub(crate) fn can_be_generated(kind: Kind) -> bool {
    matches!(kind, Kind::Generic | Kind::ApiKey | Kind::UsernamePassword)
}

impl Secrets {
    /// A value as the secret's generator makes it; what is not secret in it stays.
    pub(crate) async fn generated(
        &self,
        organization_id: OrganizationId,
        secret: &Record<Secret>,
    ) -> Result<SecretValue> {
        let kind = secret.data.kind;
        let present = match kind {
            Kind::UsernamePassword => {
                let partition = Partition::organization(organization_id);
                let place = (secret.id()?, secret.data.current_version);
                let current = self.version(&partition, secret, place.1).await?;
                Some(self.unseal(organization_id, place, &current, kind).await?)
            }
            _ => None,
        };
        let text = generate(secret.data.rotation.generator, &self.runtime.ambient);
        SecretValue::around(kind, &text, present.as_ref()).ok_or_else(|| {
            let message = "A value of this kind cannot be generated; send the new one.";
            Problem::fault("/value", "required", message).into()
        })
    }
}
