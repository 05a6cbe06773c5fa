//! The C library that a handler needs: where it runs there is one, and it must not be older.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use object::elf::{EM_X86_64, FileHeader64};
use object::read::elf::FileHeader as _;
use object::{LittleEndian, ReadRef};
use serde::Serialize;

/// The version that is assumed where the handlers run: that of Debian 11, on which the images of the Functions host
/// stood for longest.
pub const ASSUMED: Version = Version(2, 31);

/// A version of the GNU C library, such as 2.31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0, self.1)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Version {
    type Err = std::num::ParseIntError;

    /// Reads `2.31`, and `2.2.5` as 2.2: the third part was only used before 2.4.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(str::parse);
        Ok(Self(parts.next().unwrap_or(Ok(0))?, parts.next().unwrap_or(Ok(0))?))
    }
}

/// The newest version that any symbol of a program asks for; `None` if it asks for no C library at all. Refused is
/// what cannot run in the cloud: all but programs for Linux on x86-64.
pub(crate) fn needed(program: &[u8]) -> anyhow::Result<Option<Version>> {
    let other = "the handler is no program for Linux on x86-64, where the apps run; build it there, or install \
                 cargo-zigbuild, which builds for it anywhere";
    let Ok(header) = FileHeader64::<LittleEndian>::parse(program) else { bail!(other) };
    let endian = header.endian().context(other)?;
    if header.e_machine.get(endian) != EM_X86_64 {
        bail!(other);
    }
    versions(header, endian, program).context("the handler's symbol versions cannot be read")
}

fn versions<'data>(
    header: &FileHeader64<LittleEndian>,
    endian: LittleEndian,
    program: impl ReadRef<'data>,
) -> object::Result<Option<Version>> {
    let sections = header.sections(endian, program)?;
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, program)? else { return Ok(None) };
    let names = sections.strings(endian, program, link)?;
    let mut newest = None;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            let name = String::from_utf8_lossy(version.name(endian, names)?);
            // `GLIBC_PRIVATE` is no version, and other libraries have names of their own.
            let version = name.strip_prefix("GLIBC_").and_then(|version| version.parse().ok());
            newest = newest.max(version);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("2.4") < version("2.31") && version("2.31") < version("2.34"));
        assert_eq!(version("2.2.5"), Version(2, 2));
        assert_eq!(version("2.31").to_string(), "2.31");
        assert!("PRIVATE".parse::<Version>().is_err());
    }

    #[test]
    fn what_cannot_run_in_the_cloud_is_refused() {
        let mut arm = std::fs::read("/proc/self/exe").unwrap_or_default();
        if arm.len() > 64 {
            // The field `e_machine`: 183 is AArch64.
            arm[18..20].copy_from_slice(&183_u16.to_le_bytes());
        }
        for program in [b"".as_slice(), b"#!/bin/sh", b"MZ\x90\0 and more of a program", &arm] {
            let error = needed(program).unwrap_err().to_string();
            assert!(error.contains("cargo-zigbuild"), "{error}");
        }
    }

    /// This test is a program itself, and the linker has said what it needs.
    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
    #[test]
    fn the_newest_symbol_decides() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let needed = needed(&own).unwrap().unwrap();
        assert!(needed >= Version(2, 2) && needed < Version(3, 0), "{needed}");
        // Cut off, it is an error and no version.
        assert!(super::needed(&own[..own.len() / 2]).is_err());
    }
}
