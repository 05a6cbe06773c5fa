//! An organization's own words for the platform's messages.

use coder_core::{Code, Failure, Fault, Problem, Result};
use coder_database::{Filter, Record, Repository};
use coder_handler::Routes;
use coder_middleware::{
    Access as _, Allowed, Body, Example, Filters, IfMatch, Json, List, NoContent, PageOf, Paths, State,
};
use icu_locale_core::Locale;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::CONTAINER;
use crate::catalogue::{TemplateDelete, TemplateRead, TemplateUpdate};
use crate::model::template::{MessageTemplate, TemplateChannel};
use crate::outbox::compose;
use crate::render::{Form, Region, Template, render, unknown};
use crate::service::Notifications;
use crate::templates::DEFAULT_LOCALE;

/// Most templates of an organization.
const MAX_TEMPLATES: usize = 1000;

/// Adds the routes.
pub fn routes(routes: Routes<Notifications>) -> Routes<Notifications> {
    const ITEM: &str = "/templates/{topic}/{locale}";
    routes
        .get("/templates", "list_templates", "List the built-in texts and the own ones", list)
        .get(ITEM, "get_template", "Read the text of a topic", get)
        .put(ITEM, "replace_template", "Replace the text of a topic", replace)
        .problems([Code::LimitReached])
        .delete(ITEM, "delete_template", "Return to the built-in text of a topic", delete)
        .post(
            "/templates/{topic}/{locale}/preview",
            "preview_template",
            "Render the text of a topic with given data",
            preview,
        )
}

/// What an organization writes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateWrite {
    /// Where it is used.
    #[serde(default)]
    pub channel: TemplateChannel,
    /// The subject of the mail; else the title.
    #[schemars(length(min = 1, max = 200))]
    pub subject: Option<String>,
    /// One line; else the built-in one.
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// Plain text or the Markdown subset.
    #[schemars(length(min = 1, max = 20000))]
    pub body: String,
    /// The mail as HTML; else it is made from the body.
    #[schemars(length(min = 1, max = 100_000))]
    pub html: Option<String>,
}

/// A template as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateView {
    /// The topic.
    pub topic: String,
    /// The language.
    pub locale: String,
    /// Whether it comes with the platform.
    pub built_in: bool,
    /// Where it is used.
    pub channel: TemplateChannel,
    /// The subject of the mail.
    pub subject: Option<String>,
    /// One line.
    pub title: Option<String>,
    /// The text.
    pub body: String,
    /// The mail as HTML.
    pub html: Option<String>,
    /// Rises with every change; 0 for what is built in.
    pub version: u32,
    /// Changes at every write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Data to try a template with, and a draft to try instead of what is stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewRequest {
    /// The subject of the mail.
    #[schemars(length(min = 1, max = 200))]
    pub subject: Option<String>,
    /// One line.
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// Plain text or the Markdown subset.
    #[schemars(length(min = 1, max = 20000))]
    pub body: Option<String>,
    /// The mail as HTML.
    #[schemars(length(min = 1, max = 100_000))]
    pub html: Option<String>,
    /// What the template may name, at most 64 KiB.
    #[schemars(with = "std::collections::BTreeMap<String, Value>", extend("maxProperties" = 200))]
    pub data: Value,
    /// The time zone in which times are written.
    #[schemars(length(max = 64))]
    pub time_zone: Option<String>,
}

/// A rendered template.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Preview {
    /// The subject of the mail.
    pub subject: String,
    /// The line in the inbox.
    pub title: String,
    /// The text.
    pub body: String,
    /// The mail as HTML.
    pub html: String,
}

/// Filters of the list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateFilters {
    /// Only this topic.
    #[schemars(length(max = 80))]
    pub topic: Option<String>,
    /// Only this language.
    #[schemars(length(max = 35))]
    pub locale: Option<String>,
    /// Only built-in ones, or only own ones.
    pub built_in: Option<bool>,
}

impl Filters for TemplateFilters {
    const SORT: &'static [&'static str] = &["topic"];

    fn filter(&self) -> Option<Filter> {
        // The list is put together in memory; this tells its cursors apart.
        let wanted = format!("{:?} {:?} {:?}", self.topic, self.locale, self.built_in);
        Some(Filter::eq("wanted", wanted))
    }
}

impl TemplateFilters {
    fn pass(&self, view: &TemplateView) -> bool {
        self.topic.as_ref().is_none_or(|topic| *topic == view.topic)
            && self.locale.as_ref().is_none_or(|locale| *locale == view.locale)
            && self.built_in.is_none_or(|built_in| built_in == view.built_in)
    }
}

impl TemplateView {
    fn own(record: Record<MessageTemplate>) -> Self {
        let MessageTemplate { topic, locale, channel, subject, title, body, html, version } = record.data;
        let etag = Some(record.meta.etag);
        Self { topic, locale, built_in: false, channel, subject, title, body, html, version, etag }
    }

