//! What every group offers the platform's operators: routes below `/api/<group>/operations`, served beside the
//! group's own.

mod dead_letters;
pub mod desk;
mod jobs;

use std::sync::Arc;

use coder_middleware::runtime::Runtime;
use coder_queue::DeadLetters;

use crate::routes::Routes;
use desk::JobDesk;

/// What the built-in operations of a group work with.
#[derive(Debug, Clone)]
pub(crate) struct Operate {
    dead_letters: DeadLetters,
    jobs: JobDesk,
}

impl Operate {
    /// For a running group; `None` if it has no container to keep anything in.
    pub(crate) fn new(runtime: &Arc<Runtime>, jobs: JobDesk) -> Option<Self> {
        let container = runtime.containers.first()?;
        Some(Self { dead_letters: DeadLetters::new(runtime.store.clone(), container, runtime.group), jobs })
    }
}

/// The built-in routes of a group.
pub(crate) fn routes(group: &str) -> Routes<Operate> {
    let base = format!("/api/{group}/operations");
    dead_letters::routes(&base).merge(jobs::routes(&base)).each(|operation| operation.built_in = true)
}
