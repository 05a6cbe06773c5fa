//! Whether what the platform shows agrees with what the clients know. It reads nothing and asks nobody, so that each of
//! its rules can be tried on books that were doctored.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{Fate, Kind, Ledger, seconds};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// No client got an answer that it should not have got.
    NothingStrange,
    /// What was acknowledged is there, under the id that was acknowledged.
    NothingLost,
    /// Nothing is there twice.
    NothingTwice,
    /// Nothing is there that nobody asked for as a whole.
    NothingUnasked,
    /// The counters of use are the sum of the builds that are there.
    CountersAgree,
    /// Every act stands in the audit log once, and no other does.
    AuditAgrees,
    /// The entries have no gap and their chain verifies.
    ChainHolds,
    /// Every message is in the inbox once, in a sequence without gaps, and the counts say so.
    InboxAgrees,
    /// Every message was posted to the webhook, and has one delivery.
    WebhookAgrees,
    /// Every job has succeeded, and an export has one job and one whole file.
    JobsAreDone,
    /// Nothing was given up.
    NothingGivenUp,
    /// A timer's slot has one run.
    SlotsRunOnce,
}

/// A thing that the platform shows.
#[derive(Debug, Clone)]
pub(crate) struct Thing {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) id: String,
}

/// An entry of the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) action: String,
    pub(crate) about: String,
    pub(crate) event: String,
}

/// An export and its file.
#[derive(Debug, Clone)]
pub(crate) struct Export {
    pub(crate) id: String,
    pub(crate) entries: u64,
    /// Lines of the file but for the first.
    pub(crate) lines: u64,
}

/// All that the platform shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) things: Vec<Thing>,
    /// Builds and their seconds, as counted.
    pub(crate) counted: (u64, u64),
    /// Messages that the platform itself has sent to the company.
    pub(crate) platform_messages: Vec<String>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) chain_verifies: bool,
    /// Number and message of every item.
    pub(crate) inbox: Vec<(u64, String)>,
    /// Unread items, and the last number, as counted.
    pub(crate) inbox_counts: (u64, u64),
    /// Messages that the target of the webhook has taken.
    pub(crate) posted: Vec<String>,
    /// Messages and how their delivery stands.
    pub(crate) deliveries: Vec<(String, String)>,
    /// Group, name and state of every job.
    pub(crate) jobs: Vec<(String, String, String)>,
    pub(crate) exports: Vec<Export>,
    pub(crate) dead_letters: Vec<String>,
    /// Timers and the slots that they have done.
    pub(crate) slots: Vec<(String, String)>,
}

impl Observed {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Thing> {
        self.things.iter().filter(move |thing| thing.kind == kind)
    }

    fn ids(&self, kind: Kind) -> BTreeSet<&str> {
        self.of(kind).map(|thing| thing.id.as_str()).collect()
    }
}

/// What is wrong.
pub(crate) type Faults = Vec<(Rule, String)>;

/// Holds the ledger against what is shown.
pub(crate) fn check(ledger: &Ledger, seen: &Observed) -> Faults {
    let mut faults = Faults::new();
    faults.extend(ledger.strange.iter().map(|text| (Rule::NothingStrange, text.clone())));
    things(ledger, seen, &mut faults);
    use_of_builds(seen, &mut faults);
    audit(seen, &mut faults);
    inbox(seen, &mut faults);
    webhook(seen, &mut faults);
    jobs(seen, &mut faults);
    let given_up = seen.dead_letters.iter().map(|letter| (Rule::NothingGivenUp, letter.clone()));
    faults.extend(given_up);
    for (slot, runs) in counts(&seen.slots) {
        require(&mut faults, Rule::SlotsRunOnce, runs == 1, || format!("{slot:?} ran {runs} times"));
    }
    faults
}

fn require(faults: &mut Faults, rule: Rule, holds: bool, say: impl FnOnce() -> String) {
    if !holds {
        faults.push((rule, say()));
    }
}

fn counts<T: Ord>(all: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counted = BTreeMap::new();
    for one in all {
        *counted.entry(one).or_default() += 1;
    }
    counted
}

fn things(ledger: &Ledger, seen: &Observed, faults: &mut Faults) {
    let mut shown: BTreeMap<(Kind, &str), Vec<&str>> = BTreeMap::new();
    for thing in &seen.things {
        shown.entry((thing.kind, &thing.name)).or_default().push(&thing.id);
    }
    for ((kind, name), ids) in &shown {
        let what = || format!("{kind:?} {name}: {ids:?}");
        require(faults, Rule::NothingTwice, ids.len() == 1, what);
        let fate = ledger.things.get(&(*kind, (*name).to_owned())).unwrap_or(&Fate::Never);
        require(faults, Rule::NothingUnasked, *fate != Fate::Never, what);
    }
    for ((kind, name), fate) in &ledger.things {
        let Fate::Certain(id) = fate else { continue };
        let there = shown.get(&(*kind, name.as_str())).is_some_and(|ids| ids.contains(&id.as_str()));
        require(faults, Rule::NothingLost, there, || format!("{kind:?} {name} ({id})"));
    }
}

