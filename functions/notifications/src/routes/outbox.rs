//! Mail that waits, was sent or is kept.

use coder_core::{Code, Failure, Problem, Result, Timestamp};
use coder_database::{Filter, Record};
use coder_handler::Routes;
use coder_middleware::{Access as _, Allowed, Example, Filters, Json, List, PageOf, Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::CONTAINER;
use crate::catalogue::{OutboxInspect, OutboxUpdate};
use crate::deliver::Criticality;
use crate::model::mail::{MailHeader, MailState, OutboxMail};
use crate::outbox::{self, DELIVER, DeliverInput, MailBody};
use crate::service::Notifications;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    routes
        .get("/outbox", "list_mails", "List mail that waits, was sent or is kept", list)
        .post("/outbox/{mailId}/retry", "retry_mail", "Send a mail again", retry)
        .problems([Code::InvalidState])
}

/// Filters of the list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailFilters {
    /// Only mail that stands so.
    pub state: Option<MailState>,
    /// Only mail to this address.
    #[schemars(length(max = 254))]
    pub to: Option<String>,
    /// Only mail on this topic.
    #[schemars(length(max = 80))]
    pub topic: Option<String>,
}

impl Filters for MailFilters {
    const SORT: &'static [&'static str] = &["-createdAt"];

    fn filter(&self) -> Option<Filter> {
        let state = self.state.map(|state| Filter::eq("state", json!(state)));
        let to = self.to.as_ref().map(|to| Filter::eq("to", to.as_str()));
        let topic = self.topic.as_ref().map(|topic| Filter::eq("topic", topic.as_str()));
        state.into_iter().chain(to).chain(topic).reduce(Filter::and)
    }
}

/// A mail as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailView {
    /// The mail; its delivery has the same id.
    pub id: String,
    /// When it was written.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// The address.
    pub to: String,
    /// One line; that of a sensitive mail is hidden with its body.
    pub subject: String,
    /// Plain text; null if it is masked or erased.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// Further headers.
    pub headers: Vec<MailHeader>,
    /// Whether the body holds a secret: it is erased once sent or after 24 hours.
    pub sensitive: bool,
    /// Whether the body is there but not shown.
    pub masked: bool,
    /// Where it stands.
    pub state: MailState,
    /// Attempts so far.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the next attempt is due.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub next_attempt_at: Option<Timestamp>,
    /// Who carried it.
    pub provider_id: Option<String>,
    /// What it is about.
    pub topic: String,
    /// How much it matters.
    pub criticality: Criticality,
    /// Changes at every write.
    pub etag: String,
}

/// What an admin sees; the body of a sensitive mail in development only.
fn view(service: &Notifications, record: Record<OutboxMail>) -> Result<MailView> {
    let runtime = &service.runtime;
    let masked = record.data.sensitive && record.data.has_body() && runtime.settings.is_production();
    let body = if masked { None } else { outbox::body(runtime, &record.meta.id, &record.data)? };
    let (meta, mail) = (record.meta, record.data);
    let (subject, text, html) = match body {
        Some(MailBody { subject, text, html }) => (subject, Some(text), html),
        None => (mail.subject, None, None),
    };
    Ok(MailView {
        id: meta.id,
        created_at: meta.created_at,
        to: mail.to,
        subject,
        text,
        html,
        headers: mail.headers,
        sensitive: mail.sensitive,
        masked,
        state: mail.state,
        attempts: mail.attempts,
        last_error: mail.last_error,
        next_attempt_at: mail.next_attempt_at,
        provider_id: mail.provider_id,
        topic: mail.topic,
        criticality: mail.criticality,
        etag: meta.etag,
    })
}

async fn list(
    State(service): State<Notifications>,
    who: Allowed<OutboxInspect>,
    list: List<MailFilters>,
) -> Result<Json<PageOf<MailView>>> {
    let partition = OutboxMail::partition(Some(who.organization_id));
    let page = list.page(&outbox::repository(&service), &partition, None).await?;
    let items = page.items.into_iter().map(|record| view(&service, record)).collect::<Result<_>>()?;
    Ok(Json(PageOf { items, next_cursor: page.next_cursor }))
}

async fn retry(
    State(service): State<Notifications>,
    who: Allowed<OutboxUpdate>,
    Path(id): Path<String>,
) -> Result<Json<MailView>> {
    let organization_id = Some(who.organization_id);
    let partition = OutboxMail::partition(organization_id);
    let found = outbox::repository(&service).find(&partition, &id).await?;
    let before = found.ok_or_else(|| Problem::not_found("mail"))?;
    let refused = |detail: &str| Err(Failure::problem(Code::InvalidState, detail));
    if before.data.state == MailState::Sent {
        return refused("The mail was sent; it is not sent twice.");
    }
    if !before.data.has_body() {
        return refused("The body of this mail was erased; have it written again.");
    }
    if crate::providers::carriers(&service, organization_id).await?.is_empty() {
        return refused("There is nobody to carry mail: add a provider first.");
    }
    let mut unit = who.begin(CONTAINER, partition).await?;
    let input = DeliverInput { organization_id, mail_id: id, erase: false };
    let mut mail = before.data.clone();
    mail.job_id = Some(coder_jobs::enqueue(&mut unit, DELIVER, json!(input), None)?.meta.id);
    (mail.state, mail.attempts, mail.next_attempt_at) = (MailState::Queued, 0, None);
    let (record, _) = unit.replace(&before, mail)?;
    unit.commit(Json(view(&service, record)?)).await
}

impl Example for MailView {
    fn example() -> Self {
        Self {
            id: coder_core::id::EXAMPLE.to_string(),
            created_at: Timestamp::UNIX_EPOCH,
            to: "ada@example.com".to_owned(),
            subject: "ENG-12 was assigned to you".to_owned(),
            text: Some("Speed the parser up\n".to_owned()),
            html: Some("<p>Speed the parser up</p>".to_owned()),
            headers: vec![MailHeader {
                name: "List-Unsubscribe-Post".to_owned(),
                value: "List-Unsubscribe=One-Click".to_owned(),
            }],
            sensitive: false,
            masked: false,
            state: MailState::Kept,
            attempts: 0,
            last_error: None,
            next_attempt_at: None,
            provider_id: None,
            topic: "task.assigned".to_owned(),
            criticality: Criticality::Medium,
            etag: "5f0c1d2e3a4b5c6d".to_owned(),
        }
    }
}
