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

#[tokio::test(flavor = "multi_thread")]
async fn every_write_leaves_one_entry() {
    let platform = TestPlatform::start().await;
    let mut team = Team::with_login_provider(&platform).await;
    let mut exceptions = Exceptions::of("audit");
    let (mut tried, mut faults) = (0, Vec::new());
    let of_people = |one: &Operation| !matches!(one.security, Security::Service | Security::Operator);
    for operation in operations::all().into_iter().filter(of_people) {
        if operation.method == Method::GET || exceptions.excuses(operation.id) {
            continue;
        }
        let request = arranged::request(&platform, &team, &operation).await;
        let reply = request.send(operation.method.clone()).await;
        let found = entries(&platform, operation.group, reply.header("x-request-id")).await;
        if !reply.status.is_success() {
            faults.push(format!("{} was not tried: {} {}", operation.id, reply.status, reply.body));
            continue;
        }
        tried += 1;
        match found.as_slice() {
            [one] if one.action != operation.id => {
                faults.push(format!("{} is recorded as {}", operation.id, one.action));
            }
            [one] if one.targets.is_empty() => faults.push(format!("{} names no target", operation.id)),
            [one]
                if operation.security != Security::Anyone
                    && one.actor.id != request.client.user_id.unwrap().to_string() =>
            {
                faults.push(format!("{} names {:?}", operation.id, one.actor));
            }
            [_] => {}
            other => faults.push(format!("{} left {} entries: {other:?}", operation.id, other.len())),
        }
        // What takes something away, or ends the session, has a company of its own each time.
        team = Team::with_login_provider(&platform).await;
    }
    exceptions.finish();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried >= 60, "only {tried} operations were tried");
}
