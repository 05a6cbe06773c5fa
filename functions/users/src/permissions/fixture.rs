//! A small platform and organization for the tests of this module.

use coder_core::id::Uuid;
use coder_core::permission::{BuiltInRole, PermissionDeclaration};
use coder_core::{OrganizationId, Pattern, Scope, Timestamp};

use super::{Catalogue, OrganizationSnapshot, SnapshotParts};
use crate::model::{Grant, GrantId, Granted, Membership, Organization, OrganizationKind, Role, Subject};

/// Permissions of another group, and one of operators.
pub(super) const PLANNING: &[PermissionDeclaration] = &[
    declaration("planning.task.read", BuiltInRole::Viewer),
    declaration("planning.task.create", BuiltInRole::Member),
    declaration("planning.task.update", BuiltInRole::Member),
    declaration("planning.task.inspect", BuiltInRole::Admin),
    declaration("planning.plan.read", BuiltInRole::Viewer),
    declaration("planning.plan.approve", BuiltInRole::Member),
    declaration("platform.audit.inspect", BuiltInRole::Owner),
];

const fn declaration(name: &'static str, held_by: BuiltInRole) -> PermissionDeclaration {
    PermissionDeclaration { name, summary: "", held_by }
}

pub(super) fn id<T: From<Uuid>>(n: u128) -> T {
    T::from(Uuid::from_u128(n))
}

pub(super) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) fn organization_id() -> OrganizationId {
    id(1000)
}

pub(super) fn organization_scope() -> Scope {
    Scope::Organization(organization_id())
}

pub(super) fn catalogue() -> Catalogue {
    Catalogue::new(&[PLANNING, crate::catalogue::PERMISSIONS].concat())
}

pub(super) fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

pub(super) fn role(name: &str, permissions: &[&str], inherits: &[&str]) -> Role {
    Role {
        name: name.to_owned(),
        description: None,
        permissions: patterns(permissions),
        inherits: inherits.iter().map(ToString::to_string).collect(),
        built_in: false,
    }
}

pub(super) fn member(n: u128, roles: &[&str]) -> Membership {
    Membership::new(id(n), roles.iter().map(ToString::to_string).collect(), NOW)
}

pub(super) fn grant(n: u128, subject: Subject, scope: Scope, granted: Granted) -> (GrantId, Grant) {
    (id(n), Grant { subject, scope, granted, expires_at: None })
}

pub(super) fn snapshot(parts: SnapshotParts) -> OrganizationSnapshot {
    let organization = Organization::new(OrganizationKind::Company, "Acme", "acme");
    OrganizationSnapshot::new(organization_id(), &organization, &catalogue(), parts)
}
