//! Erasing what entries say of a person: the payload goes, number and hash stay, and the chain still verifies.

use coder_core::{Code, Failure, Result, UserId};
use coder_database::{Filter, Partition, PlatformJob, Query, Record};
use coder_handler::{Invocation, retry_stale};

use super::Logging;
use crate::model::{CONTAINER, Entry, Erased, Trail};

/// Entries that one batch erases.
const BATCH: u32 = 90;

/// Entries that a person did or that are about them, and still have their payload.
pub(crate) fn concerning(user_id: &str) -> Filter {
    let about = [Filter::eq("resourceId", user_id), Filter::eq("metadata.userId", user_id)];
    let all = [super::filter::of_actor(user_id)].into_iter().chain(about).collect();
    Filter::And(vec![Filter::Or(all), Filter::IsDefined("payloadSalt".into())])
}

impl Logging {
    /// `409` while a legal hold stands.
    pub(crate) async fn refuse_under_hold(&self, trail: Trail) -> Result<()> {
        match self.settings_of(trail).await?.legal_hold {
            None => Ok(()),
            Some(hold) => {
                let detail = format!("Nothing is erased while the legal hold stands: {}", hold.reason);
                Err(Failure::problem(Code::InvalidState, detail))
            }
        }
    }

    /// Erases every payload that concerns the person in one chain; answers how many there were.
    pub(crate) async fn erase_person(
        &self,
        run: &Invocation,
        trail: Trail,
        user_id: UserId,
        erased: &Erased,
    ) -> Result<u64> {
        self.refuse_under_hold(trail).await?;
        let mut count = 0;
        for head in self.heads_of(trail).await? {
            let partition = trail.month(head.data.month);
            loop {
                let query = Query::new(concerning(&user_id.to_string())).limit(BATCH);
                let (page, _) = self.entries.page(&partition, &query).await?;
                if page.is_empty() {
                    break;
                }
                count += self.erase_entries(run, &partition, &page, erased).await?;
            }
        }
        if count > 0 {
            self.end_exports(run, trail).await?;
        }
        Ok(count)
    }

    /// Takes the payload of some entries of one month. Of what others erased meanwhile nothing is left to do.
    pub(crate) async fn erase_entries(
        &self,
        run: &Invocation,
        partition: &Partition,
        entries: &[Record<Entry>],
        erased: &Erased,
    ) -> Result<u64> {
        let mut transaction = run.begin(CONTAINER, partition.clone()).without_audit();
        for entry in entries {
            transaction.replace(entry, entry.data.without_payload(erased.clone()))?;
        }
        match run.commit(transaction).await {
            Ok(()) => Ok(entries.len() as u64),
            Err(Failure::Stale) => Ok(0),
            Err(failure) => Err(failure),
        }
    }

    /// The chains that have something of a person.
    pub(crate) async fn trails_concerning(&self, job: &PlatformJob, user_id: UserId) -> Result<Vec<Trail>> {
        let mut query = Query::new(concerning(&user_id.to_string())).limit(1000);
        let mut trails = std::collections::BTreeSet::new();
        loop {
            let (page, next) = self.entries.page_across(job, &query).await?;
            trails.extend(page.iter().map(|(partition, _)| Trail::of_partition(partition)));
            match next {
                Some(next) => query.continuation = Some(next),
                None => return Ok(trails.into_iter().collect()),
            }
        }
    }

    /// Ends every export of a chain: its file may repeat what was erased.
    async fn end_exports(&self, run: &Invocation, trail: Trail) -> Result<()> {
        for export in self.exports.all(&trail.config(), None, 10_000).await? {
            retry_stale(|| self.remove_export(run, trail, &export.meta.id)).await?;
        }
        Ok(())
    }
}
