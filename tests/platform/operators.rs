//! What only the platform's operators may do: everybody else is refused, whatever their role.

use coder_handler::functions::Outcome;
use coder_middleware::Security;
use coder_testkit::{Team, TestPlatform};
use http::Method;
use serde_json::{Value, json};

use crate::operations::{self, EXAMPLE, Operation};

fn for_operators() -> Vec<Operation> {
    let all = operations::all().into_iter().filter(|one| one.security == Security::Operator);
    let all: Vec<Operation> = all.collect();
    assert!(all.len() >= 6 * coder_platform::route_groups().len(), "{}", all.len());
    all
}

/// A message that no group can read; answers the groups that were sent it.
async fn send_rubbish(platform: &TestPlatform) -> Vec<&'static str> {
    let rubbish = json!({"Data": {}, "Metadata": {"MessageId": EXAMPLE}});
    let groups = platform.platform.assembly.groups.iter();
    let consuming: Vec<_> = groups.filter(|group| group.functions.has("on-event")).collect();
    for group in &consuming {
        let outcome = group.functions.invoke("on-event", rubbish.clone(), "test").await;
        assert_eq!(outcome, Outcome::Done(Value::Null), "{}", group.name);
    }
    assert!(consuming.len() >= 2);
    consuming.iter().map(|group| group.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_operate() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let consuming = send_rubbish(&platform).await;
    let service = platform.nobody().with_token("not-a-token");
    for operation in for_operators() {
        let (method, address) = (&operation.method, operation.address(&team));
        let send = async |client: &coder_testkit::Client| {
            client.send(method.clone(), &address, operation.body.as_ref(), &[]).await
        };
        for client in [&platform.nobody(), &service] {
            assert_eq!(send(client).await.status.as_u16(), 401, "{method} {address}");
        }
        for client in [&team.owner, &team.admin, &team.member, &team.viewer, &team.stranger, &team.key] {
            let reply = send(client).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (403, "forbidden"), "{method} {address}");
        }
    }
    let operator = team.member.user_id.unwrap();
    let platform = platform.restart_with(|settings| settings.operators.extend([operator])).await;
    let client = platform.login(&team.member.email).await;
    for operation in for_operators() {
        let address = operation.address(&team);
        let reply = client.send(operation.method.clone(), &address, operation.body.as_ref(), &[]).await;
        let status = reply.status.as_u16();
        assert!(!matches!(status, 401 | 403) && status < 500, "{} {address}: {reply:?}", operation.method);
        if operation.path.contains("dead-letters") && consuming.contains(&operation.group) {
            assert_ne!(status, 404, "{} {address}: {reply:?}", operation.method);
            let list = operation.method == Method::GET && !operation.names_something();
            assert!(!list || reply.body["items"][0]["id"] == EXAMPLE, "{address}: {reply:?}");
        }
    }
    let colleague = platform.login(&team.owner.email).await;
    for operation in for_operators() {
        let address = operation.address(&team);
        let reply = colleague.send(operation.method.clone(), &address, operation.body.as_ref(), &[]).await;
        assert_eq!(reply.status.as_u16(), 403, "{} {address}", operation.method);
    }
}

/// From an event that a consumer refuses to its delivery after an operator has mended it.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_mends_an_event_and_it_is_delivered() {
    let platform = TestPlatform::start().await;
    let team = Team::of(&platform).await;
    let operator = team.admin.user_id.unwrap();
    let platform = platform.restart_with(|settings| settings.operators.extend([operator])).await;
    let client = platform.login(&team.admin.email).await;
    let auth = platform.platform.assembly.groups.iter().find(|group| group.name == "auth").unwrap();
    let event = json!({
        "specversion": "1.0", "id": "e-1", "source": "/functions/users", "type": "coder.users.user.deactivated",
        "subject": "x", "time": "2026-01-05T12:00:00Z", "organizationid": "platform", "data": {"userId": "nobody"},
    });
    let envelope = coder_handler::functions::envelope(&event, "m-1", 1);
    assert_eq!(auth.functions.invoke("on-event", envelope, "test").await, Outcome::Done(Value::Null));
    let letters = client.get("/api/auth/operations/dead-letters?reason=rejected").await.expect(200);
    let id = letters.text("/items/0/id");
    let place = format!("/api/auth/operations/dead-letters/{id}");
    let member = team.member.user_id;
    client.patch(&place, json!({"event": {"data": {"userId": member}}})).await.expect(200);
    client.post(&format!("{place}/replay"), json!({})).await.expect(200);
    platform.settle().await;
    let letter = client.get(&place).await.expect(200);
    assert_eq!((letter.text("/state"), &letter.body["replays"]), ("replayed".to_owned(), &json!(1)));
    let login = json!({"email": team.member.email, "password": team.member.password});
    platform.nobody().post("/api/auth/login", login).await.expect_problem(401, "invalid_credentials");
}
