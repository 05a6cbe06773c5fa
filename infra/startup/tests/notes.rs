//! A small group with one ordinary resource, and a `users` group that allows what the test says.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use coder_config::Settings;
use coder_core::{
    Ambient, Caller, Credential, ManualClock, OrganizationId, OsEntropy, Result, Timestamp, UserId,
    permissions,
};
use coder_database::{Container, Entity, Filter, Record};
use coder_handler::crud::Words;
use coder_handler::events::{ConsumerFault, Event, Invocation};
use coder_handler::{Crud as _, Group, Resource, RouteGroup, Routes, words};
use coder_middleware::answer::Json;
use coder_middleware::chain::{Authentication, Chain};
use coder_middleware::{Allowed, Body as JsonBody, Example, Filters, FromService, Unit};
use coder_queue::OutboxNotifier;
use coder_startup::outbox::LeftForTheSweep;
use coder_startup::{Assembly, Providers};
use http_body_util::BodyExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt as _;

permissions! {
    NoteRead = "notes.note.read", Viewer, "Read notes";
    NoteCreate = "notes.note.create", Member, "Write notes";
    NoteUpdate = "notes.note.update", Member, "Change notes";
    NoteDelete = "notes.note.delete", Admin, "Delete notes";
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    title: String,
    text: Option<String>,
    stars: u32,
}

impl Entity for Note {
    const TYPE: &'static str = "note";
    const SECRET: &'static [&'static str] = &["text"];
}

impl Example for Note {
    fn example() -> Self {
        Self { title: "Milk".into(), text: None, stars: 1 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WriteNote {
    #[schemars(length(min = 1, max = 20))]
    title: String,
    #[schemars(length(max = 50))]
    text: Option<String>,
    #[schemars(range(max = 5))]
    #[serde(default)]
    stars: u32,
}

impl Example for WriteNote {
    fn example() -> Self {
        Self { title: "Milk".into(), text: None, stars: 1 }
    }
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct NoteFilters {
    stars: Option<u32>,
}

impl Filters for NoteFilters {
    const SORT: &'static [&'static str] = &["createdAt", "title"];

    fn filter(&self) -> Option<Filter> {
        self.stars.map(|stars| Filter::eq("stars", stars))
    }
}

impl Resource for Note {
    type Service = ();
    type Write = WriteNote;
    type View = Record<Self>;
    type Filters = NoteFilters;
    type Id = UserId;
    type Read = NoteRead;
    type Create = NoteCreate;
    type Update = NoteUpdate;
    type Delete = NoteDelete;
    const CONTAINER: &'static str = "notes";
    const WORDS: Words = words!("note", "notes", "", "noteId", note, notes);

    fn writable(&self) -> WriteNote {
        WriteNote { title: self.title.clone(), text: self.text.clone(), stars: self.stars }
    }

    fn view(record: Record<Self>) -> Record<Self> {
        record
    }

    fn event(record: &Record<Self>) -> Value {
        json!({"noteId": record.meta.id})
    }

    async fn create(
        (): &(),
        _: &Allowed<NoteCreate>,
        unit: &mut Unit,
        id: UserId,
        write: WriteNote,
    ) -> Result<Self> {
        let taken = coder_core::Problem::new(coder_core::Code::AlreadyExists, "The title is taken.");
        unit.claim("title", &[&write.title], &id.to_string(), taken)?;
        Ok(Self { title: write.title, text: write.text, stars: write.stars })
    }

    async fn update(
        (): &(),
        _: &Allowed<NoteUpdate>,
        _: &mut Unit,
        before: &Record<Self>,
        write: WriteNote,
    ) -> Result<Self> {
        // Renaming would have to move the claim; this small group does not.
        Ok(Self { title: before.data.title.clone(), text: write.text, stars: write.stars })
    }

    async fn delete((): &(), _: &Allowed<NoteDelete>, unit: &mut Unit, before: &Record<Self>) -> Result<()> {
        unit.release("title", &[&before.data.title]);
        Ok(())
    }
}

fn notes() -> Group {
    RouteGroup::new("notes", "Notes")
        .container(Container::new("notes").index(["createdAt"]).index(["title"]))
        .permissions(PERMISSIONS)
        .routes(Routes::new("/api/notes").crud::<Note>().each(|one| one.write_limited = one.writes()))
        .on_event("look", "coder.notes.note.*", |(), invocation: Invocation, event: Event| async move {
            assert!(!invocation.id.is_empty());
            match event.data["noteId"].as_str() {
                Some("panic") => panic!("on purpose"),
                Some("retry") => Err(ConsumerFault::Retry(coder_core::Failure::internal("later"))),
                Some(_) => Ok(()),
                None => Err(ConsumerFault::Reject("no note".into())),
            }
        })
        .timer("tidy", "0 */5 * * * *", |(), _| async { Ok(()) })
        .service(|_, _| ())
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Anything(Value);

impl Example for Anything {
    fn example() -> Self {
        Self(json!({}))
    }
}

/// The first hexadecimal digit of a person's id is the role: 1 viewer, 2 member, 3 admin.
async fn permissions(
    _: FromService,
    JsonBody(Anything(asked)): JsonBody<Anything>,
) -> Result<Json<Anything>> {
    let patterns = match asked["userId"].as_str().and_then(|id| id.chars().next()) {
        Some('1') => json!(["*.*.read"]),
        Some('2') => json!(["*.*.read", "notes.note.create", "notes.note.update"]),
        Some('3') => json!(["*"]),
        _ => json!([]),
    };
    Ok(Json(Anything(json!({"permissions": patterns}))))
}

fn users() -> Group {
    RouteGroup::<()>::new("users", "Permissions")
        .container(Container::new("users"))
        .routes(Routes::new("/api/users").post("/internal/permissions", "resolve", "Resolve", permissions))
        .service(|_, _| ())
}

/// The two groups on a store of their own.
pub(crate) struct Fixture {
    pub(crate) assembly: Assembly,
    pub(crate) clock: ManualClock,
    _directory: tempfile::TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status, self.body["code"].as_str().unwrap_or_default()),
            (status, code),
            "{:#}",
            self.body
        );
        self
    }

    pub(crate) fn etag(&self) -> String {
        self.headers["etag"].to_str().unwrap().to_owned()
    }

    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let faults = self.body["errors"].as_array().unwrap().iter();
        let mut faults: Vec<_> =
            faults.map(|fault| (text(&fault["pointer"]), text(&fault["code"]))).collect();
        faults.sort();
        faults
    }
}

