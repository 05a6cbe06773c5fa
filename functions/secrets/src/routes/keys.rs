//! Data keys: their state, and replacing the active one.

use coder_core::{Result, StoredAnswer, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::answer::{describe_json, render_json};
use coder_middleware::{Allowed, Answer, Example, Filters, Json, List, OperationDescription, PageOf, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{KeyRead, KeyRotate};
use crate::model::{CONTAINER, DataKeyRecord, DataKeyState};
use crate::service::Secrets;

pub(super) fn routes(routes: Routes<Secrets>) -> Routes<Secrets> {
    let rotate_summary = "Replace the data key, and encrypt every value again";
    routes
        .get("/keys", "list_data_keys", "List data keys, never their material", list)
        .post("/keys/rotate", "rotate_data_key", rotate_summary, rotate)
        .problems([coder_core::Code::KeyUnavailable])
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
pub struct Started {
    /// The new data key.
    data_key_id: String,
    /// The job that encrypts every value with it.
    job_id: String,
}

impl Example for Started {
    fn example() -> Self {
        let id = coder_core::id::EXAMPLE.to_string();
        Self { data_key_id: id.clone(), job_id: id }
    }
}

/// `202` with the job's address.
#[derive(Debug, Clone)]
pub struct StartedJob(Started);

impl Answer for StartedJob {
    fn describe(operation: &mut OperationDescription) {
        describe_json::<Started>(operation, 202, "Accepted; the work goes on.", &["Location"]);
    }

    fn render(&self) -> Result<StoredAnswer> {
        let location = format!("/api/secrets/operations/jobs/{}", self.0.job_id);
        render_json(202, &self.0, vec![("location".to_owned(), location)])
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

async fn rotate(State(secrets): State<Secrets>, who: Allowed<KeyRotate>) -> Result<StartedJob> {
    let mut unit = who.transaction(CONTAINER).await?;
    let key = secrets.keys.rotate(&mut unit).await?;
    let input = json!({"organizationId": who.organization_id});
    let job = coder_jobs::enqueue(&mut unit, "reencrypt", input, None)?;
    unit.commit(StartedJob(Started { data_key_id: key.id, job_id: job.meta.id })).await
}
