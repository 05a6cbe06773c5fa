//! The proof that nothing is changed in silence: every operation that writes leaves exactly one audit entry, which
//! names who, what, on what, and the changes. It grows by itself: an operation that is declared is tried.

use coder_database::audit::AuditEntry;
use coder_database::{Entity as _, Filter, Query};
use coder_middleware::Security;
use coder_testkit::{Team, TestPlatform};
use http::Method;
use serde::Deserialize as _;

use crate::arranged;
use crate::exceptions::Exceptions;
use crate::operations::{self, Operation};

/// The entries that a request left, in whatever container.
async fn entries(platform: &TestPlatform, group: &str, request_id: &str) -> Vec<AuditEntry> {
    let store = &platform.platform.assembly.providers.store;
    let groups = coder_platform::route_groups();
    let group = groups.iter().find(|one| one.name == group).unwrap();
    let mut found = Vec::new();
    for container in &group.containers {
        let filter = Filter::of_type(AuditEntry::TYPE).and(Filter::eq("requestId", request_id));
        let page = store.query_across(container.name, &Query::new(filter)).await.unwrap();
        found.extend(page.items.iter().map(|document| AuditEntry::deserialize(&document.body).unwrap()));
    }
    found
}

/// Does an operation, and says what is wrong with what it left.
async fn fault(platform: &TestPlatform, team: &Team, operation: &Operation) -> Option<String> {
    let request = arranged::request(platform, team, operation).await;
    let reply = request.send(operation.method.clone()).await;
    if !reply.status.is_success() {
        return Some(format!("{} was not tried: {} {}", operation.id, reply.status, reply.body));
    }
    let found = entries(platform, operation.group, reply.header("x-request-id")).await;
    match found.as_slice() {
        [one] if one.action != operation.id => {
            Some(format!("{} is recorded as {}", operation.id, one.action))
        }
        [one] if one.targets.is_empty() => Some(format!("{} names no target", operation.id)),
        [one]
            if operation.security != Security::Anyone
                && one.actor.id != request.client.user_id.unwrap().to_string() =>
        {
            Some(format!("{} names {:?}", operation.id, one.actor))
        }
        [_] => None,
        other => Some(format!("{} left {} entries: {other:?}", operation.id, other.len())),
    }
}

/// Whether an operation may take away what the arrangement of others needs: a person, a password, what is named.
fn may_take_away(operation: &Operation) -> bool {
    let takes = [
        "accept",
        "archive",
        "change",
        "confirm",
        "deactivate",
        "decline",
        "disable",
        "log",
        "purge",
        "resend",
        "reset",
        "restore",
        "revoke",
        "switch",
        "transfer",
    ];
    operation.method == Method::DELETE || takes.iter().any(|verb| operation.id.starts_with(verb))
}

/// Operations share a company until one may have taken something away. What an earlier one stood in the way of is
/// tried again in a company of its own, which decides. Each is on a platform of its own: a store that looks through
/// every document becomes slow with many.
#[tokio::test(flavor = "multi_thread")]
async fn every_write_leaves_one_entry() {
    let (mut platform, mut team) = founded().await;
    let mut exceptions = Exceptions::of("audit");
    let (mut tried, mut faults, mut is_fresh) = (0, Vec::new(), true);
    let of_people = |one: &Operation| !matches!(one.security, Security::Service | Security::Operator);
    for operation in operations::all().into_iter().filter(of_people) {
        if operation.method == Method::GET || exceptions.excuses(operation.id) {
            continue;
        }
        let mut found = fault(&platform, &team, &operation).await;
        if found.is_some() && !is_fresh {
            (platform, team) = founded().await;
            found = fault(&platform, &team, &operation).await;
        }
        tried += usize::from(found.is_none());
        faults.extend(found);
        is_fresh = may_take_away(&operation);
        if is_fresh {
            (platform, team) = founded().await;
        }
    }
    exceptions.finish();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried >= 60, "only {tried} operations were tried");
}

async fn founded() -> (TestPlatform, Team) {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    (platform, team)
}
