//! The permissions of this group, each with the least of the built-in roles that holds it.

coder_core::permissions! {
    MessageCreate = "notifications.message.create", Member, "Send a message to people of the organization.";
    MessageInspect = "notifications.message.inspect", Admin, "See every message and how it was delivered.";
    PreferenceUpdate = "notifications.preference.update", Admin, "Change the defaults of the organization, its teams and projects.";
    TemplateRead = "notifications.template.read", Viewer, "See and preview the texts of messages.";
    TemplateUpdate = "notifications.template.update", Admin, "Replace the text of a message.";
    TemplateDelete = "notifications.template.delete", Admin, "Return to the built-in text of a message.";
    OutboxInspect = "notifications.outbox.inspect", Admin, "See mail that waits, was sent or is kept.";
    OutboxUpdate = "notifications.outbox.update", Admin, "Send mail again.";
    ProviderRead = "notifications.provider.read", Viewer, "See what carries messages.";
    ProviderCreate = "notifications.provider.create", Admin, "Add a carrier of messages.";
    ProviderUpdate = "notifications.provider.update", Admin, "Change and test a carrier of messages.";
    ProviderDelete = "notifications.provider.delete", Admin, "Remove a carrier of messages.";
    WebhookRead = "notifications.webhook.read", Viewer, "See webhooks.";
    WebhookInspect = "notifications.webhook.inspect", Admin, "See what webhooks were sent.";
    WebhookCreate = "notifications.webhook.create", Admin, "Add a webhook.";
    WebhookUpdate = "notifications.webhook.update", Admin, "Change and test a webhook, and send again.";
    WebhookDelete = "notifications.webhook.delete", Admin, "Remove a webhook.";
}

#[cfg(test)]
mod tests {
    use super::PERMISSIONS;
    use coder_core::permission::BuiltInRole;

    #[test]
    fn every_read_is_a_viewers_and_members_may_only_send() {
        for declaration in PERMISSIONS {
            let reads = declaration.name.rsplit('.').next() == Some("read");
            assert!(declaration.name.starts_with("notifications."), "{}", declaration.name);
            assert_eq!(declaration.held_by == BuiltInRole::Viewer, reads, "{}", declaration.name);
        }
        let members = PERMISSIONS.iter().filter(|one| one.held_by == BuiltInRole::Member);
        assert_eq!(members.map(|one| one.name).collect::<Vec<_>>(), ["notifications.message.create"]);
    }
}
