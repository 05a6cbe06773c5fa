//! A change and all that goes with it, in one batch of one partition: documents, claims, outbox events, the
//! audit entry, the idempotency record. Nothing is written before [`Transaction::commit`]; then all is, or none.

use std::sync::Arc;

use coder_core::{Actor, Ambient, Code, Failure, Problem, Timestamp};
use serde_json::{Value, json};

use crate::audit::{self, AuditEntry, Change};
use crate::claim::{Claim, claim_id};
use crate::entity::{Entity, Meta, Record};
use crate::outbox::{Destination, ID_PREFIX, OutboxRecord, fitting};
use crate::repository::Partition;
use crate::store::{DocumentStore, Operation, StoreError};

/// What must be known of the act that opens a transaction.
#[derive(Debug, Clone)]
pub struct Act {
    /// Who acts.
    pub actor: Actor,
    /// The operation id, consumer or job.
    pub action: String,
    /// The request or invocation.
    pub request_id: String,
    /// The publishing group, for the events' `source`.
    pub group: &'static str,
    /// W3C trace context, if any.
    pub traceparent: Option<String>,
}

/// What a conflict of an operation means to the caller.
#[derive(Debug)]
enum OnConflict {
    Stale,
    Problem(Problem),
}

/// An open transaction.
#[derive(Debug)]
pub struct Transaction {
    store: Arc<dyn DocumentStore>,
    ambient: Ambient,
    container: &'static str,
    partition: Partition,
    act: Act,
    follows_from: Option<String>,
    operations: Vec<(Operation, OnConflict)>,
    messages: Vec<OutboxRecord>,
    targets: Vec<String>,
    changes: Vec<Change>,
    silent: bool,
}

/// A committed transaction: the events that now wait in the outbox.
#[derive(Debug, Default)]
#[must_use]
pub struct Committed {
    /// Where the outbox records are.
    pub outbox: Vec<OutboxEntry>,
}

/// An outbox record that was just committed.
#[derive(Debug, Clone)]
pub struct OutboxEntry {
    /// Its container.
    pub container: &'static str,
    /// Its partition.
    pub partition: Partition,
    /// Its document id.
    pub id: String,
    /// The type of its event.
    pub event_type: String,
}

impl Transaction {
    /// Opens a transaction on a partition.
    pub fn new(
        store: Arc<dyn DocumentStore>,
        ambient: Ambient,
        container: &'static str,
        partition: Partition,
        act: Act,
    ) -> Self {
        Self {
            store,
            ambient,
            container,
            partition,
            act,
            follows_from: None,
            operations: Vec::new(),
            messages: Vec::new(),
            targets: Vec::new(),
            changes: Vec::new(),
            silent: false,
        }
    }

    /// Names who acts, where only the store told: a person who is signing in.
    pub fn act_as(&mut self, actor: Actor) {
        self.act.actor = actor;
    }

    /// Names the request from which all this follows, where it is not the act's own; its events carry it on.
    pub fn follow_from(&mut self, request_id: &str) {
        self.follows_from = Some(request_id.to_owned());
    }

    /// The partition that is written.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    /// A new id (UUID version 7).
    pub fn new_id(&self) -> String {
        self.ambient.new_uuid().to_string()
    }

