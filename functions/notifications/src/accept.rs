//! Accepting messages: what makes two the same, and writing one with the note that finds its repeats.

use coder_core::id::Uuid;
use coder_core::text::hmac_sha256_hex;
use coder_core::{Failure, OrganizationId, Result, Timestamp};
use coder_database::{Operation, Partition, Patch, Record, Repository, StoreError, Transaction};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::deliver::{Delivery, is_taken, of_tenant};
use crate::model::KEPT_SECONDS;
use crate::model::message::{DedupNote, Message, MessageStatus, bucket_of, month};
use crate::service::Notifications;

/// Seconds in which a repeat is dropped.
pub const DEDUP_SECONDS: i64 = 3600;

/// What makes two messages the same: the sender's own key, else topic, resource, actor and canonical data. It is keyed,
/// since a hash of a short secret could be guessed back.
fn fingerprint(key: &[u8; 32], message: &Message) -> Result<String> {
    let hash =
        |parts: &[&str]| hmac_sha256_hex(key, &parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
    let actor = message.actor.as_ref().map(|actor| actor.id.as_str()).unwrap_or_default();
    if let Some(key) = &message.dedup_key {
        return Ok(hash(&["key", actor, key]));
    }
    let canonical = |value: &Value| serde_json_canonicalizer::to_string(value).map_err(Failure::internal);
    let resource = canonical(&json!(message.resource))?;
    // What people write is theirs, not data of an event: other words are another message.
    let words = if message.templated { "" } else { &format!("{}\n{}", message.title, message.body) };
    let to = if message.templated { String::new() } else { message.recipients.join(" ") };
    Ok(hash(&["data", &message.topic, &resource, actor, &canonical(&message.data)?, words, &to]))
}

/// Where a message lives, by its id.
pub fn partition(organization_id: Option<OrganizationId>, id: &str) -> Partition {
    of_tenant(organization_id).bucket(bucket_of(id).unwrap_or_default())
}

fn note_id(fingerprint: &str) -> String {
    format!("message-dedup:{fingerprint}")
}

impl Notifications {
    /// The messages.
    pub fn messages(&self) -> Repository<Message> {
        Repository::new(self.runtime.store.clone(), CONTAINER)
    }

    /// The deliveries.
    pub fn deliveries(&self) -> Repository<Delivery> {
        Repository::new(self.runtime.store.clone(), CONTAINER)
    }

    /// What makes two messages the same.
    pub fn fingerprint(&self, message: &Message) -> Result<String> {
        fingerprint(&self.runtime.master.derive("notifications.fingerprint"), message)
    }

    /// The first message with this fingerprint within the hour, if there was one.
    pub async fn repeated(
        &self,
        organization_id: Option<OrganizationId>,
        fingerprint: &str,
    ) -> Result<Option<String>> {
        let notes = Repository::<DedupNote>::new(self.runtime.store.clone(), CONTAINER);
        let now = self.now();
        let since = now.saturating_sub(jiff::SignedDuration::from_secs(DEDUP_SECONDS)).unwrap_or(now);
        let mut months = vec![month(now), month(since)];
        months.dedup();
        for month in months {
            let partition = of_tenant(organization_id).bucket(month);
            if let Some(note) = notes.find(&partition, &note_id(fingerprint)).await? {
                return Ok(Some(note.data.message_id));
            }
        }
        Ok(None)
    }

    /// Counts a dropped repeat on the first message.
    pub async fn count_repeat(&self, organization_id: Option<OrganizationId>, id: &str) -> Result<()> {
        let patches = vec![Patch::Increment { field: "repeats".to_owned(), by: 1 }];
        let patch = Operation::Patch { id: id.to_owned(), patches, if_match: None };
        let key = partition(organization_id, id).key();
        match self.runtime.store.write(CONTAINER, &key, vec![patch]).await {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a message to a transaction on its own partition, with the note that finds repeats.
    pub fn stage(
        &self,
        unit: &mut Transaction,
        id: Uuid,
        fingerprint: &str,
        mut message: Message,
    ) -> Result<Record<Message>> {
        let id = id.to_string();
        if message.sensitive {
            self.hide(unit, &id, &mut message)?;
        }
        let due = message.scheduled_for.filter(|due| *due > self.now());
        message.status = if due.is_some() { MessageStatus::Scheduled } else { MessageStatus::Processing };
        let count = message.recipients.len();
        let mut record = unit.record(&id, message);
        record.expires_at = Some(kept_until(due.unwrap_or_else(|| self.now())));
        unit.insert(&record)?;
        let mut note = unit.record(note_id(fingerprint), DedupNote { message_id: id.clone() });
        note.expires_at = Some(self.runtime.ambient.after(DEDUP_SECONDS));
        unit.insert(&note)?;
        let data = json!({"messageId": id, "topic": record.data.topic, "recipientCount": count});
        unit.emit("message.accepted", &id, data);
        Ok(record)
    }
}

/// Whoever came second runs again and finds the first.
pub(crate) fn taken_is_stale<T>(outcome: Result<T>) -> Result<T> {
    match outcome {
        Err(failure) if is_taken(&failure) => Err(Failure::Stale),
        outcome => outcome,
    }
}

/// When what is made at this time goes by itself.
pub(crate) fn kept_until(time: Timestamp) -> Timestamp {
    time.saturating_add(jiff::SignedDuration::from_secs(KEPT_SECONDS)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::message::tests::message;
    use coder_core::{Actor, ActorKind};

    #[test]
    fn the_fingerprint_sees_what_makes_a_message_the_same() {
        let first = Message { templated: true, data: json!({"a": 1, "b": [2.0, "x"]}), ..message() };
        let of = |message: &Message| fingerprint(&[7; 32], message).unwrap();
        let reordered = Message { data: json!({"b": [2, "x"], "a": 1}), ..first.clone() };
        assert_eq!(of(&first), of(&reordered));
        assert_eq!(
            of(&first),
            of(&Message { title: "other words of the template".to_owned(), ..first.clone() })
        );
        let other_actor = Some(Actor::new(ActorKind::User, "somebody"));
        for other in [
            Message { topic: "task.overdue".to_owned(), ..first.clone() },
            Message { data: json!({"a": 2}), ..first.clone() },
            Message { actor: other_actor.clone(), ..first.clone() },
            Message { resource: None, ..first.clone() },
            Message { templated: false, ..first.clone() },
        ] {
            assert_ne!(of(&first), of(&other));
        }
        let keyed = Message { dedup_key: Some("k".to_owned()), ..first.clone() };
        assert_eq!(of(&keyed), of(&Message { data: json!({}), topic: "x".to_owned(), ..keyed.clone() }));
        assert_ne!(of(&keyed), of(&Message { actor: other_actor, ..keyed.clone() }));
        let typed = Message { templated: false, ..first };
        assert_ne!(of(&typed), of(&Message { body: "another".to_owned(), ..typed.clone() }));
    }
}
