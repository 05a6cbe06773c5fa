//! The no-escalation rule for a request: its caller gives nothing that the person, and the API key if one was
//! used, does not hold at that scope.

use coder_core::{Code, Credential, Failure, Pattern, PermissionSet, Problem, Scope, UserId};
use coder_middleware::{Authentication, RequestContext};
use serde_json::{Value, json};

use super::{Snapshot, Users};
use crate::model::Grant;
use crate::permissions::{Rank, escalation};

/// Who gives, by a verified credential.
#[derive(Debug, Clone, Copy)]
pub struct Giver<'a> {
    /// The person, agent or service.
    pub user_id: UserId,
    key: Option<(&'a PermissionSet, Scope)>,
}

impl<'a> Giver<'a> {
    /// The caller of a request.
    pub fn of(context: &'a RequestContext) -> Result<Self, Failure> {
        let Authentication::Verified(caller) = context.authentication() else {
            return Err(Failure::problem(Code::Unauthenticated, "Sign in first."));
        };
        let Some(user_id) = caller.user_id else {
            return Err(Failure::problem(Code::Forbidden, "A service has no permissions to give."));
        };
        let key = match &caller.credential {
            Credential::ApiKey { permissions, scope, .. } => Some((permissions, *scope)),
            _ => None,
        };
        Ok(Self { user_id, key })
    }

    /// Whether the API key, if one was used, has the permission at the scope.
    pub fn key_allows(&self, snapshot: &Snapshot, scope: Scope, permission: &str) -> bool {
        let Some((permissions, key_scope)) = self.key else { return true };
        let covers = || snapshot.permissions.ancestors(scope).is_some_and(|all| all.contains(&key_scope));
        covers() && permissions.allows(permission)
    }
}

impl Users {
    /// `403`, naming the first missing permission, unless the caller of the request may give everything wanted at
    /// the scope. The snapshot is one of the caller (or whole), with the scope among its projects; a scope that it
    /// does not know is `404`.
    pub fn check_gift(
        &self,
        context: &RequestContext,
        snapshot: &Snapshot,
        scope: Scope,
        wanted: &[Pattern],
    ) -> Result<(), Failure> {
        let giver = Giver::of(context)?;
        let access = snapshot.access(self, giver.user_id);
        let Some(effective) = access.at(scope) else {
            return Err(Problem::not_found("scope").into());
        };
        let held = |name: &str| effective.allows(name) && giver.key_allows(snapshot, scope, name);
        escalation::check(&self.catalogue, held, wanted)?;
        Ok(())
    }

    /// `422` for unknown roles, `403` for roles that the caller of the request may not give: by what they hold, and
    /// by rank. For invitations and agents, whose membership is new.
    pub fn check_roles(
        &self,
        context: &RequestContext,
        snapshot: &Snapshot,
        pointer: &str,
        roles: &[String],
    ) -> Result<(), Failure> {
        snapshot.permissions.roles().check_names(pointer, roles)?;
        let giver = Giver::of(context)?;
        snapshot.access(self, giver.user_id).rank().check_change(Rank::Other, Rank::of(roles))?;
        self.check_gift(context, snapshot, snapshot.scope(), &snapshot.permissions.patterns_of_roles(roles))
    }
}

/// The payload of a grant's events.
pub fn grant_event(id: &str, grant: &Grant) -> Value {
    json!({"grantId": id, "subject": grant.subject, "scope": grant.scope})
}
