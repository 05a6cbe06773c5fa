//! What operations cost, for logs and metrics.

use std::fmt;
use std::sync::Arc;

use azure_core::http::Context;
use azure_data_cosmos::diagnostics::{DiagnosticsContext, DiagnosticsHandler};

/// What one operation of the SDK took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Charge {
    /// Request units of all its requests together.
    pub request_units: f64,
    /// Requests that it took; more than one means that the SDK tried again.
    pub requests: usize,
    /// The status that it ended with; 0 where it had none.
    pub status: u16,
    /// What Cosmos DB adds to the status.
    pub sub_status: Option<u32>,
}

impl Charge {
    /// Whether the service, or the way to it, failed. A document that is not there, or not as expected, is an answer.
    pub fn is_failure(self) -> bool {
        matches!(self.status, 0 | 401 | 403 | 408 | 410 | 429 | 449 | 500..)
    }
}

/// Who is told of every operation, such as a counter. Must not block.
pub type OnCharge = Arc<dyn Fn(Charge) + Send + Sync>;

/// Writes every operation to the log, and passes it on.
pub(super) struct Charges(pub(super) Option<OnCharge>);

impl fmt::Debug for Charges {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Charges").field(&self.0.is_some()).finish()
    }
}

impl DiagnosticsHandler for Charges {
    fn handle(&self, diagnostics: &DiagnosticsContext, _: &Context<'_>) {
        let status = diagnostics.effective_status();
        let charge = Charge {
            request_units: diagnostics.total_request_charge().value(),
            requests: diagnostics.request_count(),
            status: status.map_or(0, |status| u16::from(status.status_code())),
            sub_status: status.and_then(|status| status.sub_status()).map(|sub| sub.value().into()),
        };
        let milliseconds = diagnostics.duration().as_secs_f64() * 1000.0;
        let operation = diagnostics.operation_name().unwrap_or("unnamed");
        let Charge { request_units, requests, status, sub_status } = charge;
        if charge.is_failure() {
            tracing::warn!(
                operation,
                status,
                sub_status,
                requests,
                request_units,
                milliseconds,
                "cosmos failed"
            );
        } else {
            tracing::debug!(operation, status, sub_status, requests, request_units, milliseconds, "cosmos");
        }
        if let Some(tell) = &self.0 {
            tell(charge);
        }
    }
}
