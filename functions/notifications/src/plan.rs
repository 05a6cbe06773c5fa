//! What is to be done on each channel for one person: preferences, absence, quiet hours, digests and limits.

use coder_core::{OrganizationId, Result, Timestamp};

use crate::deliver::{Channel, Criticality, DeliveryStatus};
use crate::directory::Person;
use crate::limits;
use crate::model::message::Message;
use crate::model::preference::{Digest, Preference};
use crate::quiet;
use crate::resolve::{Decision, Question, Resolved, resolve};
use crate::service::Notifications;

/// What becomes of the inbox item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxPlan {
    /// It is written; `silent` in quiet hours.
    Write {
        /// No sound should be made.
        silent: bool,
    },
    /// It is folded into one that stands for many.
    Fold,
    /// It is left out, for this reason.
    Skip(String),
}

/// What becomes of the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailPlan {
    /// `pending`, `held`, `digested` or `suppressed`.
    pub status: DeliveryStatus,
    /// Why.
    pub reason: Option<String>,
    /// When a held or digested one leaves.
    pub due: Option<Timestamp>,
}

/// When nothing disturbs the person, until when; `None` if something may.
pub fn quiet_end(resolved: &Resolved, criticality: Criticality, now: Timestamp) -> Option<Timestamp> {
    let critical = criticality == Criticality::Critical;
    let hours = resolved.quiet_hours.as_ref().filter(|hours| !(critical && hours.allow_critical));
    let quiet = hours.and_then(|hours| quiet::quiet_until(hours, now));
    let muted = resolved.dnd_until.filter(|until| *until > now && !critical);
    quiet.max(muted)
}

/// What becomes of a mail but for limits: the same for what would happen and for what does.
pub fn plan_mail(
    email: &Decision,
    resolved: &Resolved,
    criticality: Criticality,
    at_once: bool,
    zone: &str,
    now: Timestamp,
) -> MailPlan {
    let plan =
        |status, reason: Option<&str>, due| MailPlan { status, reason: reason.map(str::to_owned), due };
    if !email.enabled {
        return plan(DeliveryStatus::Suppressed, Some(email.rule.setting), None);
    }
    if at_once {
        return plan(DeliveryStatus::Pending, None, None);
    }
    if let Some(end) = quiet_end(resolved, criticality, now) {
        return plan(DeliveryStatus::Held, Some("quiet_hours"), Some(end));
    }
    let passes = criticality == Criticality::Critical || email.rule.setting == "locked";
    let digest = if passes { Digest::None } else { email.digest };
    let due = quiet::next_digest(digest, &resolved.digest_at, resolved.digest_day, zone, now);
    match (digest, due) {
        (Digest::Hourly, Some(_)) => plan(DeliveryStatus::Digested, Some("hourly"), due),
        (Digest::Daily, Some(_)) => plan(DeliveryStatus::Digested, Some("daily"), due),
        (Digest::Weekly, Some(_)) => plan(DeliveryStatus::Digested, Some("weekly"), due),
        _ => plan(DeliveryStatus::Pending, None, None),
    }
}

/// Decides for one person. It takes from the person's limits, so it is done once for each delivery.
pub async fn decide(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
    message: &Message,
    layers: &[&Preference],
    person: &Person,
) -> Result<(InboxPlan, MailPlan)> {
    let now = service.now();
    let criticality = message.criticality;
    let channels = message.channels.as_deref();
    let resolved = resolve(Question { topic: &message.topic, criticality, channels }, layers);
    let critical = criticality == Criticality::Critical;
    let limiter = service.runtime.limiter.as_ref();
    let admits = |channel| limits::admits(limiter, organization_id, person.user_id, channel);

    let inbox = match resolved.of(Channel::Inbox) {
        _ if message.sensitive => InboxPlan::Skip("sensitive".to_owned()),
        Some(inbox) if inbox.enabled && (critical || admits(Channel::Inbox).await) => {
            InboxPlan::Write { silent: quiet_end(&resolved, criticality, now).is_some() }
        }
        Some(inbox) if inbox.enabled => InboxPlan::Fold,
        Some(inbox) => InboxPlan::Skip(inbox.rule.setting.to_owned()),
        None => InboxPlan::Skip("channel".to_owned()),
    };

    let suppressed = |reason: &str| MailPlan {
        status: DeliveryStatus::Suppressed,
        reason: Some(reason.to_owned()),
        due: None,
    };
    let Some(email) = resolved.of(Channel::Email) else { return Ok((inbox, suppressed("channel"))) };
    if email.enabled && person.email.is_none() {
        return Ok((inbox, suppressed("no_address")));
    }
    if email.enabled && email.only_when_away && !service.is_away(organization_id, person.user_id).await? {
        return Ok((inbox, suppressed("present")));
    }
    let mut mail = plan_mail(email, &resolved, criticality, message.sensitive, &person.time_zone, now);
    let countable = mail.status == DeliveryStatus::Pending && !message.sensitive && !critical;
    if countable && !admits(Channel::Email).await {
        let due = quiet::next_digest(
            Digest::Hourly,
            &resolved.digest_at,
            resolved.digest_day,
            &person.time_zone,
            now,
        );
        // A digest of its own kind, since the person asked for none.
        mail = MailPlan { status: DeliveryStatus::Digested, reason: Some("hourly".to_owned()), due };
    }
    Ok((inbox, mail))
}
