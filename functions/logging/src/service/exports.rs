//! Exports: entries as lines of a file.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use coder_core::{Failure, Result};
use coder_database::{Document, Record};
use coder_handler::events::JobRun;
use coder_handler::{Invocation, retry_stale};
use coder_jobs::JobFault;
use http::Method;
use serde_json::{Value, json};

use super::Logging;
use super::files::{Chunks, bucket};
use super::filter::{Range, RangedFilter};
use super::search::Search;
use crate::chain::hex;
use crate::model::{CONTAINER, Export, ExportFormat, ExportStatus, Trail};

/// Names of people that one export asks for.
const MAX_NAMES: usize = 1000;
/// Entries between two looks at whether the export still stands.
const STRIDE: usize = 2000;

/// The columns of a CSV file.
const COLUMNS: [&str; 21] = [
    "seq",
    "id",
    "time",
    "receivedAt",
    "action",
    "category",
    "severity",
    "outcome",
    "actor.type",
    "actor.id",
    "actor.displayName",
    "actor.ipAddress",
    "actor.userAgent",
    "resourceType",
    "resourceId",
    "projectId",
    "source",
    "message",
    "changes",
    "metadata",
    "hash",
];

/// A cell of a CSV file (RFC 4180). One that a spreadsheet would compute gets an apostrophe.
fn cell(text: &str) -> String {
    let computes = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if computes { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn line(format: ExportFormat, entry: &Value) -> String {
    match format {
        ExportFormat::Jsonl => format!("{entry}\n"),
        ExportFormat::Csv => {
            let value = |path: &str| coder_database::document::field(entry, path);
            let text = |path: &&str| match value(path) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => cell(text),
                Some(other) => cell(&other.to_string()),
            };
            format!("{}\r\n", COLUMNS.iter().map(text).collect::<Vec<_>>().join(","))
        }
    }
}

/// What is shown of a stored entry: all but where it is stored.
fn shown(mut entry: Value, names: &HashMap<String, String>) -> Value {
    if let Some(fields) = entry.as_object_mut() {
        for field in ["partitionKey", "bucket", "etag", "type"] {
            fields.remove(field);
        }
    }
    let known = entry["actor"]["id"].as_str().and_then(|id| names.get(id));
    if let (Some(name), Value::Null, true) =
        (known, &entry["actor"]["displayName"], entry["erased"].is_null())
    {
        entry["actor"]["displayName"] = json!(name);
    }
    entry
}

/// A file that is being written.
struct Writing {
    chunks: Chunks,
    written: u32,
    digest: Context,
    bytes: u64,
    entries: u64,
}

impl Logging {
    /// Writes the file of an export. Killed and run again, it starts from the beginning: chunks are written over.
    pub(crate) async fn run_export(&self, run: &JobRun, trail: Trail, id: &str) -> Result<Value, JobFault> {
        let Some(export) = self.exports.find(&trail.config(), id).await? else {
            return Err(JobFault::Cancelled);
        };
        if export.data.status == ExportStatus::Succeeded {
            return Ok(json!({"exportId": id}));
        }
        let RangedFilter { from, to, .. } = export.data.filter;
        let span = Range { from, to }.checked(self.now())?;
        let last = self.last_seq(trail).await?;
        let mut search = Search::new(trail, span, &export.data.filter.filter()).oldest_first();
        search.to_seq = last;
        let mut writing = Writing {
            chunks: Chunks::default(),
            written: 0,
            digest: Context::new(&SHA256),
            bytes: 0,
            entries: 0,
        };
        if export.data.format == ExportFormat::Csv {
            add(&mut writing, &format!("{}\r\n", COLUMNS.join(",")));
        }
        let mut names = HashMap::new();
        loop {
            let page = self.first(&search, STRIDE).await?;
            let Some(end) = page.last().and_then(|entry| entry.body["seq"].as_u64()) else { break };
            self.add_page(trail, &export, &mut writing, &mut names, page).await?;
            let percent = u8::try_from(end * 99 / last.max(1)).unwrap_or(99);
            self.note_progress(run, trail, id, percent).await?;
            search = search.after(end);
        }
        self.finish_export(run, trail, id, &export, writing).await
    }

    async fn add_page(
        &self,
        trail: Trail,
        export: &Record<Export>,
        writing: &mut Writing,
        names: &mut HashMap<String, String>,
        page: Vec<Document>,
    ) -> Result<()> {
        for document in &page {
            let actor = &document.body["actor"];
            if let (Some("user"), Some(id)) = (actor["type"].as_str(), actor["id"].as_str())
                && !names.contains_key(id)
                && names.len() < MAX_NAMES
            {
                names.insert(id.to_owned(), self.name_of(id).await.unwrap_or_default());
            }
        }
        let file = bucket(trail, &export.meta.id);
        for document in page {
            let known = names.iter().filter(|(_, name)| !name.is_empty());
            let known: HashMap<_, _> = known.map(|(id, name)| (id.clone(), name.clone())).collect();
            let text = line(export.data.format, &shown(document.body, &known));
            writing.entries += 1;
            if add(writing, &text) {
                for chunk in writing.chunks.full() {
                    self.write_chunk(&file, writing.written, &chunk, Some(export.data.expires_at)).await?;
                    writing.written += 1;
                }
            }
        }
        Ok(())
    }

    /// A person's name; none if `users` is away or knows nobody.
    async fn name_of(&self, user_id: &str) -> Option<String> {
        user_id.parse::<coder_core::UserId>().ok()?;
        let path = format!("/internal/memberships?userId={user_id}");
        let answer = self.peers.call("users", Method::GET, &path, None).await.ok()?;
        answer.body["displayName"].as_str().map(str::to_owned)
    }

    async fn note_progress(
        &self,
        run: &JobRun,
        trail: Trail,
        id: &str,
        progress: u8,
    ) -> Result<(), JobFault> {
        run.progress(progress, "writing").await?;
        retry_stale(|| async {
            let Some(export) = self.exports.find(&trail.config(), id).await? else { return Ok(false) };
            let mut transaction = run.invocation.begin(CONTAINER, trail.config()).without_audit();
            let data = Export { status: ExportStatus::Running, progress, ..export.data.clone() };
            transaction.replace(&export, data)?;
            run.invocation.commit(transaction).await.map(|()| true)
        })
        .await
        .map_err(JobFault::from)
        .and_then(|stands| if stands { Ok(()) } else { Err(JobFault::Cancelled) })
    }

    async fn finish_export(
        &self,
        run: &JobRun,
        trail: Trail,
        id: &str,
        export: &Record<Export>,
        mut writing: Writing,
    ) -> Result<Value, JobFault> {
        let file = bucket(trail, id);
        let rest = std::mem::take(&mut writing.chunks).rest();
        if let Some(rest) = rest {
            self.write_chunk(&file, writing.written, &rest, Some(export.data.expires_at)).await?;
            writing.written += 1;
        }
        let sha256 = hex(writing.digest.finish().as_ref());
        let (entry_count, size_bytes, chunks) = (writing.entries, writing.bytes, writing.written);
        let done = retry_stale(|| async {
            let Some(export) = self.exports.find(&trail.config(), id).await? else { return Ok(false) };
            let mut transaction = run.invocation.begin(CONTAINER, trail.config());
            let data = Export {
                status: ExportStatus::Succeeded,
                progress: 100,
                entry_count,
                size_bytes,
                chunks,
                sha256: Some(sha256.clone()),
                ..export.data.clone()
            };
            transaction.replace(&export, data)?;
            transaction.emit("export.completed", id, json!({"exportId": id, "entryCount": entry_count}));
            run.invocation.commit(transaction).await.map(|()| true)
        });
        if !done.await? {
            // Deleted meanwhile: the chunks must not stay.
            self.remove_bucket(&run.invocation, &file).await?;
            return Err(JobFault::Cancelled);
        }
        Ok(json!({"exportId": id, "entryCount": entry_count, "sizeBytes": size_bytes}))
    }

    /// Marks an export as failed, and tells.
    pub(crate) async fn fail_export(&self, run: &JobRun, trail: Trail, id: &str) -> Result<()> {
        retry_stale(|| async {
            let Some(export) = self.exports.find(&trail.config(), id).await? else { return Ok(()) };
            let mut transaction = run.invocation.begin(CONTAINER, trail.config());
            transaction.replace(&export, Export { status: ExportStatus::Failed, ..export.data.clone() })?;
            transaction.emit(
                "export.failed",
                id,
                json!({"exportId": id, "entryCount": export.data.entry_count}),
            );
            run.invocation.commit(transaction).await
        })
        .await
    }

    /// Removes an export and its file.
    pub(crate) async fn remove_export(&self, run: &Invocation, trail: Trail, id: &str) -> Result<()> {
        let Some(export) = self.exports.find(&trail.config(), id).await? else { return Ok(()) };
        self.remove_bucket(run, &bucket(trail, id)).await?;
        let mut transaction = run.begin(CONTAINER, trail.config()).without_audit();
        transaction.delete(&export)?;
        run.commit(transaction).await
    }
}

/// Adds text; answers whether a chunk is full.
fn add(writing: &mut Writing, text: &str) -> bool {
    writing.digest.update(text.as_bytes());
    writing.bytes += text.len() as u64;
    writing.chunks.add(text.as_bytes())
}

/// `Failure` of an export that cannot be downloaded.
pub(crate) fn not_ready(status: ExportStatus) -> Failure {
    let detail = match status {
        ExportStatus::Failed => "The export failed; start another.",
        _ => "The export is still being written; ask again in a moment.",
    };
    Failure::problem(coder_core::Code::NotReady, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_compute_nothing() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\t=1", "'\t=1"),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_has_every_column_and_names_who_acted() {
        let entry = json!({
            "seq": 7, "actor": {"type": "user", "id": "u"}, "message": "a, b", "metadata": {"x": 1}, "etag": "e",
        });
        let names = HashMap::from([("u".to_owned(), "=Ada".to_owned())]);
        let entry = shown(entry, &names);
        let csv = line(ExportFormat::Csv, &entry);
        assert!(csv.starts_with("7,,,,,,,,user,u,'=Ada,") && csv.ends_with("\r\n"), "{csv}");
        assert!(csv.contains("\"a, b\"") && csv.contains("\"{\"\"x\"\":1}\""), "{csv}");
        let jsonl: Value = serde_json::from_str(&line(ExportFormat::Jsonl, &entry)).unwrap();
        assert_eq!((&jsonl["seq"], jsonl.get("etag")), (&json!(7), None));
    }
}
