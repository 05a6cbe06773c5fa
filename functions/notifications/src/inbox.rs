//! Changing a person's inbox: an item and the head that counts it, in one transaction under the head's tag.

use std::collections::BTreeMap;

use coder_core::{Failure, OrganizationId, Result, Timestamp, UserId};
use coder_database::{Direction, Filter, Partition, Query, Record, Repository, Transaction};
use serde_json::json;

use crate::CONTAINER;
use crate::deliver::Category;
use crate::model::item::{ARCHIVED_SECONDS, Head, Item, ItemRecord};
use crate::model::of_user;
use crate::service::Notifications;

/// Items that one transaction changes; each is one operation of the hundred that a batch can have.
pub const BATCH: u32 = 80;

/// The topic of the item that stands for those over the limit.
pub const OVERFLOW: &str = "notifications.overflow";

/// A change of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was read, hence seen.
    Read,
    /// It is to be read again.
    Unread,
    /// It was seen in a list.
    Seen,
    /// It is put away.
    Archive,
    /// The person takes care.
    Acknowledge,
    /// It is hidden until a time.
    Snooze(Timestamp),
    /// It is shown again.
    Wake,
}

impl Change {
    /// The item after the change; the same if there is nothing to change.
    pub fn apply(self, before: &Item, now: Timestamp) -> Item {
        let mut item = before.clone();
        let first = |time: Option<Timestamp>| time.or(Some(now));
        match self {
            Self::Read => (item.read_at, item.seen_at) = (first(item.read_at), first(item.seen_at)),
            Self::Unread => item.read_at = None,
            Self::Seen => item.seen_at = first(item.seen_at),
            Self::Archive => item.archived_at = first(item.archived_at),
            Self::Acknowledge => {
                item.acknowledged_at = first(item.acknowledged_at);
                (item.read_at, item.seen_at) = (first(item.read_at), first(item.seen_at));
            }
            Self::Snooze(until) => item.snoozed_until = Some(until),
            Self::Wake => item.snoozed_until = None,
        }
        item
    }
}

/// How many items wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Unread by category.
    pub unread: BTreeMap<Category, u64>,
    /// Unseen by category.
    pub unseen: BTreeMap<Category, u64>,
    /// The newest item.
    pub seq: u64,
    /// The newest change.
    pub revision: u64,
}

impl Notifications {
    /// The items.
    pub fn items(&self) -> Repository<Item> {
        Repository::new(self.runtime.store.clone(), CONTAINER)
    }

    /// The heads.
    pub fn heads(&self) -> Repository<Head> {
        Repository::new(self.runtime.store.clone(), CONTAINER)
    }

    /// Adds an item to the transaction of its person's bucket. A head that somebody makes at the same time is
    /// `409 already_exists`.
    pub async fn add_item(&self, unit: &mut Transaction, id: &str, mut item: Item) -> Result<ItemRecord> {
        let head = self.heads().find(unit.partition(), Head::ID).await?;
        let mut counted = head.as_ref().map(|head| head.data.clone()).unwrap_or_default();
        let expires_at = crate::accept::kept_until(self.now());
        counted.add(&mut item, Some(expires_at));
        let mut record = unit.record(id, item);
        record.expires_at = Some(expires_at);
        unit.insert(&record)?;
        write_head(unit, head.as_ref(), counted)?;
        Ok(record)
    }

    /// Changes items in the transaction of their person's bucket; those that stay as they are are left out.
    pub async fn change_items(
        &self,
        unit: &mut Transaction,
        items: &[ItemRecord],
        change: impl Fn(&Item) -> Item,
    ) -> Result<Vec<ItemRecord>> {
        let changed: Vec<_> = items.iter().map(|before| (before, change(&before.data))).collect();
        let changed: Vec<_> = changed.into_iter().filter(|(before, after)| before.data != *after).collect();
        if changed.is_empty() {
            return Ok(items.to_vec());
        }
        let head = self.heads().find(unit.partition(), Head::ID).await?;
        let mut counted = head.as_ref().map(|head| head.data.clone()).unwrap_or_default();
        let mut records = Vec::with_capacity(changed.len());
        for (before, mut after) in changed {
            let mut record = before.clone();
            if after.archived_at.is_some() && before.data.archived_at.is_none() {
                let archived = self.runtime.ambient.after(ARCHIVED_SECONDS);
                record.expires_at = record.expires_at.into_iter().chain([archived]).min();
            }
            counted.change(&before.data, &mut after, record.expires_at);
            record.data = after;
            records.push(unit.update(before, record)?.0);
        }
        write_head(unit, head.as_ref(), counted)?;
        Ok(records)
    }

