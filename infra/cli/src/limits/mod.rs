//! The page of every limit, default, quota and budget: what can be set, what the declarations say, what bodies may
//! hold, and every constant in the source that is a number or a time. Nothing of it is written by hand, so a limit that
//! is added or changed makes the committed page stale.

mod bounds;
mod constants;
mod value;

use std::fmt::Write as _;
use std::path::Path;

use coder_config::{VARIABLES, Variable};
use coder_gateway::RouteTable;
use coder_handler::serve::Limits;
use coder_handler::{Group, openapi};
use coder_jobs::JobPolicy;
use coder_middleware::describe::BODY_LIMIT;

pub use constants::{Constant, constants};
pub use value::{bytes, time};

/// The page, in Markdown, of the groups and of the source below `root`.
pub fn page(root: &Path, groups: &[Group]) -> anyhow::Result<String> {
    let mut page = String::from(
        "# Limits\n\n\
         Every limit, default, quota and budget of the platform, and where it is set. The page is made from the code \
         by `coder limits`; a constant that is a number or a time and not a limit is left out by name in \
         `infra/cli/src/limits/constants.rs`.\n",
    );
    settings(&mut page);
    routes(&mut page);
    operations(&mut page, groups);
    policies(&mut page);
    for group in groups {
        bounds::section(&mut page, group.name, &openapi::document(group, "https://api.coder.example"));
    }
    constant_sections(&mut page, &constants(root)?);
    Ok(page)
}

fn table(page: &mut String, title: &str, before: &str, head: &[&str]) {
    let line = "|---".repeat(head.len());
    writeln!(page, "\n## {title}\n\n{before}\n\n| {} |\n{line}|", head.join(" | ")).ok();
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(page, "| {} |", cells.join(" | ")).ok();
}

fn settings(page: &mut String) {
    let before = "Whoever runs the platform sets these. The limits by address, user and organization are token buckets \
                  that hold a minute's worth; that of changes holds three seconds' worth.";
    table(page, "Settings", before, &["Setting", "Default", "Meaning"]);
    for Variable { name, default, meaning, .. } in VARIABLES.iter().filter(|one| one.name.contains("LIMIT")) {
        row(page, &[&format!("`{name}`"), default, meaning]);
    }
}

fn routes(page: &mut String) {
    let before = "What the gateway takes for each route group, here and in the cloud: set in \
                  `infra/gateway/src/table.rs`.";
    let head = ["Group", "Largest body", "Time to the first byte of the answer", "Streams"];
    table(page, "Gateway", before, &head);
    for group in RouteTable::PLATFORM.groups() {
        let streams = if group.streams { "yes" } else { "no" };
        row(page, &[group.name, &bytes(group.body_limit), &time(group.header_timeout), streams]);
    }
}

fn operations(page: &mut String, groups: &[Group]) {
    let before = format!(
        "An operation takes a body of {}, and counts against the limits of its caller. These are different: set where \
         the group declares its routes. *guarded*: calls without a credential count against \
         `CODER_LIMIT_PUBLIC_PER_MINUTE`; *writes*: calls count against `CODER_LIMIT_WRITES_PER_MINUTE`; *not \
         repeatable*: an idempotency key is not looked at, since the answer must not be kept.",
        bytes(BODY_LIMIT as u64)
    );
    table(page, "Operations", &before, &["Operation", "Path", "Limits"]);
    for operation in groups.iter().flat_map(|group| &group.operations).filter(|one| !one.built_in) {
        let mut limits = Vec::new();
        if operation.body_limit != BODY_LIMIT {
            limits.push(format!("a body of {}", bytes(operation.body_limit as u64)));
        }
        for (holds, word) in [
            (operation.guarded, "guarded"),
            (operation.write_limited, "writes"),
            (operation.never_kept, "not repeatable"),
        ] {
            if holds {
                limits.push(word.to_owned());
            }
        }
        if !limits.is_empty() {
            let path = format!("`{} {}`", operation.method, operation.path);
            row(page, &[operation.id, &path, &limits.join(", ")]);
        }
    }
}

/// Limits that are fields of a type.
fn policies(page: &mut String) {
    let before = "Limits that belong together, each set as a whole.";
    table(page, "Policies", before, &["What", "Limit", "Where"]);
    let serve = "`infra/handler/src/serve.rs`";
    for (name, limits) in
        [("the gateway", Limits::PUBLIC), ("a handler behind its host", Limits::BEHIND_HOST)]
    {
        let Limits { header_read, drain, connections } = limits;
        let mut limit = |what: &str, value: &str| row(page, &[&format!("{what} of {name}"), value, serve]);
        limit("time for the headers, and of an idle connection,", &time(header_read));
        limit("time for requests under way at the end", &time(drain));
        limit("connections", &connections.to_string());
    }
    let JobPolicy { attempts, cut_offs, first_wait, longest_wait, deadline } = JobPolicy::default();
    let mut limit = |what: &str, value: &str| {
        row(
            page,
            &[&format!("{what}, where a job does not say otherwise"), value, "`infra/jobs/src/policy.rs`"],
        );
    };
    limit("runs of a one-time job that may fail", &attempts.to_string());
    limit("runs of it that may be cut off", &cut_offs.to_string());
    limit("longest wait before its second attempt", &time(first_wait));
    limit("longest wait between its attempts", &time(longest_wait));
    limit("time for one run of it", &time(deadline));
}

fn constant_sections(page: &mut String, constants: &[Constant]) {
    let before = "Every other number and time that the source names, by the folder it is in. What depends on other \
                  constants is shown as it is written.";
    writeln!(page, "\n## Constants\n\n{before}").ok();
    let mut last = "";
    for Constant { package, name, value, meaning, place } in constants {
        if package != last {
            writeln!(page, "\n### {package}\n\n| Constant | Value | Meaning | Where |\n|---|---|---|---|")
                .ok();
            last = package;
        }
        row(page, &[&format!("`{name}`"), value, meaning, &format!("`{place}`")]);
    }
}
