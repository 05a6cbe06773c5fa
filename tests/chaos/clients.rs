//! Many clients at once. What was not answered is sent again as it was, by whoever comes next, also to the next
//! process.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coder_testkit::{Client, KillablePlatform};
use http::Method;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::acts::Act;
use crate::faults::cut;
use crate::ledger::{Fate, Kind, Ledger};

/// Clients at work.
pub(crate) const CLIENTS: usize = 12;

/// Numbers of acts whose connection is cut; all others are below.
const CUT: u64 = 1 << 40;

/// The desk that all clients work at.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    ledger: Mutex<Ledger>,
    unanswered: Mutex<VecDeque<Act>>,
    next: AtomicU64,
    cuts: AtomicU64,
    /// Acknowledgements so far.
    pub(crate) acknowledged: watch::Sender<usize>,
    /// Refusals so far that ask to come again.
    pub(crate) refused: watch::Sender<usize>,
    /// Status and code of the refusals of late.
    refusals: Mutex<BTreeSet<String>>,
}

/// How clients treat the platform.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners {
    /// How long they wait for an answer.
    pub(crate) patience: Duration,
    /// Whether they send what had no answer again.
    pub(crate) asks_again: bool,
}

/// What came of one request.
enum Answer {
    Acknowledged,
    ComeAgain,
    /// None in the time that it was waited for.
    Silence,
    Gone,
}

impl Desk {
    /// What is known so far.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Status and code of the refusals since they were cleared.
    pub(crate) fn refusals(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.refusals.lock().unwrap()
    }

    /// How many acts still have no answer.
    pub(crate) fn open(&self) -> usize {
        self.unanswered.lock().unwrap().len()
    }

    /// Something that had no answer, unless it is not the time for that, or something new.
    fn act(&self, manners: Manners) -> Act {
        let old = if manners.asks_again { self.unanswered.lock().unwrap().pop_front() } else { None };
        old.unwrap_or_else(|| Act::new(self.next.fetch_add(1, Ordering::SeqCst)))
    }

    async fn send(&self, client: &Client, act: Act, patience: Duration) -> Answer {
        let body = Some(act.body.to_string().into_bytes());
        let headers = [("idempotency-key", act.key.as_str())];
        let reply = timeout(patience, client.try_send(Method::POST, act.path, body, &headers)).await;
        if let Ok(Ok(reply)) = &reply
            && !reply.status.is_success()
        {
            self.refusals().insert(format!("{} {}", reply.status.as_u16(), reply.code()));
        }
        let answer = match &reply {
            Ok(Ok(reply)) => match (act.acknowledged(reply), reply.status.as_u16()) {
                (Some(things), _) => {
                    let mut ledger = self.ledger();
                    for (name, id) in things {
                        ledger.note(act.kind, &name, Fate::Certain(id));
                    }
                    Answer::Acknowledged
                }
                (None, 429 | 502..=504) => Answer::ComeAgain,
                // Many at once want to count the same thing.
                (None, 409) if reply.code() == "conflict" && !reply.header("retry-after").is_empty() => {
                    Answer::ComeAgain
                }
                (None, _) => {
                    self.ledger().strange.push(format!("{act:?} was answered {reply:?}"));
                    Answer::ComeAgain
                }
            },
            Ok(Err(_)) => Answer::Gone,
            Err(_) => Answer::Silence,
        };
        match answer {
            Answer::Acknowledged => self.acknowledged.send_modify(|count| *count += 1),
            Answer::ComeAgain => self.refused.send_modify(|count| *count += 1),
            Answer::Silence | Answer::Gone => {}
        }
        if !matches!(answer, Answer::Acknowledged) {
            self.unanswered.lock().unwrap().push_back(act);
        }
        answer
    }

    /// Works until the process is gone.
    async fn work(self: Arc<Self>, client: Client, manners: Manners) {
        while !matches!(self.send(&client, self.act(manners), manners.patience).await, Answer::Gone) {}
    }

    /// Cuts connections until the process is gone; each time, another client works meanwhile.
    async fn be_rude(self: Arc<Self>, client: Client, url: String, key: String, manners: Manners) {
        let kinds = [Kind::Secret, Kind::Entry, Kind::Build, Kind::Message];
        loop {
            let number = self.cuts.fetch_add(1, Ordering::SeqCst);
            let whole = number.is_multiple_of(2);
            let kind = kinds[usize::try_from(number).unwrap() / 2 % kinds.len()];
            let act = Act::of(kind, CUT + number);
            for name in &act.names {
                self.ledger().note(act.kind, name, if whole { Fate::Possible } else { Fate::Never });
            }
            cut(&url, &key, &act, whole).await;
            if matches!(self.send(&client, self.act(manners), manners.patience).await, Answer::Gone) {
                return;
            }
        }
    }

    /// Everybody goes to work; all have stopped when the process is gone.
    pub(crate) fn open_for(
        self: &Arc<Self>,
        process: &KillablePlatform,
        api_key: &str,
        manners: Manners,
    ) -> JoinSet<()> {
        let mut crowd = JoinSet::new();
        for number in 0..CLIENTS {
            let client = process.nobody().with_api_key(api_key);
            let desk = Arc::clone(self);
            if number == 0 {
                let (url, key) = (process.url().to_owned(), api_key.to_owned());
                crowd.spawn(desk.be_rude(client, url, key, manners));
            } else {
                crowd.spawn(desk.work(client, manners));
            }
        }
        crowd
    }

    /// Sends everything that still has no answer until it has one.
    pub(crate) async fn finish(&self, process: &KillablePlatform, api_key: &str) {
        let client = process.nobody().with_api_key(api_key);
        let mut tries = self.open() * 5 + 20;
        loop {
            let Some(act) = self.unanswered.lock().unwrap().pop_front() else { return };
            assert!(tries > 0, "{act:?} is never acknowledged: {:?}", self.ledger().strange);
            tries -= 1;
            self.send(&client, act, Duration::from_secs(30)).await;
        }
    }
}
