//! A person's inbox: its items, and the head that counts them.

use std::collections::BTreeMap;

use coder_core::{ProjectId, Timestamp, UserId};
use coder_database::{Entity, Record};
use coder_middleware::Example;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::deliver::{Category, Criticality, ResourceReference};

/// Seconds for which archived items are kept.
pub const ARCHIVED_SECONDS: i64 = 30 * 86_400;

/// One thing in a person's inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The message.
    pub message_id: String,
    /// One line.
    pub title: String,
    /// Plain text or the Markdown subset.
    pub body: String,
    /// What it is about.
    pub topic: String,
    /// What it is about, roughly.
    pub category: Category,
    /// How much it matters.
    pub criticality: Criticality,
    /// Where it leads.
    pub action_url: Option<String>,
    /// The words on the button.
    pub action_label: Option<String>,
    /// What it is about.
    pub resource: Option<ResourceReference>,
    /// The project.
    pub project_id: Option<ProjectId>,
    /// The same for items on one resource and topic.
    pub group_key: String,
    /// How many items this one stands for.
    pub group_count: u64,
    /// Whether no sound should be made: it came in quiet hours.
    pub silent: bool,
    /// When it was read.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub read_at: Option<Timestamp>,
    /// When it was seen in a list.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub seen_at: Option<Timestamp>,
    /// When it was put away.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub archived_at: Option<Timestamp>,
    /// When the person said that they take care.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub acknowledged_at: Option<Timestamp>,
    /// Hidden until this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub snoozed_until: Option<Timestamp>,
    /// Rises with every new item of the person.
    pub seq: u64,
    /// The person's revision at which the item last changed.
    pub revision: u64,
}

impl Entity for Item {
    const TYPE: &'static str = "inbox-item";
}

impl Item {
    fn shows(&self) -> bool {
        self.archived_at.is_none() && self.snoozed_until.is_none()
    }

    /// Whether it counts as unread.
    pub fn is_unread(&self) -> bool {
        self.shows() && self.read_at.is_none()
    }

    /// Whether it counts as unseen.
    pub fn is_unseen(&self) -> bool {
        self.shows() && self.seen_at.is_none()
    }
}

impl Example for Item {
    fn example() -> Self {
        Self {
            message_id: coder_core::id::EXAMPLE.to_string(),
            title: "ENG-12 was assigned to you".to_owned(),
            body: "Ada gave you \"Speed the parser up\".".to_owned(),
            topic: "task.assigned".to_owned(),
            category: Category::Planning,
            criticality: Criticality::Medium,
            action_url: Some("/tasks/ENG-12".to_owned()),
            action_label: Some("Open".to_owned()),
            resource: Some(ResourceReference { kind: "task".to_owned(), id: "ENG-12".to_owned() }),
            project_id: None,
            group_key: "task.assigned:task:ENG-12".to_owned(),
            group_count: 1,
            silent: false,
            read_at: None,
            seen_at: None,
            archived_at: None,
            acknowledged_at: None,
            snoozed_until: None,
            seq: 7,
            revision: 9,
        }
    }
}

/// The counters of a person's inbox; every change of an item changes it in the same transaction, under its tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Head {
    /// The `seq` of the newest item.
    pub seq: u64,
    /// Rises with every change of any item.
    pub revision: u64,
    /// Unread items by category.
    pub unread: BTreeMap<Category, u64>,
    /// Unseen items by category.
    pub unseen: BTreeMap<Category, u64>,
    /// When a counted item may first have gone by itself: then the counters are made anew.
    pub recount_at: Option<Timestamp>,
}

impl Entity for Head {
    const TYPE: &'static str = "inbox-head";
}

impl Head {
    /// The id of every head in its bucket.
    pub const ID: &'static str = "inbox-head";

    /// Numbers a new item and counts it.
    pub fn add(&mut self, item: &mut Item, expires_at: Option<Timestamp>) {
        self.seq += 1;
        item.seq = self.seq;
        self.touch(item);
        self.count(None, Some(item), expires_at);
    }

    /// Numbers the change of an item and counts it anew.
    pub fn change(&mut self, before: &Item, after: &mut Item, expires_at: Option<Timestamp>) {
        self.touch(after);
        self.count(Some(before), Some(after), expires_at);
    }

    fn touch(&mut self, item: &mut Item) {
        self.revision += 1;
        item.revision = self.revision;
    }

    /// Takes one state of an item out of the counters and puts another in.
    pub fn count(&mut self, before: Option<&Item>, after: Option<&Item>, expires_at: Option<Timestamp>) {
        step(&mut self.unread, before.filter(|item| item.is_unread()), after.filter(|item| item.is_unread()));
        step(&mut self.unseen, before.filter(|item| item.is_unseen()), after.filter(|item| item.is_unseen()));
        if after.is_some_and(|item| item.is_unread() || item.is_unseen()) {
            self.recount_at = self.recount_at.into_iter().chain(expires_at).min();
        }
    }
}

/// Takes one counted item out of a counter and puts another in.
fn step(counter: &mut BTreeMap<Category, u64>, before: Option<&Item>, after: Option<&Item>) {
    if let Some(before) = before {
        let left = counter.get(&before.category).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            counter.remove(&before.category);
        } else {
            counter.insert(before.category, left);
        }
    }
    if let Some(after) = after {
        *counter.entry(after.category).or_default() += 1;
    }
}

/// When a person was last there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// The person.
    pub user_id: UserId,
    /// The last call of the inbox, or a moment of an open stream.
    pub last_active_at: Timestamp,
}

impl Entity for Presence {
    const TYPE: &'static str = "presence";
}

impl Presence {
    /// The id of every presence in its bucket.
    pub const ID: &'static str = "presence";
}

/// An item with the server's fields.
pub type ItemRecord = Record<Item>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_follow_every_change() {
        let mut head = Head::default();
        let end: Timestamp = "2026-04-01T00:00:00Z".parse().unwrap();
        let mut first = Item::example();
        head.add(&mut first, Some(end));
        let mut second = Item { category: Category::Security, ..Item::example() };
        head.add(&mut second, None);
        assert_eq!((first.seq, second.seq, head.revision), (1, 2, 2));
        assert_eq!(head.unread, BTreeMap::from([(Category::Planning, 1), (Category::Security, 1)]));
        assert_eq!(head.recount_at, Some(end));

        let mut read = Item { read_at: Some(end), ..first.clone() };
        head.change(&first, &mut read, None);
        assert_eq!(head.unread, BTreeMap::from([(Category::Security, 1)]));
        assert_eq!(head.unseen.len(), 2);
        let mut snoozed = Item { snoozed_until: Some(end), ..second.clone() };
        head.change(&second, &mut snoozed, None);
        assert!(head.unread.is_empty());
        assert_eq!((head.seq, head.revision, snoozed.revision), (2, 4, 4));
    }
}
