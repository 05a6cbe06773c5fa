//! Mail that waited: each goes by itself, or many of one person go as one.

use coder_core::text::sha256_hex;
use coder_core::{Failure, Result, Timestamp};
use coder_database::{Filter, Partition, Query, Record};
use coder_handler::events::JobRun;
use coder_handler::{Invocation, retry_stale};
use coder_jobs::JobFault;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::accept::{kept_until, taken_is_stale};
use crate::deliver::{Category, Delivery, DeliveryPlace, DeliveryStatus, MailRequest, of_tenant};
use crate::outbox;
use crate::service::Notifications;

/// More held mails than this go as one.
const MERGED_OVER: usize = 3;
/// Mails in one; each is one operation of the hundred that a batch can have.
const MOST: u32 = 80;
/// The topic of a mail that stands for many.
pub const DIGEST: &str = "digest";

/// Whose digest is due.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Due {
    organization_id: Option<coder_core::OrganizationId>,
    bucket: String,
    reasons: Vec<String>,
    now: Timestamp,
}

fn waiting(status: DeliveryStatus, now: Timestamp) -> Filter {
    let due = Filter::Le("nextAttemptAt".to_owned(), json!(now));
    Filter::eq("status", status.as_str()).and(due)
}

/// The buckets with deliveries in this state whose time has come.
async fn due_buckets(service: &Notifications, run: &Invocation, filter: Filter) -> Result<Vec<Partition>> {
    let mut query = Query::new(filter).limit(500);
    let mut found: Vec<Partition> = Vec::new();
    loop {
        let (page, next) = service.deliveries().page_across(&run.job, &query).await?;
        for (partition, _) in page {
            if !found.contains(&partition) {
                found.push(partition);
            }
        }
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(found),
        }
    }
}

/// Lets held mail go whose quiet hours are over, and hands over again what did not reach the outbox.
pub async fn release_held(service: &Notifications, run: &Invocation) -> Result<()> {
    let now = service.now();
    for partition in due_buckets(service, run, waiting(DeliveryStatus::Held, now)).await? {
        loop {
            let query = Query::new(waiting(DeliveryStatus::Held, now)).limit(MOST);
            let (held, _) = service.deliveries().page(&partition, &query).await?;
            if held.is_empty() {
                break;
            }
            if held.len() > MERGED_OVER {
                retry_stale(|| merge(service, run, &partition, &held)).await?;
            } else {
                for one in &held {
                    let ready =
                        Delivery { status: DeliveryStatus::Pending, reason: None, ..one.data.clone() };
                    let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
                    unit.replace(one, ready)?;
                    run.commit(unit).await?;
                }
            }
        }
    }
    for partition in due_buckets(service, run, waiting(DeliveryStatus::Pending, now)).await? {
        hand_over(service, run, &partition, now).await?;
    }
    Ok(())
}

/// Hands the mail of ready deliveries to the outbox.
async fn hand_over(
    service: &Notifications,
    run: &Invocation,
    partition: &Partition,
    now: Timestamp,
) -> Result<()> {
    let query = Query::new(waiting(DeliveryStatus::Pending, now)).limit(MOST);
    let (ready, _) = service.deliveries().page(partition, &query).await?;
    for one in ready {
        if let Some(mail) = &one.data.mail {
            outbox::queue(service, run, mail).await?;
        }
        retry_stale(|| async {
            let Some(before) = service.deliveries().find(partition, &one.meta.id).await? else {
                return Ok(());
            };
            let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
            unit.replace(&before, Delivery { next_attempt_at: None, mail: None, ..before.data.clone() })?;
            run.commit(unit).await
        })
        .await?;
    }
    Ok(())
}

/// Starts the digests of these kinds whose time has come, one job for each person.
pub async fn start_digests(service: &Notifications, run: &Invocation, kinds: &[&str]) -> Result<()> {
    let now = service.now();
    let reasons = kinds.iter().map(|kind| json!(kind)).collect();
    let filter = waiting(DeliveryStatus::Digested, now).and(Filter::In("reason".to_owned(), reasons));
    for partition in due_buckets(service, run, filter).await? {
        let due = Due {
            organization_id: partition.organization_id(),
            bucket: partition.bucket_name().unwrap_or_default().to_owned(),
            reasons: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            now,
        };
        let mut unit = run.begin(CONTAINER, partition).without_audit();
        coder_jobs::enqueue(&mut unit, DIGEST, json!(due), None)?;
        run.commit(unit).await?;
    }
    Ok(())
}

