//! What becomes of API keys: made, listed, narrowed, ended. The truth of a key stands in its own partition; the
//! entry in the organization's list follows it, and is repaired once a day.

use coder_core::{Code, Failure, Fault, OrganizationId, PermissionSet, Problem, Timestamp, UserId};
use coder_database::{Filter, Record};
use coder_handler::Cause;
use serde_json::{Value, json};

use super::revocations::Revoked;
use super::{Auth, repository, stale_if_taken};
use crate::model::{ApiKey, ApiKeyDetails, ApiKeyListing, ApiKeySlots, ApiKeyStatus, CONTAINER};

/// Most keys that an organization is thought to have ever made; they stay listed.
const MOST: usize = 100_000;

impl Auth {
    /// A key of the organization; one of another is as if it were not there.
    pub(crate) async fn api_key(
        &self,
        organization_id: OrganizationId,
        key_id: &str,
    ) -> Result<Record<ApiKey>, Failure> {
        let found = self.api_keys.find(&ApiKey::partition(key_id), key_id).await?;
        let found = found.filter(|key| key.data.details.owner_organization_id == organization_id);
        found.ok_or_else(|| Problem::not_found("API key").into())
    }

    /// Takes a place for a key to be made; `409` when the person has as many live keys in the organization as may
    /// be. Of requests at once each sees the places of the others: the document that keeps them is written under
    /// its tag, before there is anything of the key.
    pub(crate) async fn admit_api_key(
        &self,
        cause: Cause<'_>,
        organization_id: OrganizationId,
        user_id: UserId,
        key_id: &str,
    ) -> Result<(), Failure> {
        let now = self.runtime.ambient.now();
        let (partition, id) = (ApiKeyListing::partition(organization_id), ApiKeySlots::document_id(user_id));
        let before = repository::<ApiKeySlots>(&self.runtime).find(&partition, &id).await?;
        let mut slots = before.as_ref().map(|before| before.data.clone()).unwrap_or_default();
        let listed = self.listed_api_keys(organization_id, Some(user_id)).await?;
        slots.taken.retain(|key, until| *until > now && !listed.iter().any(|one| one.meta.id == *key));
        let live = listed.iter().filter(|key| key.data.details.is_live(now)).count();
        if live + slots.taken.len() >= ApiKey::MAX_ACTIVE {
            let detail =
                format!("A person has at most {} active API keys; revoke one first.", ApiKey::MAX_ACTIVE);
            return Err(Problem::new(Code::LimitReached, detail).into());
        }
        let until = self.runtime.ambient.after(ApiKeySlots::SECONDS);
        slots.taken.insert(key_id.to_owned(), until);
        let mut transaction = cause.begin(CONTAINER, partition).without_audit();
        if let Some(before) = &before {
            let mut record = before.clone();
            (record.data, record.expires_at) = (slots, Some(until));
            transaction.update(before, record)?;
        } else {
            let mut record = transaction.record(&id, slots);
            record.expires_at = Some(until);
            transaction.insert(&record)?;
        }
        cause.commit(transaction).await.map_err(stale_if_taken)
    }

    /// The organization's list, or one person's part of it.
    pub(crate) async fn listed_api_keys(
        &self,
        organization_id: OrganizationId,
        user_id: Option<UserId>,
    ) -> Result<Vec<Record<ApiKeyListing>>, Failure> {
        let filter = user_id.map(|id| Filter::eq("userId", id.to_string()));
        let listings = repository::<ApiKeyListing>(&self.runtime);
        listings.all(&ApiKeyListing::partition(organization_id), filter, MOST).await
    }

    /// Writes a new key, with its event. Nobody can list it before [`Auth::list_api_key`]. The audit entry of a
    /// key that follows another is that other's.
    pub(crate) async fn store_api_key(
        &self,
        cause: Cause<'_>,
        key: ApiKey,
        predecessor: Option<&Record<ApiKey>>,
    ) -> Result<Record<ApiKey>, Failure> {
        let key_id = key.details.key_id.clone();
        let mut transaction = cause.begin(CONTAINER, ApiKey::partition(&key_id));
        if predecessor.is_some() {
            transaction = transaction.without_audit();
        }
        let record = transaction.create(&key_id, key)?;
        let details = &record.data.details;
        transaction.emit_for(details.owner_organization_id, "api-key.created", &key_id, payload(details));
        cause.commit(transaction).await?;
        Ok(record)
    }

