//! The control of the stranger proof: what a stranger is refused is there, and its owner reaches it at the very same
//! address.

use coder_middleware::Security;
use coder_testkit::{Team, TestPlatform};
use http::Method;

use crate::exceptions::Exceptions;
use crate::operations::{self, Operation};

/// The operations of people whose path names something.
fn named() -> impl Iterator<Item = Operation> {
    let others = [Security::Anyone, Security::Service, Security::Operator];
    let of_people = move |one: &Operation| !others.contains(&one.security);
    operations::all().into_iter().filter(move |one| of_people(one) && one.names_something())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_reads_what_a_stranger_is_refused() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    let mut exceptions = Exceptions::of("control");
    let mut tried = 0;
    for operation in named().filter(|one| one.method == Method::GET) {
        if exceptions.excuses(operation.id) {
            continue;
        }
        let address = operation.address(&team);
        let refused = team.stranger.get(&address).await;
        assert!(matches!(refused.status.as_u16(), 403 | 404), "{}: {refused:?}", operation.id);
        let reply = team.owner.get(&address).await;
        assert_eq!(reply.status.as_u16(), 200, "{}: {:?}", operation.id, reply.body);
        tried += 1;
    }
    exceptions.finish();
    assert!(tried >= 10, "only {tried} operations were tried");
}

/// A write with the example of the documentation can be refused for many reasons, but not because the resource is
/// missing. After one that takes a resource away comes another platform with another company: a store that looks
/// through every document becomes slow with many.
#[tokio::test(flavor = "multi_thread")]
async fn the_owner_finds_what_a_stranger_cannot_change() {
    let mut platform = TestPlatform::start().await;
    let mut team = Team::with_login_provider(&platform).await;
    let mut exceptions = Exceptions::of("control-write");
    let mut tried = 0;
    for operation in named().filter(|one| one.method != Method::GET) {
        if exceptions.excuses(operation.id) {
            continue;
        }
        let (method, address) = (operation.method.clone(), operation.address(&team));
        let reply = team.owner.send(method, &address, operation.body.as_ref(), &[]).await;
        let status = reply.status.as_u16();
        assert!(!matches!(status, 401 | 404) && status < 500, "{}: {reply:?}", operation.id);
        tried += 1;
        if operation.method == Method::DELETE && reply.status.is_success() {
            platform = TestPlatform::start().await;
            team = Team::with_login_provider(&platform).await;
        }
    }
    exceptions.finish();
    assert!(tried >= 20, "only {tried} operations were tried");
}
