//! The table. General rows by verb first, then what particular events mean; the row that names most wins.

use super::Row;
use crate::model::Category::{self, Access, Action, Security, System};
use crate::model::Outcome::{self, Denied, Failure, Success};
use crate::model::Severity::{self, Critical, Debug, Error, Info, Warn};

const fn row(
    pattern: &'static str,
    category: Category,
    severity: Severity,
    outcome: Outcome,
    message: &'static str,
) -> Row {
    Row { pattern, category, severity, outcome, message }
}

/// What each type of event means.
pub(super) const TABLE: &[Row] = &[
    // By verb.
    row("*.*.created", Action, Info, Success, "{entity} created"),
    row("*.*.updated", Action, Info, Success, "{entity} updated"),
    row("*.*.deleted", Action, Warn, Success, "{entity} deleted"),
    row("*.*.archived", Action, Info, Success, "{entity} archived"),
    row("*.*.restored", Action, Info, Success, "{entity} restored"),
    row("*.*.added", Action, Info, Success, "{entity} added"),
    row("*.*.removed", Action, Info, Success, "{entity} removed"),
    row("*.*.assigned", Action, Info, Success, "{entity} assigned"),
    row("*.*.approved", Action, Info, Success, "{entity} approved"),
    row("*.*.rejected", Action, Info, Denied, "{entity} rejected"),
    row("*.*.cancelled", Action, Info, Success, "{entity} cancelled"),
    row("*.*.completed", System, Info, Success, "{entity} completed"),
    row("*.*.failed", System, Error, Failure, "{entity} failed"),
    row("*.*.denied", Security, Warn, Denied, "{entity} denied"),
    row("*.*.purged", System, Warn, Success, "{entity} purged"),
    row("*.*.expired", System, Info, Success, "{entity} expired"),
    row("*.*.read", Access, Info, Success, "{entity} read"),
    row("*.*.viewed", Access, Info, Success, "{entity} viewed"),
    row("*.*.listed", Access, Info, Success, "{entity} listed"),
    row("*.*.downloaded", Access, Info, Success, "{entity} downloaded"),
    // Credentials and sessions.
    row("auth.*", Security, Info, Success, "{entity} {verb}"),
    row("auth.login.succeeded", Security, Info, Success, "Signed in"),
    row("auth.login.failed", Security, Warn, Failure, "Sign-in failed: {reason}"),
    row("auth.session.revoked", Security, Info, Success, "Session ended: {reason}"),
    row("auth.session.reuse-detected", Security, Critical, Denied, "A used refresh token came again"),
    row("auth.password.changed", Security, Info, Success, "Password changed"),
    row("auth.password.reset", Security, Warn, Success, "Password reset"),
    row("auth.password.reset-requested", Security, Info, Success, "Password reset requested"),
    row("auth.mfa.disabled", Security, Warn, Success, "Second factor removed"),
    row("auth.mfa.enabled", Security, Info, Success, "Second factor set up"),
    row("auth.mfa.recovery-code-used", Security, Warn, Success, "Recovery code used"),
    row("auth.policy.updated", Security, Warn, Success, "Sign-in policy changed"),
    row("auth.external-provider.*", Security, Warn, Success, "Login provider {verb}"),
    row("auth.mail.*", System, Debug, Success, "Mail {verb}"),
    // People, roles and organizations.
    row("users.membership.*", Security, Info, Success, "Membership {verb}"),
    row("users.role.*", Security, Warn, Success, "Role {verb}"),
    row("users.grant.*", Security, Info, Success, "Grant {verb}"),
    row("users.invitation.*", Security, Info, Success, "Invitation {verb}"),
    row(
        "users.organization.deletion-requested",
        Security,
        Critical,
        Success,
        "Deletion of the organization requested",
    ),
    row("users.organization.purged", Security, Critical, Success, "Organization purged"),
    row("users.user.purged", Security, Warn, Success, "Person erased"),
    // Secrets.
    row("secrets.*", Security, Info, Success, "{entity} {verb}"),
    row("secrets.*.read", Access, Info, Success, "{entity} read"),
    row("secrets.*.accessed", Access, Info, Success, "{entity} accessed"),
    row("secrets.*.resolved", Access, Info, Success, "{entity} resolved"),
    row("secrets.*.revealed", Access, Warn, Success, "{entity} revealed"),
    row("secrets.*.failed", Security, Error, Failure, "{entity} failed"),
    // Refusals at the gateway.
    row("gateway.request.denied", Security, Warn, Denied, "Request refused"),
    // The audit log itself.
    row("logging.*", Security, Info, Success, "{entity} {verb}"),
    row("logging.alert.raised", Security, Warn, Success, "Alert: {name}"),
    row("logging.chain.verified", System, Info, Success, "Audit log verified"),
    row(
        "logging.chain.verification-failed",
        Security,
        Critical,
        Failure,
        "The audit log does not verify from entry {firstBadSeq} on",
    ),
    row("logging.checkpoint.created", System, Debug, Success, "Checkpoint created"),
    row("logging.export.*", Access, Info, Success, "Audit export {verb}"),
    row("logging.export.failed", Access, Error, Failure, "Audit export failed"),
    row("logging.retention.applied", System, Info, Success, "Retention applied"),
    row("logging.erasure.*", Security, Warn, Success, "Erasure {verb}"),
    row("logging.retention-policy.*", Security, Warn, Success, "Retention policy {verb}"),
    row("logging.settings.updated", Security, Warn, Success, "Audit settings changed"),
];
