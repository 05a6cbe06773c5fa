//! From a message to its deliveries: recipients of this moment, preferences, quiet hours, limits, then for each person
//! one transaction with everything that stays, and the mail after it.
//!
//! A run may end anywhere and be done again: ids follow from message, person and channel, so what is there stays.

use coder_core::text::sha256_hex;
use coder_core::{Failure, OrganizationId, Result, Timestamp, UserId};
use coder_database::{Filter, Partition, Record, Transaction};
use coder_handler::{Invocation, retry_stale, retry_stale_up_to};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::accept::{kept_until, partition, taken_is_stale};
use crate::deliver::{Channel, Delivery, DeliveryPlace, DeliveryStatus, MailRequest, of_tenant};
use crate::directory::Person;
use crate::inbox::OVERFLOW;
use crate::model::item::Item;
use crate::model::message::{Message, MessageStatus};
use crate::model::preference::Preference;
use crate::model::{derived_id, user_bucket};
use crate::plan::{InboxPlan, MailPlan, decide};
use crate::service::Notifications;
use crate::templates::{Texts, texts};
use crate::{deliver, outbox};

/// How often a person's inbox is tried against other writers.
const TRIES: u32 = 50;
/// Characters of a title.
const TITLE: usize = 200;
/// Characters of a text.
const BODY: usize = 10_000;

/// A message on its way.
struct Told<'a> {
    service: &'a Notifications,
    run: &'a Invocation,
    organization_id: Option<OrganizationId>,
    record: &'a Record<Message>,
    message: Message,
    layers: Vec<Preference>,
}

/// Tells a message to its recipients, if its time has come and is not over.
pub async fn process(
    service: &Notifications,
    run: &Invocation,
    organization_id: Option<OrganizationId>,
    id: &str,
) -> Result<()> {
    let home = partition(organization_id, id);
    let Some(record) = service.messages().find(&home, id).await? else { return Ok(()) };
    let now = service.now();
    let due = match record.data.status {
        MessageStatus::Processing => true,
        MessageStatus::Scheduled => record.data.scheduled_for.is_none_or(|due| due <= now),
        MessageStatus::Done | MessageStatus::Cancelled | MessageStatus::Expired => false,
    };
    if !due {
        return Ok(());
    }
    if record.data.expires_at.is_some_and(|end| end <= now) {
        return finish(service, run, &home, id, MessageStatus::Expired).await;
    }
    let message = service.opened(&record)?;
    let layers = service.shared_layers(organization_id, message.team_id, message.project_id).await?;
    let told = Told { service, run, organization_id, record: &record, message, layers };
    told.tell().await?;
    finish(service, run, &home, id, MessageStatus::Done).await
}

/// Ends a message; what it hid is forgotten.
pub(crate) async fn finish(
    service: &Notifications,
    run: &Invocation,
    home: &Partition,
    id: &str,
    status: MessageStatus,
) -> Result<()> {
    retry_stale(|| async {
        let Some(before) = service.messages().find(home, id).await? else { return Ok(()) };
        let mut unit = run.begin(CONTAINER, home.clone()).without_audit();
        unit.replace(&before, Message { status, sealed: None, ..before.data.clone() })?;
        run.commit(unit).await
    })
    .await
}

