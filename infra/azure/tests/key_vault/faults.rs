//! What the vault's refusals mean, and which are asked again.

use coder_azure::key_vault::KeyVaultFault;
use http::StatusCode;
use secrecy::ExposeSecret as _;

use super::ambient;
use crate::doubles::key_vault::{Double, vault};

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.secrets.lock().unwrap().insert("a".to_owned(), "one".to_owned());
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY] {
        double.fail(3, status, "Later");
        assert_eq!(vault.secret("a").await.unwrap().expose_secret(), "one", "{status}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_told_by_its_kind() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    vault.secret("a").await.unwrap_err();
    let kind = |fault: &KeyVaultFault| fault.to_string().split([':', ';']).next().unwrap().to_owned();
    for (status, tries, expected) in [
        (StatusCode::NOT_FOUND, 1, "the key vault has no secret `a`"),
        (StatusCode::FORBIDDEN, 1, "the key vault does not allow it"),
        (StatusCode::BAD_REQUEST, 1, "the key vault rejects what it was sent"),
        (StatusCode::TOO_MANY_REQUESTS, 4, "the key vault is asked too often"),
        (StatusCode::SERVICE_UNAVAILABLE, 4, "the key vault does not answer"),
    ] {
        double.asked();
        double.fail(tries, status, "SomeCode");
        let fault = vault.secret("a").await.unwrap_err();
        assert_eq!(kind(&fault), expected);
        assert_eq!(double.asked().len(), tries, "{status}");
        assert!(double.faults.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    double.fail(1, StatusCode::FORBIDDEN, "ForbiddenByRbac");
    let fault = vault.secret("a").await.unwrap_err();
    assert!(fault.to_string().contains("ForbiddenByRbac"), "{fault}");
}

#[tokio::test]
async fn a_token_goes_to_no_vault_that_asks_for_somebody_elses() {
    let (ambient, _) = ambient();
    let (double, vault) = Double::start(&ambient).await;
    *double.resource.lock().unwrap() = Some("https://graph.microsoft.com");
    vault.secret("a").await.unwrap_err();
    assert!(double.asked().iter().all(|line| line.ends_with("nobody")));
}

#[tokio::test]
async fn nobody_listens() {
    let (ambient, _) = ambient();
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let vault = vault(std::sync::Arc::new(Double::default()), port, &ambient);
    let fault = vault.secret("a").await.unwrap_err();
    assert!(matches!(fault, KeyVaultFault::Unreachable(_)), "{fault}");
}

/// The clock of the test moves when all wait, and so does not let this take ten seconds.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let (ambient, _) = ambient();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let vault = vault(std::sync::Arc::new(Double::default()), port, &ambient);
    let started = tokio::time::Instant::now();
    let fault = vault.secret("a").await.unwrap_err();
    assert!(matches!(fault, KeyVaultFault::Unreachable(_)), "{fault}");
    assert!(started.elapsed().as_secs() <= 10, "{:?}", started.elapsed());
}
