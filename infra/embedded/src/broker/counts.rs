//! How many messages wait, and how long the oldest has waited.

use std::collections::BTreeMap;

use coder_core::Timestamp;
use rusqlite::Connection;

use super::shared::{Result, time};
use super::source::Source;
use crate::error::from_sqlite;

/// What waits in a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be delivered now or after a back-off.
    pub active: u64,
    /// To be delivered later.
    pub scheduled: u64,
    /// Being delivered.
    pub locked: u64,
    /// Dead letters, those being looked at included.
    pub dead: u64,
    /// Since when the oldest active message has waited.
    pub oldest: Option<Timestamp>,
}

pub(crate) fn counts(connection: &Connection, now: i64) -> Result<BTreeMap<Source, Counts>> {
    let sql = "SELECT source,
                 count(*) FILTER (WHERE state = 'scheduled'),
                 count(*) FILTER (WHERE state = 'locked'),
                 count(*) FILTER (WHERE state = 'active'),
                 min(enqueued) FILTER (WHERE state = 'active')
               FROM (SELECT source, enqueued, CASE
                   WHEN visible > ?1 AND lock IS NOT NULL THEN 'locked'
                   WHEN visible > ?1 AND deliveries = 0 THEN 'scheduled'
                   ELSE 'active' END AS state FROM messages)
               GROUP BY source";
    let mut statement = connection.prepare_cached(sql).map_err(from_sqlite)?;
    let mut rows = statement.query([now]).map_err(from_sqlite)?;
    let mut all = BTreeMap::<Source, Counts>::new();
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let path: String = row.get(0).map_err(from_sqlite)?;
        let Some(source) = Source::parse(&path) else { continue };
        let column = |index: usize| row.get::<_, i64>(index).map(i64::unsigned_abs).map_err(from_sqlite);
        let (scheduled, locked, active) = (column(1)?, column(2)?, column(3)?);
        let oldest = row.get::<_, Option<i64>>(4).map_err(from_sqlite)?.map(time);
        let entry = all.entry(source.living()).or_default();
        if source.is_dead_letters() {
            entry.dead = scheduled + locked + active;
        } else {
            *entry = Counts { active, scheduled, locked, oldest, dead: entry.dead };
        }
    }
    Ok(all)
}
