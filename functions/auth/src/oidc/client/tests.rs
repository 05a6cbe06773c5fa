//! The client against a provider that a test scripts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coder_core::{Ambient, Code, Failure, ManualClock, OsEntropy, Timestamp};
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{OidcClient, Redemption};
use crate::oidc::id_token::tests::{NOW, claims, key_set, token};
use crate::oidc::metadata::tests::{ISSUER, document, metadata};
use crate::oidc::{Expected, IdTokenFault, OidcFault};
use coder_outbound::{BasicCredentials, OutboundError, OutboundHttp, OutboundResponse};

type Answer = Result<OutboundResponse, OutboundError>;

/// Gives scripted answers, the last one first, and notes what it was asked.
#[derive(Debug, Default)]
struct Script {
    answers: Mutex<Vec<Answer>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn answer(&self, asked: String) -> Answer {
        self.asked.lock().unwrap().push(asked);
        self.answers.lock().unwrap().pop().expect("the script goes on")
    }

    fn then(&self, status: u16, body: &Value) {
        let answer = OutboundResponse { status, body: body.to_string().into_bytes() };
        self.answers.lock().unwrap().insert(0, Ok(answer));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl OutboundHttp for Script {
    async fn get(&self, url: &Url) -> Answer {
        self.answer(url.to_string())
    }

    async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        credentials: Option<BasicCredentials<'_>>,
    ) -> Answer {
        let credentials = credentials.map(|it| format!("{}:{}", it.name, it.password.expose_secret()));
        self.answer(format!("{url} {form:?} {credentials:?}"))
    }
}

fn client() -> (OidcClient, Arc<Script>, ManualClock) {
    let (script, clock) =
        (Arc::new(Script::default()), ManualClock::at(Timestamp::from_second(NOW).unwrap()));
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    (OidcClient::new(Arc::clone(&script) as Arc<dyn OutboundHttp>, ambient), script, clock)
}

const EXPECTED: Expected<'static> =
    Expected { issuer: ISSUER, client_id: "client", nonce: "n-0S6_WzA2Mj", allowed_tenant_ids: &[] };

#[tokio::test]
async fn discovery_is_remembered_for_an_hour() {
    let (client, script, clock) = client();
    script.then(200, &document());
    assert_eq!(*client.discover(ISSUER).await.unwrap(), metadata());
    clock.advance(SignedDuration::from_secs(3599));
    client.discover(ISSUER).await.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    script.then(200, &document());
    client.discover(ISSUER).await.unwrap();
    assert_eq!(script.asked(), vec![format!("{ISSUER}/.well-known/openid-configuration"); 2]);
}

#[tokio::test]
async fn a_failed_discovery_is_not_remembered() {
    let (client, script, _) = client();
    let mut foreign = document();
    foreign["issuer"] = json!("https://evil.example.com");
    script.then(200, &foreign);
    assert!(matches!(client.discover(ISSUER).await, Err(OidcFault::Metadata(_))));
    script.then(302, &json!({}));
    let fault = client.discover(ISSUER).await.unwrap_err();
    assert!(matches!(fault, OidcFault::Answer { status: 302, .. }));
    assert_eq!(Failure::from(fault).code(), Some(Code::UpstreamFailed));
    script.answers.lock().unwrap().push(Err(OutboundError::Timeout));
    let failure = Failure::from(client.discover(ISSUER).await.unwrap_err());
    assert_eq!(failure.code(), Some(Code::UpstreamTimeout));
    script.then(200, &document());
    assert!(client.discover(ISSUER).await.is_ok());
}

fn redemption<'a>(callback: &'a Url, client_secret: Option<&'a SecretString>) -> Redemption<'a> {
    Redemption { code: "c0de", callback, code_verifier: "verifier", client_id: "my client", client_secret }
}

#[tokio::test]
async fn redeems_a_code_as_the_provider_wants_it() {
    let (client, script, _) = client();
    let callback = Url::parse("https://coder.example.com/cb").unwrap();
    let secret = SecretString::from("pass word:ü");
    let mut in_form = metadata();
    in_form.token_endpoint_auth_methods_supported = vec!["client_secret_post".into()];
    for _ in 0..3 {
        script.then(200, &json!({"id_token": "a.b.c", "access_token": "unused", "token_type": "Bearer"}));
    }
    let id_token = client.redeem(&metadata(), redemption(&callback, Some(&secret))).await.unwrap();
    assert_eq!(id_token.expose_secret(), "a.b.c");
    client.redeem(&in_form, redemption(&callback, Some(&secret))).await.unwrap();
    client.redeem(&in_form, redemption(&callback, None)).await.unwrap();
    let common = "https://id.example.com/token [(\"grant_type\", \"authorization_code\"), (\"code\", \"c0de\"), \
                  (\"redirect_uri\", \"https://coder.example.com/cb\"), (\"code_verifier\", \"verifier\")";
    assert_eq!(
        script.asked(),
        [
            format!("{common}] Some(\"my+client:pass+word%3A%C3%BC\")"),
            format!("{common}, (\"client_id\", \"my client\"), (\"client_secret\", \"pass word:ü\")] None"),
            format!("{common}, (\"client_id\", \"my client\")] None"),
        ]
    );
}

#[tokio::test]
async fn a_refused_code_and_a_broken_answer_differ() {
    let (client, script, _) = client();
    let callback = Url::parse("https://coder.example.com/cb").unwrap();
    script.then(400, &json!({"error": "invalid_grant"}));
    let fault = client.redeem(&metadata(), redemption(&callback, None)).await.unwrap_err();
    assert_eq!(Failure::from(fault).code(), Some(Code::InvalidCredentials));
    for (status, body) in
        [(500, json!({})), (200, json!({"access_token": "no ID token"})), (200, json!("text"))]
    {
        script.then(status, &body);
        let fault = client.redeem(&metadata(), redemption(&callback, None)).await.unwrap_err();
        assert_eq!(Failure::from(fault).code(), Some(Code::UpstreamFailed), "{status} {body}");
    }
}

#[tokio::test]
async fn keys_are_remembered_and_looked_for_once_more() {
    let (client, script, _) = client();
    let id_token = SecretString::from(token(&claims()));
    script.then(200, &json!({"keys": []}));
    let fault = client.identify(&metadata(), &id_token, EXPECTED).await.unwrap_err();
    assert!(matches!(fault, OidcFault::IdToken(IdTokenFault::UnknownKey)));
    script.then(200, &key_set());
    assert!(client.identify(&metadata(), &id_token, EXPECTED).await.is_ok());
    assert!(client.identify(&metadata(), &id_token, EXPECTED).await.is_ok());
    assert_eq!(script.asked().len(), 2, "the third time the key was known");
}

#[tokio::test]
async fn a_wrong_nonce_is_final() {
    let (client, script, _) = client();
    let id_token = SecretString::from(token(&claims()));
    script.then(200, &key_set());
    for _ in 0..2 {
        let expected = Expected { nonce: "another", ..EXPECTED };
        let fault = client.identify(&metadata(), &id_token, expected).await.unwrap_err();
        assert!(matches!(fault, OidcFault::IdToken(IdTokenFault::Nonce)));
        assert_eq!(Failure::from(fault).code(), Some(Code::InvalidCredentials));
    }
    assert_eq!(script.asked().len(), 1);
    script.then(200, &json!("no key set"));
    let mut elsewhere = metadata();
    elsewhere.jwks_uri = Url::parse("https://id.example.com/other-keys").unwrap();
    let fault = client.identify(&elsewhere, &id_token, EXPECTED).await.unwrap_err();
    assert!(matches!(fault, OidcFault::Metadata(_)));
}
