//! What the SDK's errors mean. Status and sub-status decide together.

use std::time::Duration;

use azure_core::http::StatusCode;
use azure_data_cosmos::CosmosError;
use azure_data_cosmos::models::TransactionalBatchResponse;
use coder_database::StoreError;

/// When to try again if the service does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The SDK could not get a token.
const NO_TOKEN: u16 = 20402;
/// Continuations that the SDK does not understand.
const BAD_CONTINUATION: [u16; 2] = [20020, 20203];

/// What a failed operation means for a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// A document was not as expected: taken, gone or changed.
    Guard,
    /// Nothing that reading again would change.
    For(StoreError),
}

/// An operation on documents that are known to fit.
pub(super) fn of_write(error: &CosmosError) -> Failed {
    let status = error.status();
    if status.is_not_found() || status.is_conflict() || status.is_precondition_failed() {
        return Failed::Guard;
    }
    Failed::For(of_request(error))
}

/// The culprit of a batch, which the service answers with a success all the same; the other operations have 424.
pub(super) fn of_batch(batch: &TransactionalBatchResponse) -> Option<Failed> {
    let failed = |status: u16| !(200..300).contains(&status);
    let results = batch.results();
    let culprit = results.iter().find(|result| failed(result.status_code()) && result.status_code() != 424);
    let culprit = culprit.or_else(|| results.iter().find(|result| failed(result.status_code())))?;
    let sub = culprit.substatus_code().and_then(|sub| u16::try_from(sub).ok());
    Some(match culprit.status_code() {
        404 if sub.unwrap_or_default() == 0 => Failed::Guard,
        409 | 412 => Failed::Guard,
        status => Failed::For(of_status(status, sub, culprit.retry_after(), "a batch failed")),
    })
}

/// Everything but the guards.
pub(super) fn of_request(error: &CosmosError) -> StoreError {
    let status = error.status();
    let sub = status.sub_status().map(|sub| sub.value());
    let retry_after = error.response().and_then(|response| response.headers().retry_after_ms);
    let retry_after = retry_after.map(Duration::from_millis);
    of_status(u16::from(status.status_code()), sub, retry_after, &error.to_string())
}

fn of_status(status: u16, sub: Option<u16>, retry_after: Option<Duration>, text: &str) -> StoreError {
    let sub = sub.unwrap_or_default();
    let what = format!("Cosmos DB answered {status}/{sub}: {}", cut(text));
    match status {
        413 => StoreError::TooLarge { what },
        429 => StoreError::Throttled { retry_after: retry_after.unwrap_or(RETRY_AFTER) },
        500 if BAD_CONTINUATION.contains(&sub) => StoreError::Invalid { what },
        400 => StoreError::Invalid { what },
        401 if sub == NO_TOKEN => StoreError::Unavailable {
            what: format!("{what}; no token could be had: is `AZURE_CLIENT_ID` an identity of this app?"),
        },
        401 | 403 => StoreError::Unavailable {
            what: format!("{what}; does the identity have the data role on this container?"),
        },
        _ => StoreError::Unavailable { what },
    }
}

/// Reaching the account, or finding the container.
pub(super) fn of_connection(container: &str, error: &CosmosError) -> StoreError {
    if error.status().status_code() == StatusCode::NotFound {
        let what = format!("the account has no container `{container}`; deploy it");
        return StoreError::Unavailable { what };
    }
    match of_request(error) {
        StoreError::Invalid { what } | StoreError::TooLarge { what } => StoreError::Unavailable { what },
        other => other,
    }
}

/// Errors of the SDK can be pages long.
fn cut(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.get(..line.floor_char_boundary(300)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_sub_status_decide() {
        let of = |status, sub| of_status(status, sub, None, "text");
        assert!(matches!(of(413, None), StoreError::TooLarge { .. }));
        assert_eq!(of(429, Some(3200)), StoreError::Throttled { retry_after: RETRY_AFTER });
        let hint = Some(Duration::from_millis(70));
        assert_eq!(
            of_status(429, None, hint, ""),
            StoreError::Throttled { retry_after: Duration::from_millis(70) }
        );
        for (status, sub) in [(400, None), (400, Some(20113)), (500, Some(20020)), (500, Some(20203))] {
            assert!(matches!(of(status, sub), StoreError::Invalid { .. }), "{status}/{sub:?}");
        }
        for (status, sub) in [
            (401, Some(20402)),
            (403, None),
            (408, Some(20008)),
            (404, Some(1002)),
            (410, None),
            (449, None),
            (500, None),
            (503, Some(20310)),
        ] {
            assert!(matches!(of(status, sub), StoreError::Unavailable { .. }), "{status}/{sub:?}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let text = format!("{}\nsecond line", "é".repeat(400));
        let StoreError::Unavailable { what } = of_status(503, None, None, &text) else { panic!() };
        assert!(what.len() < 400 && !what.contains("second"), "{what}");
    }
}
