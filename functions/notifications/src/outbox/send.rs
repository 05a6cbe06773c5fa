//! The job that sends a mail: one attempt a run, the next one scheduled by the mail's criticality.

use coder_core::text::sha256_hex;
use coder_core::{Ambient, Failure, OrganizationId, Result, Timestamp};
use coder_database::{Filter, Partition, Query, Record, Repository};
use coder_handler::events::JobRun;
use coder_handler::{ConsumerFault, Event, Invocation, retry_stale};
use coder_jobs::JobFault;
use coder_mail::Letter;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DELIVER, DeliverInput, outcome, repository};
use crate::CONTAINER;
use crate::deliver::{Criticality, DeliveryStatus, Outcome, is_taken, of_tenant, settle};
use crate::model::CONFIG;
use crate::model::mail::{MailState, OutboxMail, Suppression};
use crate::providers::{self, CarryFault};
use crate::service::Notifications;

/// Seconds to wait where nothing was tried: every carrier rests, or its password cannot be had.
const WAIT_SECONDS: i64 = 60;

/// Seconds after which a mail that nobody could be asked to carry is given up.
const WAIT_AT_MOST_SECONDS: i64 = 3 * 86_400;

/// What came of an attempt.
enum Verdict {
    Sent {
        provider_id: String,
    },
    Bounced {
        provider_id: String,
        reason: String,
    },
    Failed {
        provider_id: String,
        reason: String,
    },
    /// Again later; `counted` if somebody was really asked.
    Later {
        provider_id: Option<String>,
        reason: String,
        counted: bool,
        seconds: Option<i64>,
    },
    /// Nobody carries mail any more.
    Kept,
}

/// Sends a mail, or erases its body.
pub(crate) async fn deliver(service: Notifications, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let input =
        DeliverInput::deserialize(input).map_err(|error| JobFault::Fail(format!("the input: {error}")))?;
    if input.erase {
        erase(&service, &run.invocation, &input).await?;
        return Ok(json!({}));
    }
    let partition = OutboxMail::partition(input.organization_id);
    let mails = repository(&service);
    let Some(before) = mails.find(&partition, &input.mail_id).await? else { return Ok(json!({})) };
    if before.data.job_id.as_deref() != Some(run.id.as_str()) {
        return Ok(json!({"skipped": true}));
    }
    let after = if before.data.state == MailState::Queued {
        let verdict = attempt(&service, &run.invocation, &before).await?;
        conclude(&service, &run.invocation, &before, verdict).await?
    } else {
        // An earlier run of this job was cut off before it told.
        before.data.clone()
    };
    tell(&service, &run.invocation, &after).await?;
    Ok(json!({"state": after.state, "attempts": after.attempts}))
}

/// Tries the carriers in order, until one takes the mail or says that a later try may help.
async fn attempt(service: &Notifications, run: &Invocation, mail: &Record<OutboxMail>) -> Result<Verdict> {
    let organization_id = mail.data.place.organization_id;
    let Some(letter) = super::letter(&service.runtime, mail)? else {
        let reason = "the body was erased before it could be sent".to_owned();
        return Ok(Verdict::Failed { provider_id: String::new(), reason });
    };
    let carriers = providers::carriers(service, organization_id).await?;
    if carriers.is_empty() {
        return Ok(Verdict::Kept);
    }
    let (mut last, mut wait) = (None, None::<i64>);
    for carrier in carriers {
        if let Some(seconds) = carrier.rests(service.now()) {
            wait = Some(wait.map_or(seconds, |wait| wait.min(seconds)));
            continue;
        }
        let provider_id = carrier.id.clone();
        let result = carrier.carry(service, &letter).await;
        if let Err(failure) = carrier.note(service, run, &result).await {
            // A mail that was taken must not go again because of this.
            tracing::warn!(provider_id, cause = %failure, "how a provider did could not be noted");
        }
        match result {
            Ok(()) => return Ok(Verdict::Sent { provider_id }),
            Err(CarryFault::Address(reason)) => return Ok(Verdict::Bounced { provider_id, reason }),
            Err(CarryFault::Refused(reason)) => last = Some(Verdict::Failed { provider_id, reason }),
            Err(CarryFault::Later(reason)) => {
                let provider_id = Some(provider_id);
                return Ok(Verdict::Later { provider_id, reason, counted: true, seconds: None });
            }
            Err(CarryFault::Waits(reason)) => {
                tracing::warn!(provider_id, reason, "a mail provider cannot be used");
                wait = Some(wait.map_or(WAIT_SECONDS, |wait| wait.min(WAIT_SECONDS)));
            }
        }
    }
    let reason = "no mail server can be used at the moment".to_owned();
    Ok(match (last, wait) {
        // Another carrier may yet take what one has refused.
        (_, Some(seconds)) => {
            Verdict::Later { provider_id: None, reason, counted: false, seconds: Some(seconds) }
        }
        (Some(verdict), None) => verdict,
        (None, None) => Verdict::Kept,
    })
}

