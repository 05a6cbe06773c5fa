//! A new organization with its first owner. The slug is claimed before anything else, since it is unique beyond
//! the organization's partition; a claim whose organization never came is dropped by a job.

use coder_core::{Code, Failure, OrganizationId, Problem, Result};
use coder_database::{Partition, Record, Transaction};
use coder_handler::Cause;
use serde_json::json;

use super::Users;
use crate::model::{CONTAINER, Membership, Organization, User, claims};
use crate::names;

/// Room for a hyphen and the longest suffix in a slug.
const SUFFIX: usize = 13;
/// The shortest slug.
const MIN_SLUG: usize = 3;

impl Users {
    /// Makes an organization and its owner. `organization.slug` is the wanted one; an empty one is made from the
    /// name. Running it again with the same id after a failure goes on where it ended.
    pub async fn create_organization(
        &self,
        cause: Cause<'_>,
        id: OrganizationId,
        mut organization: Organization,
        owner: &Record<User>,
    ) -> Result<Record<Organization>> {
        let partition = Partition::organization(id);
        if let Some(there) = self.organizations.find(&partition, &id.to_string()).await? {
            return Ok(there);
        }
        organization.slug = if organization.slug.is_empty() {
            self.claim_any_slug(cause, id, &organization.name).await?
        } else {
            self.claim_slug(cause, id, &organization.slug).await?;
            organization.slug
        };
        let mut unit = cause.begin(CONTAINER, partition);
        let record = unit.create(id, organization)?;
        unit.emit("organization.created", &record.meta.id, json!({"organizationId": id}));
        self.first_owner(&mut unit, owner)?;
        match cause.commit(unit).await {
            // The same registration came twice at once.
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => self.organization(id).await,
            outcome => outcome.map(|()| record),
        }
    }

    fn first_owner(&self, unit: &mut Transaction, owner: &Record<User>) -> Result<()> {
        let user_id = owner.id()?;
        let membership = Membership::new(user_id, vec!["owner".to_owned()], self.now()).of(&owner.data);
        let event = json!({"userId": user_id, "roles": membership.roles, "via": "organization"});
        unit.create(Membership::document_id(user_id), membership)?;
        unit.emit("membership.added", &user_id.to_string(), event);
        Ok(())
    }

    /// Claims a slug for an organization; `409` if another has it.
    async fn claim_slug(&self, cause: Cause<'_>, id: OrganizationId, slug: &str) -> Result<()> {
        let partition = Partition::keyed("slug", slug);
        let mut unit = cause.begin(CONTAINER, partition.clone()).without_audit();
        let taken = Problem::new(Code::AlreadyExists, format!("The slug `{slug}` is taken; choose another."));
        unit.claim(claims::ORGANIZATION_SLUG, &[slug], &id.to_string(), taken)?;
        match cause.commit(unit).await {
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => {
                let document = coder_database::claim::claim_id(claims::ORGANIZATION_SLUG, &[slug]);
                let claim = self.claims.find(&partition, &document).await?;
                let own = claim.is_some_and(|claim| claim.data.owner_id == id.to_string());
                if own { Ok(()) } else { Err(failure) }
            }
            outcome => outcome,
        }
    }

    /// Claims a slug made from the name, with as much of the id after it as makes it unique.
    async fn claim_any_slug(&self, cause: Cause<'_>, id: OrganizationId, name: &str) -> Result<String> {
        for slug in slugs(id, name) {
            match self.claim_slug(cause, id, &slug).await {
                Ok(()) => return Ok(slug),
                Err(failure) if failure.code() == Some(Code::AlreadyExists) => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::problem(Code::AlreadyExists, "No slug can be made from this name; name one yourself."))
    }
}

/// What an organization of this name could be called in addresses, shortest first; the same at every try.
fn slugs(id: OrganizationId, name: &str) -> Vec<String> {
    let plain = names::slug(name).unwrap_or_else(|| "organization".to_owned());
    let id = id.uuid().simple().to_string();
    let stem: String = plain.chars().take(names::MAX_SLUG - SUFFIX).collect();
    let stem = stem.trim_end_matches('-');
    // The end of a time-ordered id is its random part.
    let suffixed = [6, 12].map(|length| format!("{stem}-{}", &id[id.len() - length..]));
    let plain = Some(plain).filter(|slug| slug.len() >= MIN_SLUG);
    plain.into_iter().chain(suffixed).collect()
}

#[cfg(test)]
mod tests {
    use super::slugs;
    use crate::names::MAX_SLUG;
    use coder_core::id::Uuid;

    #[test]
    fn slugs_are_made_from_the_name_and_fit() {
        let id = Uuid::from_u128(0x1234_5678_9abc).into();
        assert_eq!(slugs(id, "Acme GmbH"), ["acme-gmbh", "acme-gmbh-789abc", "acme-gmbh-123456789abc"]);
        assert_eq!(slugs(id, "X")[0], "x-789abc", "one that is too short needs a suffix");
        assert_eq!(slugs(id, "名前")[0], "organization");
        for slug in slugs(id, &"very-long ".repeat(20)) {
            assert!(slug.len() <= MAX_SLUG && !slug.contains("--"), "{slug}");
        }
    }
}