fn use_of_builds(seen: &Observed, faults: &mut Faults) {
    let builds: BTreeSet<&str> = seen.of(Kind::Build).map(|thing| thing.name.as_str()).collect();
    let expected = (builds.len() as u64, builds.iter().copied().map(seconds).sum());
    require(faults, Rule::CountersAgree, seen.counted == expected, || {
        format!("{:?} instead of {expected:?}", seen.counted)
    });
}

/// The actions that tell of a kind.
const ACTIONS: [(&str, Kind); 4] = [
    ("users.project.created", Kind::Project),
    ("secrets.secret.created", Kind::Secret),
    ("notifications.message.accepted", Kind::Message),
    ("release.approved", Kind::Entry),
];

fn audit(seen: &Observed, faults: &mut Faults) {
    for (action, kind) in ACTIONS {
        let told = seen.entries.iter().filter(|entry| entry.action == action);
        let told = counts(told.map(|entry| if kind == Kind::Entry { &entry.event } else { &entry.about }));
        let mut ids = seen.ids(kind);
        if kind == Kind::Message {
            ids.extend(seen.platform_messages.iter().map(String::as_str));
        }
        for id in &ids {
            let times = told.get(&(*id).to_owned()).copied().unwrap_or_default();
            require(faults, Rule::AuditAgrees, times == 1, || format!("{action} {id} stands {times} times"));
        }
        for id in told.keys().filter(|id| !ids.contains(id.as_str())) {
            faults.push((Rule::AuditAgrees, format!("{action} {id} never was")));
        }
    }
    for (event, times) in counts(seen.entries.iter().map(|entry| &entry.event)) {
        require(faults, Rule::AuditAgrees, times == 1, || format!("event {event} stands {times} times"));
    }
    let gap = seen.entries.iter().zip(1..).find(|(entry, number)| entry.number != *number);
    require(faults, Rule::ChainHolds, gap.is_none(), || format!("at {gap:?}"));
    require(faults, Rule::ChainHolds, seen.chain_verifies, || "the chain does not verify".to_owned());
}

fn inbox(seen: &Observed, faults: &mut Faults) {
    let told = counts(seen.inbox.iter().map(|(_, message)| message.as_str()));
    for message in seen.ids(Kind::Message) {
        let times = told.get(message).copied().unwrap_or_default();
        require(faults, Rule::InboxAgrees, times == 1, || format!("{message} is there {times} times"));
    }
    let gap = seen.inbox.iter().zip(1..).find(|((number, _), expected)| number != expected);
    require(faults, Rule::InboxAgrees, gap.is_none(), || format!("at {gap:?}"));
    let all = seen.inbox.len() as u64;
    require(faults, Rule::InboxAgrees, seen.inbox_counts == (all, all), || {
        format!("{all} items are counted as {:?}", seen.inbox_counts)
    });
}

fn webhook(seen: &Observed, faults: &mut Faults) {
    let messages = seen.ids(Kind::Message);
    let posted: BTreeSet<&str> = seen.posted.iter().map(String::as_str).collect();
    require(faults, Rule::WebhookAgrees, posted == messages, || {
        format!("{:?} were posted or not", posted.symmetric_difference(&messages).collect::<Vec<_>>())
    });
    let deliveries = counts(seen.deliveries.iter().map(|(message, _)| message.as_str()));
    let once = deliveries.values().all(|times| *times == 1);
    let whole = deliveries.keys().copied().collect::<BTreeSet<_>>() == messages;
    let done = seen.deliveries.iter().all(|(_, state)| state == "delivered");
    require(faults, Rule::WebhookAgrees, once && whole && done, || format!("{:?}", seen.deliveries));
}

fn jobs(seen: &Observed, faults: &mut Faults) {
    for job in seen.jobs.iter().filter(|(_, _, state)| state != "succeeded") {
        faults.push((Rule::JobsAreDone, format!("{job:?}")));
    }
    let made = seen.jobs.iter().filter(|(group, job, _)| group == "logging" && job == "export").count();
    let exports = seen.ids(Kind::Export).len();
    require(faults, Rule::JobsAreDone, made == exports, || format!("{made} jobs for {exports} exports"));
    for export in &seen.exports {
        let (id, lines, entries) = (&export.id, export.lines, export.entries);
        require(faults, Rule::JobsAreDone, lines == entries, || format!("{id}: {lines} of {entries} lines"));
    }
}
