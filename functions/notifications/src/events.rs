//! What events do here: most become messages, some erase.

use std::collections::BTreeMap;

use coder_core::{Failure, OrganizationId, Result, UserId};
use coder_database::{Filter, Partition, Query, StoreError};
use coder_handler::{ConsumerFault, Event, Invocation, retry_stale};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::CONTAINER;
use crate::accept::{partition, taken_is_stale};
use crate::deliver::{Channel, Delivery, DeliveryStatus};
use crate::model::content::Content;
use crate::model::message::{Message, MessageStatus};
use crate::model::preference::{Preference, PreferenceScope};
use crate::model::{CONFIG, derived_id, of_user, user_bucket};
use crate::service::Notifications;
use crate::templates::texts;
use crate::topics::{self, Topic};
use crate::{deliver, pipeline};

/// Documents that one batch takes away.
const BATCH: u32 = 90;

/// Turns an event into the messages of its topics, and hints of it to open streams.
pub async fn notify(service: Notifications, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    for topic in topics::of_event(&event) {
        retry_stale(|| accept(&service, &run, topic, &event)).await?;
    }
    service.hub.hint(&event);
    Ok(())
}

/// Accepts the message of one topic; delivered again, it finds that it is there.
async fn accept(service: &Notifications, run: &Invocation, topic: &Topic, event: &Event) -> Result<()> {
    let recipients = topic.recipients(event);
    if !recipients.is_empty() {
        let organization_id = home(service, topic, event, &recipients).await?;
        return accept_at(service, run, topic, event, organization_id, recipients).await;
    }
    // What is above organizations has no admins but the platform's operators. They are told where they are at home,
    // and no more than a line, since the admins there see what their people are sent.
    if event.organization_id.is_none() && !topic.otherwise.is_empty() {
        let event = Event { data: outline(&event.data), ..event.clone() };
        let mut homes: BTreeMap<Option<OrganizationId>, Vec<String>> = BTreeMap::new();
        for operator in &service.runtime.settings.operators {
            let told = homes.entry(service.directory.home(*operator).await?).or_default();
            told.push(format!("user:{operator}"));
        }
        for (organization_id, operators) in homes {
            accept_at(service, run, topic, &event, organization_id, operators).await?;
        }
    }
    Ok(())
}

/// What a line is made of.
fn outline(data: &Value) -> Value {
    let kept = ["name", "count", "severity", "value", "reason"];
    kept.into_iter()
        .filter_map(|field| Some((field.to_owned(), data.get(field)?.clone())))
        .collect::<Map<_, _>>()
        .into()
}

/// Accepts the message of a topic at an organization, or at the platform, for these recipients.
async fn accept_at(
    service: &Notifications,
    run: &Invocation,
    topic: &Topic,
    event: &Event,
    organization_id: Option<OrganizationId>,
    mut recipients: Vec<String>,
) -> Result<()> {
    let substitutes = topic.substitutes(event);
    if !substitutes.is_empty() {
        let found = service.directory.expand(organization_id, &recipients, None).await?;
        if found.people.is_empty() {
            recipients = substitutes;
        }
    }
    let id = derived_id(event.time, &[&event.id, topic.name]);
    let partition = partition(organization_id, &id.to_string());
    if service.messages().find(&partition, &id.to_string()).await?.is_some() {
        return Ok(());
    }
    let mut message = message(topic, event, recipients);
    let variables = pipeline::variables(&message, None);
    let english = texts(service, organization_id, topic.name, "en", &variables).await?;
    (message.title, message.body) = (english.title, english.body);
    let fingerprint = service.fingerprint(&message)?;
    if let Some(first) = service.repeated(organization_id, &fingerprint).await? {
        return service.count_repeat(organization_id, &first).await;
    }
    let mut unit = run.begin(CONTAINER, partition).without_audit();
    service.stage(&mut unit, id, &fingerprint, message)?;
    taken_is_stale(run.commit(unit).await)
}

/// Where the message is told: in the event's organization, else in the one where the person is at home.
async fn home(
    service: &Notifications,
    topic: &Topic,
    event: &Event,
    recipients: &[String],
) -> Result<Option<OrganizationId>> {
    let named = recipients.iter().find_map(|to| to.strip_prefix("user:")?.parse::<UserId>().ok());
    match (event.organization_id.filter(|_| !topic.at_home), named) {
        (Some(organization_id), _) => Ok(Some(organization_id)),
        (None, Some(user_id)) => service.directory.home(user_id).await,
        (None, None) => Ok(None),
    }
}

