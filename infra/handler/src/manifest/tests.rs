use super::*;

use std::future::{Ready, ready};

use coder_core::Failure;
use coder_core::permission::{BuiltInRole, PermissionDeclaration};
use coder_database::Container;
use coder_jobs::JobFault;
use serde_json::Value;

use crate::events::{ConsumerFault, ConsumerOptions, Event, Invocation, JobRun};
use crate::group::RouteGroup;

const FILE: &str = file!();

fn consume((): (), _: Invocation, _: Event) -> Ready<Result<(), ConsumerFault>> {
    ready(Ok(()))
}

fn tick((): (), _: Invocation) -> Ready<Result<(), Failure>> {
    ready(Ok(()))
}

fn job((): (), _: JobRun, _: Value) -> Ready<Result<Value, JobFault>> {
    ready(Ok(Value::Null))
}

#[track_caller]
fn notes() -> RouteGroup<()> {
    RouteGroup::new("notes", "Notes")
}

fn made(group: RouteGroup<()>) -> Group {
    group.service(|_, _| ())
}

/// There is one fault; it names this file and the line, and says these words.
#[track_caller]
fn refused(faults: &[String], line: u32, words: &[&str]) {
    let [fault] = faults else { panic!("not one fault: {faults:#?}") };
    assert!(fault.starts_with(&format!("{FILE}:{line}: ")), "{fault} is not about line {line}");
    for word in words {
        assert!(fault.contains(word), "no `{word}` in: {fault}");
    }
}

#[test]
fn a_good_group_has_no_fault() {
    let group = made(
        notes()
            .container(Container::new("notes"))
            .on_event("mirror", "coder.users.team.*", consume)
            .on_event("all", "coder.*", consume)
            .timer("expire", "0 */10 * * * *", tick)
            .job("export", job),
    );
    assert_eq!(faults(&[group]), Vec::<String>::new());
}

#[test]
fn a_timer_with_a_bad_schedule_is_refused() {
    for (schedule, word) in [("0 * * * *", "six fields"), ("0 61 * * * *", "61"), ("@daily", "six fields")] {
        let group = made(notes().timer("expire", schedule, tick));
        refused(&faults(&[group]), line!() - 1, &["`expire`", schedule, word]);
    }
}

#[test]
fn two_groups_on_one_container_are_refused() {
    let first = made(notes().container(Container::new("shared")));
    let at = format!("{FILE}:{}", line!() - 1);
    let other = RouteGroup::<()>::new("other", "Others").container(Container::new("shared"));
    let line = line!() - 1;
    let found: Vec<String> = faults(&[first, made(other)]);
    refused(&found, line, &["container `shared`", &at]);
}

#[test]
fn a_name_that_the_host_refuses_is_refused() {
    for name in ["Expire", "expire.all", "expire all", "", "exp/ire"] {
        let group = made(notes().timer(name, "0 0 * * * *", tick));
        let line = line!() - 1;
        let found = faults(&[group]);
        assert!(found.iter().all(|fault| fault.starts_with(&format!("{FILE}:{line}: "))), "{found:#?}");
        assert!(found.iter().any(|fault| fault.contains("lower-case with hyphens")), "{found:#?}");
    }
    let long: &'static str = "a".repeat(123).leak();
    let found = faults(&[made(notes().timer(long, "0 0 * * * *", tick))]);
    let of_host = format!("no function can be named `every-{long}`");
    assert!(found.iter().any(|fault| fault.contains(&of_host)), "{found:#?}");
    let found = faults(&[made(notes().job("re price", job))]);
    refused(&found, line!() - 1, &["job `re price`"]);
}

