//! A team's day across all groups, on a real process that is killed twice: in the middle of a burst of requests, and
//! right after it has accepted long work. In the evening the books of every group agree with what was acknowledged.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod books;
mod burst;
mod office;
mod people;
mod receiver;
mod reckoning;
mod watching;

use std::collections::BTreeSet;

use coder_core::Clock as _;
use coder_testkit::{KillablePlatform, MovedClock};
use jiff::SignedDuration;
use serde_json::json;
use tempfile::TempDir;

use books::Books;
use office::Office;
use people::People;
use receiver::Receiver;
use watching::Watcher;

/// What stands in every value that nobody but its readers may ever see.
const MARK: &str = "heron-in-the-reeds";

/// How long the process is away after a kill; longer than any lock or lease lasts, shorter than a reservation.
const AWAY: SignedDuration = SignedDuration::from_mins(4);

/// Minutes in the evening until everything must have settled.
const EVENING: usize = 40;

/// The place of the story.
struct Day {
    directory: TempDir,
    clock: MovedClock,
    process: KillablePlatform,
    receiver: Receiver,
    people: People,
    office: Office,
    books: Books,
}

impl Day {
    /// Olga founds Acme and furnishes it.
    async fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clock, receiver) = (MovedClock::default(), Receiver::start().await);
        let process = started(&directory, &clock, &[]);
        let mut books = Books::default();
        let mut people = People::gather(&process).await;
        let office = Office::furnish(&mut people, &receiver, &mut books).await;
        Self { directory, clock, process, receiver, people, office, books }
    }

    /// The process died; some minutes later it is started again, and everybody signs in anew.
    async fn come_back(&mut self) {
        self.clock.advance(AWAY);
        self.process = started(&self.directory, &self.clock, &self.people.operators());
        self.people.sign_in(&self.process).await;
    }

    /// Lets time pass until nothing is under way any more.
    async fn settle(&mut self) {
        for _ in 0..EVENING {
            self.process.advance(SignedDuration::from_mins(1));
            self.people.sign_in(&self.process).await;
            self.process.settle();
            if reckoning::is_quiet(&self.people, &self.office, self.clock.now()).await {
                return;
            }
        }
        panic!("work is still under way");
    }
}

fn started(directory: &TempDir, clock: &MovedClock, operators: &[coder_core::UserId]) -> KillablePlatform {
    KillablePlatform::start(crate::KILLABLE, directory.path(), clock, operators)
}

/// Max is addressed while he looks, a secret is handed on, use is reported twice, and the webhook fails its target.
async fn morning(day: &mut Day, watcher: &mut Watcher) {
    let Day { process, people, office, books, receiver, clock, .. } = day;
    burst::send(people, vec![burst::message(0)], books).await;
    watcher.sees(books.messages()).await;
    process.settle();
    assert_eq!(receiver.calls().len(), 1);
    process.advance(SignedDuration::from_secs(40));
    assert_eq!(receiver.calls().len(), 2);

    office.share_the_first_secret(people, books).await;
    let batch = burst::usage(clock, 0);
    for (accepted, duplicates) in [(burst::BATCH, 0), (0, burst::BATCH)] {
        let reply = people.meter.post("/api/usage/events", batch.body.clone()).await.expect(202);
        books.note(&batch, &reply);
        assert_eq!(
            (&reply.body["accepted"], &reply.body["duplicates"]),
            (&json!(accepted), &json!(duplicates))
        );
    }
}

/// Everybody works at once, and the process is killed in the middle of it.
async fn noon(day: &mut Day) -> Vec<burst::Act> {
    let acts = burst::acts(&day.clock);
    let whole = acts.len();
    let lost = burst::interrupted(&mut day.process, &day.people, acts, whole / 3, &mut day.books).await;
    assert!(!lost.is_empty() && lost.len() < whole, "{} of {whole} were not acknowledged", lost.len());
    lost
}

/// What was not acknowledged is sent again as it was, what was reserved is used, and Otto queues a job that cannot
/// succeed.
async fn afternoon(day: &mut Day, lost: Vec<burst::Act>) {
    let Day { people, books, clock, .. } = day;
    burst::send(people, lost, books).await;
    assert_eq!(
        (books.reserved.len(), books.refused),
        (office::TOOL_RUNS, burst::RESERVATIONS - office::TOOL_RUNS)
    );
    for (number, reservation) in books.reserved.iter().enumerate() {
        let event = burst::tool_run(clock, number);
        let path = format!("/api/usage/reservations/{reservation}/commit");
        let reply = people.max.post(&path, json!({"event": event})).await.expect(200);
        assert_eq!(reply.text("/state"), "committed");
    }
    burst::send(people, vec![burst::message(100)], books).await;
    let hopeless = json!({"job": "reencrypt", "input": {"organizationId": "nobody"}});
    let hopeless = people.otto.post("/api/secrets/operations/jobs", hopeless).await.expect(202);
    books.hopeless = hopeless.text("/id");
}

/// New keys for all secrets and an export of the audit log; the process dies as soon as it has promised both.
async fn dusk(day: &mut Day) {
    let Day { people, books, process, .. } = day;
    let (export, rotation) = tokio::join!(
        people.olga.post("/api/logging/exports", json!({"format": "csv"})),
        people.olga.post("/api/secrets/keys/rotate", json!({})),
    );
    process.kill();
    books.export = export.expect(202).text("/id");
    let rotation = rotation.expect(202);
    (books.data_key, books.rotation) = (rotation.text("/dataKeyId"), rotation.text("/jobId"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_two_kills_ends_with_books_that_agree() {
    let mut day = Day::begin().await;
    let mut watcher = Watcher::of(&day.people.max).await;
    morning(&mut day, &mut watcher).await;

    let lost = noon(&mut day).await;
    watcher.is_cut_off().await;
    day.come_back().await;
    watcher.comes_back(&day.people.max).await;
    afternoon(&mut day, lost).await;

    dusk(&mut day).await;
    watcher.is_cut_off().await;
    day.come_back().await;
    watcher.comes_back(&day.people.max).await;
    day.settle().await;

    let Day { directory, people, office, books, receiver, .. } = &day;
    reckoning::of_usage(people, books).await;
    reckoning::of_the_inbox(people, books, &mut watcher).await;
    reckoning::of_the_webhook(people, office, books, receiver).await;
    reckoning::of_operations(people, books, day.clock.now()).await;
    reckoning::of_the_audit(people, books).await;
    reckoning::of_secrets(people, books).await;
    reckoning::of_the_log(people, directory.path());
}

/// The texts of a field, each of which must be there once.
fn distinct(items: &[serde_json::Value], pointer: &str) -> BTreeSet<String> {
    let texts: BTreeSet<String> =
        items.iter().map(|item| item.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect();
    assert_eq!(texts.len(), items.len(), "{pointer} stands twice");
    texts
}