    /// Replaces a key that was read before, with an event if there is something to tell.
    pub(crate) async fn replace_api_key(
        &self,
        cause: Cause<'_>,
        before: &Record<ApiKey>,
        details: ApiKeyDetails,
        event: Option<&str>,
    ) -> Result<Record<ApiKey>, Failure> {
        let key_id = details.key_id.clone();
        let mut transaction = cause.begin(CONTAINER, ApiKey::partition(&key_id));
        let key = ApiKey { details, ..before.data.clone() };
        let (record, _) = transaction.replace(before, key)?;
        let details = &record.data.details;
        if let Some(event) = event {
            transaction.emit_for(details.owner_organization_id, event, &key_id, payload(details));
        }
        cause.commit(transaction).await?;
        self.list_api_key(cause, &record).await?;
        Ok(record)
    }

    /// Brings the key's entry in its organization's list up to date.
    pub(crate) async fn list_api_key(&self, cause: Cause<'_>, key: &Record<ApiKey>) -> Result<(), Failure> {
        let partition = ApiKeyListing::partition(key.data.details.owner_organization_id);
        let found = repository::<ApiKeyListing>(&self.runtime).find(&partition, &key.meta.id).await?;
        if found.as_ref().is_some_and(|found| json!(found.data) == json!(key.data.listing())) {
            return Ok(());
        }
        let mut transaction = cause.begin(CONTAINER, partition).without_audit();
        if let Some(found) = &found {
            transaction.replace(found, key.data.listing())?;
        } else {
            let mut record = transaction.record(&key.meta.id, key.data.listing());
            record.meta.created_at = key.meta.created_at;
            record.meta.created_by.clone_from(&key.meta.created_by);
            transaction.insert(&record)?;
        }
        cause.commit(transaction).await
    }

    /// Ends a key, everywhere and at once. One that has ended stays as it is.
    pub(crate) async fn revoke_api_key(&self, cause: Cause<'_>, key: &Record<ApiKey>) -> Result<(), Failure> {
        if key.data.details.status == ApiKeyStatus::Active {
            let details = ApiKeyDetails { status: ApiKeyStatus::Revoked, ..key.data.details.clone() };
            self.replace_api_key(cause, key, details, Some("api-key.revoked")).await?;
        }
        // Again for a key that was revoked before: the process may have ended between the two.
        self.publish_revocations(cause, &[Revoked::Key(key.meta.id.clone())]).await
    }