/// Sends one person's digest.
pub async fn send_digest(service: Notifications, run: JobRun, input: Value) -> Result<Value, JobFault> {
    let due = Due::deserialize(&input).map_err(|error| JobFault::Fail(error.to_string()))?;
    let partition = of_tenant(due.organization_id).bucket(&due.bucket);
    let reasons = due.reasons.iter().map(|kind| json!(kind)).collect();
    let filter = waiting(DeliveryStatus::Digested, due.now).and(Filter::In("reason".to_owned(), reasons));
    let mut sent = 0;
    loop {
        let query = Query::new(filter.clone()).limit(MOST);
        let (gathered, _) = service.deliveries().page(&partition, &query).await?;
        if gathered.is_empty() {
            break;
        }
        sent += gathered.len();
        retry_stale(|| merge(&service, &run.invocation, &partition, &gathered)).await?;
        run.progress(50, "gathered").await?;
    }
    hand_over(&service, &run.invocation, &partition, service.now()).await?;
    Ok(json!({"gathered": sent}))
}

/// Puts waiting mails into one: a delivery of its own that carries them all, ready to be handed over.
async fn merge(
    service: &Notifications,
    run: &Invocation,
    partition: &Partition,
    gathered: &[Record<Delivery>],
) -> Result<()> {
    let mails: Vec<&MailRequest> = gathered.iter().filter_map(|one| one.data.mail.as_ref()).collect();
    let ids: Vec<&str> = gathered.iter().map(|one| one.meta.id.as_str()).collect();
    let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
    let Some(first) = mails.first() else { return Err(Failure::internal("waiting mail without its text")) };
    let carrier_id = format!("digest-{}", &sha256_hex(&ids)[..32]);
    let carrier = Delivery {
        topic: DIGEST.to_owned(),
        status: DeliveryStatus::Pending,
        reason: None,
        next_attempt_at: Some(service.now()),
        mail: Some(digest(first, &mails, &carrier_id)),
        ..gathered[0].data.clone()
    };
    let mut record = unit.record(&carrier_id, carrier);
    record.expires_at = Some(kept_until(service.now()));
    unit.insert(&record)?;
    for one in gathered {
        let reason = Some(format!("in:{carrier_id}"));
        let status = DeliveryStatus::Digested;
        let data = Delivery { status, reason, next_attempt_at: None, mail: None, ..one.data.clone() };
        unit.replace(one, data)?;
    }
    match taken_is_stale(run.commit(unit).await) {
        // Another run was faster: the next look finds nothing more to gather.
        Err(Failure::Stale) => Ok(()),
        outcome => outcome,
    }
}

fn digest(first: &MailRequest, mails: &[&MailRequest], carrier_id: &str) -> MailRequest {
    let items: Vec<Value> = mails
        .iter()
        .map(|mail| json!({"title": mail.title, "body": mail.body, "actionUrl": mail.action_url, "topic": mail.topic}))
        .collect();
    let lines: Vec<String> = mails.iter().map(|mail| format!("- {}", mail.title)).collect();
    let title = format!("{} notifications", mails.len());
    let (user, body) = (first.variables["user"].clone(), lines.join("\n"));
    MailRequest {
        place: DeliveryPlace { delivery_id: carrier_id.to_owned(), ..first.place.clone() },
        topic: DIGEST.to_owned(),
        category: Category::System,
        criticality: mails.iter().map(|mail| mail.criticality).max().unwrap_or_default(),
        variables: json!({"title": title, "body": body, "user": user, "items": items, "topic": DIGEST}),
        title,
        body,
        action_url: Some("/inbox".to_owned()),
        action_label: Some("Open the inbox".to_owned()),
        resource: None,
        ..first.clone()
    }
}
