//! Proofs over every operation of every group. They grow by themselves: an operation that is declared is tried.

use coder_middleware::Security;
use coder_testkit::{Client, Reply, Team, TestPlatform};
use jiff::SignedDuration;

use crate::exceptions::Exceptions;
use crate::forgeries::forged;
use crate::operations::{self, Operation};

async fn call(client: &Client, team: &Team, operation: &Operation, headers: &[(&str, &str)]) -> Reply {
    client.send(operation.method.clone(), &operation.address(team), operation.body.as_ref(), headers).await
}

fn protected() -> Vec<Operation> {
    let all = operations::all();
    let protected: Vec<_> = all.iter().filter(|one| one.security != Security::Anyone).cloned().collect();
    assert!(
        protected.len() >= 60 && all.len() - protected.len() >= 10,
        "the list of operations is not whole"
    );
    protected
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_everywhere() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    let nobody = platform.nobody();
    for operation in protected() {
        let reply = call(&nobody, &team, &operation, &[]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "unauthenticated"), "{}", operation.id);
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{}", operation.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_and_tokens_have_no_effect() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    let user = team.owner.user_id.unwrap().to_string();
    let organization = team.organization_id.to_string();
    let headers = [
        ("x-user-id", user.as_str()),
        ("x-organization-id", organization.as_str()),
        ("x-forwarded-user", user.as_str()),
        ("x-coder-assertion", "forged"),
        ("x-coder-context", "forged"),
        ("x-ms-client-principal-id", user.as_str()),
    ];
    let tokens = forged(&platform, &team.owner).await;
    for operation in protected() {
        let reply = call(&platform.nobody(), &team, &operation, &headers).await;
        assert_eq!(reply.status.as_u16(), 401, "{} with forged headers: {:?}", operation.id, reply.body);
        for (trick, token) in &tokens {
            let reply = call(&team.owner.with_token(token), &team, &operation, &[]).await;
            assert_eq!(reply.status.as_u16(), 401, "{} with {trick}: {:?}", operation.id, reply.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused_everywhere() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    platform.advance(SignedDuration::from_mins(17)).await;
    for operation in protected() {
        let reply = call(&team.owner, &team, &operation, &[]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "token_expired"), "{}", operation.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_finds_nothing() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    let mut exceptions = Exceptions::of("stranger");
    let mut tried = 0;
    for operation in protected().iter().filter(|one| one.names_something()) {
        if exceptions.excuses(operation.id) {
            continue;
        }
        let reply = call(&team.stranger, &team, operation, &[]).await;
        let refused = matches!(reply.status.as_u16(), 403 | 404);
        assert!(refused, "{} answered {} to a stranger: {:?}", operation.id, reply.status, reply.body);
        if matches!(operation.security, Security::Permission(_)) {
            assert_eq!(reply.status.as_u16(), 404, "{} tells that the resource exists", operation.id);
        }
        tried += 1;
    }
    exceptions.finish();
    assert!(tried >= 25, "only {tried} operations were tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_changes_nothing() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    let mut exceptions = Exceptions::of("viewer");
    let mut tried = 0;
    for operation in protected() {
        let Security::Permission(permission) = operation.security else { continue };
        if operation.method == http::Method::GET || exceptions.excuses(operation.id) {
            continue;
        }
        let reply = call(&team.viewer, &team, &operation, &[]).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (403, "forbidden"),
            "{}: {:?}",
            operation.id,
            reply.body
        );
        assert!(
            reply.text("/detail").contains(permission.name),
            "{} does not name {}",
            operation.id,
            permission.name
        );
        tried += 1;
    }
    exceptions.finish();
    assert!(tried >= 25, "only {tried} operations were tried");
}

#[test]
fn the_proofs_cover_every_group() {
    let groups: std::collections::BTreeSet<_> =
        operations::all().iter().map(|operation| operation.group).collect();
    let declared: std::collections::BTreeSet<_> =
        coder_platform::route_groups().iter().map(|group| group.name).collect();
    assert_eq!(groups, declared);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_does_what_it_was_given_and_nothing_else() {
    let platform = TestPlatform::start().await;
    let team = Team::with_login_provider(&platform).await;
    let mut allowed = Vec::new();
    for operation in protected() {
        let reply = call(&team.key, &team, &operation, &[]).await;
        match (operation.security, reply.status.as_u16()) {
            (Security::Permission(permission), 200) if permission.name == "users.project.read" => {
                allowed.push(operation.id);
            }
            // What is the caller's own needs no permission.
            (Security::SignedIn | Security::SignedInOrService, _) => {}
            (_, status) => assert_eq!(status, 403, "{}: {:?}", operation.id, reply.body),
        }
    }
    assert!(allowed.contains(&"list_projects") && allowed.contains(&"get_project"), "{allowed:?}");
}
