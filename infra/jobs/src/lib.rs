//! Scheduled jobs: when they are due.

pub mod schedule;

pub use schedule::{Schedule, ScheduleError};
