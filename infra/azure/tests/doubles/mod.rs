//! Doubles of Azure's services, as near to the real ones as they can be had on one machine. The tests of the providers
//! stand on them, and those of the whole platform, which take this folder as their own module.

pub(crate) mod cosmos;
pub(crate) mod key_vault;
pub(crate) mod redis;
pub(crate) mod service_bus;
pub(crate) mod transport;
