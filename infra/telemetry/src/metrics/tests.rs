use coder_core::{Code, Timestamp};
use http::Method;

use super::{CircuitState, Consumption, JobOutcome, Metrics};

fn millisecond(number: i64) -> Timestamp {
    Timestamp::from_millisecond(number).unwrap()
}

#[test]
fn every_metric_is_shown_under_its_name() {
    let metrics = Metrics::new();
    let counter = metrics.clone();
    for (took, status) in [(20, 200), (400_000, 200), (-20, 401)] {
        counter.start(millisecond(1_000)).finish(
            millisecond(1_000 + took),
            "auth",
            "login",
            &Method::POST,
            status,
        );
    }
    counter.rate_limited("address");
    counter.authentication_failed(Code::TokenExpired);
    counter.outbox_pending("auth", 7);
    counter.event_published("auth");
    counter.event_consumed("users", "erase", Consumption::Duplicate);
    counter.job("auth", "rotate", JobOutcome::Succeeded);
    counter.circuit("users", CircuitState::Open);
    counter.idempotent_replay("users");

    let page = metrics.render();
    for line in [
        r#"http_requests_total{group="auth",operation="login",method="POST",status="200"} 2"#,
        r#"http_requests_total{group="auth",operation="login",method="POST",status="401"} 1"#,
        r#"http_request_duration_seconds_count{group="auth",operation="login"} 3"#,
        r#"http_request_duration_seconds_bucket{le="0.025",group="auth",operation="login"} 2"#,
        r#"http_request_duration_seconds_bucket{le="+Inf",group="auth",operation="login"} 3"#,
        "http_requests_in_flight 0",
        r#"rate_limited_total{kind="address"} 1"#,
        r#"authentication_failures_total{reason="token_expired"} 1"#,
        r#"outbox_pending{group="auth"} 7"#,
        r#"events_published_total{group="auth"} 1"#,
        r#"events_consumed_total{group="users",consumer="erase",outcome="duplicate"} 1"#,
        r#"jobs_total{group="auth",job="rotate",outcome="succeeded"} 1"#,
        r#"circuit_state{group="users"} 2"#,
        r#"idempotent_replays_total{group="users"} 1"#,
    ] {
        assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn requests_are_in_flight_until_they_are_finished_or_given_up() {
    let metrics = Metrics::new();
    let first = metrics.start(millisecond(0));
    let second = metrics.start(millisecond(0));
    assert!(metrics.render().contains("http_requests_in_flight 2"));
    first.finish(millisecond(1), "auth", "login", &Method::GET, 200);
    assert!(metrics.render().contains("http_requests_in_flight 1"));
    drop(second);
    assert!(metrics.render().contains("http_requests_in_flight 0"));
}

#[test]
fn made_up_methods_share_one_label() {
    let metrics = Metrics::new();
    for method in ["BREW", "get", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        metrics.start(millisecond(0)).finish(millisecond(1), "auth", "none", &method, 501);
    }
    let page = metrics.render();
    assert!(page.contains(r#"method="OTHER",status="501"} 3"#), "{page}");
}