    /// The group that writes.
    pub fn group(&self) -> &'static str {
        self.act.group
    }

    /// The container that is written.
    pub fn container(&self) -> &'static str {
        self.container
    }

    /// Leaves out the audit entry: for bookkeeping that is nobody's act, such as a time of last use.
    pub fn without_audit(mut self) -> Self {
        self.silent = true;
        self
    }

    /// A new record, not yet written.
    pub fn record<T: Entity>(&self, id: impl ToString, data: T) -> Record<T> {
        let now = self.ambient.now();
        let meta = Meta {
            id: id.to_string(),
            organization_id: self.partition.organization_id(),
            kind: T::TYPE.to_owned(),
            created_at: now,
            created_by: self.act.actor.id.clone(),
            updated_at: now,
            updated_by: self.act.actor.id.clone(),
            etag: self.ambient.new_etag(),
        };
        Record { meta, data, expires_at: None, store_etag: None }
    }

    /// Creates a document; an id that is taken is `409 already_exists`.
    pub fn create<T: Entity>(&mut self, id: impl ToString, data: T) -> Result<Record<T>, Failure> {
        let record = self.record(id, data);
        self.insert(&record)?;
        Ok(record)
    }

    /// Creates the document of a prepared record (for one with an end).
    pub fn insert<T: Entity>(&mut self, record: &Record<T>) -> Result<(), Failure> {
        let body = record.to_body(&self.partition.fields())?;
        self.note::<T>(&record.meta.id, &Value::Null, &body);
        let taken = Problem::new(Code::AlreadyExists, format!("There is such a {} already.", T::TYPE));
        let operation = Operation::Create { id: record.meta.id.clone(), body, expires_at: record.expires_at };
        self.operations.push((operation, OnConflict::Problem(taken)));
        Ok(())
    }

    /// Replaces a document that was read before; a change in between makes the request run again.
    /// Answers the record as it will be, and what changed.
    pub fn replace<T: Entity>(
        &mut self,
        before: &Record<T>,
        data: T,
    ) -> Result<(Record<T>, Vec<Change>), Failure> {
        let mut record = before.clone();
        record.data = data;
        self.update(before, record)
    }

    /// Replaces a document, its end included.
    pub fn update<T: Entity>(
        &mut self,
        before: &Record<T>,
        mut record: Record<T>,
    ) -> Result<(Record<T>, Vec<Change>), Failure> {
        record.meta.updated_at = self.ambient.now();
        record.meta.updated_by.clone_from(&self.act.actor.id);
        record.meta.etag = self.ambient.new_etag();
        let old = before.to_body(&self.partition.fields())?;
        let body = record.to_body(&self.partition.fields())?;
        let changes = self.note::<T>(&record.meta.id, &old, &body);
        let operation = Operation::Replace {
            id: record.meta.id.clone(),
            body,
            expires_at: record.expires_at,
            if_match: before.store_etag.clone(),
        };
        self.operations.push((operation, OnConflict::Stale));
        Ok((record, changes))
    }

    /// Deletes a document that was read before.
    pub fn delete<T: Entity>(&mut self, before: &Record<T>) -> Result<(), Failure> {
        let old = before.to_body(&self.partition.fields())?;
        self.note::<T>(&before.meta.id, &old, &Value::Null);
        let operation = Operation::Delete { id: before.meta.id.clone(), if_match: before.store_etag.clone() };
        self.operations.push((operation, OnConflict::Stale));
        Ok(())
    }

    /// Writes a document whatever was there: for mirrors that others are the truth of. No change is noted.
    pub fn mirror<T: Entity>(&mut self, id: impl ToString, data: T) -> Result<Record<T>, Failure> {
        let record = self.record(id, data);
        self.upsert(&record)?;
        Ok(record)
    }

    /// Writes a prepared record, its end included, whatever was there. No change is noted.
    pub fn upsert<T: Entity>(&mut self, record: &Record<T>) -> Result<(), Failure> {
        let body = record.to_body(&self.partition.fields())?;
        let (id, expires_at) = (record.meta.id.clone(), record.expires_at);
        self.operations.push((Operation::Upsert { id, body, expires_at }, OnConflict::Stale));
        Ok(())
    }

    /// Claims a value that must be unique in the partition; a taken one is the given problem.
    pub fn claim(
        &mut self,
        kind: &str,
        value: &[&str],
        owner_id: &str,
        taken: Problem,
    ) -> Result<(), Failure> {
        let claim = Claim { kind: kind.to_owned(), owner_id: owner_id.to_owned() };
        let record = self.record(claim_id(kind, value), claim);
        let body = record.to_body(&self.partition.fields())?;
        let operation = Operation::Create { id: record.meta.id, body, expires_at: None };
        self.operations.push((operation, OnConflict::Problem(taken)));
        Ok(())
    }

    /// Gives a claimed value back.
    pub fn release(&mut self, kind: &str, value: &[&str]) {
        let operation = Operation::Delete { id: claim_id(kind, value), if_match: None };
        self.operations.push((operation, OnConflict::Stale));
    }

    /// Adds an operation that the typed methods do not cover; a conflict makes the request run again.
    pub fn push(&mut self, operation: Operation) {
        self.operations.push((operation, OnConflict::Stale));
    }

    /// Records an event `coder.<group>.<name>` about `subject`. `data` is an object; the actor is added.
    pub fn emit(&mut self, name: &str, subject: &str, mut data: Value) {
        data["actor"] = json!(self.act.actor);
        let event = self.message(name, subject, data);
        self.messages.push(OutboxRecord::new(event));
    }

    /// Records a message that starts the one-time job `job`, whose record has the id `subject`, at `due`.
    pub fn start_job(&mut self, job: &str, subject: &str, data: Value, due: Option<Timestamp>) {
        let event = self.message(&format!("job.{job}"), subject, data);
        let record = OutboxRecord::new(event);
        self.messages.push(OutboxRecord { destination: Destination::Jobs, due, ..record });
    }

    /// Records a message that was recorded before, as it is. One with a target is a new message of its event.
    pub fn send_again(&mut self, message: OutboxRecord) {
        self.messages.push(message);
    }

    fn message(&self, name: &str, subject: &str, data: Value) -> Value {
        let id = self.ambient.new_uuid().to_string();
        let organization =
            self.partition.organization_id().map_or_else(|| "platform".into(), |id| id.to_string());
        let mut event = json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("/functions/{}", self.act.group),
            "type": format!("coder.{}.{name}", self.act.group),
            "subject": subject,
            "time": self.ambient.now(),
            "datacontenttype": "application/json",
            "organizationid": organization,
            "data": data,
        });
        let cause = self.follows_from.as_ref().unwrap_or(&self.act.request_id);
        if !cause.is_empty() {
            event["correlationid"] = json!(cause);
        }
        if let Some(traceparent) = &self.act.traceparent {
            event["traceparent"] = json!(traceparent);
        }
        event
    }

    /// Records an event for another organization than the partition's.
    pub fn emit_for(
        &mut self,
        organization_id: coder_core::OrganizationId,
        name: &str,
        subject: &str,
        data: Value,
    ) {
        self.emit(name, subject, data);
        if let Some(OutboxRecord { event, .. }) = self.messages.last_mut() {
            event["organizationid"] = json!(organization_id);
        }
    }

    /// Records an update event with its changes, unless nothing changed. Long values are cut where the event would
    /// not fit into a message.
    pub fn emit_changes(&mut self, name: &str, subject: &str, mut data: Value, changes: &[Change]) {
        if !changes.is_empty() {
            data["changes"] = fitting(changes);
            self.emit(name, subject, data);
        }
    }

    /// Whether anything is to be written.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.messages.is_empty()
    }

    /// Writes everything, or nothing.
    pub async fn commit(self) -> Result<Committed, Failure> {
        self.commit_with(None).await
    }

    /// Writes everything and an idempotency record, or nothing; a record that is there already makes the
    /// request run again (and find it).
    pub async fn commit_with(mut self, record: Option<IdempotencyWrite>) -> Result<Committed, Failure> {
        if self.is_empty() && record.is_none() {
            return Ok(Committed::default());
        }
        let mut committed = Committed::default();
        for outbox in std::mem::take(&mut self.messages) {
            let document_id = match &outbox.target {
                None => format!("{ID_PREFIX}{}", outbox.event["id"].as_str().unwrap_or_default()),
                // An old event for one group is a new message: with the event's id it would pass for a repeat.
                Some(_) => format!("{ID_PREFIX}{}", self.new_id()),
            };
            let event_type = outbox.event["type"].as_str().unwrap_or_default().to_owned();
            self.bookkeep(&document_id, outbox, None)?;
            let (container, partition) = (self.container, self.partition.clone());
            committed.outbox.push(OutboxEntry { container, partition, id: document_id, event_type });
        }
        if !self.silent {
            let entry = AuditEntry {
                actor: self.act.actor.clone(),
                action: self.act.action.clone(),
                targets: std::mem::take(&mut self.targets),
                changes: std::mem::take(&mut self.changes),
                request_id: self.act.request_id.clone(),
            };
            let id = format!("audit:{}", self.ambient.new_uuid());
            self.bookkeep(&id, entry, Some(audit::RETENTION_SECONDS))?;
        }
        if let Some(IdempotencyWrite { id, record }) = record {
            self.bookkeep(&id, record, Some(crate::idempotency::WINDOW_SECONDS))?;
            // First in the batch: of two requests with one key at once, the second finds the first's answer,
            // not the conflict that the first caused.
            self.operations.rotate_right(1);
        }
        let (operations, mut outcomes): (Vec<_>, Vec<_>) = self.operations.into_iter().unzip();
        match self.store.write(self.container, &self.partition.key(), operations).await {
            Ok(_) => Ok(committed),
            Err(StoreError::Conflict { operation } | StoreError::NotFound { operation })
                if operation < outcomes.len() =>
            {
                match outcomes.swap_remove(operation) {
                    OnConflict::Stale => Err(Failure::Stale),
                    OnConflict::Problem(problem) => Err(problem.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn bookkeep<T: Entity>(&mut self, id: &str, data: T, ttl_seconds: Option<i64>) -> Result<(), Failure> {
        let mut record = self.record(id, data);
        record.expires_at = ttl_seconds.map(|seconds| self.ambient.after(seconds));
        let body = record.to_body(&self.partition.fields())?;
        let operation = Operation::Create { id: record.meta.id, body, expires_at: record.expires_at };
        self.operations.push((operation, OnConflict::Stale));
        Ok(())
    }

    fn note<T: Entity>(&mut self, id: &str, before: &Value, after: &Value) -> Vec<Change> {
        let changes = audit::changes(before, after, T::SECRET);
        self.targets.push(format!("{}/{id}", T::TYPE));
        let room = audit::MAX_CHANGES.saturating_sub(self.changes.len());
        self.changes.extend(changes.iter().take(room).cloned());
        changes
    }
}

/// An idempotency record to be written with the transaction.
#[derive(Debug)]
pub struct IdempotencyWrite {
    /// Its document id.
    pub id: String,
    /// The record.
    pub record: crate::idempotency::IdempotencyRecord,
}
