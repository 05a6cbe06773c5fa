//! An organization's own mail servers.

use coder_core::{Code, Failure, Fault, Permission, Problem, Result, Scope, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Created, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Patch,
    Path, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::catalogue::{ProviderCreate, ProviderDelete, ProviderRead, ProviderUpdate};
use crate::deliver::Channel;
use crate::model::provider::{Health, MAX_PROVIDERS, Provider, ProviderConfig, ProviderKind, ProviderState};
use crate::outbox::send::test_letter;
use crate::providers::{self, Carrier, check_target};
use crate::service::Notifications;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    const ITEM: &str = "/providers/{providerId}";
    routes
        .get("/providers", "list_providers", "List the mail providers", list)
        .post("/providers", "create_provider", "Add a mail provider", create)
        .problems([Code::LimitReached])
        .get(ITEM, "get_provider", "Read a mail provider", get)
        .patch(ITEM, "update_provider", "Change a mail provider", update)
        .delete(ITEM, "delete_provider", "Remove a mail provider", delete)
        .post("/providers/{providerId}/test", "test_provider", "Send a test mail to the own address", test)
        .problems([Code::InvalidState])
}

/// What an organization writes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderWrite {
    /// What it carries; only mail for now.
    #[serde(default = "email")]
    pub channel: Channel,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Where it is.
    #[serde(default)]
    pub config: ProviderConfig,
    /// Where its password or token is: `secret:<id>[#<field>]`; the secret has `systemUse`.
    #[schemars(length(max = 200), regex(pattern = r"^secret:[A-Za-z0-9-]+(@[0-9]+)?(#[A-Za-z0-9_.-]+)?$"))]
    pub secret_ref: Option<String>,
    /// The least is used first.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Whether it is used.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Most mails a day (UTC).
    #[schemars(range(min = 1))]
    pub daily_limit: Option<u32>,
}

fn email() -> Channel {
    Channel::Email
}

fn yes() -> bool {
    true
}

/// A provider as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderView {
    /// The provider.
    pub id: String,
    /// What it carries.
    pub channel: Channel,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Where it is.
    pub config: ProviderConfig,
    /// Where its password or token is.
    pub secret_ref: Option<String>,
    /// The least is used first.
    pub priority: i32,
    /// Whether it is used.
    pub enabled: bool,
    /// Most mails a day (UTC).
    pub daily_limit: Option<u32>,
    /// How it has done of late.
    pub health: Health,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When it was added.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Changes at every write.
    pub etag: String,
}

/// What came of a test.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderTest {
    /// Whether the provider took the mail.
    pub ok: bool,
    /// Where it went.
    pub to: String,
    /// Why not.
    pub error: Option<String>,
}

/// Filters of the list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderFilters {
    /// Only those that are used, or are not.
    pub enabled: Option<bool>,
}

impl Filters for ProviderFilters {
    const SORT: &'static [&'static str] = &["priority", "createdAt"];

    fn filter(&self) -> Option<Filter> {
        self.enabled.map(|enabled| Filter::eq("enabled", enabled))
    }
}

impl ProviderView {
    fn of(record: Record<Provider>, state: ProviderState) -> Self {
        let Provider { channel, kind, config, secret_ref, priority, enabled, daily_limit } = record.data;
        Self {
            id: record.meta.id,
            channel,
            kind,
            config,
            secret_ref,
            priority,
            enabled,
            daily_limit,
            health: state.health(),
            last_error: state.last_error,
            created_at: record.meta.created_at,
            etag: record.meta.etag,
        }
    }
}