    fn built_in(topic: &str, title: &str, body: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            locale: DEFAULT_LOCALE.to_owned(),
            built_in: true,
            channel: TemplateChannel::All,
            subject: None,
            title: Some(title.to_owned()),
            body: body.to_owned(),
            html: None,
            version: 0,
            etag: None,
        }
    }

    /// The built-in text of a topic, or `404`.
    fn of_platform(topic: &str) -> Result<Self> {
        let found = crate::topics::find(topic).ok_or_else(|| Problem::not_found("template"))?;
        Ok(Self::built_in(topic, found.title, found.body))
    }
}

fn repository(service: &Notifications) -> Repository<MessageTemplate> {
    Repository::new(service.runtime.store.clone(), CONTAINER)
}

async fn list(
    State(service): State<Notifications>,
    who: Allowed<TemplateRead>,
    list: List<TemplateFilters>,
) -> Result<Json<PageOf<TemplateView>>> {
    let partition = MessageTemplate::partition(Some(who.organization_id));
    let own = repository(&service).all(&partition, None, MAX_TEMPLATES).await?;
    let built_in =
        crate::topics::TOPICS.iter().map(|one| TemplateView::built_in(one.name, one.title, one.body));
    let mut views: Vec<TemplateView> = own.into_iter().map(TemplateView::own).chain(built_in).collect();
    views.retain(|view| list.filters.pass(view));
    views.sort_by(|a, b| (&a.topic, &a.locale, a.built_in).cmp(&(&b.topic, &b.locale, b.built_in)));
    if list.order.1 == coder_database::Direction::Descending {
        views.reverse();
    }
    list.slice(&views, &format!("templates of {}", who.organization_id)).map(Json)
}

async fn get(
    State(service): State<Notifications>,
    who: Allowed<TemplateRead>,
    Paths(topic, locale): Paths<String, String>,
) -> Result<Json<TemplateView>> {
    let partition = MessageTemplate::partition(Some(who.organization_id));
    match repository(&service).find(&partition, &MessageTemplate::id(&topic, &locale)).await? {
        Some(record) => Ok(Json(TemplateView::own(record))),
        None if locale == DEFAULT_LOCALE => TemplateView::of_platform(&topic).map(Json),
        None => Err(Problem::not_found("template").into()),
    }
}

async fn replace(
    State(service): State<Notifications>,
    who: Allowed<TemplateUpdate>,
    Paths(topic, locale): Paths<String, String>,
    if_match: IfMatch,
    Body(write): Body<TemplateWrite>,
) -> Result<Json<TemplateView>> {
    named(&topic, &locale)?;
    let texts = [&write.subject, &write.title, &Some(write.body.clone()), &write.html];
    parsed(texts.map(Option::as_deref))?;
    let templates = repository(&service);
    let partition = MessageTemplate::partition(Some(who.organization_id));
    let id = MessageTemplate::id(&topic, &locale);
    let before = templates.find(&partition, &id).await?;
    let TemplateWrite { channel, subject, title, body, html } = write;
    let version = before.as_ref().map_or(0, |before| before.data.version) + 1;
    let template = MessageTemplate { topic, locale, channel, subject, title, body, html, version };
    let mut unit = who.begin(CONTAINER, partition.clone()).await?;
    let about = json!({"topic": template.topic, "locale": template.locale});
    let record = match before {
        Some(before) => {
            if_match.check(&before.meta)?;
            let (record, changes) = unit.replace(&before, template)?;
            unit.emit_changes("template.updated", &id, about, &changes);
            record
        }
        None => {
            if templates.all(&partition, None, MAX_TEMPLATES).await?.len() >= MAX_TEMPLATES {
                let detail = format!("At most {MAX_TEMPLATES} templates are kept; delete one first.");
                return Err(Failure::problem(Code::LimitReached, detail));
            }
            let record = unit.create(&id, template)?;
            unit.emit("template.updated", &id, about);
            record
        }
    };
    unit.commit(Json(TemplateView::own(record))).await
}

async fn delete(
    State(service): State<Notifications>,
    who: Allowed<TemplateDelete>,
    Paths(topic, locale): Paths<String, String>,
    if_match: IfMatch,
) -> Result<NoContent> {
    let partition = MessageTemplate::partition(Some(who.organization_id));
    let id = MessageTemplate::id(&topic, &locale);
    let before = repository(&service).get(&partition, &id).await?;
    if_match.check(&before.meta)?;
    let mut unit = who.begin(CONTAINER, partition).await?;
    unit.delete(&before)?;
    unit.emit("template.updated", &id, json!({"topic": topic, "locale": locale}));
    unit.commit(NoContent).await
}

