//! What is wrong with declarations, each fault with the line to mend.

use std::collections::BTreeMap;

use coder_middleware::{OperationDescription, Security};

use super::built_in;
use crate::app::{FILTER_CHARACTERS, name_fault};
use crate::functions::DEADLINE;
use crate::group::{Group, Place};

/// What is wrong with the declarations, each fault with the line to mend; empty if all is well.
pub fn faults(groups: &[Group]) -> Vec<String> {
    let mut faults = Faults::default();
    for group in groups {
        faults.unique(group.places.group, "group", group.name);
        for (container, place) in group.containers.iter().zip(&group.places.containers) {
            faults.unique(place, "container", container.name);
        }
        faults.permissions(group);
        faults.consumers(group);
        faults.timers_and_jobs(group);
        faults.app(group);
        for operation in &group.operations {
            faults.operation(group, operation);
        }
    }
    for (operation, group) in built_in(groups).iter().zip(groups.iter().cycle()) {
        faults.unique(group.places.group, "operation", operation.id);
    }
    faults.found
}

/// Every place that names a group which is not among `known`: a declared group, or the source of an event.
pub fn unknown_groups(groups: &[Group], known: &[&str]) -> Vec<String> {
    let mut faults = Faults::default();
    for group in groups {
        if !known.contains(&group.name) {
            let fault =
                format!("the route table has no group `{}`: add it there, or mend its name", group.name);
            faults.add(group.places.group, &fault);
        }
        for ((name, pattern), place) in group.consumers.iter().zip(&group.places.consumers) {
            let source = pattern.split('.').nth(1).unwrap_or_default();
            if source != "*" && !known.contains(&source) {
                let fault =
                    format!("consumer `{name}` asks for `{pattern}`, but there is no group `{source}`");
                faults.add(place, &fault);
            }
        }
    }
    faults.found
}

#[derive(Default)]
struct Faults {
    found: Vec<String>,
    seen: BTreeMap<String, Place>,
}

impl Faults {
    fn add(&mut self, place: Place, fault: &str) {
        self.found.push(format!("{}:{}: {fault}", place.file(), place.line()));
    }

    fn unique(&mut self, place: Place, kind: &str, name: &str) {
        match self.seen.insert(format!("{kind} {name}"), place) {
            Some(first) if first == place => {
                self.add(place, &format!("{kind} `{name}` is declared twice"));
            }
            Some(first) => {
                let (file, line) = (first.file(), first.line());
                self.add(place, &format!("{kind} `{name}` is declared at {file}:{line} already"));
            }
            None => {}
        }
    }

    fn permissions(&mut self, group: &Group) {
        let place = group.places.group;
        for permission in group.permissions {
            self.unique(place, "permission", permission.name);
            let prefix = format!("{}.", group.name);
            if !permission.name.starts_with(&prefix) || permission.name.split('.').count() != 3 {
                let name = permission.name;
                self.add(place, &format!("permission `{name}` is not `{prefix}<resource>.<action>`"));
            }
        }
    }

    fn consumers(&mut self, group: &Group) {
        if !group.consumers.is_empty() && group.containers.is_empty() {
            let name = group.name;
            let fault = format!("group `{name}` has consumers, and no container to remember events in");
            self.add(group.places.group, &fault);
        }
        let declared = group.consumers.iter().zip(&group.consumer_options).zip(&group.places.consumers);
        for (((name, pattern), options), place) in declared {
            self.unique(place, "consumer", &format!("{}/{name}", group.name));
            self.name(place, "consumer", name);
            if options.deadline > DEADLINE || options.deadline.is_zero() || options.max_attempts == 0 {
                let most = DEADLINE.as_secs();
                let fault = format!("consumer `{name}` needs a deadline of 1 to {most} s and an attempt");
                self.add(place, &fault);
            }
            let fits = |segment: &str| segment == "*" || is_name(segment);
            if !pattern.starts_with("coder.") || !pattern.split('.').all(fits) {
                let fault = format!(
                    "consumer `{name}` asks for `{pattern}`, which is no `coder.<group>.<resource>.<past>`, \
                     `*` for any segment"
                );
                self.add(place, &fault);
            }
        }
    }

    fn timers_and_jobs(&mut self, group: &Group) {
        // Those that every group has come last, and have no line of the group's own.
        let places = group.places.timers.iter().chain(std::iter::repeat(&group.places.group));
        for ((name, schedule), place) in group.timers.iter().zip(places) {
            self.unique(place, "timer", &format!("{}/{name}", group.name));
            self.name(place, "timer", name);
            if let Err(error) = coder_jobs::Schedule::parse(schedule) {
                self.add(place, &format!("timer `{name}` with the schedule `{schedule}`: {error}"));
            }
        }
        for (name, place) in group.jobs.iter().zip(&group.places.jobs) {
            self.unique(place, "job", &format!("{}/{name}", group.name));
            self.name(place, "job", name);
        }
    }

    fn name(&mut self, place: Place, kind: &str, name: &str) {
        if !is_name(name) || name.len() > 100 {
            self.add(place, &format!("{kind} `{name}` is not lower-case with hyphens, 1 to 100 characters"));
        }
    }

    /// What the Functions host and the broker would refuse.
    fn app(&mut self, group: &Group) {
        let place = group.places.group;
        for function in group.app() {
            let of_timer = function.name.strip_prefix("every-");
            let timer = group.timers.iter().position(|(name, _)| of_timer == Some(*name));
            let place = timer.and_then(|index| group.places.timers.get(index)).unwrap_or(&place);
            if let Some(why) = name_fault(&function.name) {
                self.add(place, &format!("no function can be named `{}`: {why}", function.name));
            }
        }
        let Some(filter) = group.subscription().map(|subscription| subscription.filter(group.name)) else {
            return;
        };
        let length = filter.chars().count();
        if length > FILTER_CHARACTERS {
            let fault = format!(
                "the subscription of group `{}` needs a filter of {length} characters, and Service Bus takes \
                 {FILTER_CHARACTERS}: ask for several types by one pattern, such as `coder.users.team.*`",
                group.name
            );
            self.add(group.places.consumers.last().copied().unwrap_or(place), &fault);
        }
    }

    fn operation(&mut self, group: &Group, operation: &OperationDescription) {
        let place = group.places.group;
        // What every group has is one operation of the platform, told apart by the path.
        if operation.built_in {
            self.unique(place, "operation", &format!("{}/{}", group.name, operation.id));
        } else {
            self.unique(place, "operation", operation.id);
        }
        self.unique(place, "route", &format!("{} {}", operation.method, operation.path));
        if operation.security.len() != 1 {
            let count = operation.security.len();
            self.add(place, &format!("operation `{}` has {count} access arguments, not one", operation.id));
        }
        if let Security::Permission(permission) = operation.access()
            && !group.permissions.contains(permission)
        {
            let (id, name) = (operation.id, permission.name);
            self.add(place, &format!("operation `{id}` needs `{name}`, which the group does not declare"));
        }
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