/// Checks what the schema cannot: what the kind needs, and that the address may be called.
async fn checked(service: &Notifications, write: ProviderWrite) -> Result<Provider> {
    let ProviderWrite { channel, kind, config, secret_ref, priority, enabled, daily_limit } = write;
    let mut faults = Vec::new();
    let mut fault = |pointer: &str, code, message: &str| faults.push(Fault::new(pointer, code, message));
    if channel != Channel::Email {
        fault("/channel", "invalid_value", "Only `email` is carried by providers at present.");
    }
    let needed: &[(&str, bool)] = match kind {
        ProviderKind::Smtp => {
            &[("/config/host", config.host.is_none()), ("/config/from", config.from.is_none())]
        }
        ProviderKind::Webhook => &[("/config/url", config.url.is_none())],
        ProviderKind::AzureEmail | ProviderKind::Webpush => {
            fault("/kind", "not_configured", "This platform is not configured for this kind of provider.");
            &[]
        }
    };
    for (pointer, missing) in needed {
        if *missing {
            fault(pointer, "required", "This kind of provider needs it.");
        }
    }
    if config.username.is_some() && secret_ref.is_none() {
        fault("/secretRef", "required", "A name needs a password: keep it in `secrets` and name it here.");
    }
    if config.from.as_ref().is_some_and(|from| !coder_mail::is_sender(from)) {
        fault("/config/from", "invalid_format", "This must be an address, or `Name <address>`.");
    }
    let provider = Provider { channel, kind, config, secret_ref, priority, enabled, daily_limit };
    faults.extend(check_target(service, &provider).await);
    if faults.is_empty() { Ok(provider) } else { Err(Problem::invalid(faults).into()) }
}

/// Whoever points a secret somewhere must be allowed to see it: the provider's server does.
async fn may_point<P: Permission>(
    who: &Allowed<P>,
    before: Option<&Provider>,
    after: &Provider,
) -> Result<()> {
    const REVEAL: &str = "secrets.secret.reveal";
    let same = before.is_some_and(|before| {
        (&before.secret_ref, &before.config, before.kind) == (&after.secret_ref, &after.config, after.kind)
    });
    if after.secret_ref.is_none()
        || same
        || who.holds(REVEAL, Scope::Organization(who.organization_id)).await?
    {
        return Ok(());
    }
    Err(Problem::missing_permission(REVEAL).into())
}

fn event(record: &Record<Provider>) -> Value {
    json!({"providerId": record.meta.id, "kind": record.data.kind, "channel": record.data.channel})
}

