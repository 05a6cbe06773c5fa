//! What an error of SQLite means to the caller of a store.

use std::time::Duration;

use coder_database::StoreError;
use rusqlite::ErrorCode;

/// When to try again after the store was busy.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Nothing of a store's normal work fails with anything else than these.
pub(crate) fn from_sqlite(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => throttled(),
        _ => StoreError::Unavailable { what: format!("the database file: {error}") },
    }
}

pub(crate) fn throttled() -> StoreError {
    StoreError::Throttled { retry_after: RETRY_AFTER }
}

pub(crate) fn invalid(what: impl Into<String>) -> StoreError {
    StoreError::Invalid { what: what.into() }
}

pub(crate) fn unavailable(what: impl Into<String>) -> StoreError {
    StoreError::Unavailable { what: what.into() }
}
