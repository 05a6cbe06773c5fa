//! From a request to the mail itself: subject, two bodies, headers.

use coder_config::Settings;
use coder_core::Result;
use coder_core::text::sha256_hex;
use serde_json::{Value, json};

use crate::deliver::{Category, MailRequest};
use crate::model::mail::MailHeader;
use crate::model::template::{MessageTemplate, TemplateChannel};
use crate::render::{Form, Region, escape_html};
use crate::service::Notifications;
use crate::{templates, unsubscribe};

/// Longest subject, in characters.
const MAX_SUBJECT: usize = 200;

/// A mail that can be sent.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    pub(crate) headers: Vec<MailHeader>,
    pub(crate) message_id: String,
}

/// Renders a mail.
pub(crate) async fn compose(service: &Notifications, request: &MailRequest) -> Result<Composed> {
    let settings = &service.runtime.settings;
    let organization_id = request.place.organization_id;
    let own =
        templates::own(service, organization_id, &request.topic, &request.locale, TemplateChannel::Email)
            .await?;
    let is_locked = request.sensitive || request.category == Category::Security;
    let unsubscribe = request
        .user_id
        .filter(|_| !is_locked)
        .map(|user_id| unsubscribe::link(service, user_id, &request.topic));
    let action = request.action_url.as_deref().map(|url| {
        (application_link(settings, url), request.action_label.as_deref().unwrap_or("Open").to_owned())
    });
    let words = Words { request, action, unsubscribe: unsubscribe.clone() };
    let (subject, text, html) = match own.and_then(|own| words.of_template(&own)) {
        Some(words) => words,
        None => words.built_in(),
    };
    let host = settings.public_url.host_str().unwrap_or("localhost");
    let mut headers = Vec::new();
    let mut header = |name: &str, value: String| headers.push(MailHeader { name: name.to_owned(), value });
    if let Some(link) = unsubscribe {
        header("List-Unsubscribe", format!("<{link}>"));
        header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned());
    }
    if let Some(resource) = &request.resource {
        let organization = organization_id.map_or_else(|| "platform".to_owned(), |id| id.to_string());
        let thread = &sha256_hex(&[organization.as_str(), &resource.kind, &resource.id])[..32];
        header("References", format!("<thread.{thread}@{host}>"));
    }
    header("Auto-Submitted", "auto-generated".to_owned());
    let message_id = format!("<{}@{host}>", request.place.delivery_id);
    Ok(Composed { subject: one_line(&subject), text, html, headers, message_id })
}

/// A mail's words: those of the request, with where they lead.
struct Words<'a> {
    request: &'a MailRequest,
    action: Option<(String, String)>,
    unsubscribe: Option<String>,
}

impl Words<'_> {
    /// Subject, text and HTML in the organization's own words; nothing if its template fails.
    fn of_template(&self, own: &MessageTemplate) -> Option<(String, String, String)> {
        let region = Region::new(&self.request.locale, &self.request.time_zone);
        let variables = self.variables();
        let fill = |text: &str, form| {
            templates::rendered(text, &variables, &region, form)
                .inspect_err(|cause| {
                    tracing::warn!(topic = own.topic, cause, "an organization's template fails");
                })
                .ok()
        };
        let title = match &own.title {
            Some(title) => fill(title, Form::Line)?,
            None => self.request.title.clone(),
        };
        let subject = match &own.subject {
            Some(subject) => fill(subject, Form::Line)?,
            None => title.clone(),
        };
        let body = fill(&own.body, Form::Text)?;
        let html = match &own.html {
            Some(html) => fill(html, Form::Html)?,
            None => self.html(&title, &body),
        };
        Some((subject, self.text(&body), html))
    }

    fn built_in(&self) -> (String, String, String) {
        let MailRequest { title, body, .. } = self.request;
        (title.clone(), self.text(body), self.html(title, body))
    }

    fn variables(&self) -> Value {
        let mut variables = self.request.variables.clone();
        if !variables.is_object() {
            variables = json!({});
        }
        variables["title"] = json!(self.request.title);
        variables["body"] = json!(self.request.body);
        variables["actionUrl"] = json!(self.action.as_ref().map(|(url, _)| url));
        variables["actionLabel"] = json!(self.action.as_ref().map(|(_, label)| label));
        variables["unsubscribeUrl"] = json!(self.unsubscribe);
        variables
    }

    fn text(&self, body: &str) -> String {
        let action = self.action.as_ref().map(|(url, label)| format!("\n{label}: {url}\n"));
        let footer =
            self.unsubscribe.as_ref().map(|link| format!("\n-- \nNo more mail of this kind: {link}\n"));
        [body.trim_end(), "\n", &action.unwrap_or_default(), &footer.unwrap_or_default()].concat()
    }

    fn html(&self, title: &str, body: &str) -> String {
        let action = self.action.as_ref().map(|(url, label)| (url.as_str(), label.as_str()));
        layout(title, body, action, self.unsubscribe.as_deref())
    }
}

/// A mail as HTML, made from its plain words.
pub(crate) fn layout(
    title: &str,
    body: &str,
    action: Option<(&str, &str)>,
    unsubscribe: Option<&str>,
) -> String {
    let paragraphs: String = body
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
        .map(|paragraph| ["<p>", &escape_html(paragraph.trim()).replace('\n', "<br>"), "</p>"].concat())
        .collect();
    let link =
        |url: &str, label: &str| format!("<a href=\"{}\">{}</a>", escape_html(url), escape_html(label));
    let action = action.map_or_else(String::new, |(url, label)| format!("<p>{}</p>", link(url, label)));
    let footer = unsubscribe
        .map_or_else(String::new, |url| format!("<hr><p>{}</p>", link(url, "No more mail of this kind")));
    format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>{title}</title></head>\
         <body style=\"font-family:sans-serif;line-height:1.5\"><h1 style=\"font-size:1.25em\">{title}</h1>\
         {paragraphs}{action}{footer}</body></html>",
        title = escape_html(title),
    )
}

/// An address as a person can open it: a path becomes one of the application.
fn application_link(settings: &Settings, url: &str) -> String {
    let application = settings.allowed_origins.first().map_or(settings.public_url.as_str(), String::as_str);
    if url.starts_with('/') { format!("{}{url}", application.trim_end_matches('/')) } else { url.to_owned() }
}

/// A subject that is one line and not too long.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_SUBJECT).collect()
}

#[cfg(test)]
mod tests {
    use super::{layout, one_line};

    #[test]
    fn every_word_is_escaped_in_html() {
        let html = layout(
            "<script>1</script>",
            "a & b\n<i>c</i>\n\nd",
            Some(("https://x.example/?a=\"><b>", "<u>")),
            Some("https://x.example/u"),
        );
        assert!(
            html.contains("<h1 style=\"font-size:1.25em\">&lt;script&gt;1&lt;/script&gt;</h1>"),
            "{html}"
        );
        assert!(html.contains("<p>a &amp; b<br>&lt;i&gt;c&lt;/i&gt;</p><p>d</p>"), "{html}");
        assert!(
            html.contains("<a href=\"https://x.example/?a&#61;&quot;&gt;&lt;b&gt;\">&lt;u&gt;</a>"),
            "{html}"
        );
        assert!(!html.contains("<script>") && !html.contains("<i>") && !html.contains("<u>"), "{html}");
    }

    #[test]
    fn a_subject_is_one_short_line() {
        assert_eq!(one_line("a\r\nBcc: eve\u{0}  b "), "a Bcc: eve b");
        assert_eq!(one_line(&"x".repeat(300)).len(), 200);
    }
}
