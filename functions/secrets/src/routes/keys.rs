//! Data keys: their state, and replacing the active one.

use coder_core::id::Uuid;
use coder_core::{Code, Problem, Result, Timestamp};
use coder_database::{Filter, Record, Repository};
use coder_handler::Routes;
use coder_jobs::{JobRecord, JobState};
use coder_middleware::{Allowed, Example, Filters, Json, List, PageOf, Path, Started, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{KeyRead, KeyRotate};
use crate::jobs;
use crate::model::{CONTAINER, DataKeyRecord, DataKeyState};
use crate::service::Secrets;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    let rotate_summary = "Replace the data key, and encrypt every value again";
    routes
        .get("/keys", "list_data_keys", "List data keys, never their material", list)
        .post("/keys/rotate", "rotate_data_key", rotate_summary, rotate)
        .problems([Code::KeyUnavailable])
        .get("/keys/rotations/{jobId}", "get_key_rotation", "See how far a re-encryption is", get)
}

/// Keys have no filters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct KeyFilters {}

impl Filters for KeyFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        None
    }
}

/// A data key without its material.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Its id.
    id: String,
    /// What it is for.
    state: DataKeyState,
    /// Days since it became active.
    age_days: i64,
    /// How often it encrypted.
    encryptions: i64,
    /// The key, with its version, that wraps it.
    key_encryption_key_id: String,
    /// How it is wrapped.
    wrap_algorithm: String,
    /// When it became active.
    #[schemars(with = "String", extend("format" = "date-time"))]
    activated_at: Timestamp,
}

impl KeyView {
    fn of(record: Record<DataKeyRecord>, now: Timestamp) -> Self {
        let data = record.data;
        Self {
            id: record.meta.id,
            state: data.state,
            age_days: now.duration_since(data.activated_at).as_hours() / 24,
            encryptions: data.encryptions,
            key_encryption_key_id: data.key_encryption_key_id,
            wrap_algorithm: data.wrap_algorithm,
            activated_at: data.activated_at,
        }
    }
}

impl Example for KeyView {
    fn example() -> Self {
        Self {
            id: coder_core::id::EXAMPLE.to_string(),
            state: DataKeyState::Active,
            age_days: 12,
            encryptions: 345,
            key_encryption_key_id: "local/1".to_owned(),
            wrap_algorithm: "A256GCM".to_owned(),
            activated_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// A started re-encryption.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRotation {
    /// The new data key.
    data_key_id: String,
    /// The job that encrypts every value with it.
    job_id: String,
}

impl Example for KeyRotation {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE.to_string();
        Self { data_key_id: id.clone(), job_id: id }
    }
}

/// How far a re-encryption is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRotationView {
    /// The job.
    job_id: String,
    /// Where it stands.
    state: JobState,
    /// How far it is, in percent.
    progress: u8,
    /// Runs that have begun.
    attempts: u32,
    /// When it was asked for.
    #[schemars(with = "String", extend("format" = "date-time"))]
    created_at: Timestamp,
    /// When the last run began.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    started_at: Option<Timestamp>,
    /// When the last run ended.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    finished_at: Option<Timestamp>,
    /// Versions that were encrypted again, once it is done.
    versions: Option<u64>,
}

impl KeyRotationView {
    fn of(record: Record<JobRecord>) -> Self {
        let (meta, job) = (record.meta, record.data);
        Self {
            job_id: meta.id,
            state: job.state,
            progress: job.progress,
            attempts: job.attempts,
            created_at: meta.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            versions: job.result.and_then(|result| result["versions"].as_u64()),
        }
    }
}

impl Example for KeyRotationView {
    fn example() -> Self {
        Self {
            job_id: coder_core::id::EXAMPLE.to_string(),
            state: JobState::Running,
            progress: 40,
            attempts: 1,
            created_at: Timestamp::UNIX_EPOCH,
            started_at: Some(Timestamp::UNIX_EPOCH),
            finished_at: None,
            versions: None,
        }
    }
}

async fn list(
    State(secrets): State<Secrets>,
    who: Allowed<KeyRead>,
    list: List<KeyFilters>,
) -> Result<Json<PageOf<KeyView>>> {
    let page = list.page(&secrets.keys.records, &who.partition(), None).await?;
    let now = secrets.now();
    let items = page.items.into_iter().map(|record| KeyView::of(record, now)).collect();
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn rotate(State(secrets): State<Secrets>, who: Allowed<KeyRotate>) -> Result<Started<KeyRotation>> {
    let mut unit = who.transaction(CONTAINER).await?;
    let key = secrets.keys.rotate(&mut unit).await?;
    let input = json!({"organizationId": who.organization_id});
    let job = coder_jobs::enqueue(&mut unit, jobs::REENCRYPT, input, None)?;
    let location = format!("/api/secrets/keys/rotations/{}", job.meta.id);
    unit.commit(Started { location, body: KeyRotation { data_key_id: key.id, job_id: job.meta.id } }).await
}

async fn get(
    State(secrets): State<Secrets>,
    who: Allowed<KeyRead>,
    Path(id): Path<Uuid>,
) -> Result<Json<KeyRotationView>> {
    let records = Repository::<JobRecord>::new(secrets.runtime.store.clone(), CONTAINER);
    let found = records.find(&who.partition(), &id.to_string()).await?;
    let found = found.filter(|found| found.data.job == jobs::REENCRYPT);
    let record = found.ok_or_else(|| Problem::not_found("key rotation"))?;
    Ok(Json(KeyRotationView::of(record)))
}