/// Writes what came of an attempt, with the next one if there is to be one.
async fn conclude(
    service: &Notifications,
    run: &Invocation,
    before: &Record<OutboxMail>,
    verdict: Verdict,
) -> Result<OutboxMail> {
    let ambient = &service.runtime.ambient;
    let mut mail = before.data.clone();
    let (most, cap) = policy(mail.criticality);
    let mut next = None;
    mail.next_attempt_at = None;
    match verdict {
        Verdict::Sent { provider_id } => {
            (mail.state, mail.provider_id, mail.last_error) = (MailState::Sent, Some(provider_id), None);
            mail.attempts += 1;
        }
        Verdict::Bounced { provider_id, reason } => {
            suppress(run, &mail, &reason).await?;
            (mail.provider_id, mail.last_error) = (Some(provider_id), Some(format!("{BOUNCED}{reason}")));
            mail.state = MailState::Undeliverable;
            mail.attempts += 1;
        }
        Verdict::Failed { provider_id, reason } => {
            (mail.provider_id, mail.last_error) = (Some(provider_id), Some(reason));
            mail.state = MailState::Undeliverable;
            mail.attempts += 1;
        }
        Verdict::Later { provider_id, reason, counted, seconds } => {
            mail.provider_id = provider_id.or(mail.provider_id);
            mail.last_error = Some(reason);
            mail.attempts += u32::from(counted);
            let age = service.now().duration_since(before.meta.created_at).as_secs();
            if mail.attempts >= most || age > WAIT_AT_MOST_SECONDS {
                mail.state = MailState::Undeliverable;
            } else {
                let wait = seconds.unwrap_or_else(|| jittered(ambient, mail.attempts, cap));
                next = Some(ambient.after(wait));
            }
        }
        Verdict::Kept => mail.state = MailState::Kept,
    }
    if mail.sensitive && mail.state == MailState::Sent {
        mail.erase();
    }
    let partition = OutboxMail::partition(mail.place.organization_id);
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    if let Some(due) = next {
        let input = DeliverInput {
            organization_id: mail.place.organization_id,
            mail_id: before.meta.id.clone(),
            erase: false,
        };
        mail.next_attempt_at = Some(due);
        mail.job_id = Some(coder_jobs::enqueue(&mut unit, DELIVER, json!(input), Some(due))?.meta.id);
    }
    let (record, _) = unit.replace(before, mail)?;
    run.commit(unit).await?;
    Ok(record.data)
}

/// Stands before the reason of a mail whose address is dead.
const BOUNCED: &str = "bounced: ";

/// Tells the delivery what became of its mail.
async fn tell(service: &Notifications, run: &Invocation, mail: &OutboxMail) -> Result<()> {
    let reason = mail.last_error.clone();
    let bounced = reason.as_ref().is_some_and(|reason| reason.starts_with(BOUNCED));
    let status = match mail.state {
        MailState::Queued => DeliveryStatus::Sending,
        MailState::Sent => DeliveryStatus::Sent,
        MailState::Undeliverable if bounced => DeliveryStatus::Bounced,
        MailState::Undeliverable => DeliveryStatus::Failed,
        MailState::Kept => DeliveryStatus::Suppressed,
    };
    let hash = sha256_hex(&[&mail.subject, mail.text.as_ref().unwrap_or(&mail.message_id)]);
    let told = Outcome {
        provider_id: mail.provider_id.clone(),
        provider_message_id: Some(mail.message_id.clone()),
        rendered_hash: Some(hash),
        ..outcome(status, reason, mail.attempts)
    };
    settle(service, run, &mail.place, &told).await
}

/// Attempts, and the longest pause between two in seconds.
fn policy(criticality: Criticality) -> (u32, i64) {
    match criticality {
        Criticality::Low => (2, 24 * 3600),
        Criticality::Medium => (3, 3600),
        Criticality::High => (5, 30 * 60),
        Criticality::Critical => (10, 5 * 60),
    }
}

