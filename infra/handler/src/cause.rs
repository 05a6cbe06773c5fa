//! What a write comes from, for services that requests need as much as jobs and consumers do.

use coder_core::Failure;
use coder_database::{Partition, Transaction};
use coder_middleware::RequestContext;
use coder_middleware::unit::act;

use crate::events::Invocation;

/// A caller's request, or a run of a job or consumer.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// A caller's request.
    Request(&'a RequestContext),
    /// A job or a consumer.
    Job(&'a Invocation),
}

impl Cause<'_> {
    /// Opens a transaction that answers nobody; for the steps that go before or after the answer's own.
    pub fn begin(self, container: &'static str, partition: Partition) -> Transaction {
        match self {
            Self::Request(context) => {
                let runtime = context.runtime();
                let (store, ambient) = (runtime.store.clone(), runtime.ambient.clone());
                Transaction::new(store, ambient, container, partition, act(context))
            }
            Self::Job(invocation) => invocation.begin(container, partition),
        }
    }

    /// Commits, and has the events published.
    pub async fn commit(self, transaction: Transaction) -> Result<(), Failure> {
        match self {
            Self::Request(context) => {
                let committed = transaction.commit().await?;
                if !committed.outbox.is_empty() {
                    context.runtime().outbox.committed(committed.outbox);
                }
                Ok(())
            }
            Self::Job(invocation) => invocation.commit(transaction).await,
        }
    }
}
