//! One-time jobs: queued beside a handler, run by it.

use coder_core::{Actor, ActorKind};
use coder_database::transaction::Act;
use coder_database::{OutboxRecord, PlatformJob, Query, Repository, Transaction};
use coder_handler::operate::desk::{Declared, JobDesk};
use coder_jobs::JobState;
use coder_startup::Providers;
use serde_json::Value;

use crate::apps::{App, apps, delivery, open};

struct Queued {
    message: Value,
    id: String,
}

fn desk(providers: &Providers, group: &str) -> JobDesk {
    let groups = coder_platform::route_groups();
    let group = groups.iter().find(|one| one.name == group).unwrap();
    JobDesk::new(providers.store.clone(), providers.ambient.clone(), Declared::from(group))
}

/// What waits to be published.
async fn outbox(providers: &Providers, container: &'static str) -> Vec<OutboxRecord> {
    let records = Repository::<OutboxRecord>::new(providers.store.clone(), container);
    let (page, _) = records.page_across(&PlatformJob::begin(), &Query::new(None)).await.unwrap();
    page.into_iter().map(|(_, record)| record.data).collect()
}

/// Queues a run of the timer that publishes what waits in the outbox: its own message is what waits.
async fn queue(providers: &Providers, group: &'static str) -> Queued {
    let desk = desk(providers, group);
    let (container, partition) = desk.own_place().unwrap();
    let act = Act {
        actor: Actor::new(ActorKind::User, "operator:test"),
        action: "jobs.run".into(),
        request_id: "r-1".into(),
        group,
        traceparent: None,
    };
    let (store, ambient) = (providers.store.clone(), providers.ambient.clone());
    let mut transaction = Transaction::new(store, ambient, container, partition, act);
    let record = desk.queue_timer(&mut transaction, "sweep-outbox").unwrap();
    transaction.commit().await.map(drop).unwrap();
    let waiting = outbox(providers, container).await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    Queued { message: waiting[0].event.clone(), id: record.meta.id }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_app_runs_a_job_once_and_keeps_what_came_of_it() {
    for package in apps() {
        let data = tempfile::tempdir().unwrap();
        let app = App::start(package, data.path(), &[]);
        let providers = open(data.path()).await;
        let desk = desk(&providers, app.group);
        let container = desk.own_place().unwrap().0;
        let Queued { message, id } = queue(&providers, app.group).await;
        assert_eq!(desk.get(&id).await.unwrap().record.data.state, JobState::Queued);

        let answer = app.call("run-job", delivery(&message, "j-1")).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", app.group);
        assert_eq!(answer.body["ReturnValue"]["outcome"], "ended", "{answer:?}");
        let record = desk.get(&id).await.unwrap().record;
        assert_eq!(record.data.state, JobState::Succeeded, "{}: {:?}", app.group, record.data);
        assert_eq!(outbox(&providers, container).await, [], "{}: the outbox was not swept", app.group);

        // The broker delivers at least once.
        let answer = app.call("run-job", delivery(&message, "j-1")).await;
        assert_eq!(answer.body["ReturnValue"]["outcome"], "nothing", "{answer:?}");
    }
}
