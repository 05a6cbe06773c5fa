//! Every rule of the checker on books that are right, and on the same books after somebody changed them.

use std::collections::BTreeSet;

use crate::check::{Entry, Export, Observed, Rule, Thing, check};
use crate::ledger::{Fate, Kind, Ledger, seconds};

/// Books that agree: of each kind one thing that was acknowledged and one whose answer nobody read, half of which
/// happened.
fn right() -> (Ledger, Observed) {
    let mut ledger = Ledger::default();
    let mut seen = Observed { chain_verifies: true, ..Observed::default() };
    let mut show = |kind, name: &str, id: &str| {
        seen.things.push(Thing { kind, name: name.to_owned(), id: id.to_owned() });
    };
    for (kind, first, second) in [
        (Kind::Build, "build-1", "build-2"),
        (Kind::Project, "P1", "P2"),
        (Kind::Secret, "KEY_1", "KEY_2"),
        (Kind::Message, "Note 1", "Note 2"),
        (Kind::Entry, "release-1", "release-2"),
    ] {
        let id = |name: &str| match kind {
            Kind::Build | Kind::Entry => name.to_owned(),
            _ => format!("id of {name}"),
        };
        ledger.note(kind, first, Fate::Certain(id(first)));
        show(kind, first, &id(first));
        ledger.note(kind, second, Fate::Possible);
        if kind != Kind::Project {
            show(kind, second, &id(second));
        }
    }
    ledger.note(Kind::Project, "P3", Fate::Never);
    ledger.note(Kind::Export, "export", Fate::Certain("export".to_owned()));
    show(Kind::Export, "export", "export");
    tell(&mut seen);
    (ledger, seen)
}

/// What follows from the things.
fn tell(seen: &mut Observed) {
    let builds = seen.things.iter().filter(|thing| thing.kind == Kind::Build);
    seen.counted = builds.fold((0, 0), |(count, sum), one| (count + 1, sum + seconds(&one.name)));
    for (number, thing) in (1..).zip(&seen.things) {
        let action = match thing.kind {
            Kind::Project => "users.project.created",
            Kind::Secret => "secrets.secret.created",
            Kind::Message => "notifications.message.accepted",
            Kind::Entry => "release.approved",
            Kind::Build | Kind::Export => "something.else",
        };
        let event = if thing.kind == Kind::Entry { thing.id.clone() } else { format!("event {number}") };
        seen.entries.push(Entry { number, action: action.to_owned(), about: thing.id.clone(), event });
    }
    for thing in seen.things.iter().filter(|thing| thing.kind == Kind::Message) {
        seen.inbox.push((seen.inbox.len() as u64 + 1, thing.id.clone()));
        seen.posted.push(thing.id.clone());
        seen.deliveries.push((thing.id.clone(), "delivered".to_owned()));
    }
    seen.inbox_counts = (2, 2);
    let job = |group: &str, job: &str| (group.to_owned(), job.to_owned(), "succeeded".to_owned());
    seen.jobs = vec![job("logging", "export"), job("notifications", "webhook")];
    seen.exports = vec![Export { id: "export".to_owned(), entries: 7, lines: 7 }];
    seen.slots = vec![("roll".to_owned(), "12:05".to_owned()), ("roll".to_owned(), "13:05".to_owned())];
}

#[test]
fn books_that_agree_have_no_fault() {
    let (ledger, seen) = right();
    assert_eq!(check(&ledger, &seen), []);
}

type Doctor = fn(&mut Ledger, &mut Observed);