    /// Ends every key that the person has in the organization.
    pub(crate) async fn revoke_api_keys_of(
        &self,
        cause: Cause<'_>,
        user_id: UserId,
        organization_id: OrganizationId,
    ) -> Result<(), Failure> {
        for listing in self.listed_api_keys(organization_id, Some(user_id)).await? {
            let key_id = &listing.meta.id;
            match self.api_keys.find(&ApiKey::partition(key_id), key_id).await? {
                Some(key) if key.data.details.status == ApiKeyStatus::Active => {
                    self.revoke_api_key(cause, &key).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Every way in which the permissions are none that the platform knows.
    pub(crate) fn permission_faults(&self, permissions: &PermissionSet, order: &[String]) -> Vec<Fault> {
        let known = |text: &str| self.runtime.catalogue.iter().any(|declared| declared.name == text);
        let literal = |text: &str| !text.split('.').any(|segment| segment == "*");
        let unknown = permissions.iter().filter(|one| literal(one.as_str()) && !known(one.as_str()));
        unknown
            .map(|pattern| {
                let index = order.iter().position(|text| text == pattern.as_str()).unwrap_or_default();
                let message = format!("There is no permission `{pattern}`.");
                Fault::new(format!("/permissions/{index}"), Code::UnknownPermission.as_str(), message)
            })
            .collect()
    }

    /// The first permission, by name, that is wanted and not held. A pattern stands for the permissions that it
    /// covers now; one that covers none must lie inside what is held, since it may cover some later.
    pub(crate) fn missing_permission(&self, wanted: &PermissionSet, held: &PermissionSet) -> Option<String> {
        let mut missing = Vec::new();
        for pattern in wanted.iter() {
            let covered: Vec<&str> = self
                .runtime
                .catalogue
                .iter()
                .map(|one| one.name)
                .filter(|name| pattern.matches(name))
                .collect();
            if covered.is_empty() && !held.allows(pattern.as_str()) {
                missing.push(pattern.to_string());
            }
            missing.extend(covered.into_iter().find(|name| !held.allows(name)).map(str::to_owned));
        }
        missing.into_iter().min()
    }
}

/// What events say of a key.
pub(crate) fn payload(details: &ApiKeyDetails) -> Value {
    json!({
        "keyId": details.key_id,
        "userId": details.user_id,
        "name": details.name,
        "expiresAt": details.expires_at,
    })
}

/// Every way in which the new details allow more than the old ones.
pub(crate) fn widened(before: &ApiKeyDetails, after: &ApiKeyDetails) -> Vec<Fault> {
    let mut faults = Vec::new();
    let wider = |pointer: String, what: &str| {
        Fault::new(
            pointer,
            "wider",
            format!("{what} A key can only be narrowed; make a new one to allow more."),
        )
    };
    if after.permissions.iter().any(|pattern| !before.permissions.allows(pattern.as_str())) {
        faults.push(wider("/permissions".into(), "The key does not have all of these permissions."));
    }
    let inside = |network: &ipnet::IpNet| before.allowed_cidrs.iter().any(|one| one.contains(network));
    let open = before.allowed_cidrs.is_empty();
    let narrower = open || (!after.allowed_cidrs.is_empty() && after.allowed_cidrs.iter().all(inside));
    if !narrower {
        faults.push(wider("/allowedCidrs".into(), "The key does not work from all of these networks."));
    }
    if after.expires_at > before.expires_at {
        faults.push(wider("/expiresAt".into(), "The key ends earlier."));
    }
    faults
}

/// A key that is as it should be for somebody who reads it now.
pub(crate) fn status_at(details: &ApiKeyDetails, now: Timestamp) -> ApiKeyStatus {
    match details.status {
        ApiKeyStatus::Active if now >= details.expires_at => ApiKeyStatus::Expired,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use coder_core::id::EXAMPLE;
    use coder_core::{Pattern, Scope};

    use super::{status_at, widened};
    use crate::model::{ApiKeyDetails, ApiKeyStatus};

    fn details(permissions: &[&str], networks: &[&str], expires_at: &str) -> ApiKeyDetails {
        ApiKeyDetails {
            key_id: "0123456789abcdef".into(),
            name: "build".into(),
            user_id: EXAMPLE.into(),
            owner_organization_id: EXAMPLE.into(),
            permissions: permissions.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
            scope: Scope::Organization(EXAMPLE.into()),
            allowed_cidrs: networks.iter().map(|text| text.parse().unwrap()).collect(),
            expires_at: expires_at.parse().unwrap(),
            last_used_at: None,
            last_used_ip: None,
            status: ApiKeyStatus::Active,
            replaced_by: None,
        }
    }

    #[track_caller]
    fn check(before: (&[&str], &[&str], &str), after: (&[&str], &[&str], &str), expected: &[&str]) {
        let faults = widened(&details(before.0, before.1, before.2), &details(after.0, after.1, after.2));
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, expected);
    }

    #[test]
    fn a_key_is_narrowed_and_never_widened() {
        const MAY: &str = "2026-05-01T00:00:00Z";
        const JUNE: &str = "2026-06-01T00:00:00Z";
        check((&["users.*"], &[], JUNE), (&["users.team.read"], &["10.0.0.0/8"], MAY), &[]);
        check((&["*.*.read"], &[], JUNE), (&["users.*.read"], &[], JUNE), &[]);
        check((&["users.*"], &["10.0.0.0/8"], JUNE), (&["users.*"], &["10.1.0.0/16"], JUNE), &[]);
        check((&["users.*.read"], &[], MAY), (&["users.*"], &[], JUNE), &["/permissions", "/expiresAt"]);
        check((&["users.*"], &["10.0.0.0/8"], MAY), (&["users.*"], &[], MAY), &["/allowedCidrs"]);
        check((&["users.*"], &["10.0.0.0/8"], MAY), (&["users.*"], &["10.0.0.0/7"], MAY), &["/allowedCidrs"]);
        check(
            (&["users.team.read"], &[], MAY),
            (&["users.team.read", "users.role.read"], &[], MAY),
            &["/permissions"],
        );
    }

    #[test]
    fn a_key_whose_time_is_over_shows_as_expired() {
        let mut key = details(&["*"], &[], "2026-06-01T00:00:00Z");
        let (before, after) =
            ("2026-05-31T23:59:59Z".parse().unwrap(), "2026-06-01T00:00:00Z".parse().unwrap());
        assert_eq!(status_at(&key, before), ApiKeyStatus::Active);
        assert_eq!(status_at(&key, after), ApiKeyStatus::Expired);
        key.status = ApiKeyStatus::Revoked;
        assert_eq!(status_at(&key, after), ApiKeyStatus::Revoked);
    }
}
