//! The permissions of this group, each with the least of the built-in roles that holds it everywhere.
//!
//! `reveal`, `rotate` and `restore` come with `member` only where a person was granted that role: see
//! [`crate::access::rights`].

coder_core::permissions! {
    SecretRead = "secrets.secret.read", Viewer, "See secrets, without their values.";
    SecretCreate = "secrets.secret.create", Member, "Create and import secrets.";
    SecretUpdate = "secrets.secret.update", Member, "Change a secret and set new values.";
    SecretDelete = "secrets.secret.delete", Member, "Delete a secret so that it can be restored.";
    SecretRestore = "secrets.secret.restore", Admin, "Restore a deleted secret; members where they were granted the role.";
    SecretPurge = "secrets.secret.purge", Admin, "Destroy a secret for good.";
    SecretReveal = "secrets.secret.reveal", Admin, "See a secret's value; members where they were granted the role.";
    SecretRotate = "secrets.secret.rotate", Admin, "Rotate a secret; members where they were granted the role.";
    SecretResolve = "secrets.secret.resolve", Member, "Resolve references to values one may see.";
    SystemUseUpdate = "secrets.system-use.update", Admin, "Let the platform's services use a secret without a person's rights.";
    GrantRead = "secrets.grant.read", Viewer, "See with whom a secret is shared.";
    GrantCreate = "secrets.grant.create", Member, "Share a secret, with actions that one has.";
    GrantDelete = "secrets.grant.delete", Member, "Stop sharing a secret.";
    AccessRead = "secrets.access.read", Viewer, "See the own use of secrets.";
    AccessInspect = "secrets.access.inspect", Admin, "See everybody's use of secrets.";
    KeyRead = "secrets.key.read", Viewer, "See the state of data keys, never their material.";
    KeyRotate = "secrets.key.rotate", Admin, "Replace the data key and encrypt every value again.";
}

#[cfg(test)]
mod tests {
    use super::PERMISSIONS;
    use coder_core::permission::BuiltInRole;

    #[test]
    fn nobody_below_an_admin_sees_values_everywhere() {
        let held_by = |name: &str| PERMISSIONS.iter().find(|one| one.name == name).map(|one| one.held_by);
        for name in ["reveal", "rotate", "restore", "purge"] {
            assert_eq!(held_by(&format!("secrets.secret.{name}")), Some(BuiltInRole::Admin), "{name}");
        }
        for one in PERMISSIONS {
            let reads = one.name.rsplit('.').next() == Some("read");
            assert_eq!(one.held_by == BuiltInRole::Viewer, reads, "{}", one.name);
        }
    }
}