fn message(topic: &Topic, event: &Event, recipients: Vec<String>) -> Message {
    let content = Content {
        data: event.data.clone(),
        action_url: topic.action_url(event),
        resource: topic.resource(event),
        project_id: topics::project_id(&event.data),
        team_id: topics::team_id(&event.data),
        channels: topic.at_home.then(|| vec![Channel::Inbox]),
        // Of what touches somebody's security, a second time is never a repeat of the first.
        dedup_key: topic.locked.then(|| event.id.clone()),
        ..Content::default()
    };
    Message {
        category: topic.category,
        criticality: topic.criticality(&event.data),
        templated: true,
        actor: topics::actor(&event.data),
        tells_actor: topic.locked,
        recipients,
        ..Message::new(topic.name.to_owned(), content)
    }
}

/// Tells an accepted message to its recipients.
pub async fn tell(service: Notifications, run: Invocation, event: Event) -> Result<(), ConsumerFault> {
    pipeline::process(&service, &run, event.organization_id, &event.subject).await?;
    Ok(())
}

/// Whom an event is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfPerson {
    user_id: UserId,
}

fn tenant(event: &Event) -> Result<OrganizationId, ConsumerFault> {
    event.organization_id.ok_or_else(|| ConsumerFault::Reject("the event names no organization".to_owned()))
}

/// Cancels what is still to be delivered to somebody who left.
pub async fn cancel_pending(
    service: Notifications,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    let partition = of_user(Some(tenant(&event)?), user_id);
    let of = |status: DeliveryStatus| Filter::eq("status", status.as_str());
    // What went into a digest has no time of its own any more.
    let gathered =
        of(DeliveryStatus::Digested).and(Filter::Not(Box::new(Filter::IsNull("nextAttemptAt".to_owned()))));
    let waiting = Filter::Or(vec![of(DeliveryStatus::Pending), of(DeliveryStatus::Held), gathered]);
    retry_stale(|| async {
        loop {
            let query = Query::new(waiting.clone()).limit(BATCH);
            let (page, _) = service.deliveries().page(&partition, &query).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
            for one in &page {
                let (status, reason) = (DeliveryStatus::Suppressed, Some("left".to_owned()));
                let data = Delivery { status, reason, next_attempt_at: None, mail: None, ..one.data.clone() };
                unit.replace(one, data)?;
            }
            run.commit(unit).await?;
        }
    })
    .await?;
    Ok(())
}

/// Takes away the defaults of a project that is gone, and what was to be told of it.
pub async fn clear_project(
    service: Notifications,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    let tenant = deliver::of_tenant(Some(tenant(&event)?));
    let id = Preference::document_id(PreferenceScope::Project, &event.subject);
    erase(&service, &run, &tenant.clone().bucket(CONFIG), Some(Filter::eq("id", id))).await?;
    let scheduled = Filter::eq("projectId", event.subject.as_str())
        .and(Filter::eq("status", json!(MessageStatus::Scheduled)));
    erase(&service, &run, &tenant, Some(scheduled)).await?;
    Ok(())
}

/// Erases an organization.
pub async fn purge_organization(
    service: Notifications,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    erase(&service, &run, &Partition::organization(tenant(&event)?), None).await?;
    Ok(())
}

/// Erases a person: their buckets everywhere, and their mail in every outbox.
pub async fn purge_person(
    service: Notifications,
    run: Invocation,
    event: Event,
) -> Result<(), ConsumerFault> {
    let OfPerson { user_id } = event.payload()?;
    let bucket = Filter::eq("bucket", user_bucket(user_id));
    let mail = Filter::eq("bucket", "outbox").and(Filter::eq("userId", user_id.to_string()));
    for filter in [bucket, mail] {
        loop {
            let query = Query::new(filter.clone()).limit(BATCH);
            let page = service.runtime.store.query_across(CONTAINER, &query).await.map_err(Failure::from)?;
            if page.items.is_empty() {
                break;
            }
            delete(&service, &run, page.items).await?;
        }
    }
    Ok(())
}

/// Erases the documents of a partition, buckets included. Events that still wait to be published stay.
async fn erase(
    service: &Notifications,
    run: &Invocation,
    partition: &Partition,
    filter: Option<Filter>,
) -> Result<()> {
    let keeps = Filter::Not(Box::new(Filter::of_type("outbox")));
    let filter = filter.into_iter().fold(keeps, Filter::and);
    loop {
        let query = Query::new(filter.clone()).limit(BATCH);
        let page = service.runtime.store.query(CONTAINER, &partition.key(), &query).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        delete(service, run, page.items).await?;
    }
}

async fn delete(
    service: &Notifications,
    run: &Invocation,
    documents: Vec<coder_database::Document>,
) -> Result<()> {
    for document in documents {
        let Some(place) = Partition::of_document(&run.job, &document.body) else { continue };
        let delete = coder_database::Operation::Delete { id: document.id, if_match: None };
        match service.runtime.store.write(CONTAINER, &place.key(), vec![delete]).await {
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
