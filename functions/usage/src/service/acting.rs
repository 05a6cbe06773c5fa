//! Who a write is made for: a caller's request, or a job or consumer of the platform. Services take it where both
//! need the same act.

use coder_core::Failure;
use coder_database::{Partition, Transaction};
use coder_handler::Invocation;
use coder_middleware::RequestContext;
use coder_middleware::unit::act;

use crate::model::CONTAINER;

/// A request, or a run of a job or consumer.
#[derive(Debug, Clone, Copy)]
pub enum Acting<'a> {
    /// A caller's request.
    Request(&'a RequestContext),
    /// A job or a consumer.
    Job(&'a Invocation),
}

impl Acting<'_> {
    /// Opens a transaction that answers nobody; for the steps that go before or after the answer's own.
    pub fn begin(self, partition: Partition) -> Transaction {
        match self {
            Self::Request(context) => {
                let runtime = context.runtime();
                let (store, ambient) = (runtime.store.clone(), runtime.ambient.clone());
                Transaction::new(store, ambient, CONTAINER, partition, act(context))
            }
            Self::Job(invocation) => invocation.begin(CONTAINER, partition),
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
