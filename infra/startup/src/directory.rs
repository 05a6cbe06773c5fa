//! What the request chain asks of the `auth` and `users` groups, wherever they run: public keys, API keys,
//! permissions, revocations.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use coder_cache::{Cache as SharedCache, Revocations};
use coder_core::{
    Ambient, Caller, Credential, Failure, OrganizationId, PermissionSet, Scope, SessionId, Timestamp, UserId,
};
use coder_handler::Peers;
use coder_middleware::chain::{ApiKeys, Identity};
use coder_middleware::runtime::Authorizer;
use coder_middleware::token::KeySource;
use coder_vault::MasterKey;
use http::Method;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::json;

use crate::shared_permissions::{Holder, Resolved, SharedPermissions};

/// How long a resolved permission set is believed.
const PERMISSIONS_HOLD: Duration = Duration::from_mins(1);

/// Most permission sets kept.
const PERMISSION_SETS: u64 = 50_000;

/// Most organizations whose permission sets are kept.
const ORGANIZATIONS: u64 = 50_000;

/// Asks the `auth` and `users` groups.
pub struct Directory {
    ambient: Ambient,
    peers: Arc<Peers>,
    sets: Cache<Holder, Kept>,
    /// What sets of an organization were resolved in; a change of its permissions ends it.
    epochs: Cache<OrganizationId, Arc<Epoch>>,
    shared: Option<SharedPermissions>,
    /// When permissions were last changed by this process, in milliseconds since 1970.
    changed_at: AtomicI64,
}

#[derive(Debug, Clone)]
struct Kept {
    set: Arc<PermissionSet>,
    until: Timestamp,
    epoch: Arc<Epoch>,
}

/// A time in which no permission of an organization was changed by this process; told from others by its address.
#[derive(Debug)]
struct Epoch;

impl fmt::Debug for Directory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Directory {
    /// A directory that has asked nothing yet.
    pub fn new(ambient: Ambient, peers: Arc<Peers>) -> Self {
        Self {
            ambient,
            peers,
            sets: Cache::new(PERMISSION_SETS),
            epochs: Cache::new(ORGANIZATIONS),
            shared: None,
            changed_at: AtomicI64::new(i64::MIN),
        }
    }

    /// The same, which tells other processes what it has asked, and is told by them.
    pub(crate) fn sharing(self, cache: Arc<dyn SharedCache>, master: &MasterKey) -> Self {
        let shared = Some(SharedPermissions::new(cache, master, self.ambient.clone()));
        Self { shared, ..self }
    }

    /// Forgets resolved permissions in one organization, or in all, because some have changed. What is being asked
    /// at this moment is not kept either.
    pub fn forget_permissions(&self, organization: Option<OrganizationId>) {
        self.changed_at.store(self.ambient.now().as_millisecond(), Ordering::SeqCst);
        match organization {
            Some(id) => self.epochs.invalidate(&id),
            None => self.epochs.invalidate_all(),
        }
    }

