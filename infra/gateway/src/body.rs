//! The request body on its way to a group: cut off at the group's limit, given up when the caller stalls, and
//! watched, so that the gateway can tell a slow caller from a slow group.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use coder_core::{Code, Problem};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// How long a caller may pause while sending.
const IDLE: Duration = Duration::from_secs(15);

/// What became of the body so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// The group has what it asked for.
    Flowing,
    /// The group waits for the caller.
    Starved,
    TooLarge,
    Stalled,
    Broken,
}

/// Tells what became of a body that somebody else reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Arc<AtomicU8>);

impl Watch {
    fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    fn is(&self, stage: Stage) -> bool {
        self.0.load(Ordering::Acquire) == stage as u8
    }

    /// Why the caller, not the group, is to blame for how the call ended.
    pub(crate) fn fault(&self, limit: u64) -> Option<Problem> {
        if self.is(Stage::TooLarge) {
            return Some(too_large(limit));
        }
        if self.is(Stage::Stalled) {
            return Some(stalled());
        }
        let detail = "The body broke off, or its chunks cannot be read.";
        self.is(Stage::Broken).then(|| Problem::new(Code::InvalidBody, detail))
    }

    /// The blame for a call that ran out of time: the caller's if the group was still waiting for the body.
    pub(crate) fn fault_at_timeout(&self, limit: u64) -> Option<Problem> {
        self.fault(limit).or_else(|| self.is(Stage::Starved).then(stalled))
    }
}

/// `413`, naming the limit.
pub(crate) fn too_large(limit: u64) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("The request body may have {limit} bytes at most."))
}

fn stalled() -> Problem {
    Problem::new(Code::RequestTimeout, "The request body did not arrive in time; send it again.")
}

/// Why reading the body ends early, for whoever reads it.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the request body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the request body did not arrive in time")]
    Stalled,
}

/// The body under guard. An empty one needs none.
pub(crate) fn guard(body: Body, limit: u64) -> (Body, Watch) {
    let watch = Watch::default();
    if http_body::Body::is_end_stream(&body) {
        return (body, watch);
    }
    let guarded = Guarded { inner: body, limit, left: limit, idle: None, watch: watch.clone() };
    (Body::new(guarded), watch)
}

#[derive(Debug)]
struct Guarded {
    inner: Body,
    limit: u64,
    left: u64,
    /// Made at the first pause: most bodies arrive with their headers.
    idle: Option<Pin<Box<Sleep>>>,
    watch: Watch,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Pending => return this.pause(context),
            Poll::Ready(frame) => frame,
        };
        this.watch.set(Stage::Flowing);
        if let Some(idle) = &mut this.idle {
            idle.as_mut().reset(Instant::now() + IDLE);
        }
        match frame {
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                if size > this.left {
                    this.watch.set(Stage::TooLarge);
                    return Poll::Ready(Some(Err(axum::Error::new(BodyError::TooLarge(this.limit)))));
                }
                this.left -= size;
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.watch.set(Stage::Broken);
                Poll::Ready(Some(Err(error)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Guarded {
    fn pause(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.watch.set(Stage::Starved);
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(IDLE)));
        if idle.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.watch.set(Stage::Stalled);
        Poll::Ready(Some(Err(axum::Error::new(BodyError::Stalled))))
    }
}