    /// The counters, made anew if an item may have gone by itself since.
    pub async fn tally(&self, partition: &Partition) -> Result<Tally> {
        let Some(head) = self.heads().find(partition, Head::ID).await? else { return Ok(Tally::default()) };
        let mut head = head.data;
        if head.recount_at.is_some_and(|at| at <= self.now()) {
            self.recount(partition, &mut head).await?;
        }
        let Head { seq, revision, unread, unseen, .. } = head;
        Ok(Tally { unread, unseen, seq, revision })
    }

    /// Counts again what is there. It is not written: the next change of the inbox does that.
    async fn recount(&self, partition: &Partition, head: &mut Head) -> Result<()> {
        (head.unread, head.unseen, head.recount_at) = (BTreeMap::new(), BTreeMap::new(), None);
        let shown = Filter::And(vec![
            Filter::IsNull("archivedAt".to_owned()),
            Filter::IsNull("snoozedUntil".to_owned()),
            Filter::Or(vec![Filter::IsNull("readAt".to_owned()), Filter::IsNull("seenAt".to_owned())]),
        ]);
        let mut query = Query::new(shown).limit(1000);
        loop {
            let (page, next) = self.items().page(partition, &query).await?;
            for item in &page {
                head.count(None, Some(&item.data), item.expires_at);
            }
            match next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The items that changed after a revision, oldest change first, at most `most`.
    pub async fn changed_since(
        &self,
        partition: &Partition,
        revision: u64,
        most: u32,
    ) -> Result<Vec<ItemRecord>> {
        let newer = Filter::Gt("revision".to_owned(), json!(revision));
        let query = Query::new(newer).order_by("revision", Direction::Ascending).limit(most);
        Ok(self.items().page(partition, &query).await?.0)
    }

    /// The items after a `seq`, oldest first, at most `most`.
    pub async fn created_since(&self, partition: &Partition, seq: u64, most: u32) -> Result<Vec<ItemRecord>> {
        let newer = Filter::Gt("seq".to_owned(), json!(seq));
        let query = Query::new(newer).order_by("seq", Direction::Ascending).limit(most);
        Ok(self.items().page(partition, &query).await?.0)
    }

    /// One item of a person; another's is `404`.
    pub async fn item(
        &self,
        organization_id: Option<OrganizationId>,
        user_id: UserId,
        id: &str,
    ) -> Result<ItemRecord> {
        self.items().get(&of_user(organization_id, user_id), id).await
    }
}

fn write_head(unit: &mut Transaction, before: Option<&Record<Head>>, head: Head) -> Result<(), Failure> {
    match before {
        Some(before) => unit.replace(before, head).map(|_| ()),
        None => unit.create(Head::ID, head).map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coder_middleware::Example as _;

    #[test]
    fn changes_are_idempotent_and_keep_the_first_time() {
        let (early, late) = (Timestamp::UNIX_EPOCH, "2026-01-05T12:00:00Z".parse().unwrap());
        let item = Item::example();
        for change in [Change::Read, Change::Seen, Change::Archive, Change::Acknowledge, Change::Snooze(late)]
        {
            let once = change.apply(&item, early);
            assert_ne!(once, item, "{change:?}");
            assert_eq!(change.apply(&once, late), once, "{change:?}");
        }
        let read = Change::Read.apply(&item, early);
        assert!(!read.is_unread() && !read.is_unseen());
        let again = Change::Unread.apply(&read, late);
        assert!(again.is_unread() && !again.is_unseen());
        assert_eq!(Change::Wake.apply(&Change::Snooze(late).apply(&item, early), late), item);
    }
}
