//! The declaration, as the platform and the deployment see it.

use std::collections::BTreeSet;

#[test]
fn the_group_declares_what_it_has() {
    let group = coder_logging::route_group();
    assert_eq!(coder_handler::manifest::faults(std::slice::from_ref(&group)), Vec::<String>::new());
    assert!(group.consumers.contains(&("record", "coder.*")));
    for timer in ["evaluate-alerts", "checkpoint", "retain", "verify", "drop-exports"] {
        assert!(group.timers.iter().any(|(name, _)| *name == timer), "{timer}");
    }
    let jobs: BTreeSet<_> = group.jobs.iter().copied().collect();
    assert!(jobs.is_superset(&BTreeSet::from(["export", "verify", "erase", "purge", "ingest-replay"])));
    let document = coder_handler::openapi::document(&group, "https://example.com");
    let characters = coder_handler::openapi::text(&document).chars().count();
    assert!(characters <= 131_072, "{characters} characters");
}
