//! How a run of a job ends without a result.

use std::fmt;

use coder_core::Failure;

/// Why a run did not succeed.
#[derive(Debug)]
pub enum JobFault {
    /// It may succeed later: it runs again after a while, as often as its policy says.
    Retry(Failure),
    /// It never will; the reason is for people.
    Fail(String),
    /// Somebody asked that it stops, and it did.
    Cancelled,
    /// Another run has taken over, since this one was not heard of for too long: this one has to stop, and
    /// nothing more of it is recorded.
    LeaseLost,
}

impl From<Failure> for JobFault {
    fn from(failure: Failure) -> Self {
        Self::Retry(failure)
    }
}

impl fmt::Display for JobFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(failure) => failure.fmt(out),
            Self::Fail(reason) => out.write_str(reason),
            Self::Cancelled => out.write_str("cancelled"),
            Self::LeaseLost => out.write_str("another run has taken over"),
        }
    }
}

impl std::error::Error for JobFault {}
