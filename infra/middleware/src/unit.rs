//! The unit of work of a request: a transaction that also keeps the answer, so that a repeated request with the
//! same idempotency key gets the first answer and changes nothing.

use std::ops::{Deref, DerefMut};

use coder_core::{Actor, ActorKind, Code, Failure, StoredAnswer};
use coder_database::idempotency::{self, IdempotencyRecord};
use coder_database::transaction::{Act, IdempotencyWrite};
use coder_database::{Partition, Repository, Transaction};

use crate::answer::Answer;
use crate::chain::Authentication;
use crate::request::RequestContext;

/// The longest idempotency key, in bytes.
pub const KEY_BYTES: usize = 128;

/// An open unit of work.
#[derive(Debug)]
#[must_use = "nothing is written before `commit`"]
pub struct Unit {
    transaction: Transaction,
    context: RequestContext,
    key: Option<Key>,
}

#[derive(Debug)]
struct Key {
    record_id: String,
    request_mac: String,
}

impl Deref for Unit {
    type Target = Transaction;
    fn deref(&self) -> &Transaction {
        &self.transaction
    }
}

impl DerefMut for Unit {
    fn deref_mut(&mut self) -> &mut Transaction {
        &mut self.transaction
    }
}

/// Who acts in a request, as events and audit entries name it.
pub fn actor(context: &RequestContext) -> Actor {
    let mut actor = match context.authentication() {
        Authentication::Verified(caller) => caller.actor(),
        _ => Actor::new(ActorKind::Service, "anonymous"),
    };
    let identity = context.identity();
    actor.ip_address = identity.client_address.map(|address| address.to_string());
    actor.user_agent.clone_from(&identity.user_agent);
    actor
}

/// The act that a request is.
pub fn act(context: &RequestContext) -> Act {
    Act {
        actor: actor(context),
        action: context.operation_id().to_owned(),
        request_id: context.identity().request_id.clone(),
        group: context.runtime().group,
        traceparent: Some(context.identity().traceparent.clone()).filter(|text| !text.is_empty()),
    }
}

impl Unit {
    pub(crate) async fn begin(
        context: &RequestContext,
        container: &'static str,
        partition: Partition,
    ) -> Result<Self, Failure> {
        let runtime = context.runtime();
        let key = key(context)?;
        if let Some(key) = &key {
            let records = Repository::<IdempotencyRecord>::new(runtime.store.clone(), container);
            if let Some(record) = records.find(&partition, &key.record_id).await? {
                return Err(replay(context, key, &record.data));
            }
        }
        let transaction = Transaction::new(
            runtime.store.clone(),
            runtime.ambient.clone(),
            container,
            partition,
            act(context),
        );
        Ok(Self { transaction, context: context.clone(), key })
    }

    /// For a write that belongs to another's act and answers nobody: no idempotency key is looked at.
    pub fn aside(context: &RequestContext, container: &'static str, partition: Partition) -> Self {
        let runtime = context.runtime();
        let transaction = Transaction::new(
            runtime.store.clone(),
            runtime.ambient.clone(),
            container,
            partition,
            act(context),
        );
        Self { transaction, context: context.clone(), key: None }
    }

    /// Leaves out the audit entry: for bookkeeping that is nobody's act.
    pub fn without_audit(mut self) -> Self {
        self.transaction = self.transaction.without_audit();
        self
    }

    /// Writes everything, the answer's record included, and gives the answer back.
    pub async fn commit<A: Answer>(self, answer: A) -> Result<A, Failure> {
        let runtime = self.context.runtime().clone();
        let record = match self.key {
            Some(Key { record_id, request_mac }) => {
                let rendered = serde_json::to_string(&answer.render()?).map_err(Failure::internal)?;
                let sealed_answer = runtime.sealer.seal(rendered.as_bytes(), &record_id);
                let record = IdempotencyRecord { request_mac, sealed_answer };
                Some(IdempotencyWrite { id: record_id, record })
            }
            None => None,
        };
        let committed = self.transaction.commit_with(record).await?;
        if !committed.outbox.is_empty() {
            runtime.outbox.committed(committed.outbox);
        }
        Ok(answer)
    }
}

/// The idempotency key that the request carries, if its operation takes one; a key that cannot be one is refused.
pub fn sent_key(context: &RequestContext) -> Result<Option<&str>, Failure> {
    let operation = context.operation();
    if operation.method != http::Method::POST || operation.never_kept {
        return Ok(None);
    }
    let Some(key) = context.headers().get("idempotency-key") else { return Ok(None) };
    let text = key
        .to_str()
        .ok()
        .filter(|text| (1..=KEY_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()));
    text.map(Some).ok_or_else(|| {
        let detail = format!("`Idempotency-Key` is 1 to {KEY_BYTES} visible ASCII characters.");
        Failure::problem(Code::InvalidHeader, detail)
    })
}

fn key(context: &RequestContext) -> Result<Option<Key>, Failure> {
    let Some(text) = sent_key(context)? else { return Ok(None) };
    let caller = match context.authentication() {
        Authentication::Verified(caller) => caller.key(),
        _ => "anonymous".to_owned(),
    };
    let scope = format!("{caller} {}", context.operation().id);
    Ok(Some(Key { record_id: idempotency::record_id(&scope, text), request_mac: request_mac(context) }))
}

/// HMAC over everything that makes the request what it is.
fn request_mac(context: &RequestContext) -> String {
    coder_core::text::hmac_sha256_hex(
        &context.runtime().request_mac_key,
        &[
            context.operation().method.as_str().as_bytes(),
            context.path().as_bytes(),
            context.query_string().unwrap_or_default().as_bytes(),
            context.body(),
        ],
    )
}

fn replay(context: &RequestContext, key: &Key, record: &IdempotencyRecord) -> Failure {
    if record.request_mac != key.request_mac {
        let detail = "Use a new `Idempotency-Key` for a new request.";
        return Failure::problem(Code::IdempotencyConflict, detail);
    }
    let runtime = context.runtime();
    let opened = match runtime.sealer.open(&record.sealed_answer, &key.record_id) {
        Ok(opened) => opened,
        Err(error) => return Failure::internal(error),
    };
    match serde_json::from_slice::<StoredAnswer>(&opened) {
        Ok(answer) => {
            runtime.metrics.idempotent_replay(runtime.group);
            Failure::Replay(Box::new(answer))
        }
        Err(error) => Failure::internal(error),
    }
}
