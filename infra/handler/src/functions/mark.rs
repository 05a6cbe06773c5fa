//! What a consumer has done with an event, so that a repeated delivery changes nothing.

use coder_core::{Code, Failure};
use coder_database::transaction::Act;
use coder_database::{Entity, Partition, Record, Repository, Transaction};
use coder_middleware::runtime::Runtime;
use serde::{Deserialize, Serialize};

use crate::events::retry_stale;

/// Seconds for which a mark is kept: a day longer than a message waits in a broker, which may repeat it until then.
const KEPT_SECONDS: i64 = 15 * 24 * 3600;

/// How far a consumer is with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Progress {
    /// It has taken the event.
    Done,
    /// This attempt failed, and a message for the next one is published.
    Retrying,
    /// It is a dead letter.
    Dead,
}

/// Which delivery to a consumer this is; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Turn {
    /// How often operators had the event delivered again.
    pub(super) replay: u32,
    /// The attempt since then; 1 is the first.
    pub(super) attempt: u32,
}

/// A consumer's mark on an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mark {
    consumer: String,
    progress: Progress,
    #[serde(flatten)]
    turn: Turn,
}

impl Entity for Mark {
    const TYPE: &'static str = "delivered";
}

impl Mark {
    /// Whether a delivery is one that the consumer is done with. `alone`: it is for this consumer only.
    pub(super) fn covers(&self, turn: Turn, alone: bool) -> bool {
        match self.progress {
            // Somebody who has an event delivered to one consumer again means it.
            Progress::Done => !(alone && turn.replay > self.turn.replay),
            Progress::Retrying => turn <= self.turn,
            // A delivery that was cut off right after is counted as one more, not as another attempt.
            Progress::Dead => turn.replay <= self.turn.replay,
        }
    }

    /// Whether what came of a delivery takes the mark's place. What is known of a later one stays, and so does that
    /// the consumer has taken the event.
    fn gives_way(&self, progress: Progress, turn: Turn) -> bool {
        match (self.progress, progress) {
            (Progress::Done, _) => turn.replay > self.turn.replay,
            (_, Progress::Done) => turn.replay >= self.turn.replay,
            _ => turn > self.turn,
        }
    }
}

fn partition(runtime: &Runtime, event_id: &str) -> Partition {
    runtime.own_partition("delivered", event_id)
}

/// The mark of a consumer on an event, if there is one.
pub(super) async fn find(
    runtime: &Runtime,
    event_id: &str,
    consumer: &str,
) -> Result<Option<Record<Mark>>, Failure> {
    let marks = Repository::<Mark>::new(runtime.store.clone(), runtime.container);
    marks.find(&partition(runtime, event_id), consumer).await
}

/// Marks an event, unless more is known of it already.
pub(super) async fn write(
    runtime: &Runtime,
    act: &Act,
    event_id: &str,
    consumer: &str,
    (progress, turn): (Progress, Turn),
) -> Result<(), Failure> {
    retry_stale(async || {
        let before = find(runtime, event_id, consumer).await?;
        if before.as_ref().is_some_and(|mark| !mark.data.gives_way(progress, turn)) {
            return Ok(());
        }
        let (store, ambient) = (runtime.store.clone(), runtime.ambient.clone());
        let (container, place) = (runtime.container, partition(runtime, event_id));
        let mut transaction = Transaction::new(store, ambient, container, place, act.clone()).without_audit();
        let mut record = transaction.record(consumer, Mark { consumer: consumer.to_owned(), progress, turn });
        record.expires_at = Some(runtime.ambient.after(KEPT_SECONDS));
        match before {
            Some(before) => drop(transaction.update(&before, record)?),
            None => transaction.insert(&record)?,
        }
        match transaction.commit().await {
            Err(failure) if failure.code() == Some(Code::AlreadyExists) => Err(Failure::Stale),
            other => other.map(drop),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_a_repeat_unless_it_comes_later() {
        let mark = |progress, replay, attempt| Mark {
            consumer: "c".into(),
            progress,
            turn: Turn { replay, attempt },
        };
        let turn = |replay, attempt| Turn { replay, attempt };
        for progress in [Progress::Retrying, Progress::Dead] {
            let mark = mark(progress, 0, 2);
            assert!(mark.covers(turn(0, 1), false) && mark.covers(turn(0, 2), true));
            assert!(!mark.covers(turn(1, 1), false));
        }
        assert!(!mark(Progress::Retrying, 0, 2).covers(turn(0, 3), true));
        assert!(mark(Progress::Dead, 0, 2).covers(turn(0, 3), true));
        let done = mark(Progress::Done, 0, 2);
        assert!(done.covers(turn(0, 9), true) && done.covers(turn(1, 1), false));
        assert!(!done.covers(turn(1, 1), true) && mark(Progress::Done, 1, 1).covers(turn(1, 2), true));
    }

    #[test]
    fn a_late_delivery_does_not_undo_what_a_later_one_has_done() {
        use Progress::{Dead, Done, Retrying};
        let gives_way = |(progress, replay, attempt), by, (other_replay, other_attempt)| {
            let mark = Mark { consumer: "c".into(), progress, turn: Turn { replay, attempt } };
            mark.gives_way(by, Turn { replay: other_replay, attempt: other_attempt })
        };
        for late in [Retrying, Dead] {
            assert!(!gives_way((Done, 0, 2), late, (0, 1)) && !gives_way((Retrying, 0, 2), late, (0, 1)));
            assert!(gives_way((Retrying, 0, 2), late, (0, 3)) && gives_way((Done, 0, 2), late, (1, 1)));
        }
        // What is done is done, whichever attempt did it; but a replay that was asked for since is still to come.
        assert!(gives_way((Retrying, 0, 2), Done, (0, 1)) && !gives_way((Retrying, 1, 1), Done, (0, 3)));
    }
}
