//! How a packaged handler starts, is killed, starts again, and gives up.

use std::net::TcpListener;

use coder_testkit::HandlerProcess;

use crate::apps::{App, app, apps, handler};

/// The host asks `/` until anybody answers, and calls `/api/…` for the world outside.
#[tokio::test(flavor = "multi_thread")]
async fn every_app_starts_is_killed_and_starts_again_on_its_data() {
    for package in apps() {
        let data = tempfile::tempdir().unwrap();
        for start in 0..3 {
            let app = App::start(package, data.path(), &[]);
            let ready = app.get("/").await;
            assert_eq!((ready.status, ready.media.as_str()), (200, "application/json"), "{ready:?}");
            let services = app.get("/health/ready").await;
            assert_eq!(
                (services.status, services.body["status"].as_str()),
                (200, Some("ready")),
                "{services:?}"
            );
            let strange = app.get(&format!("/api/{}/no-such-thing", app.group)).await;
            assert!([401, 404].contains(&strange.status), "{start}: {strange:?}");
            assert_eq!(strange.media, "application/problem+json", "{start}: {strange:?}");
            let body = r#"{"Data": {"message": "Z29vZCBtb3JuaW5n"}, "Metadata": {"MessageId": "\"m-1\""}}"#;
            let answer = app.call("on-event", body.to_owned()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            // Dropped, it is killed as the host does it, without a warning.
        }
    }
}

/// Paths below `/api` are all that a stranger can reach: they must not lead to the functions.
#[tokio::test(flavor = "multi_thread")]
async fn functions_cannot_be_called_from_outside() {
    let data = tempfile::tempdir().unwrap();
    let app = App::start(app("users"), data.path(), &[]);
    for path in ["/api/on-event", "/api/users/on-event", "/api/http"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.media.as_str()), (404, "application/problem+json"), "{path}");
    }
    let answer = app.get("/on-event").await;
    assert_eq!(answer.status, 405, "{answer:?}");
    let answer = app.get("/api/users/me").await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (401, Some("unauthenticated")));
}

#[test]
fn a_handler_that_cannot_start_says_why_and_ends_with_a_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for package in apps() {
        let data = tempfile::tempdir().unwrap();
        let refused = |port, variables: &[(&str, &str)]| {
            let (code, error) = HandlerProcess::refused(&handler(package), data.path(), port, variables);
            // 0 would tell the host not to start it again.
            assert_eq!(code, Some(1), "{}: {error}", package.group);
            assert!(error.starts_with("error: ") && !error.contains("panicked"), "{error}");
            error
        };
        assert!(refused(port, &[]).contains(&port.to_string()));
        assert!(refused(0, &[("CODER_PROT", "1")]).contains("CODER_PORT"));
        let some = [("CODER_COSMOS_ENDPOINT", "https://documents.example.net")];
        assert!(refused(0, &some).contains("CODER_SERVICEBUS_NAMESPACE"));
        let all = [
            ("CODER_COSMOS_ENDPOINT", "https://documents.example.net"),
            ("CODER_SERVICEBUS_NAMESPACE", "bus.example.net"),
            ("CODER_KEYVAULT_URL", "https://vault.example.net"),
            ("CODER_REDIS_HOST", "redis.example.net"),
            ("AZURE_CLIENT_ID", "00000000-0000-4000-8000-000000000000"),
            ("CODER_MASTER_KEY", "not a key"),
        ];
        assert!(refused(0, &all).contains("CODER_MASTER_KEY"));
        std::fs::write(data.path().join("docs.db"), "this is no database, whatever its name says, is it?")
            .unwrap();
        assert!(refused(0, &[]).contains("docs.db"));
    }
}
