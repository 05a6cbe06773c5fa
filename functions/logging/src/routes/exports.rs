//! Exports of entries.

use coder_core::{Code, Failure, Result};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_jobs::enqueue;
use coder_middleware::{
    Access as _, Allowed, Body, Download, Example, Filters, Json, List, NoContent, PageOf, Path, Started,
    State, Unit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{ExportCreate, ExportDelete, ExportInspect};
use crate::model::{CONTAINER, Export, ExportFormat, ExportId, ExportStatus, Trail};
use crate::service::Logging;
use crate::service::exports::not_ready;
use crate::service::files::bucket;
use crate::service::filter::{Range, RangedFilter};

/// How long a file is kept, in seconds.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;

/// Adds the routes.
pub(super) fn routes(routes: Routes<Logging>) -> Routes<Logging> {
    routes
        .post("/exports", "create_audit_export", "Start an export", create)
        .get("/exports", "list_audit_exports", "List exports", list)
        .get("/exports/{exportId}", "get_audit_export", "Read how an export goes", get)
        .delete("/exports/{exportId}", "delete_audit_export", "Cancel or delete an export", delete)
        .get(
            "/exports/{exportId}/download",
            "download_audit_export",
            "Download the file of an export",
            download,
        )
        .problems([Code::NotReady, Code::Gone])
}

/// An export to be made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExportWrite {
    /// Which entries.
    #[serde(default)]
    filter: RangedFilter,
    /// The format of the file.
    #[serde(default)]
    format: ExportFormat,
}

impl Example for ExportWrite {
    fn example() -> Self {
        Self { filter: Export::example().filter, format: ExportFormat::Csv }
    }
}

async fn create(
    State(logging): State<Logging>,
    who: Allowed<ExportCreate>,
    Body(write): Body<ExportWrite>,
) -> Result<Started<Record<Export>>> {
    let RangedFilter { from, to, .. } = write.filter;
    let span = Range { from, to }.checked(logging.now())?;
    let trail = Trail::Organization(who.organization_id);
    let mut unit = who.begin(CONTAINER, trail.config()).await?;
    let id: ExportId = logging.runtime.ambient.new_id();
    let export = Export {
        // As it was understood now: a job that runs later exports the same.
        filter: RangedFilter { from: Some(span.from), to: Some(span.to), ..write.filter },
        format: write.format,
        status: ExportStatus::Queued,
        progress: 0,
        entry_count: 0,
        size_bytes: 0,
        sha256: None,
        expires_at: logging.runtime.ambient.after(KEPT_SECONDS),
        chunks: 0,
    };
    let record = unit.create(id, export)?;
    enqueue(&mut unit, "export", json!({"trail": trail.name(), "id": id}), None)?;
    let what = json!({"filter": record.data.filter, "format": record.data.format});
    let (action, subject) = ("logging.export.requested", Some(id.to_string()));
    logging.note_access(who.context(), trail, action, "Audit export requested", subject, what).await?;
    let location = format!("/api/logging/exports/{}", record.meta.id);
    unit.commit(Started { location, body: record }).await
}

/// Filters of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct ExportFilters {
    /// Only those in this state.
    status: Option<ExportStatus>,
}

impl Filters for ExportFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        let status = serde_json::to_value(self.status?).unwrap_or_default();
        Some(Filter::eq("status", status))
    }
}

async fn list(
    State(logging): State<Logging>,
    who: Allowed<ExportInspect>,
    list: List<ExportFilters>,
) -> Result<Json<PageOf<Record<Export>>>> {
    let partition = Trail::Organization(who.organization_id).config();
    list.page(&logging.exports, &partition, None).await.map(Json)
}

async fn get(
    State(logging): State<Logging>,
    who: Allowed<ExportInspect>,
    Path(id): Path<ExportId>,
) -> Result<Json<Record<Export>>> {
    let partition = Trail::Organization(who.organization_id).config();
    logging.exports.get(&partition, &id.to_string()).await.map(Json)
}

/// The chunks of a deleted export go by themselves when its time is over; nothing leads to them any more.
async fn delete(
    State(logging): State<Logging>,
    who: Allowed<ExportDelete>,
    Path(id): Path<ExportId>,
) -> Result<NoContent> {
    let trail = Trail::Organization(who.organization_id);
    let before = logging.exports.get(&trail.config(), &id.to_string()).await?;
    let mut unit: Unit = who.begin(CONTAINER, trail.config()).await?;
    unit.delete(&before)?;
    unit.emit("export.deleted", &id.to_string(), json!({"exportId": id}));
    unit.commit(NoContent).await
}

async fn download(
    State(logging): State<Logging>,
    who: Allowed<ExportInspect>,
    Path(id): Path<ExportId>,
) -> Result<Download> {
    let trail = Trail::Organization(who.organization_id);
    let export = logging.exports.get(&trail.config(), &id.to_string()).await?.data;
    if export.expires_at <= logging.now() {
        return Err(Failure::problem(Code::Gone, "The export is older than seven days; start another."));
    }
    if export.status != ExportStatus::Succeeded {
        return Err(not_ready(export.status));
    }
    let (action, subject) = ("logging.export.downloaded", Some(id.to_string()));
    let what = json!({"exportId": id});
    logging.note_access(who.context(), trail, action, "Audit export downloaded", subject, what).await?;
    Ok(Download {
        content_type: export.format.media_type(),
        file_name: format!("audit-{id}.{}", export.format.extension()),
        body: logging.file(bucket(trail, &id.to_string()), export.chunks),
    })
}
