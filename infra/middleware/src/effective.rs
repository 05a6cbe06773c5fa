//! What a caller may do at one scope, resolved by the `users` group and cut by an API key's own limits.

use std::sync::Arc;

use coder_core::{Credential, Failure, OrganizationId, PermissionSet, Scope, UserId};

use crate::request::RequestContext;

/// What a caller may do at one scope: the person's permissions, cut by those of the API key, if one was used.
#[derive(Debug, Clone)]
pub struct Effective {
    person: Arc<PermissionSet>,
    key: Option<PermissionSet>,
}

impl Effective {
    /// Whether the permission is held. Operators' permissions never are: configuration gives them, not a role.
    pub fn allows(&self, permission: &str) -> bool {
        !permission.starts_with("platform.")
            && self.person.allows(permission)
            && self.key.as_ref().is_none_or(|key| key.allows(permission))
    }

    /// The person's own permissions.
    pub fn person(&self) -> &PermissionSet {
        &self.person
    }

    /// The key's permissions, if a key was used.
    pub fn key(&self) -> Option<&PermissionSet> {
        self.key.as_ref()
    }
}

/// What a caller may do at a scope.
pub async fn effective(
    context: &RequestContext,
    organization_id: OrganizationId,
    user_id: UserId,
    scope: Scope,
) -> Result<Effective, Failure> {
    let person = context.runtime().authorizer.permissions(organization_id, user_id, scope).await?;
    let key = match &crate::access::caller(context)?.credential {
        Credential::ApiKey { permissions, scope: key_scope, .. } => {
            Some(if covers(key_scope, &scope) { permissions.clone() } else { PermissionSet::default() })
        }
        _ => None,
    };
    Ok(Effective { person, key })
}

pub(crate) async fn holds(
    context: &RequestContext,
    organization_id: OrganizationId,
    user_id: UserId,
    permission: &str,
    scope: Scope,
) -> Result<bool, Failure> {
    Ok(effective(context, organization_id, user_id, scope).await?.allows(permission))
}

/// A key for the organization holds everywhere in it; one for a team or project only there.
fn covers(key: &Scope, wanted: &Scope) -> bool {
    matches!(key, Scope::Organization(_)) || key == wanted
}