/// A person of an organization, by digits.
pub(crate) fn person(role: u8, organization: u8) -> Caller {
    let id = |first: u8, last: u8| format!("{first}0000000-0000-7000-8000-00000000000{last}");
    Caller {
        user_id: Some(id(role, organization).parse::<UserId>().unwrap()),
        organization_id: Some(id(9, organization).parse::<OrganizationId>().unwrap()),
        operator: false,
        credential: Credential::Session {
            session_id: id(8, role).parse().unwrap(),
            roles: Vec::new(),
            amr: Vec::new(),
            auth_time: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::MAX,
            enrolment_only: false,
        },
    }
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_second(1_750_000_000).unwrap());
        let ambient = Ambient::new(clock.clone(), OsEntropy);
        let providers = Providers::open(Settings::for_tests(directory.path()), ambient).unwrap();
        let outbox: Arc<dyn OutboxNotifier> = Arc::new(LeftForTheSweep);
        let assembly = Assembly::start(providers, vec![users(), notes()], outbox).await.unwrap();
        Self { assembly, clock, _directory: directory }
    }

    pub(crate) fn surface(&self) -> axum::Router {
        let group = &self.assembly.groups[1];
        let chain: Arc<Chain> = self.assembly.chain("notes", 1000, std::time::Duration::from_secs(10));
        coder_handler::server::surface(group, chain, self.assembly.providers.health.clone())
    }

    /// Calls the group as this person, behind the request chain.
    pub(crate) async fn call(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let content = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(content).unwrap();
        request.extensions_mut().insert(Authentication::Verified(Arc::new(caller.clone())));
        answer(coder_handler::server::api(&self.assembly.groups[1]), request).await
    }
}

pub(crate) async fn answer(router: axum::Router, request: Request) -> Answer {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}