impl Told<'_> {
    async fn tell(&self) -> Result<()> {
        let (addresses, recipients): (Vec<_>, Vec<_>) =
            self.message.recipients.iter().cloned().partition(|recipient| recipient.starts_with("email:"));
        let directory = &self.service.directory;
        let found = directory.expand(self.organization_id, &recipients, self.message.project_id).await?;
        for person in found.people.iter().filter(|person| !self.is_actor(person.user_id)) {
            self.tell_person(person).await?;
        }
        for address in addresses {
            self.tell_address(address.trim_start_matches("email:")).await?;
        }
        Ok(())
    }

    /// Nobody hears of their own acts, but for those on their own security.
    fn is_actor(&self, user_id: UserId) -> bool {
        let Some(actor) = self.message.actor.as_ref().filter(|_| !self.message.tells_actor) else {
            return false;
        };
        actor.id == user_id.to_string() || actor.on_behalf_of == Some(user_id)
    }

    fn derived(&self, parts: &[&str]) -> String {
        let id = self.record.meta.id.as_str();
        let parts: Vec<&str> = std::iter::once(id).chain(parts.iter().copied()).collect();
        derived_id(self.record.meta.created_at, &parts).to_string()
    }

    fn place(&self, bucket: &str, channel: Channel) -> DeliveryPlace {
        DeliveryPlace {
            organization_id: self.organization_id,
            bucket: bucket.to_owned(),
            delivery_id: self.derived(&[bucket, channel.as_str()]),
        }
    }

    async fn tell_person(&self, person: &Person) -> Result<()> {
        let bucket = user_bucket(person.user_id);
        let (inbox, mail) = (self.place(&bucket, Channel::Inbox), self.place(&bucket, Channel::Email));
        let written = match self.service.deliveries().find(&mail.partition(), &mail.delivery_id).await? {
            Some(found) => found.data,
            None => {
                let own = self.service.own_layer(self.organization_id, person.user_id).await?;
                let layers: Vec<&Preference> =
                    self.layers.iter().chain(own.as_ref().map(|own| &own.data)).collect();
                let plan = decide(self.service, self.organization_id, &self.message, &layers, person).await?;
                let texts = self.texts(person).await?;
                self.write(person, &inbox, &mail, &plan, &texts).await?
            }
        };
        self.service.hub.wake(person.user_id);
        if written.status == DeliveryStatus::Pending {
            let texts = self.texts(person).await?;
            outbox::queue(self.service, self.run, &self.request(person, mail, &texts)).await?;
        }
        Ok(())
    }

    /// Writes item, head and deliveries at once; answers the mail's delivery.
    async fn write(
        &self,
        person: &Person,
        inbox: &DeliveryPlace,
        mail: &DeliveryPlace,
        plan: &(InboxPlan, MailPlan),
        texts: &Texts,
    ) -> Result<Delivery> {
        retry_stale_up_to(TRIES, || self.try_write(person, inbox, mail, plan, texts)).await
    }

    async fn try_write(
        &self,
        person: &Person,
        inbox: &DeliveryPlace,
        mail: &DeliveryPlace,
        (inbox_plan, mail_plan): &(InboxPlan, MailPlan),
        texts: &Texts,
    ) -> Result<Delivery> {
        if let Some(found) = self.service.deliveries().find(&mail.partition(), &mail.delivery_id).await? {
            return Ok(found.data);
        }
        let mut unit = self.run.begin(CONTAINER, mail.partition()).without_audit();
        let (status, reason) = match inbox_plan {
            InboxPlan::Write { silent } => {
                let id = self.derived(&[&mail.bucket, "item"]);
                self.service.add_item(&mut unit, &id, self.item(texts, *silent)).await?;
                (DeliveryStatus::Delivered, None)
            }
            InboxPlan::Fold => {
                self.fold(&mut unit, person.user_id).await?;
                (DeliveryStatus::Digested, Some("rate_limited".to_owned()))
            }
            InboxPlan::Skip(reason) => (DeliveryStatus::Suppressed, Some(reason.clone())),
        };
        self.insert(&mut unit, inbox, self.delivery(Some(person.user_id), Channel::Inbox, status, reason))?;
        let waits = mail_plan.due.is_some();
        let request = || self.request(person, mail.clone(), texts);
        let (status, reason) = (mail_plan.status, mail_plan.reason.clone());
        let delivery = Delivery {
            next_attempt_at: mail_plan.due,
            mail: waits.then(request),
            ..self.delivery(Some(person.user_id), Channel::Email, status, reason)
        };
        self.insert(&mut unit, mail, delivery.clone())?;
        taken_is_stale(self.run.commit(unit).await)?;
        Ok(delivery)
    }

    fn insert(&self, unit: &mut Transaction, place: &DeliveryPlace, delivery: Delivery) -> Result<()> {
        let mut record = unit.record(&place.delivery_id, delivery);
        record.expires_at = Some(kept_until(self.service.now()));
        unit.insert(&record)
    }

    fn delivery(
        &self,
        user_id: Option<UserId>,
        channel: Channel,
        status: DeliveryStatus,
        reason: Option<String>,
    ) -> Delivery {
        Delivery {
            message_id: self.record.meta.id.clone(),
            user_id,
            channel,
            topic: self.message.topic.clone(),
            provider_id: None,
            status,
            reason,
            attempts: 0,
            next_attempt_at: None,
            provider_message_id: None,
            rendered_hash: None,
            mail: None,
        }
    }

    /// One item stands for all that are too many within an hour.
    async fn fold(&self, unit: &mut Transaction, user_id: UserId) -> Result<()> {
        let now = self.service.now().as_second();
        let hour = Timestamp::from_second(now - now.rem_euclid(3600)).map_err(Failure::internal)?;
        let id = derived_id(hour, &[OVERFLOW, &user_id.to_string()]).to_string();
        let title = |count: u64| format!("{count} more notification{}", if count == 1 { "" } else { "s" });
        match self.service.items().find(unit.partition(), &id).await? {
            Some(found) => {
                let more = |item: &Item| {
                    let group_count = item.group_count + 1;
                    Item {
                        group_count,
                        title: title(group_count),
                        read_at: None,
                        seen_at: None,
                        ..item.clone()
                    }
                };
                self.service.change_items(unit, &[found], more).await?;
            }
            None => {
                let item = Item {
                    title: title(1),
                    body: String::new(),
                    topic: OVERFLOW.to_owned(),
                    category: deliver::Category::System,
                    action_url: None,
                    action_label: None,
                    resource: None,
                    project_id: None,
                    group_key: OVERFLOW.to_owned(),
                    silent: true,
                    ..self.item(&Texts { title: String::new(), body: String::new() }, true)
                };
                self.service.add_item(unit, &id, item).await?;
            }
        }
        Ok(())
    }

    fn item(&self, texts: &Texts, silent: bool) -> Item {
        let message = &self.message;
        let resource = message.resource.as_ref().map_or_else(
            || self.record.meta.id.clone(),
            |resource| format!("{}:{}", resource.kind, resource.id),
        );
        Item {
            message_id: self.record.meta.id.clone(),
            title: texts.title.clone(),
            body: texts.body.clone(),
            topic: message.topic.clone(),
            category: message.category,
            criticality: message.criticality,
            action_url: message.action_url.clone(),
            action_label: message.action_label.clone(),
            resource: message.resource.clone(),
            project_id: message.project_id,
            group_key: format!("{}:{resource}", message.topic),
            group_count: 1,
            silent,
            read_at: None,
            seen_at: None,
            archived_at: None,
            acknowledged_at: None,
            snoozed_until: None,
            seq: 0,
            revision: 0,
        }
    }

    async fn texts(&self, person: &Person) -> Result<Texts> {
        let message = &self.message;
        let found = if message.templated {
            let variables = variables(message, Some(person));
            texts(self.service, self.organization_id, &message.topic, &person.locale, &variables).await?
        } else {
            Texts { title: message.title.clone(), body: message.body.clone() }
        };
        Ok(Texts { title: cut(&found.title, TITLE), body: cut(&found.body, BODY) })
    }

    fn request(&self, person: &Person, place: DeliveryPlace, texts: &Texts) -> MailRequest {
        let message = &self.message;
        MailRequest {
            place,
            message_id: self.record.meta.id.clone(),
            user_id: Some(person.user_id),
            to: person.email.clone().unwrap_or_default(),
            locale: person.locale.clone(),
            time_zone: person.time_zone.clone(),
            topic: message.topic.clone(),
            category: message.category,
            criticality: message.criticality,
            title: texts.title.clone(),
            body: texts.body.clone(),
            action_url: message.action_url.clone(),
            action_label: message.action_label.clone(),
            resource: message.resource.clone(),
            variables: variables(message, Some(person)),
            sensitive: message.sensitive,
        }
    }

    /// Tells a bare address: mail and nothing else.
    async fn tell_address(&self, address: &str) -> Result<()> {
        let bucket = format!("address:{}", &sha256_hex(&[address])[..32]);
        let place = self.place(&bucket, Channel::Email);
        let only = |channels: &Vec<Channel>| !channels.contains(&Channel::Email);
        if self.message.channels.as_ref().is_some_and(only) {
            return Ok(());
        }
        let found = self.service.deliveries().find(&place.partition(), &place.delivery_id).await?;
        let status = found.as_ref().map_or(DeliveryStatus::Pending, |found| found.data.status);
        if found.is_none() {
            let mut unit = self.run.begin(CONTAINER, place.partition()).without_audit();
            self.insert(&mut unit, &place, self.delivery(None, Channel::Email, status, None))?;
            taken_is_stale(self.run.commit(unit).await)?;
        }
        if status != DeliveryStatus::Pending {
            return Ok(());
        }
        let message = &self.message;
        let locale = message.data["locale"].as_str().unwrap_or("en");
        let found = if message.templated {
            texts(self.service, self.organization_id, &message.topic, locale, &variables(message, None))
                .await?
        } else {
            Texts { title: message.title.clone(), body: message.body.clone() }
        };
        let nobody = Person {
            user_id: UserId::from(coder_core::id::Uuid::nil()),
            display_name: String::new(),
            email: Some(address.to_owned()),
            locale: locale.to_owned(),
            time_zone: "UTC".to_owned(),
        };
        let variables = variables(message, None);
        let request = MailRequest { user_id: None, variables, ..self.request(&nobody, place, &found) };
        outbox::queue(self.service, self.run, &request).await
    }
}

/// What a template may name.
pub fn variables(message: &Message, person: Option<&Person>) -> Value {
    let user = person.map(|person| {
        json!({"id": person.user_id, "name": person.display_name, "locale": person.locale, "timeZone": person.time_zone})
    });
    json!({
        "topic": message.topic,
        "title": message.title,
        "body": message.body,
        "actionUrl": message.action_url,
        "actionLabel": message.action_label,
        "resource": message.resource,
        "actor": message.actor,
        "user": user,
        "data": message.data,
    })
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// The deliveries of a message, in every bucket of the organization.
pub async fn deliveries_of(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
    message_id: &str,
) -> Result<Vec<Record<Delivery>>> {
    let of_message = Filter::eq("messageId", message_id);
    service.deliveries().all(&of_tenant(organization_id), of_message, usize::MAX).await
}
