use std::time::Duration;

use super::{AuthenticationFailure, CircuitState, Consumption, JobOutcome, Metrics, RateLimitKind};

#[test]
fn every_metric_is_shown_under_its_name() {
    let metrics = Metrics::new();
    let counter = metrics.clone();
    counter.request("auth", "login", "POST", 200, Duration::from_millis(20));
    counter.request("auth", "login", "POST", 200, Duration::from_secs(400));
    counter.request("auth", "login", "POST", 401, Duration::from_millis(20));
    counter.rate_limited(RateLimitKind::Address);
    counter.authentication_failed(AuthenticationFailure::Expired);
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
        r#"authentication_failures_total{reason="expired"} 1"#,
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
fn requests_in_flight_end_with_their_guard() {
    let metrics = Metrics::new();
    let first = metrics.in_flight();
    let second = metrics.in_flight();
    assert!(metrics.render().contains("http_requests_in_flight 2"));
    drop(first);
    assert!(metrics.render().contains("http_requests_in_flight 1"));
    drop(second);
    assert!(metrics.render().contains("http_requests_in_flight 0"));
}
