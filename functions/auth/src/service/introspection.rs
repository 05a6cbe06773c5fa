//! What a token or an API key is worth now (RFC 7662), for other parts of the platform.

use std::net::IpAddr;

use coder_core::{Failure, OrganizationId, PermissionSet, Scope, SessionId, UserId};
use coder_database::Record;
use coder_handler::Cause;
use coder_middleware::{Access as _, FromService, RequestContext};
use secrecy::SecretString;

use super::Auth;
use crate::api_key::PresentedApiKey;
use crate::model::{ApiKey, CONTAINER, IdentityStatus, Session};

/// A credential that holds.
#[derive(Debug)]
pub(crate) enum Holding {
    /// An API key.
    Key {
        user_id: UserId,
        organization_id: OrganizationId,
        key_id: String,
        /// The key's own permissions. What the person may do now is applied where the key is used: only there the
        /// scope is known, and a grant on one project counts on that project alone.
        permissions: PermissionSet,
        scope: Scope,
        expires_at: i64,
    },
    /// An access token of a session.
    Session {
        user_id: UserId,
        organization_id: Option<OrganizationId>,
        session_id: SessionId,
        issued_at: i64,
        expires_at: i64,
        token_id: String,
    },
}

impl Auth {
    /// Looks at a credential; none if it does not hold, whatever the cause.
    pub(crate) async fn introspect(
        &self,
        who: &FromService,
        token: &SecretString,
        address: Option<IpAddr>,
    ) -> Result<Option<Holding>, Failure> {
        use secrecy::ExposeSecret as _;
        let token = token.expose_secret();
        match PresentedApiKey::parse(token) {
            Some(key) => self.introspect_key(who.context(), &key, address).await,
            None if token.starts_with(crate::api_key::PREFIX) => Ok(None),
            None => self.introspect_token(token).await,
        }
    }

    async fn introspect_key(
        &self,
        context: &RequestContext,
        presented: &PresentedApiKey,
        address: Option<IpAddr>,
    ) -> Result<Option<Holding>, Failure> {
        let found = self.api_keys.find(&ApiKey::partition(&presented.key_id), &presented.key_id).await?;
        let Some(key) = found.filter(|key| presented.matches(&key.data)) else { return Ok(None) };
        let details = &key.data.details;
        let from_here = match address {
            Some(address) => details.allows_address(address),
            None => details.allowed_cidrs.is_empty(),
        };
        if !details.is_live(self.runtime.ambient.now()) || !from_here {
            return Ok(None);
        }
        let identity = self.identity(details.user_id).await?;
        if identity.is_some_and(|identity| identity.data.status != IdentityStatus::Active) {
            return Ok(None);
        }
        let organization_id = details.owner_organization_id;
        let authorizer = &self.runtime.authorizer;
        let person = authorizer.permissions(organization_id, details.user_id, details.scope).await?;
        if person.iter().next().is_none() {
            return Ok(None);
        }
        if let Err(failure) = self.note_use(context, &key, address).await {
            tracing::debug!(cause = %failure, "the use of an API key was not noted");
        }
        Ok(Some(Holding::Key {
            user_id: details.user_id,
            organization_id,
            key_id: details.key_id.clone(),
            permissions: details.permissions.clone(),
            scope: details.scope,
            expires_at: details.expires_at.as_second(),
        }))
    }

    /// Notes when and whence a key was used, now and then; the entry in the organization's list follows.
    async fn note_use(
        &self,
        context: &RequestContext,
        key: &Record<ApiKey>,
        address: Option<IpAddr>,
    ) -> Result<(), Failure> {
        let now = self.runtime.ambient.now();
        let last = key.data.details.last_used_at;
        if last.is_some_and(|last| now.duration_since(last).as_secs() < ApiKey::LAST_USED_SECONDS) {
            return Ok(());
        }
        let cause = Cause::Request(context);
        let mut used = key.clone();
        used.data.details.last_used_at = Some(now);
        used.data.details.last_used_ip = address.map(|address| address.to_string());
        let mut unit = cause.begin(CONTAINER, ApiKey::partition(&key.meta.id)).without_audit();
        let (used, _) = unit.update(key, used)?;
        cause.commit(unit).await?;
        self.list_api_key(cause, &used).await
    }

    async fn introspect_token(&self, token: &str) -> Result<Option<Holding>, Failure> {
        let claims = match self.verifier.verify(token).await {
            Ok(claims) => claims,
            Err(failure) if failure.code().is_some_and(|code| code.status() == 401) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let id = Session::document_id(claims.sid);
        let session = self.sessions.find(&Session::partition(claims.sub), &id).await?;
        let live = session.is_some_and(|session| session.data.is_live(self.runtime.ambient.now()));
        Ok(live.then_some(Holding::Session {
            user_id: claims.sub,
            organization_id: claims.org,
            session_id: claims.sid,
            issued_at: claims.iat,
            expires_at: claims.exp,
            token_id: claims.jti,
        }))
    }
}
