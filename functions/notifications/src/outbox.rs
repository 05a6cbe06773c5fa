//! Mail that waits, was sent, or is kept.

pub(crate) mod compose;
pub(crate) mod send;

use coder_core::{Failure, Result};
use coder_database::{Record, Repository, Transaction};
use coder_handler::Invocation;
use coder_middleware::Runtime;
use coder_vault::Sealer;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::CONTAINER;
use crate::deliver::{DeliveryStatus, MailRequest, Outcome, is_taken, settle};
use crate::model::mail::{MAIL_SECONDS, MailState, OutboxMail, SENSITIVE_SECONDS};
use crate::model::message::HIDDEN;
use crate::service::Notifications;

/// The job that sends a mail, and erases what must not be kept.
pub const DELIVER: &str = "deliver";

/// What the job is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliverInput {
    /// Whose outbox; `None` is the platform's.
    pub(crate) organization_id: Option<coder_core::OrganizationId>,
    /// The mail.
    pub(crate) mail_id: String,
    /// Whether to erase the body instead of sending it.
    #[serde(default)]
    pub(crate) erase: bool,
}

/// What a mail says: its line and its two bodies.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MailBody {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: Option<String>,
}

/// Renders the mail and writes it with the job that sends it, in one transaction of the bucket `outbox`. A repeat
/// with the same delivery changes nothing.
pub async fn queue(service: &Notifications, run: &Invocation, request: &MailRequest) -> Result<()> {
    let partition = OutboxMail::partition(request.place.organization_id);
    let id = &request.place.delivery_id;
    let mails = repository(service);
    if let Some(found) = mails.find(&partition, id).await? {
        return settle_kept(service, run, &found.data).await;
    }
    if let Some(reason) = send::suppressed(service, request.place.organization_id, &request.to).await? {
        let reason = format!("the address bounced before: {reason}");
        return settle(service, run, &request.place, &outcome(DeliveryStatus::Suppressed, Some(reason), 0))
            .await;
    }
    let carried = !crate::providers::carriers(service, request.place.organization_id).await?.is_empty();
    let composed = compose::compose(service, request).await?;
    let mut mail = mail(request, composed, if carried { MailState::Queued } else { MailState::Kept });
    if request.sensitive {
        seal(&service.runtime, id, &mut mail)?;
    }
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    let input =
        DeliverInput { organization_id: request.place.organization_id, mail_id: id.clone(), erase: false };
    if carried {
        mail.job_id = Some(coder_jobs::enqueue(&mut unit, DELIVER, json!(input), None)?.meta.id);
    }
    if request.sensitive {
        let due = service.runtime.ambient.after(SENSITIVE_SECONDS);
        coder_jobs::enqueue(&mut unit, DELIVER, json!(DeliverInput { erase: true, ..input }), Some(due))?;
    }
    let record = record(service, &unit, id, mail);
    unit.insert(&record)?;
    match run.commit(unit).await {
        Err(failure) if is_taken(&failure) => {}
        other => {
            other?;
            show_kept(service, &record).await;
        }
    }
    settle_kept(service, run, &record.data).await
}

fn record(service: &Notifications, unit: &Transaction, id: &str, mail: OutboxMail) -> Record<OutboxMail> {
    let mut record = unit.record(id, mail);
    record.expires_at = Some(service.runtime.ambient.after(MAIL_SECONDS));
    record
}

fn mail(request: &MailRequest, composed: compose::Composed, state: MailState) -> OutboxMail {
    OutboxMail {
        to: request.to.clone(),
        from: None,
        subject: composed.subject,
        text: Some(composed.text),
        html: Some(composed.html),
        sealed: None,
        headers: composed.headers,
        message_id: composed.message_id,
        sensitive: request.sensitive,
        state,
        attempts: 0,
        last_error: None,
        next_attempt_at: None,
        job_id: None,
        provider_id: None,
        topic: request.topic.clone(),
        criticality: request.criticality,
        user_id: request.user_id,
        place: request.place.clone(),
    }
}

