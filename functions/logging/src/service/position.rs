//! Where a chain goes on: the month of its next entry, and what that links to.
//!
//! Heads of two months are in two partitions, so the store alone would let two processes whose clocks stand on either
//! side of midnight begin one chain twice, each in its own month. Hence each beginning is settled in one place before
//! anything is written there: the first month of a chain by a document that only one of them can create, every later
//! one by the head of the month before, which is closed under its tag and names the month that follows it. Whoever
//! finds that month over already puts an empty, closed head into it before going on, so that it is used or passed
//! over, never both.

use std::collections::BTreeSet;

use coder_core::{Code, Failure, Result};
use coder_database::{Direction, Entity, Filter, PlatformJob, Query, Record, Repository};

use super::Logging;
use super::append::Writer;
use crate::chain::{genesis, hex};
use crate::model::{Beginning, Head, Month, Purged, Trail};

/// Where the chain goes on.
pub(super) struct Position {
    pub(super) month: Month,
    /// The head that is replaced; none if the month begins.
    pub(super) head: Option<Record<Head>>,
    /// The month before that has entries.
    pub(super) previous_month: Option<Month>,
    pub(super) last_seq: u64,
    pub(super) last_hash: String,
}

impl Logging {
    /// Where the chain goes on; none if the organization was purged. Closes a month that is over.
    pub(super) async fn position(&self, trail: Trail, writer: &mut Writer) -> Result<Option<Position>> {
        let now = Month::of(self.now());
        let known = match writer.month {
            Some(month) => self.heads.find(&trail.month(month), Head::ID).await?,
            None => None,
        };
        let head = match known.filter(|head| !head.data.closed) {
            Some(head) => Some(head),
            None => self.latest_head(trail).await?,
        };
        let position = match head {
            Some(head) if !head.data.closed && now <= head.data.month => {
                let Head { month, last_seq, last_hash, previous_month, .. } = head.data.clone();
                Position { month, head: Some(head), previous_month, last_seq, last_hash }
            }
            Some(head) => {
                let (month, previous_month) =
                    (self.next_month(trail, &head, now).await?, with_entries(&head.data));
                let Head { last_seq, last_hash, .. } = head.data;
                Position { month, head: None, previous_month, last_seq, last_hash }
            }
            None if self.purged.find(&trail.config(), Purged::ID).await?.is_some() => return Ok(None),
            None => {
                let (month, last_hash) = (self.first_month(trail, now).await?, hex(&genesis(&trail.name())));
                Position { month, head: None, previous_month: None, last_seq: 0, last_hash }
            }
        };
        let position = self.not_before(trail, position, now).await?;
        writer.month = Some(position.month);
        Ok(Some(position))
    }

    /// Distinct chains of this container that have entries, for jobs.
    pub async fn trails(&self, job: &PlatformJob, filter: Option<Filter>) -> Result<Vec<Trail>> {
        Ok(with(&self.heads, job, filter).await?.into_iter().collect())
    }

    /// Distinct chains that were ever begun, those of which every month was taken away among them.
    pub async fn begun(&self, job: &PlatformJob) -> Result<Vec<Trail>> {
        let mut found = with(&self.heads, job, None).await?;
        found.extend(with(&self.beginnings, job, None).await?);
        Ok(found.into_iter().collect())
    }

    async fn latest_head(&self, trail: Trail) -> Result<Option<Record<Head>>> {
        let query = Query::new(None).order_by("month", Direction::Descending).limit(1);
        Ok(self.heads.page(&trail.all(), &query).await?.0.into_iter().next())
    }

    /// The month in which a new chain begins.
    async fn first_month(&self, trail: Trail, now: Month) -> Result<Month> {
        if let Some(begun) = self.beginnings.find(&trail.config(), Beginning::ID).await? {
            return Ok(begun.data.month);
        }
        let mut transaction = self.own_transaction(trail.config());
        transaction.create(Beginning::ID, Beginning { month: now })?;
        stale_if_taken(self.commit_own(transaction).await)?;
        Ok(now)
    }

    /// The month after that of this head, which is closed for it.
    async fn next_month(&self, trail: Trail, head: &Record<Head>, now: Month) -> Result<Month> {
        if let (true, Some(next)) = (head.data.closed, head.data.next_month) {
            return Ok(next);
        }
        let next = now.max(head.data.month.next());
        let mut transaction = self.own_transaction(trail.month(head.data.month));
        transaction.replace(head, Head { closed: true, next_month: Some(next), ..head.data.clone() })?;
        self.commit_own(transaction).await?;
        Ok(next)
    }

    /// The position, in this month at the earliest: a month that was to begin and is over by now is passed over.
    async fn not_before(&self, trail: Trail, position: Position, now: Month) -> Result<Position> {
        if position.head.is_some() || position.month >= now {
            return Ok(position);
        }
        let empty = Head {
            month: position.month,
            previous_month: position.previous_month,
            first_seq: position.last_seq + 1,
            last_seq: position.last_seq,
            last_hash: position.last_hash.clone(),
            count: 0,
            first_prev_hash: position.last_hash.clone(),
            closed: true,
            next_month: Some(now),
        };
        let mut transaction = self.own_transaction(trail.month(position.month));
        transaction.create(Head::ID, empty)?;
        stale_if_taken(self.commit_own(transaction).await)?;
        Ok(Position { month: now, ..position })
    }
}

/// Whose documents of a type there are.
async fn with<T: Entity>(
    documents: &Repository<T>,
    job: &PlatformJob,
    filter: Option<Filter>,
) -> Result<BTreeSet<Trail>> {
    let mut query = Query::new(filter).limit(500);
    let mut found = BTreeSet::new();
    loop {
        let (page, next) = documents.page_across(job, &query).await?;
        found.extend(page.iter().map(|(partition, _)| Trail::of_partition(partition)));
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(found),
        }
    }
}

/// The newest month up to that of this head that has entries.
fn with_entries(head: &Head) -> Option<Month> {
    if head.count == 0 { head.previous_month } else { Some(head.month) }
}

/// Another process was faster: what it wrote counts.
fn stale_if_taken(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(failure) if failure.code() == Some(Code::AlreadyExists) => Err(Failure::Stale),
        outcome => outcome,
    }
}
