//! Exports, and the chunks of the files that the group keeps.

use coder_core::Timestamp;
use coder_database::Entity;
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::service::filter::RangedFilter;

/// An export of entries into a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    /// Which entries.
    pub filter: RangedFilter,
    /// The file's format.
    pub format: ExportFormat,
    /// Where it stands.
    pub status: ExportStatus,
    /// In percent.
    pub progress: u8,
    /// Entries in the file.
    pub entry_count: u64,
    /// The file's size.
    pub size_bytes: u64,
    /// SHA-256 of the file, in hexadecimal, once it is done.
    pub sha256: Option<String>,
    /// After this the file is gone.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires_at: Timestamp,
    /// Chunks of the file.
    #[serde(default)]
    pub chunks: u32,
}

impl Entity for Export {
    const TYPE: &'static str = "export";
}

/// The formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// A JSON document on each line.
    #[default]
    Jsonl,
    /// RFC 4180.
    Csv,
}

impl ExportFormat {
    /// The media type of a file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// The ending of its name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// Where an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportStatus {
    /// Waits.
    Queued,
    /// Is written.
    Running,
    /// Can be downloaded.
    Succeeded,
    /// Gave up.
    Failed,
}

/// A piece of a file, in the bucket of the file. At most 700,000 bytes, so that its text fits a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The bytes, in Base64.
    pub data: String,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

impl Entity for Chunk {
    const TYPE: &'static str = "chunk";
}

impl Chunk {
    /// The id of a chunk in its file's bucket.
    pub fn document_id(number: u32) -> String {
        format!("chunk:{number:06}")
    }
}

impl Example for Export {
    fn example() -> Self {
        Self {
            filter: RangedFilter { action: Some("users.*".to_owned()), ..RangedFilter::default() },
            format: ExportFormat::Csv,
            status: ExportStatus::Queued,
            progress: 0,
            entry_count: 0,
            size_bytes: 0,
            sha256: None,
            expires_at: Timestamp::UNIX_EPOCH,
            chunks: 0,
        }
    }
}