async fn list(
    State(service): State<Notifications>,
    who: Allowed<ProviderRead>,
    list: List<ProviderFilters>,
) -> Result<Json<PageOf<ProviderView>>> {
    let organization_id = Some(who.organization_id);
    let partition = ProviderState::partition(organization_id);
    let page = list.page(&providers::providers(&service), &partition, None).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for record in page.items {
        let state = providers::state(&service, organization_id, &record.meta.id).await?;
        items.push(ProviderView::of(record, state));
    }
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn get(
    State(service): State<Notifications>,
    who: Allowed<ProviderRead>,
    Path(id): Path<String>,
) -> Result<Json<ProviderView>> {
    let organization_id = Some(who.organization_id);
    let partition = ProviderState::partition(organization_id);
    let record = providers::providers(&service).get(&partition, &id).await?;
    let state = providers::state(&service, organization_id, &id).await?;
    Ok(Json(ProviderView::of(record, state)))
}

async fn create(
    State(service): State<Notifications>,
    who: Allowed<ProviderCreate>,
    Body(write): Body<ProviderWrite>,
) -> Result<Created<ProviderView>> {
    let partition = ProviderState::partition(Some(who.organization_id));
    let mut unit = who.begin(CONTAINER, partition.clone()).await?;
    let provider = checked(&service, write).await?;
    may_point(&who, None, &provider).await?;
    let there = providers::providers(&service).all(&partition, None, MAX_PROVIDERS).await?.len();
    if there >= MAX_PROVIDERS {
        let detail = format!("An organization has at most {MAX_PROVIDERS} providers; remove one first.");
        return Err(Failure::problem(Code::LimitReached, detail));
    }
    let id = unit.new_id();
    let record = unit.create(id, provider)?;
    unit.emit("provider.created", &record.meta.id, event(&record));
    let location = format!("{}/{}", who.context().path(), record.meta.id);
    unit.commit(Created { location, body: ProviderView::of(record, ProviderState::default()) }).await
}

async fn update(
    State(service): State<Notifications>,
    who: Allowed<ProviderUpdate>,
    Path(id): Path<String>,
    if_match: IfMatch,
    patch: Patch<ProviderWrite>,
) -> Result<Json<ProviderView>> {
    let organization_id = Some(who.organization_id);
    let partition = ProviderState::partition(organization_id);
    let before = providers::providers(&service).get(&partition, &id).await?;
    if_match.check(&before.meta)?;
    let Provider { channel, kind, config, secret_ref, priority, enabled, daily_limit } = before.data.clone();
    let write = ProviderWrite { channel, kind, config, secret_ref, priority, enabled, daily_limit };
    let provider = checked(&service, patch.apply(&write)?).await?;
    may_point(&who, Some(&before.data), &provider).await?;
    let mut unit = who.begin(CONTAINER, partition).await?;
    let (record, changes) = unit.replace(&before, provider)?;
    unit.emit_changes("provider.updated", &id, event(&record), &changes);
    let state = providers::state(&service, organization_id, &id).await?;
    unit.commit(Json(ProviderView::of(record, state))).await
}

async fn delete(
    State(service): State<Notifications>,
    who: Allowed<ProviderDelete>,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let partition = ProviderState::partition(Some(who.organization_id));
    let before = providers::providers(&service).get(&partition, &id).await?;
    if_match.check(&before.meta)?;
    let mut unit = who.begin(CONTAINER, partition).await?;
    unit.delete(&before)?;
    unit.emit("provider.deleted", &id, event(&before));
    unit.commit(NoContent).await
}

async fn test(
    State(service): State<Notifications>,
    who: Allowed<ProviderUpdate>,
    Path(id): Path<String>,
) -> Result<Json<ProviderTest>> {
    let organization_id = Some(who.organization_id);
    let partition = ProviderState::partition(organization_id);
    let record = providers::providers(&service).get(&partition, &id).await?;
    let unit = who.begin(CONTAINER, partition).await?;
    let recipient = [format!("user:{}", who.user_id)];
    let found = service.directory.expand(organization_id, &recipient, None).await?;
    let Some(to) = found.people.first().and_then(|person| person.email.clone()) else {
        let detail = "A test goes to your own address, and you have none.";
        return Err(Failure::problem(Code::InvalidState, detail));
    };
    let host = service.runtime.settings.public_url.host_str().unwrap_or("localhost").to_owned();
    let test_id = service.runtime.ambient.new_uuid().to_string();
    let letter = test_letter(&to, &test_id, &host, service.now());
    let carrier = Carrier::own(organization_id, id, record.data, ProviderState::default());
    let error = carrier.carry(&service, &letter).await.err().map(|fault| fault.to_string());
    unit.commit(Json(ProviderTest { ok: error.is_none(), to, error })).await
}

impl Example for ProviderWrite {
    fn example() -> Self {
        Self {
            channel: Channel::Email,
            kind: ProviderKind::Webhook,
            config: ProviderConfig {
                url: Some("https://mail.example.com/inbound".to_owned()),
                ..ProviderConfig::default()
            },
            secret_ref: None,
            priority: 10,
            enabled: true,
            daily_limit: Some(5000),
        }
    }
}

impl Example for ProviderView {
    fn example() -> Self {
        let config = ProviderConfig::example();
        let provider = Provider {
            channel: Channel::Email,
            kind: ProviderKind::Smtp,
            config,
            secret_ref: Some(format!("secret:{}#password", coder_core::id::EXAMPLE)),
            priority: 10,
            enabled: true,
            daily_limit: Some(5000),
        };
        Self::of(Record::example(provider), ProviderState::default())
    }
}

impl Example for ProviderTest {
    fn example() -> Self {
        Self { ok: true, to: "ada@example.com".to_owned(), error: None }
    }
}
