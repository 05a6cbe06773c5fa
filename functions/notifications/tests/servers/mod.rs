//! Servers on loopback that stand in for those of others: they do as a test tells them, and remember.

pub(crate) mod smtp;
pub(crate) mod target;