#[test]
fn two_of_one_name_are_refused() {
    let group = notes().timer("expire", "0 0 * * * *", tick);
    let group = made(group.timer("expire", "0 1 * * * *", tick));
    refused(&faults(&[group]), line!() - 1, &["timer `notes/expire`", "already"]);
    let group = notes().container(Container::new("notes"));
    let group = group.on_event("mirror", "coder.users.team.*", consume);
    let group = made(group.on_event("mirror", "coder.users.user.*", consume));
    refused(&faults(&[group]), line!() - 1, &["consumer `notes/mirror`"]);
    // Every group has this timer by itself.
    let group = notes().container(Container::new("notes"));
    let group = made(group.timer("sweep-outbox", "0 0 * * * *", tick));
    assert_eq!(faults(&[group]).len(), 1);
}

#[test]
fn a_filter_that_is_too_long_is_refused() {
    let wide = |count: usize| {
        let mut group = notes().container(Container::new("notes"));
        for number in 0..count {
            let name: &'static str = format!("consumer-{number}").leak();
            let pattern: &'static str = format!("coder.users.resource-{number}.changed").leak();
            group = group.on_event(name, pattern, consume);
        }
        made(group)
    };
    let line = line!() - 4;
    assert_eq!(faults(&[wide(20)]), Vec::<String>::new());
    refused(&faults(&[wide(40)]), line, &["group `notes`", "Service Bus takes 1024", "by one pattern"]);
}

#[test]
fn a_pattern_that_can_match_nothing_is_refused() {
    for pattern in ["users.team.deleted", "coder.users.Team.*", "coder..x", "coder.users.te'am.*", "coder"] {
        let group = notes().container(Container::new("notes"));
        let group = made(group.on_event("mirror", pattern, consume));
        refused(&faults(&[group]), line!() - 1, &["`mirror`", pattern]);
    }
}

#[test]
fn a_group_that_nobody_knows_is_refused() {
    let known = ["notes", "users"];
    let stranger = RouteGroup::<()>::new("nots", "Notes");
    refused(&unknown_groups(&[made(stranger)], &known), line!() - 1, &["no group `nots`", "add it there"]);
    let group = notes().container(Container::new("notes"));
    let group = group.on_event("mirror", "coder.user.team.deleted", consume);
    let line = line!() - 1;
    let group = made(group.on_event("all", "coder.*", consume).on_event("own", "coder.users.*", consume));
    refused(&unknown_groups(&[group], &known), line, &["`coder.user.team.deleted`", "no group `user`"]);
}

#[test]
fn consumers_need_a_container_and_a_possible_deadline() {
    let group = made(notes().on_event("mirror", "coder.users.team.*", consume));
    refused(&faults(&[group]), line!() - 1, &["no container"]);
    let never = ConsumerOptions { max_attempts: 0, ..ConsumerOptions::default() };
    let group = notes().container(Container::new("notes"));
    let group = made(group.on_event_with(never, "mirror", "coder.users.team.*", consume));
    refused(&faults(&[group]), line!() - 1, &["deadline of 1 to 240 s"]);
}

#[test]
fn a_permission_of_another_group_is_refused() {
    const ODD: &[PermissionDeclaration] =
        &[PermissionDeclaration { name: "users.note.read", summary: "", held_by: BuiltInRole::Viewer }];
    let group = made(notes().permissions(ODD));
    refused(&faults(&[group]), line!() - 1, &["`users.note.read`", "`notes.<resource>.<action>`"]);
}

#[test]
fn the_broker_is_declared_as_it_works_here() {
    let broker = &super::super::manifest(&[])["broker"];
    assert_eq!(
        *broker,
        serde_json::json!({
            "duplicateWindow": "PT1H",
            "events": {"topic": "coder-events", "lock": "PT1M", "maxDeliveries": 10, "timeToLive": "P14D"},
            "jobs": {"topic": "coder-jobs", "lock": "PT5M", "maxDeliveries": 10, "timeToLive": "P30D"},
        })
    );
    // A message that outlived the record of its job would start nothing.
    let kept = u64::try_from(coder_jobs::record::RETENTION_SECONDS).unwrap();
    assert_eq!(coder_queue::Limits::JOBS.ttl.as_secs(), kept);
}
