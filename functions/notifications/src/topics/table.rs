//! The topics of the platform. The words are templates: `data` is the event's payload, `actor` who caused it.

use super::Topic;
use crate::deliver::Category::{
    Billing, Calendar, Collaboration, Execution, Incident, Planning, Project, Security, System, Workflow,
};

const ADMINS: &[&str] = &["role:admin", "role:owner"];
const LEAD: &[&str] = &["lead"];
const AUTHOR: &[&str] = &["authorId", "requestedBy", "createdBy", "ownerId"];
const APPROVERS: &[&str] = &["approvers", "approverIds"];

/// Every topic.
pub const TOPICS: &[Topic] = &[
    Topic::new("task.assigned", Planning, &["coder.planning.task.assigned"])
        .people(&["added"])
        .about("task", "/planning/tasks")
        .words("{{data.key}} was assigned to you", "{{data.title}}"),
    Topic::new("task.transitioned", Planning, &["coder.planning.task.transitioned"])
        .low()
        .people(&["watcherIds", "assigneeIds"])
        .about("task", "/planning/tasks")
        .words("{{data.key}} is now {{data.to}}", "It was {{data.from}} before."),
    Topic::new("task.due-soon", Planning, &["coder.planning.task.due-soon"])
        .people(&["assigneeIds"])
        .about("task", "/planning/tasks")
        .words("{{data.key}} is due soon", "It is due at {{data.dueAt}}."),
    Topic::new("task.overdue", Planning, &["coder.planning.task.overdue"])
        .high()
        .people(&["assigneeIds"])
        .about("task", "/planning/tasks")
        .words("{{data.key}} is overdue", "It was due at {{data.dueAt}}."),
    Topic::new("message.mentioned", Collaboration, &["coder.messaging.message.mentioned"])
        .people(&["userIds"])
        .about("channel-message", "/messaging/messages")
        .words("You were mentioned", "{{data.preview}}"),
    Topic::new("message.direct", Collaboration, &["coder.messaging.message.posted"])
        .when("channelKind", "direct")
        .people(&["recipientIds"])
        .only_when_away()
        .about("channel-message", "/messaging/messages")
        .words("A direct message", "Somebody wrote to you."),
    Topic::new("message.approval-requested", Collaboration, &["coder.messaging.message.approval-requested"])
        .high()
        .people(APPROVERS)
        .about("channel-message", "/messaging/messages")
        .words("Your approval is asked for", "Please answer by {{data.deadline}}."),
    Topic::new("message.escalated", Collaboration, &["coder.messaging.message.escalated"])
        .high()
        .people(&["targets"])
        .about("channel-message", "/messaging/messages")
        .words("A request was escalated to you", "Nobody has answered it so far."),
    Topic::new("plan.generated", Planning, &["coder.planning.plan.generated"])
        .low()
        .people(AUTHOR)
        .about("plan", "/planning/plans")
        .words("Your plan is ready", "It was generated and waits for you to look at it."),
    Topic::new("plan.approved", Planning, &["coder.planning.plan.approved"])
        .low()
        .people(AUTHOR)
        .about("plan", "/planning/plans")
        .words("Your plan was approved", "It can be carried out."),
    Topic::new("plan.rejected", Planning, &["coder.planning.plan.rejected"])
        .people(AUTHOR)
        .about("plan", "/planning/plans")
        .words("Your plan was rejected", "{{data.comment}}"),
    Topic::new("plan.question-asked", Planning, &["coder.planning.question.asked"])
        .people(AUTHOR)
        .about("plan-question", "/planning/questions")
        .words("A plan has a question for you", "The plan goes on when it is answered."),
    Topic::new("run.completed", Execution, &["coder.execution.run.completed"])
        .people(AUTHOR)
        .about("run", "/execution/runs")
        .words("A run is done", "It took {{data.durationSeconds}} seconds."),
    Topic::new("run.failed", Execution, &["coder.execution.run.failed"])
        .high()
        .people(AUTHOR)
        .about("run", "/execution/runs")
        .words("A run failed", "{{data.reason}}"),
    Topic::new("run.approval-requested", Execution, &["coder.execution.decision.requested"])
        .high()
        .people(APPROVERS)
        .about("decision", "/execution/decisions")
        .words("A run waits for your decision", "The step is {{data.stepKey}}."),
    Topic::new("workflow.gate-opened", Workflow, &["coder.workflow.gate.opened"])
        .high()
        .people(APPROVERS)
        .about("gate", "/workflow/gates")
        .words("A workflow waits for your approval", "Please decide by {{data.dueAt}}."),
    Topic::new("workflow.gate-escalated", Workflow, &["coder.workflow.gate.escalated"])
        .critical()
        .people(APPROVERS)
        .about("gate", "/workflow/gates")
        .words("A workflow still waits for an approval", "It was due at {{data.dueAt}}."),
    Topic::new("workflow.run-failed", Workflow, &["coder.workflow.run.failed"])
        .high()
        .people(&["ownerId"])
        .about("workflow-run", "/workflow/runs")
        .words("The workflow {{data.name}} failed", "{{data.error}}"),
    Topic::new("event.invited", Calendar, &["coder.calendar.event.created"])
        .people(&["attendeeIds"])
        .about("event", "/calendar/events")
        .words("You are invited to an event", "It begins at {{data.startUtc}}."),
    Topic::new("event.updated", Calendar, &["coder.calendar.event.updated"])
        .people(&["attendeeIds"])
        .about("event", "/calendar/events")
        .words("An event has changed", "It begins at {{data.startUtc}}."),
    Topic::new("event.cancelled", Calendar, &["coder.calendar.event.cancelled"])
        .people(&["attendeeIds"])
        .about("event", "/calendar/events")
        .words("An event was cancelled", "It would have begun at {{data.startUtc}}."),
    Topic::new("event.reminder", Calendar, &["coder.calendar.reminder.fired"])
        .people(&["userId"])
        .about("event", "/calendar/events")
        .words("An event begins soon", "It begins at {{data.startUtc}}."),
    Topic::new("time-off.requested", Planning, &["coder.resource.time-off.requested"])
        .people(APPROVERS)
        .about("time-off", "/resource/time-off")
        .words("Time off is asked for", "From {{data.startDate}} to {{data.endDate}}."),
    Topic::new(
        "time-off.decided",
        Planning,
        &["coder.resource.time-off.approved", "coder.resource.time-off.rejected"],
    )
    .people(&["userId"])
    .about("time-off", "/resource/time-off")
    .words("Your time off was decided", "From {{data.startDate}} to {{data.endDate}}."),
    Topic::new("member.overallocated", Planning, &["coder.resource.member.overallocated"])
        .low()
        .people(&["leadIds", "leadId"])
        .about("person", "/resource/people")
        .words("Somebody has too much to do", "It is the week {{data.week}}."),
    Topic::new("invitation.received", System, &["coder.users.invitation.sent"])
        .people(&["invitedUserId"])
        .at_home()
        .about("invitation", "/invitations")
        .words("You are invited to an organization", "Answer the invitation while it holds."),
    Topic::new("api-key.expiring", Security, &["coder.auth.api-key.expiring"])
        .high()
        .people(&["userId"])
        .about("api-key", "/settings/api-keys")
        .words("The API key {{data.name}} ends soon", "It ends at {{data.expiresAt}}. Rotate it in time."),
    Topic::new("security.new-device", Security, &["coder.auth.login.succeeded"])
        .when("newDevice", "true")
        .high()
        .locked()
        .people(&["userId"])
        .about("session", "/settings/sessions")
        .words(
            "A sign-in from a new device",
            "Somebody signed in to your account from {{data.ipAddress}}. If it was not you, end the session and \
             change your password.",
        ),
    Topic::new(
        "security.password-changed",
        Security,
        &["coder.auth.password.changed", "coder.auth.password.reset"],
    )
    .high()
    .locked()
    .people(&["userId"])
    .words("Your password was changed", "If it was not you, set a new one at once."),
    Topic::new(
        "security.mfa-changed",
        Security,
        &["coder.auth.mfa.enabled", "coder.auth.mfa.disabled", "coder.auth.mfa.recovery-code-used"],
    )
    .high()
    .locked()
    .people(&["userId"])
    .words("Your second factor has changed", "If it was not you, sign in and look at your security settings."),
    Topic::new("security.session-reuse", Security, &["coder.auth.session.reuse-detected"])
        .critical()
        .locked()
        .people(&["userId"])
        .also(ADMINS)
        .about("session", "/settings/sessions")
        .words(
            "A stolen session was stopped",
            "A sign-in of one person was used in two places, so it was ended.",
        ),
    Topic::new("audit.alert", Security, &["coder.logging.alert.raised"])
        .by_severity()
        .people(&["notify"])
        .otherwise(ADMINS)
        .about("audit-alert", "/logging/alerts")
        .words("Audit alert: {{data.name}}", "{{data.count}} entries match the rule."),
    Topic::new("alert.fired", Incident, &["coder.observability.alert.fired"])
        .by_severity()
        .people(&["notifyUserIds"])
        .otherwise(ADMINS)
        .about("alert", "/observability/alerts")
        .words("Alert: {{data.name}}", "The value is {{data.value}}."),
    Topic::new("incident.declared", Incident, &["coder.observability.incident.declared"])
        .by_severity()
        .people(&["commanderId", "responderIds"])
        .also(ADMINS)
        .about("incident", "/observability/incidents")
        .words("Incident {{data.number}}: {{data.title}}", "The severity is {{data.severity}}."),
    Topic::new("incident.resolved", Incident, &["coder.observability.incident.resolved"])
        .people(&["commanderId", "responderIds"])
        .also(ADMINS)
        .about("incident", "/observability/incidents")
        .words("Incident {{data.number}} is resolved", "{{data.title}}"),
    Topic::new("quota.warned", Billing, &["coder.usage.quota.warned"])
        .also(ADMINS)
        .about("quota", "/usage/quotas")
        .words("A quota is nearly used up", "{{data.used}} of {{data.limit}} are used."),
    Topic::new("quota.exceeded", Billing, &["coder.usage.quota.exceeded"])
        .high()
        .also(ADMINS)
        .about("quota", "/usage/quotas")
        .words("A quota is used up", "{{data.used}} of {{data.limit}} are used."),
    Topic::new("budget.warned", Billing, &["coder.usage.budget.warned"])
        .also(ADMINS)
        .about("budget", "/usage/budgets")
        .words("A budget is at {{data.percent}} %", "{{data.spentMinor}} {{data.currency}} are spent."),
    Topic::new("budget.exceeded", Billing, &["coder.usage.budget.exceeded"])
        .high()
        .also(ADMINS)
        .about("budget", "/usage/budgets")
        .words("A budget is exceeded", "It is at {{data.percent}} %."),
    Topic::new("usage.anomaly", Billing, &["coder.usage.anomaly.detected"])
        .high()
        .also(ADMINS)
        .about("anomaly", "/usage/anomalies")
        .words("Unusual use of {{data.categoryCode}}", "{{data.value}} instead of about {{data.expected}}."),
    Topic::new(
        "approval.requested",
        Execution,
        &["coder.ai.agent-run.approval-requested", "coder.mcp.execution.approval-requested"],
    )
    .high()
    .people(APPROVERS)
    .otherwise(ADMINS)
    .about("approval", "/approvals")
    .words("Your approval is asked for", "The tool is {{data.tool}}."),
    Topic::new("review.requested", Project, &["coder.quality.review.requested"])
        .people(&["reviewers"])
        .about("review", "/quality/reviews")
        .words("A review is asked of you", "Please have a look."),
    Topic::new("review.verdict-given", Project, &["coder.quality.review.verdict-given"])
        .people(AUTHOR)
        .about("review", "/quality/reviews")
        .words("Your change was reviewed", "It is now {{data.state}}."),
    Topic::new("gate.failed", Project, &["coder.quality.gate.failed"])
        .high()
        .people(&["leadIds"])
        .otherwise(LEAD)
        .about("analysis", "/quality/analyses")
        .words("The quality gate failed on {{data.branch}}", "The commit is {{data.commit}}."),
    Topic::new("secret.detected", Project, &["coder.quality.secret.detected"])
        .high()
        .people(&["leadIds"])
        .otherwise(LEAD)
        .about("finding", "/quality/findings")
        .words("A secret was found in the code", "It is in {{data.path}}."),
    Topic::new("check.failed", Project, &["coder.quality.check.failed"])
        .high()
        .people(&["leadIds"])
        .otherwise(LEAD)
        .about("check", "/quality/checks")
        .words("A check of {{data.framework}} failed", "It is now {{data.status}}."),
    Topic::new("article.review-requested", Collaboration, &["coder.knowledge.article.review-requested"])
        .people(&["reviewers"])
        .about("article", "/knowledge/articles")
        .words("An article waits for your review", "{{data.title}}"),
    Topic::new("article.review-due", Collaboration, &["coder.knowledge.article.review-due"])
        .people(&["ownerId"])
        .about("article", "/knowledge/articles")
        .words("An article should be looked through", "It is due at {{data.dueAt}}."),
    Topic::new("enrollment.assigned", Planning, &["coder.learning.enrollment.assigned"])
        .low()
        .people(&["userId"])
        .about("enrollment", "/learning/enrollments")
        .words("A learning path was assigned to you", "It is due at {{data.dueAt}}."),
    Topic::new("enrollment.overdue", Planning, &["coder.learning.enrollment.overdue"])
        .people(&["userId"])
        .about("enrollment", "/learning/enrollments")
        .words("A learning path is overdue", "It was due at {{data.dueAt}}."),
    Topic::new("review.due", Planning, &["coder.learning.review.due"])
        .low()
        .people(&["userId"])
        .about("learning-review", "/learning/reviews")
        .words("{{data.count}} things to repeat", "A few minutes keep them fresh."),
    Topic::new("certificate.issued", Planning, &["coder.learning.certificate.issued"])
        .low()
        .people(&["userId"])
        .about("certificate", "/learning/certificates")
        .words("You have earned a certificate", "Its code is {{data.code}}."),
    Topic::new(
        "session.invited",
        Collaboration,
        &["coder.collaboration.session.scheduled", "coder.collaboration.participant.invited"],
    )
    .people(&["userId", "participants"])
    .about("session", "/collaboration/sessions")
    .words("You are invited to a session", "It begins at {{data.scheduledAt}}."),
    Topic::new("secret.expiry-warned", Security, &["coder.secrets.expiry.warned"])
        .high()
        .people(&["ownerId"])
        .otherwise(ADMINS)
        .about("secret", "/secrets")
        .words(
            "{{#if data.cause}}A secret should be rotated{{else}}A secret ends in {{data.daysLeft}} days{{/if}}",
            "Set a new value in time.",
        ),
    Topic::new("secret.rotation-failed", Security, &["coder.secrets.rotation.failed"])
        .high()
        .people(&["ownerId"])
        .otherwise(ADMINS)
        .about("secret", "/secrets")
        .words("A secret could not be rotated", "Attempt {{data.attempt}} failed: {{data.code}}."),
    Topic::new("prompt-override.submitted", Project, &["coder.prompts.override.submitted"])
        .people(APPROVERS)
        .otherwise(ADMINS)
        .about("prompt-override", "/prompts/overrides")
        .words("A changed prompt waits for approval", "It is {{data.templateName}}."),
    Topic::new(
        "prompt-override.decided",
        Project,
        &["coder.prompts.override.approved", "coder.prompts.override.rejected"],
    )
    .people(AUTHOR)
    .about("prompt-override", "/prompts/overrides")
    .words("Your changed prompt was decided", "It is {{data.templateName}}."),
    Topic::new("webhook.disabled", System, &["coder.notifications.webhook.disabled"])
        .high()
        .people(&["createdBy"])
        .otherwise(ADMINS)
        .about("webhook", "/settings/webhooks")
        .words(
            "The webhook \"{{data.name}}\" was switched off",
            "No more events are sent to it, because {{data.reason}}. Switch it on again once it is mended.",
        ),
];
