//! What other parts of the platform ask: the worth of a credential, and what was revoked.

use coder_testkit::{Client, TestPlatform};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::ada;

async fn ask(platform: &TestPlatform, method: Method, path: &str, body: Option<Value>) -> Value {
    let answer = platform.platform.assembly.peers.call("auth", method, path, body.as_ref()).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    answer.body
}

async fn introspect(platform: &TestPlatform, token: &str) -> Value {
    ask(platform, Method::POST, "/introspect", Some(json!({"token": token}))).await
}

#[tokio::test]
async fn only_services_may_ask() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let body = json!({"token": ada.token()});
    let ask = |client: Client| {
        let body = body.clone();
        async move {
            [
                client.post("/api/auth/introspect", body).await.status.as_u16(),
                client.get("/api/auth/revocations").await.status.as_u16(),
            ]
        }
    };
    assert_eq!(ask(ada.clone()).await, [403, 403]);
    assert_eq!(ask(platform.nobody()).await, [401, 401]);
}

#[tokio::test]
async fn an_access_token_is_worth_something_while_its_session_lives() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let holding = introspect(&platform, &ada.token()).await;
    assert_eq!((&holding["active"], &holding["sub"]), (&json!(true), &json!(ada.user_id)));
    assert_eq!(holding["organizationId"], json!(ada.organization_id));
    ada.post("/api/auth/logout", json!({})).await.expect(204);
    for token in [ada.token().as_str(), "nothing", "ck_0123456789abcdef_nothing"] {
        assert_eq!(introspect(&platform, token).await, json!({"active": false}));
    }
}

#[tokio::test]
async fn revocations_are_listed_from_a_cursor_on() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let list = |cursor: Option<String>| {
        let path =
            format!("/revocations{}", cursor.map(|cursor| format!("?since={cursor}")).unwrap_or_default());
        let platform = &platform;
        async move { ask(platform, Method::GET, &path, None).await }
    };
    let empty = list(None).await;
    assert_eq!((&empty["items"], &empty["more"]), (&json!([]), &json!(false)));
    let session_id = ada.get("/api/auth/me").await.text("/session/id");
    ada.post("/api/auth/logout", json!({})).await.expect(204);
    let page = list(empty["cursor"].as_str().map(str::to_owned)).await;
    assert_eq!(page["items"][0]["sessionId"], json!(session_id));
    let cursor = page["cursor"].as_str().map(str::to_owned);
    platform.settle().await;
    platform.clock.advance(SignedDuration::from_mins(1));
    let later = list(cursor).await;
    let later = list(later["cursor"].as_str().map(str::to_owned)).await;
    assert_eq!(later["items"], json!([]));
    assert_eq!(list(None).await["items"].as_array().unwrap().len(), 1);
    platform.clock.advance(SignedDuration::from_mins(21));
    assert_eq!(list(None).await["items"], json!([]));
}

#[tokio::test]
async fn an_api_key_is_worth_what_it_was_given() {
    let platform = TestPlatform::start().await;
    let ada = ada(&platform).await;
    let body = json!({"name": "Build", "permissions": ["users.team.read"], "allowedCidrs": ["192.0.2.0/24"]});
    let made = ada.post("/api/auth/api-keys", body).await.expect(201);
    let (key, key_id) = (made.text("/key"), made.text("/keyId"));
    let from = |address: Option<&str>| {
        let body = json!({"token": key, "clientAddress": address});
        let platform = &platform;
        async move { ask(platform, Method::POST, "/introspect", Some(body)).await }
    };
    let inside = from(Some("192.0.2.7")).await;
    assert_eq!((&inside["active"], &inside["keyId"]), (&json!(true), &json!(key_id)));
    assert_eq!(
        (&inside["permissions"], &inside["userId"]),
        (&json!(["users.team.read"]), &json!(ada.user_id))
    );
    assert_eq!(inside["scope"], json!({"type": "organization", "id": ada.organization_id}));
    for elsewhere in [Some("198.51.100.1"), None] {
        assert_eq!(from(elsewhere).await, json!({"active": false}));
    }
    let last = if key.ends_with('A') { "B" } else { "A" };
    let mistyped = format!("{}{last}", &key[..key.len() - 1]);
    assert_eq!(introspect(&platform, &mistyped).await, json!({"active": false}));
    ada.delete(&format!("/api/auth/api-keys/{key_id}")).await.expect(204);
    assert_eq!(from(Some("192.0.2.7")).await, json!({"active": false}));
}