    /// Brings the list of revocations up to date from `cursor`; answers where to go on.
    pub async fn poll_revocations(
        &self,
        revocations: &Revocations,
        cursor: Option<String>,
    ) -> Result<Option<String>, Failure> {
        let started = self.ambient.now();
        let mut cursor = cursor;
        loop {
            let query = cursor.as_ref().map_or_else(String::new, |cursor| format!("?since={cursor}"));
            let answer = self.peers.call("auth", Method::GET, &format!("/revocations{query}"), None).await?;
            let page: RevocationPage = answer.success("auth")?;
            for item in &page.items {
                item.apply(revocations);
            }
            let more = page.more;
            cursor = page.cursor.or(cursor);
            if !more {
                revocations.mark_fresh(started);
                return Ok(cursor);
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RevocationPage {
    items: Vec<Revocation>,
    cursor: Option<String>,
    more: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revocation {
    session_id: Option<SessionId>,
    user_id: Option<UserId>,
    organization_id: Option<OrganizationId>,
    key_id: Option<String>,
    before: Timestamp,
    until: Timestamp,
}

impl Revocation {
    fn apply(&self, list: &Revocations) {
        match (self.session_id, &self.key_id, self.user_id, self.organization_id) {
            (Some(session), ..) => list.revoke_session(session, self.until),
            (_, Some(key), ..) => list.revoke_key(key, self.until),
            (_, _, Some(user), Some(organization)) => {
                list.revoke_membership(user, organization, self.before, self.until);
            }
            (_, _, Some(user), None) => list.revoke_user(user, self.before, self.until),
            _ => {}
        }
    }
}

#[async_trait]
impl KeySource for Directory {
    async fn public_keys(&self) -> Result<Vec<Jwk>, Failure> {
        let answer = self.peers.call("auth", Method::GET, "/.well-known/jwks.json", None).await?;
        Ok(answer.success::<JwkSet>("auth")?.keys)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Introspection {
    active: bool,
    user_id: Option<UserId>,
    organization_id: Option<OrganizationId>,
    key_id: Option<String>,
    #[serde(default)]
    permissions: PermissionSet,
    scope: Option<Scope>,
}

#[async_trait]
impl ApiKeys for Directory {
    async fn introspect(&self, key: &str, identity: &Identity) -> Result<Option<Caller>, Failure> {
        let address = identity.client_address.map(|address| address.to_string());
        let body = json!({"token": key, "clientAddress": address});
        let answer = self.peers.call("auth", Method::POST, "/introspect", Some(&body)).await?;
        let found: Introspection = answer.success("auth")?;
        let (Some(user_id), Some(organization_id), Some(key_id), Some(scope)) =
            (found.user_id, found.organization_id, found.key_id, found.scope)
        else {
            return Ok(None);
        };
        Ok(found.active.then_some(Caller {
            user_id: Some(user_id),
            organization_id: Some(organization_id),
            operator: false,
            credential: Credential::ApiKey { key_id, permissions: found.permissions, scope },
        }))
    }
}

#[derive(Debug, Deserialize)]
struct Permissions {
    permissions: PermissionSet,
}

impl Directory {
    /// What another process was told, or what `users` says.
    async fn resolve(&self, holder: &Holder, now: Timestamp) -> Result<Resolved, Failure> {
        if let Some(shared) = &self.shared {
            let changed_at = self.changed_at.load(Ordering::SeqCst);
            let changed_at = Timestamp::from_millisecond(changed_at).unwrap_or(Timestamp::MIN);
            if let Some(found) = shared.find(holder, PERMISSIONS_HOLD, changed_at).await {
                return Ok(found);
            }
        }
        let (organization_id, user_id, scope) = holder;
        let body = json!({"organizationId": organization_id, "userId": user_id, "scope": scope});
        let answer = self.peers.call("users", Method::POST, "/internal/permissions", Some(&body)).await?;
        let Permissions { permissions } = answer.success("users")?;
        let resolved = Resolved { permissions, resolved_at: now };
        if let Some(shared) = &self.shared {
            shared.tell(holder, &resolved, PERMISSIONS_HOLD).await;
        }
        Ok(resolved)
    }
}

#[async_trait]
impl Authorizer for Directory {
    async fn permissions(
        &self,
        organization_id: OrganizationId,
        user_id: UserId,
        scope: Scope,
    ) -> Result<Arc<PermissionSet>, Failure> {
        let key = (organization_id, user_id, scope);
        let now = self.ambient.now();
        let epoch = self.epochs.get_with(organization_id, || Arc::new(Epoch));
        if let Some(known) = self.sets.get(&key)
            && Arc::ptr_eq(&known.epoch, &epoch)
            && known.until > now
        {
            return Ok(known.set);
        }
        let Resolved { permissions, resolved_at } = self.resolve(&key, now).await?;
        let set = Arc::new(permissions);
        let until = resolved_at.saturating_add(PERMISSIONS_HOLD).unwrap_or(Timestamp::MIN);
        self.sets.insert(key, Kept { set: set.clone(), until, epoch });
        Ok(set)
    }
}
