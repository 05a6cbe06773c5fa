//! The permissions of this group, each with the least of the built-in roles that holds it. What others did is read
//! with `inspect`; `read` is for configuration and hashes, which tell nothing of people.

coder_core::permissions! {
    EntryCreate = "logging.entry.create", Admin, "Add custom entries to the audit log.";
    EntryInspect = "logging.entry.inspect", Admin, "Read and count the entries of the audit log.";
    EntryErase = "logging.entry.erase", Owner, "Erase what entries say of a person.";
    HistoryRead = "logging.history.read", Viewer, "Read the history of a resource that one may read.";
    ChainRead = "logging.chain.read", Viewer, "See the signed checkpoints of the audit log.";
    ChainCreate = "logging.chain.create", Admin, "Make a checkpoint of the audit log now.";
    ChainVerify = "logging.chain.verify", Admin, "Verify the audit log.";
    ExportCreate = "logging.export.create", Admin, "Export entries of the audit log.";
    ExportInspect = "logging.export.inspect", Admin, "See and download exports of the audit log.";
    ExportDelete = "logging.export.delete", Admin, "Cancel and delete exports of the audit log.";
    RetentionRead = "logging.retention.read", Viewer, "See how long entries are kept.";
    RetentionCreate = "logging.retention.create", Admin, "Add a retention policy.";
    RetentionUpdate = "logging.retention.update", Admin, "Change a retention policy.";
    RetentionDelete = "logging.retention.delete", Admin, "Delete a retention policy.";
    AlertRuleRead = "logging.alert-rule.read", Viewer, "See the rules that raise alerts.";
    AlertRuleCreate = "logging.alert-rule.create", Admin, "Add an alert rule.";
    AlertRuleUpdate = "logging.alert-rule.update", Admin, "Change and try an alert rule.";
    AlertRuleDelete = "logging.alert-rule.delete", Admin, "Delete an alert rule.";
    AlertInspect = "logging.alert.inspect", Admin, "See alerts.";
    AlertUpdate = "logging.alert.update", Admin, "Acknowledge and close alerts.";
    SettingsRead = "logging.settings.read", Viewer, "See what the audit log captures.";
    SettingsUpdate = "logging.settings.update", Admin, "Change what the audit log captures.";
}
