//! What the `coder` command has for other programs: assembling the function apps, and the doctor.

#[cfg(feature = "azure")]
pub mod broker_letters;
pub mod declared;
pub mod doctor;
pub mod limits;
pub mod package;
