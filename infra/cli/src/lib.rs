//! What the `coder` command has for other programs: assembling the function apps.

pub mod declared;
pub mod package;
