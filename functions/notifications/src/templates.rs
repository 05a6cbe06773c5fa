//! The texts of messages: built in by topic, and an organization's own.

use coder_core::{OrganizationId, Result};
use coder_database::Repository;
use serde_json::Value;

use crate::CONTAINER;
use crate::model::template::{MessageTemplate, TemplateChannel};
use crate::render::{Form, Region, RenderError, Template, render};
use crate::service::Notifications;

/// The language that everything is written in.
pub const DEFAULT_LOCALE: &str = "en";

/// What the inbox shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// One line.
    pub title: String,
    /// Plain text or the Markdown subset.
    pub body: String,
}

/// The texts of a topic in a language, filled with the variables: the organization's template if there is one, else
/// the words of [`crate::topics`]. An organization's template that fails gives way to the built-in one.
pub async fn texts(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
    topic: &str,
    locale: &str,
    variables: &Value,
) -> Result<Texts> {
    let region = Region::new(locale, variables["user"]["timeZone"].as_str().unwrap_or("UTC"));
    let words = crate::topics::find(topic);
    let (title, body) = words.map_or(("", ""), |words| (words.title, words.body));
    if let Some(own) = own(service, organization_id, topic, locale, TemplateChannel::Inbox).await? {
        let title = own.title.as_deref().unwrap_or(title);
        match fill(title, &own.body, variables, &region) {
            Ok(texts) => return Ok(texts),
            Err(cause) => tracing::warn!(topic, cause, "an organization's template fails"),
        }
    }
    fill(title, body, variables, &region).map_err(coder_core::Failure::internal)
}

fn fill(title: &str, body: &str, variables: &Value, region: &Region) -> Result<Texts, String> {
    Ok(Texts {
        title: rendered(title, variables, region, Form::Line)?,
        body: rendered(body, variables, region, Form::Text)?,
    })
}

/// One text, filled; the error is for the log.
pub(crate) fn rendered(
    template: &str,
    variables: &Value,
    region: &Region,
    form: Form,
) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.to_string())?;
    render(&template, variables, region, form).map_err(|error: RenderError| error.to_string())
}

/// The organization's own template for a topic and channel, in the language, its base language, or English.
pub(crate) async fn own(
    service: &Notifications,
    organization_id: Option<OrganizationId>,
    topic: &str,
    locale: &str,
    channel: TemplateChannel,
) -> Result<Option<MessageTemplate>> {
    let templates = Repository::<MessageTemplate>::new(service.runtime.store.clone(), CONTAINER);
    let partition = MessageTemplate::partition(organization_id);
    let mut candidates = vec![locale, locale.split('-').next().unwrap_or(locale), DEFAULT_LOCALE];
    candidates.dedup();
    for locale in candidates {
        let found = templates.find(&partition, &MessageTemplate::id(topic, locale)).await?;
        if let Some(template) = found.filter(|template| template.data.is_for(channel)) {
            return Ok(Some(template.data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use crate::render::Template;
    use crate::topics::TOPICS;

    #[test]
    fn every_built_in_text_is_a_template() {
        for topic in TOPICS {
            for text in [topic.title, topic.body] {
                assert!(!text.is_empty(), "{}", topic.name);
                Template::parse(text).unwrap_or_else(|error| panic!("{}: {error}", topic.name));
            }
        }
    }
}
