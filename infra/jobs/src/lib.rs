//! Scheduled and one-time jobs: when they are due, and what is kept of each run.

pub mod fault;
pub mod record;
pub mod schedule;

pub use fault::JobFault;
pub use record::{JobRecord, JobState, enqueue};
pub use schedule::{Schedule, ScheduleError};
