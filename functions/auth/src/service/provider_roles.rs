//! The roles that people come with who sign in with a provider: they exist, nobody becomes an owner by one, and
//! whoever sets them gives nothing beyond what they hold.

use std::collections::{BTreeMap, BTreeSet};

use coder_core::{Code, Failure, Fault, OrganizationId, Permission, PermissionSet, Problem, Scope};
use coder_middleware::Allowed;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::Auth;
use super::people::Membership;
use crate::model::ExternalProvider;

#[derive(Debug, Deserialize)]
struct Resolved {
    roles: BTreeMap<String, PermissionSet>,
}

impl Auth {
    /// `422` for roles that are none, `403` for those that the caller may not give. A change that lets nobody have
    /// a role who did not have it before is not looked at.
    pub(crate) async fn check_provider_roles<P: Permission>(
        &self,
        who: &Allowed<P>,
        provider: &ExternalProvider,
        before: Option<&ExternalProvider>,
        giver: &Membership,
    ) -> Result<(), Failure> {
        if before.is_some_and(|before| gives_no_more(before, provider)) {
            return Ok(());
        }
        let roles = roles_of(provider);
        let names: BTreeSet<&str> = roles.iter().map(|(_, name)| *name).collect();
        let known = self.permissions_of_roles(who.organization_id, &names).await?;
        let faults: Vec<Fault> =
            roles.iter().filter_map(|(pointer, name)| fault(pointer, name, &known, giver)).collect();
        if !faults.is_empty() {
            return Err(Problem::invalid(faults).into());
        }
        check_rank(&names, giver)?;
        let wanted: PermissionSet = known.values().flat_map(|one| one.iter().cloned()).collect();
        let held = who.effective(Scope::Organization(who.organization_id)).await?;
        let missing = [Some(held.person()), held.key()].into_iter().flatten();
        match missing.filter_map(|held| self.missing_permission(&wanted, held)).min() {
            Some(name) => Err(Problem::missing_permission(&name).into()),
            None => Ok(()),
        }
    }

    /// What roles of the organization permit; those that it does not have are left out.
    async fn permissions_of_roles(
        &self,
        organization_id: OrganizationId,
        names: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, PermissionSet>, Failure> {
        let body = json!({"organizationId": organization_id, "roles": names});
        let answer = self.peers.call("users", Method::POST, "/internal/roles", Some(&body)).await?;
        Ok(answer.success::<Resolved>("users")?.roles)
    }
}

/// Every role that the provider can lead to, and where it stands.
fn roles_of(provider: &ExternalProvider) -> Vec<(String, &str)> {
    let mapped = provider.role_mapping.iter().enumerate();
    let mapped = mapped.map(|(index, one)| (format!("/roleMapping/{index}/role"), one.role.as_str()));
    [("/defaultRole".to_owned(), provider.default_role.as_str())].into_iter().chain(mapped).collect()
}

fn fault(
    pointer: &str,
    name: &str,
    known: &BTreeMap<String, PermissionSet>,
    giver: &Membership,
) -> Option<Fault> {
    if !known.contains_key(name) {
        return Some(Fault::new(pointer, "unknown_role", format!("There is no role `{name}`.")));
    }
    // To anybody else it is refused by rank.
    let by_owner = name == "owner" && giver.rank == "owner";
    by_owner.then(|| Fault::new(pointer, "refused", "Nobody becomes an owner by signing in."))
}

/// Nobody lets others have a higher rank than their own.
fn check_rank(names: &BTreeSet<&str>, giver: &Membership) -> Result<(), Failure> {
    let above = |name: &&&str| match **name {
        "owner" => giver.rank != "owner",
        "admin" => giver.rank != "owner" && giver.rank != "admin",
        _ => false,
    };
    match names.iter().find(above) {
        Some(name) => {
            let detail = format!("Only somebody of the same rank can let others have the role `{name}`.");
            Err(Problem::new(Code::Forbidden, detail).into())
        }
        None => Ok(()),
    }
}

/// Whether everything that decides who comes with which role is as it was, or the provider is only turned off.
fn gives_no_more(before: &ExternalProvider, after: &ExternalProvider) -> bool {
    let who_comes = |one: &ExternalProvider| {
        (one.allowed_tenant_ids.clone(), one.allowed_email_domains.clone(), one.auto_provision)
    };
    before.default_role == after.default_role
        && before.role_mapping == after.role_mapping
        && who_comes(before) == who_comes(after)
        && (before.enabled || !after.enabled)
}
