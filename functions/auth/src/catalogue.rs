//! The permissions of this group, each with the least of the built-in roles that holds it.

coder_core::permissions! {
    PolicyRead = "auth.policy.read", Viewer, "See the organization's sign-in policy.";
    PolicyUpdate = "auth.policy.update", Admin, "Change the organization's sign-in policy.";
    ProviderRead = "auth.provider.read", Viewer, "See the organization's external login providers.";
    ProviderCreate = "auth.provider.create", Admin, "Add an external login provider.";
    ProviderUpdate = "auth.provider.update", Admin, "Change an external login provider.";
    ProviderDelete = "auth.provider.delete", Admin, "Remove an external login provider.";
    ApiKeyInspect = "auth.api-key.inspect", Admin, "See every API key of the organization.";
    ApiKeyDelete = "auth.api-key.delete", Admin, "Change and revoke other people's API keys.";
    CredentialReset = "auth.credential.reset", Admin, "Send a managed person a link to set a new password.";
    SessionRevoke = "auth.session.revoke", Admin, "End all sessions of a managed person.";
}
