//! An organization's own words for a topic in a language.

use coder_database::{Entity, Partition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::of_tenant;
use crate::model::CONFIG;

/// Where a template's words are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TemplateChannel {
    /// In the list in the application.
    Inbox,
    /// In mail.
    Email,
    /// Everywhere.
    #[default]
    All,
}

/// An organization's own words for a topic in a language. What is missing stays as it is built in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageTemplate {
    /// The topic.
    pub topic: String,
    /// The language tag.
    pub locale: String,
    /// Where it is used.
    pub channel: TemplateChannel,
    /// The subject of the mail; else the title.
    pub subject: Option<String>,
    /// One line.
    pub title: Option<String>,
    /// Plain text or the Markdown subset.
    pub body: String,
    /// The mail as HTML; else it is made from the body.
    pub html: Option<String>,
    /// Rises with every change.
    pub version: u32,
}

impl Entity for MessageTemplate {
    const TYPE: &'static str = "template";
}

impl MessageTemplate {
    /// The document id: one for each topic and language.
    pub fn id(topic: &str, locale: &str) -> String {
        format!("template:{topic}:{locale}")
    }

    /// Where an organization's templates are, or those of the platform.
    pub fn partition(organization_id: Option<coder_core::OrganizationId>) -> Partition {
        of_tenant(organization_id).bucket(CONFIG)
    }

    /// Whether it speaks for this channel.
    pub fn is_for(&self, channel: TemplateChannel) -> bool {
        self.channel == TemplateChannel::All || self.channel == channel
    }
}
