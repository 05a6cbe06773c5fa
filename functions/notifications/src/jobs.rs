//! What runs by the clock.

use coder_core::{Failure, Result};
use coder_database::{Entity, Filter, Partition, Query, Record, Repository};
use coder_handler::{Invocation, retry_stale};
use serde_json::json;

use crate::inbox::Change;
use crate::model::item::Item;
use crate::model::message::{Message, MessageStatus};
use crate::service::Notifications;
use crate::{CONTAINER, gather, pipeline};

/// Documents that a job reads at a time.
const PAGE: u32 = 200;

/// Tells scheduled messages, shows snoozed items again and lets held mail go, each when its time has come.
pub async fn due(service: Notifications, run: Invocation) -> Result<()> {
    scheduled(&service, &run).await?;
    snoozed(&service, &run).await?;
    gather::release_held(&service, &run).await
}

/// Starts the hourly digests.
pub async fn hourly_digests(service: Notifications, run: Invocation) -> Result<()> {
    gather::start_digests(&service, &run, &["hourly"]).await
}

/// Starts the daily and weekly digests that fall due in each person's time zone.
pub async fn daily_digests(service: Notifications, run: Invocation) -> Result<()> {
    gather::start_digests(&service, &run, &["daily", "weekly"]).await
}

async fn scheduled(service: &Notifications, run: &Invocation) -> Result<()> {
    let scheduled = Filter::eq("status", json!(MessageStatus::Scheduled))
        .and(Filter::Le("scheduledFor".to_owned(), json!(service.now())));
    for (partition, message) in found::<Message>(service, run, scheduled).await? {
        pipeline::process(service, run, partition.organization_id(), &message.meta.id).await?;
    }
    Ok(())
}

async fn snoozed(service: &Notifications, run: &Invocation) -> Result<()> {
    let now = service.now();
    let over = Filter::Le("snoozedUntil".to_owned(), json!(now));
    for (partition, item) in found::<Item>(service, run, over).await? {
        let woken = retry_stale(|| async {
            let Some(item) = service.items().find(&partition, &item.meta.id).await? else { return Ok(()) };
            let mut unit = run.begin(CONTAINER, partition.clone()).without_audit();
            service.change_items(&mut unit, &[item], |item| Change::Wake.apply(item, now)).await?;
            run.commit(unit).await
        })
        .await;
        match woken {
            // The next run finds it again.
            Err(Failure::Stale) => {}
            outcome => outcome?,
        }
        service.hub.wake_bucket(&partition);
    }
    Ok(())
}

/// Everything of a type that passes, read before anything changes, so that a change cannot move the next page.
async fn found<T: Entity>(
    service: &Notifications,
    run: &Invocation,
    filter: Filter,
) -> Result<Vec<(Partition, Record<T>)>> {
    let repository = Repository::<T>::new(service.runtime.store.clone(), CONTAINER);
    let mut query = Query::new(filter).limit(PAGE);
    let mut found = Vec::new();
    loop {
        let (page, next) = repository.page_across(&run.job, &query).await?;
        found.extend(page);
        match next {
            Some(next) => query.continuation = Some(next),
            None => return Ok(found),
        }
    }
}
