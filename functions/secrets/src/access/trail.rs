//! The record of every use, written in the transaction of the use.

use coder_core::{Actor, Result, UserId};
use coder_database::{Record, Transaction};
use coder_middleware::Access as _;
use coder_middleware::unit::actor;

use super::{Action, Asker};
use crate::model::access::RETENTION_SECONDS;
use crate::model::{AccessRecord, Outcome, Secret};

/// Who uses secrets.
#[derive(Debug, Clone)]
pub struct Trail {
    actor: Actor,
    user_id: Option<UserId>,
    consumer: Option<String>,
    request_id: String,
}

/// What is to be recorded.
#[derive(Debug, Clone)]
pub struct Note {
    /// What was done.
    pub action: Action,
    /// With which version.
    pub version: Option<u32>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, as the caller said.
    pub reason: Option<String>,
}

impl Note {
    /// It was done.
    pub fn of(action: Action) -> Self {
        Self { action, version: None, outcome: Outcome::Allowed, reason: None }
    }

    /// It was done with this version.
    pub fn version(self, version: u32) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The caller gave this reason.
    pub fn reason(self, reason: Option<String>) -> Self {
        Self { reason, ..self }
    }

    /// It was not done.
    pub fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

impl Trail {
    /// The trail of a request.
    pub fn of(asker: &Asker) -> Self {
        let (context, consumer) = (asker.context(), asker.group.clone());
        let request_id = context.identity().request_id.clone();
        Self { actor: actor(context), user_id: asker.user_id, consumer, request_id }
    }

    /// The trail of a job.
    pub fn of_job(run: &coder_handler::Invocation) -> Self {
        let id = format!("{}.{}", run.runtime.group, run.name);
        let actor = Actor::new(coder_core::ActorKind::Job, id);
        Self { actor, user_id: None, consumer: None, request_id: run.id.clone() }
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The group that asked.
    pub fn consumer(&self) -> Option<&str> {
        self.consumer.as_deref()
    }

    /// Records a use in its transaction.
    pub fn note(&self, unit: &mut Transaction, secret: &Record<Secret>, note: Note) -> Result<()> {
        let access = AccessRecord {
            secret_id: secret.id()?,
            secret_name: secret.data.name.clone(),
            scope: secret.data.scope,
            owner_id: secret.data.owner(),
            action: note.action,
            version: note.version,
            actor: self.actor.id.clone(),
            actor_kind: self.actor.kind,
            user_id: self.user_id,
            consumer: self.consumer.clone(),
            outcome: note.outcome,
            reason: note.reason,
            ip: self.actor.ip_address.clone(),
            request_id: self.request_id.clone(),
            at: unit.now(),
        };
        let mut record = unit.record(unit.new_id(), access);
        let kept = jiff::SignedDuration::from_secs(RETENTION_SECONDS);
        record.expires_at = unit.now().saturating_add(kept).ok();
        match note.action {
            // Nothing else is written when a value leaves: the record is what the audit entry names.
            Action::Reveal | Action::Resolve => unit.insert(&record),
            _ => unit.upsert(&record),
        }
    }
}
