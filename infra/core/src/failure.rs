//! How the work on a request ends early.

use std::fmt;

use crate::problem::{Code, Problem};

/// An answer that was given before under the same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Header names and values; only those that a handler sets.
    pub headers: Vec<(String, String)>,
    /// The body as it was sent.
    pub body: String,
}

/// Why a handler, service or repository stopped. Every `?` in a route group carries this type.
#[derive(Debug)]
pub enum Failure {
    /// The caller is told exactly this.
    Problem(Box<Problem>),
    /// Somebody else changed what was read: the request runs again from the start, a few times.
    Stale,
    /// The request was answered before: the caller gets that answer again.
    Replay(Box<StoredAnswer>),
    /// A fault of ours: the log gets the cause, the caller a request id.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// What handlers return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A problem of this code.
    pub fn problem(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// A fault of ours, described for the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// The problem's code, if the failure is a problem.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            _ => None,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(out),
            Self::Stale => out.write_str("the document changed while the request ran"),
            Self::Replay(answer) => write!(out, "answered before with {}", answer.status),
            Self::Internal(cause) => write!(out, "internal: {cause}"),
        }
    }
}

impl std::error::Error for Failure {}