async fn preview(
    State(service): State<Notifications>,
    who: Allowed<TemplateRead>,
    Paths(topic, locale): Paths<String, String>,
    Body(draft): Body<PreviewRequest>,
) -> Result<Json<Preview>> {
    named(&topic, &locale)?;
    let partition = MessageTemplate::partition(Some(who.organization_id));
    let stored = match repository(&service).find(&partition, &MessageTemplate::id(&topic, &locale)).await? {
        Some(record) => Some(TemplateView::own(record)),
        None => TemplateView::of_platform(&topic).ok(),
    };
    let stored_title = stored.as_ref().and_then(|stored| stored.title.clone());
    let stored_title =
        stored_title.or_else(|| crate::topics::find(&topic).map(|found| found.title.to_owned()));
    let title = draft.title.or(stored_title).unwrap_or_default();
    let body = draft.body.or_else(|| stored.as_ref().map(|stored| stored.body.clone()));
    let body = body.ok_or_else(|| Problem::not_found("template"))?;
    let subject = draft.subject.or_else(|| stored.as_ref()?.subject.clone());
    let html = draft.html.or_else(|| stored.as_ref()?.html.clone());
    let region = Region::new(&locale, draft.time_zone.as_deref().unwrap_or("UTC"));
    let texts = parsed([subject.as_deref(), Some(&title), Some(&body), html.as_deref()])?;
    let data = &draft.data;
    known(&texts, data)?;
    let fill = |at: usize, form| match &texts[at] {
        Some((pointer, text)) => render(text, data, &region, form)
            .map(Some)
            .map_err(|error| Failure::from(Problem::fault(*pointer, "too_large", format!("{error}.")))),
        None => Ok(None),
    };
    let title = fill(1, Form::Line)?.unwrap_or_default();
    let body = fill(2, Form::Text)?.unwrap_or_default();
    let subject = fill(0, Form::Line)?.unwrap_or_else(|| title.clone());
    let html = fill(3, Form::Html)?.unwrap_or_else(|| compose::layout(&title, &body, None, None));
    Ok(Json(Preview { subject, title, body, html }))
}

/// Refuses a topic or language that nobody can have.
fn named(topic: &str, locale: &str) -> Result<()> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let topic_fits = topic.len() <= 80 && topic.split('.').all(word);
    let written = Locale::try_from_str(locale).map(|parsed| parsed.to_string());
    if topic_fits && locale.len() <= 35 && written.is_ok_and(|written| written == locale) {
        Ok(())
    } else {
        Err(Problem::not_found("template").into())
    }
}

/// The texts, each with the pointer to its field.
type Parsed = [Option<(&'static str, Template)>; 4];

/// Reads subject, title, body and HTML; every one that is no template is a fault.
fn parsed(texts: [Option<&str>; 4]) -> Result<Parsed> {
    const POINTERS: [&str; 4] = ["/subject", "/title", "/body", "/html"];
    let (mut parsed, mut faults) = ([const { None }; 4], Vec::new());
    for (at, (pointer, text)) in POINTERS.into_iter().zip(texts).enumerate() {
        match text.map(Template::parse) {
            None => {}
            Some(Ok(template)) => parsed[at] = Some((pointer, template)),
            Some(Err(error)) => faults.push(Fault::new(pointer, "invalid_template", format!("{error}."))),
        }
    }
    if faults.is_empty() { Ok(parsed) } else { Err(Problem::invalid(faults).into()) }
}

/// Every name that the data lacks is a fault.
fn known(texts: &Parsed, data: &Value) -> Result<()> {
    let mut faults = Vec::new();
    for (pointer, template) in texts.iter().flatten() {
        faults.extend(unknown(template, data).into_iter().map(|unknown| {
            let message = format!("`{}` in line {} is not in the data.", unknown.name, unknown.line);
            Fault::new(*pointer, "unknown_variable", message)
        }));
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults).into()) }
}

impl Example for TemplateWrite {
    fn example() -> Self {
        Self {
            channel: TemplateChannel::All,
            subject: Some("New work: {{title}}".to_owned()),
            title: Some("{{user.name}}, there is work for you".to_owned()),
            body: "Hello {{user.name}}, please look at {{data.title}}.".to_owned(),
            html: None,
        }
    }
}

impl Example for TemplateView {
    fn example() -> Self {
        Self::own(Record::example(MessageTemplate {
            topic: "task.assigned".to_owned(),
            locale: "en".to_owned(),
            channel: TemplateChannel::All,
            subject: None,
            title: Some("{{user.name}}, there is work for you".to_owned()),
            body: "Hello {{user.name}}, please look at {{data.title}}.".to_owned(),
            html: None,
            version: 3,
        }))
    }
}

impl Example for PreviewRequest {
    fn example() -> Self {
        Self {
            subject: None,
            title: Some("Work for {{user.name}}".to_owned()),
            body: Some("Due on {{date due}}.".to_owned()),
            html: None,
            data: json!({"user": {"name": "Ada"}, "due": "2026-01-31"}),
            time_zone: Some("Europe/Berlin".to_owned()),
        }
    }
}

impl Example for Preview {
    fn example() -> Self {
        Self {
            subject: "Work for Ada".to_owned(),
            title: "Work for Ada".to_owned(),
            body: "Due on January 31, 2026.".to_owned(),
            html: "<h1>Work for Ada</h1><p>Due on January 31, 2026.</p>".to_owned(),
        }
    }
}
