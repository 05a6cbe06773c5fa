//! The zip of an app: the same bytes for the same files, with the modes that Linux is to give them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::app::Entry;

/// Writes the zip and answers its size in bytes. It appears under its name once it is complete.
pub(crate) fn write(path: &Path, entries: &BTreeMap<String, Entry>) -> anyhow::Result<u64> {
    let partial = path.with_extension("zip.partial");
    let size =
        write_to(&partial, entries).with_context(|| format!("cannot write `{}`", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(size)
}

fn write_to(path: &Path, entries: &BTreeMap<String, Entry>) -> anyhow::Result<u64> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
    for (name, entry) in entries {
        // The same time always: that of the build would make every zip another one.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix)
            .unix_permissions(if entry.executable { 0o755 } else { 0o644 });
        zip.start_file(name.as_str(), options)?;
        zip.write_all(&entry.bytes)?;
    }
    zip.finish()?.into_inner()?.sync_all()?;
    Ok(fs::metadata(path)?.len())
}