/// What somebody changes, and the rules that must find it.
const DOCTORED: &[(&str, &[Rule], Doctor)] = &[
    ("a client was refused for no reason", &[Rule::NothingStrange], |ledger, _| {
        ledger.strange.push("500".to_owned());
    }),
    ("a repeat was acknowledged under another id", &[Rule::NothingStrange], |ledger, _| {
        ledger.note(Kind::Project, "P1", Fate::Certain("id of another".to_owned()));
    }),
    ("an acknowledged build is gone from list and counters", &[Rule::NothingLost], |_, seen| {
        seen.things.retain(|thing| thing.name != "build-1");
        seen.counted = (1, seconds("build-2"));
    }),
    ("an acknowledged project has another id", &[Rule::NothingLost, Rule::AuditAgrees], |_, seen| {
        "another".clone_into(&mut seen.things.iter_mut().find(|thing| thing.name == "P1").unwrap().id);
    }),
    ("a project is there twice, as its audit says", &[Rule::NothingTwice], |_, seen| {
        seen.things.push(Thing { kind: Kind::Project, name: "P1".to_owned(), id: "second".to_owned() });
        let (number, event) = (seen.entries.len() as u64 + 1, "second".to_owned());
        let action = "users.project.created".to_owned();
        seen.entries.push(Entry { number, action, about: "second".to_owned(), event });
    }),
    ("what was sent by half is there, as its audit says", &[Rule::NothingUnasked], |_, seen| {
        seen.things.push(Thing { kind: Kind::Project, name: "P3".to_owned(), id: "half".to_owned() });
        let (number, event) = (seen.entries.len() as u64 + 1, "half".to_owned());
        let action = "users.project.created".to_owned();
        seen.entries.push(Entry { number, action, about: "half".to_owned(), event });
    }),
    ("what nobody knows is there", &[Rule::NothingUnasked], |_, seen| {
        seen.things.push(Thing { kind: Kind::Export, name: "x".to_owned(), id: "x".to_owned() });
        let job = ("logging".to_owned(), "export".to_owned(), "succeeded".to_owned());
        seen.jobs.push(job);
    }),
    ("a build counts twice", &[Rule::CountersAgree], |_, seen| {
        seen.counted = (seen.counted.0 + 1, seen.counted.1 + seconds("build-1"));
    }),
    ("a second is not counted", &[Rule::CountersAgree], |_, seen| seen.counted.1 -= 1),
    ("an event never reached the audit log", &[Rule::AuditAgrees], |_, seen| {
        seen.entries.iter_mut().find(|entry| entry.about == "id of KEY_1").unwrap().action = String::new();
    }),
    ("an event reached the audit log twice", &[Rule::AuditAgrees], |_, seen| {
        let mut again = seen.entries.iter().find(|entry| entry.about == "id of KEY_1").unwrap().clone();
        again.number = seen.entries.len() as u64 + 1;
        seen.entries.push(again);
    }),
    ("the audit log tells of what is not", &[Rule::AuditAgrees], |_, seen| {
        let (number, action) = (seen.entries.len() as u64 + 1, "secrets.secret.created".to_owned());
        let entry = Entry { number, action, about: "nothing".to_owned(), event: "nothing".to_owned() };
        seen.entries.push(entry);
    }),
    ("an entry is missing", &[Rule::ChainHolds], |_, seen| drop(seen.entries.remove(0))),
    ("the chain does not verify", &[Rule::ChainHolds], |_, seen| seen.chain_verifies = false),
    ("a message is not in the inbox", &[Rule::InboxAgrees], |_, seen| {
        drop(seen.inbox.pop());
        seen.inbox_counts = (1, 1);
    }),
    ("a message is in the inbox twice", &[Rule::InboxAgrees], |_, seen| {
        seen.inbox.push((3, seen.inbox[0].1.clone()));
        seen.inbox_counts = (3, 3);
    }),
    ("the inbox skips a number", &[Rule::InboxAgrees], |_, seen| seen.inbox[1].0 = 3),
    ("an item is counted twice", &[Rule::InboxAgrees], |_, seen| seen.inbox_counts.0 += 1),
    ("a message was not posted", &[Rule::WebhookAgrees], |_, seen| drop(seen.posted.pop())),
    ("a delivery is still open", &[Rule::WebhookAgrees], |_, seen| {
        "pending".clone_into(&mut seen.deliveries[0].1);
    }),
    ("a message has two deliveries", &[Rule::WebhookAgrees], |_, seen| {
        seen.deliveries.push(seen.deliveries[0].clone());
    }),
    ("a job is given up", &[Rule::JobsAreDone], |_, seen| "dead".clone_into(&mut seen.jobs[1].2)),
    ("an export has two jobs", &[Rule::JobsAreDone], |_, seen| seen.jobs.push(seen.jobs[0].clone())),
    ("an export was written twice into one file", &[Rule::JobsAreDone], |_, seen| seen.exports[0].lines *= 2),
    ("an event is a dead letter", &[Rule::NothingGivenUp], |_, seen| {
        seen.dead_letters.push("event".to_owned());
    }),
    ("a timer ran twice in a slot", &[Rule::SlotsRunOnce], |_, seen| seen.slots.push(seen.slots[0].clone())),
];

#[test]
fn each_rule_finds_what_breaks_it_and_nothing_else() {
    let mut tried = BTreeSet::new();
    for (what, rules, doctor) in DOCTORED {
        let (mut ledger, mut seen) = right();
        doctor(&mut ledger, &mut seen);
        let faults = check(&ledger, &seen);
        let found: BTreeSet<Rule> = faults.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(found, rules.iter().copied().collect(), "{what}: {faults:#?}");
        tried.extend(found);
    }
    assert_eq!(tried.len(), 12, "every rule is tried: {tried:?}");
}