/// A pause of any length up to one that doubles with each attempt (full jitter), in whole seconds, at least one.
fn jittered(ambient: &Ambient, attempts: u32, cap: i64) -> i64 {
    let most = cap.min(1_i64 << attempts.min(30)).max(1);
    1 + i64::try_from(u64::from_be_bytes(ambient.random()) % most.unsigned_abs()).unwrap_or(0)
}

/// Forgets the body of a sensitive mail; one that still waits is given up.
async fn erase(service: &Notifications, run: &Invocation, input: &DeliverInput) -> Result<()> {
    let partition = OutboxMail::partition(input.organization_id);
    let mails = repository(service);
    let erased = retry_stale(|| async {
        let found = mails.find(&partition, &input.mail_id).await?;
        let Some(before) = found.filter(|mail| mail.data.has_body()) else { return Ok(None) };
        let mut mail = before.data.clone();
        mail.erase();
        if mail.state == MailState::Queued {
            mail.state = MailState::Undeliverable;
            mail.last_error = Some("the body was erased after 24 hours".to_owned());
        }
        let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
        let (record, _) = unit.replace(&before, mail)?;
        run.commit(unit).await?;
        Ok(Some(record.data))
    })
    .await?;
    match erased {
        Some(mail) if mail.state == MailState::Undeliverable => tell(service, run, &mail).await,
        _ => Ok(()),
    }
}

fn suppressions(service: &Notifications) -> Repository<Suppression> {
    Repository::new(service.runtime.store.clone(), CONTAINER)
}

fn suppression_place(organization_id: Option<OrganizationId>) -> Partition {
    of_tenant(organization_id).bucket(CONFIG)
}

/// Why no mail goes to an address, if so. It holds for one organization, since that of another could lie.
pub(crate) async fn suppressed(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
    address: &str,
) -> Result<Option<String>> {
    let place = suppression_place(organization_id);
    let found = suppressions(service).find(&place, &Suppression::id(address)).await?;
    Ok(found.map(|found| found.data.reason))
}

async fn suppress(run: &Invocation, mail: &OutboxMail, reason: &str) -> Result<()> {
    let note = Suppression {
        address_hash: Suppression::hash(&mail.to),
        user_id: mail.user_id,
        reason: reason.chars().take(300).collect(),
    };
    let mut unit = run.begin(CONTAINER, suppression_place(mail.place.organization_id)).without_audit();
    unit.create(Suppression::id(&mail.to), note)?;
    match run.commit(unit).await {
        Err(failure) if !is_taken(&failure) => Err(failure),
        _ => Ok(()),
    }
}

/// Lets mail go to a person again: their address has changed, or was confirmed anew.
pub(crate) async fn lift_suppressions(
    service: Notifications,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Changed {
        user_id: String,
    }
    let Changed { user_id } = event.payload()?;
    let mut query = Query::new(Filter::eq("userId", user_id)).limit(100);
    loop {
        let (found, next) = suppressions(&service).page_across(&run.job, &query).await?;
        for (partition, record) in found {
            let mut unit = run.begin(CONTAINER, partition).without_audit();
            unit.delete(&record)?;
            match run.commit(unit).await {
                // Gone already, by a repeat of the event.
                Err(Failure::Stale) | Ok(()) => {}
                Err(other) => return Err(other.into()),
            }
        }
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(()),
        }
    }
}

/// The letter of a test to somebody's own address.
pub(crate) fn test_letter(to: &str, id: &str, host: &str, now: Timestamp) -> Letter {
    Letter {
        from: None,
        to: to.to_owned(),
        subject: "A test of your mail server".to_owned(),
        text: "This mail was sent to test a mail provider. It works.\n".to_owned().into(),
        html: None,
        message_id: format!("<{id}@{host}>"),
        date: now,
        headers: vec![("Auto-Submitted".to_owned(), "auto-generated".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::{jittered, policy};
    use crate::deliver::Criticality;
    use coder_core::Ambient;

    #[test]
    fn pauses_grow_up_to_the_cap() {
        let ambient = Ambient::system();
        for (criticality, attempts) in [
            (Criticality::Low, 2),
            (Criticality::Medium, 3),
            (Criticality::High, 5),
            (Criticality::Critical, 10),
        ] {
            let (most, cap) = policy(criticality);
            assert_eq!(most, attempts);
            for attempt in 0..40 {
                let pause = jittered(&ambient, attempt, cap);
                assert!((1..=cap.min(1 << attempt.min(30))).contains(&pause), "{attempt}: {pause}");
            }
        }
    }
}