/// Without a carrier the inbox is the delivery: the mail is left out, and an admin can read it.
async fn settle_kept(service: &Notifications, run: &Invocation, mail: &OutboxMail) -> Result<()> {
    if mail.state != MailState::Kept {
        return Ok(());
    }
    let reason = "no mail server is configured; the mail is kept in the outbox".to_owned();
    settle(service, run, &mail.place, &outcome(DeliveryStatus::Suppressed, Some(reason), 0)).await
}

/// Without a carrier, whoever develops follows the links of sensitive mail in a file of the data directory: most of
/// it goes to people before they have an organization whose outbox could be read. The outbox has it all the same, so
/// a failure is only noted.
async fn show_kept(service: &Notifications, record: &Record<OutboxMail>) {
    let runtime = &service.runtime;
    if record.data.state != MailState::Kept || !record.data.sensitive || runtime.settings.is_production() {
        return;
    }
    let file = coder_mail::OutboxFile::new(&runtime.settings.data_dir);
    let shown = async {
        match letter(runtime, record)? {
            Some(letter) => file.keep(&letter, &record.data.topic).await.map_err(Failure::internal),
            None => Ok(()),
        }
    };
    if let Err(failure) = shown.await {
        tracing::warn!(cause = %failure, "a kept mail is not in the file {}", file.path().display());
    }
}

pub(crate) fn outcome(status: DeliveryStatus, reason: Option<String>, attempts: u32) -> Outcome {
    let (provider_id, provider_message_id, rendered_hash) = (None, None, None);
    Outcome { status, reason, provider_id, provider_message_id, rendered_hash, attempts }
}

pub(crate) fn repository(service: &Notifications) -> Repository<OutboxMail> {
    Repository::new(service.runtime.store.clone(), CONTAINER)
}

fn sealer(runtime: &Runtime) -> Sealer {
    runtime.master.sealer("notifications/mail", runtime.ambient.clone())
}

fn place_of(id: &str) -> String {
    format!("mail/{id}")
}

fn seal(runtime: &Runtime, id: &str, mail: &mut OutboxMail) -> Result<()> {
    let subject = std::mem::replace(&mut mail.subject, HIDDEN.to_owned());
    let body = MailBody { subject, text: mail.text.take().unwrap_or_default(), html: mail.html.take() };
    let plain = serde_json::to_vec(&body).map_err(Failure::internal)?;
    mail.sealed = Some(sealer(runtime).seal(&plain, &place_of(id)));
    Ok(())
}

/// What a mail says; nothing if that was erased.
pub(crate) fn body(runtime: &Runtime, id: &str, mail: &OutboxMail) -> Result<Option<MailBody>> {
    if let Some(sealed) = &mail.sealed {
        let plain = sealer(runtime).open(sealed, &place_of(id))?;
        return serde_json::from_slice(&plain).map(Some).map_err(Failure::internal);
    }
    let (subject, html) = (mail.subject.clone(), mail.html.clone());
    Ok(mail.text.clone().map(|text| MailBody { subject, text, html }))
}

/// The mail as it is handed over.
pub(crate) fn letter(runtime: &Runtime, mail: &Record<OutboxMail>) -> Result<Option<coder_mail::Letter>> {
    let Some(MailBody { subject, text, html }) = body(runtime, &mail.meta.id, &mail.data)? else {
        return Ok(None);
    };
    let headers = mail.data.headers.iter().map(|one| (one.name.clone(), one.value.clone())).collect();
    Ok(Some(coder_mail::Letter {
        from: None,
        to: mail.data.to.clone(),
        subject,
        text: text.into(),
        html: html.map(SecretString::from),
        message_id: mail.data.message_id.clone(),
        date: mail.meta.created_at,
        headers,
    }))
}
