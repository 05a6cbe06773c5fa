//! Scheduled and one-time jobs: when they are due, and what is kept of each run. State lives in documents; this
//! crate says how it changes, the handler's runtime reads and writes it.

pub mod fault;
pub mod lease;
pub mod policy;
pub mod record;
pub mod schedule;
pub mod timer;

pub use fault::JobFault;
pub use lease::Lease;
pub use policy::JobPolicy;
pub use record::{JobRecord, JobState, enqueue};
pub use schedule::{Schedule, ScheduleError};
pub use timer::{TimerRun, TimerState};
