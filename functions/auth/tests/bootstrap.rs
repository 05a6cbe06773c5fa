//! Setting up an empty platform.

use coder_auth::Auth;
use coder_config::Registration;
use coder_testkit::TestPlatform;
use serde_json::{Value, json};

use crate::support::{ADA, PASSWORD, ada, login};

async fn token(platform: &TestPlatform) -> Option<String> {
    platform.platform.service::<Auth>("auth").unwrap().setup_token().await.unwrap()
}

fn body(token: &str) -> Value {
    json!({
        "setupToken": token, "email": ADA, "password": PASSWORD, "displayName": "Ada Lovelace",
        "organizationName": "Analytical Engines",
    })
}

#[tokio::test]
async fn makes_the_first_owner_once() {
    let platform = TestPlatform::start_with(|settings| settings.registration = Registration::Closed).await;
    let nobody = platform.nobody();
    let stale = token(&platform).await.unwrap();
    let setup = token(&platform).await.unwrap();
    for wrong in ["nothing", &stale] {
        nobody.post("/api/auth/bootstrap", body(wrong)).await.expect_problem(401, "invalid_credentials");
    }
    let mut weak = body(&setup);
    weak["password"] = json!("short");
    nobody.post("/api/auth/bootstrap", weak).await.expect_problem(422, "validation_failed");
    let reply = nobody.post("/api/auth/bootstrap", body(&setup)).await.expect(201);
    let me = nobody.with_token(reply.text("/accessToken")).get("/api/auth/me").await.expect(200);
    assert_eq!(me.body["roles"], json!(["owner"]));
    nobody.post("/api/auth/bootstrap", body(&setup)).await.expect_problem(409, "conflict");
    assert_eq!(token(&platform).await, None);
    login(&platform, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn somebody_who_registered_first_makes_it_needless() {
    let platform = TestPlatform::start().await;
    let setup = token(&platform).await.unwrap();
    ada(&platform).await;
    assert_eq!(token(&platform).await, None);
    let mut other = body(&setup);
    other["email"] = json!("eve@example.com");
    platform.nobody().post("/api/auth/bootstrap", other).await.expect_problem(409, "conflict");
}
