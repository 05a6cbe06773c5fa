//! Whether a write took effect whose answer was lost. The SDK sends such a write again by itself; the second one then
//! fails its guard, because of the first.

use azure_data_cosmos::diagnostics::DiagnosticsContext;

use super::plan::{Known, Plan};

/// What became of a write that failed its guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It took effect.
    Applied,
    /// It did not: somebody else was faster.
    NotApplied,
    /// Nobody can know.
    Unknown,
}

/// Whether a request before the last may have taken effect. A busy service, or a partition that has moved, has
/// done nothing; one that has failed or not answered may have.
pub(super) fn doubtful(diagnostics: &DiagnosticsContext) -> bool {
    if diagnostics.request_count() > diagnostics.retained_request_count() {
        return true;
    }
    let requests = diagnostics.requests();
    let data = requests.iter().filter(|request| request.pipeline_type().is_data_plane());
    let perhaps = |status: u16| matches!(status, 408 | 500..);
    let doubts = data.map(|request| {
        request.request_sent().may_have_been_sent() && perhaps(u16::from(request.status().status_code()))
    });
    let doubts: Vec<bool> = doubts.collect();
    doubts.split_last().is_some_and(|(_, before)| before.contains(&true))
}

/// Judges by what is there now. `operation` is the id of the write; ids of one process sort by time, and those of
/// several as well as their clocks agree.
pub(super) fn verdict(plan: &Plan, known: &Known, operation: &str, doubtful: bool) -> Verdict {
    let now = |id: &str| known.get(id).and_then(Option::as_ref);
    if plan.writes().any(|id| now(id).is_some_and(|stored| stored.operation == operation)) {
        return Verdict::Applied;
    }
    if !doubtful {
        return Verdict::NotApplied;
    }
    // What was written after this write began may have replaced what it wrote.
    let later = |id: &str| now(id).is_some_and(|stored| stored.operation.as_str() > operation);
    let only_deletes = plan.writes().next().is_none();
    if plan.writes().chain(plan.deletes()).any(later)
        || (only_deletes && plan.deletes().any(|id| now(id).is_none()))
    {
        return Verdict::Unknown;
    }
    Verdict::NotApplied
}

#[cfg(test)]
mod tests {
    use coder_core::Timestamp;
    use coder_database::{Container, Operation, PartitionKey};
    use serde_json::json;

    use super::super::envelope::Stored;
    use super::super::plan::assumed;
    use super::*;

    fn plan(operations: &[Operation]) -> Plan {
        let now = Timestamp::UNIX_EPOCH;
        let known = assumed(operations, now);
        Plan::new(&Container::new("c"), &PartitionKey::single("p"), operations, &known, now).unwrap()
    }

    fn there(operation: &str) -> Known {
        let stored =
            Stored { etag: "e".into(), end: None, operation: operation.into(), body: json!({ "id": "a" }) };
        Known::from([("a".to_owned(), Some(stored))])
    }

    fn gone() -> Known {
        Known::from([("a".to_owned(), None)])
    }

    #[test]
    fn a_document_tells_who_wrote_it() {
        let body = json!({ "id": "a", "partitionKey": "p" });
        let create = plan(&[Operation::Create { id: "a".into(), body, expires_at: None }]);
        assert_eq!(verdict(&create, &there("5"), "5", true), Verdict::Applied);
        assert_eq!(verdict(&create, &there("4"), "5", true), Verdict::NotApplied);
        assert_eq!(verdict(&create, &there("6"), "5", false), Verdict::NotApplied);
        assert_eq!(verdict(&create, &there("6"), "5", true), Verdict::Unknown);
        assert_eq!(verdict(&create, &gone(), "5", true), Verdict::NotApplied);
    }

    #[test]
    fn a_deletion_leaves_nobody_to_ask() {
        let delete = plan(&[Operation::Delete { id: "a".into(), if_match: Some("e".into()) }]);
        assert_eq!(verdict(&delete, &gone(), "5", true), Verdict::Unknown);
        assert_eq!(verdict(&delete, &gone(), "5", false), Verdict::NotApplied);
        assert_eq!(verdict(&delete, &there("4"), "5", true), Verdict::NotApplied);
        assert_eq!(verdict(&delete, &there("6"), "5", true), Verdict::Unknown);
    }
}
