//! The namespace, the network or the identity fails: what is tried again here, what later, and what never.
//!
//! Where the clock is paused the double answers from its script alone: the clock would run on while the broker's own
//! thread works.

use std::future::pending;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coder_queue::{PublishError, Publisher as _};
use tokio::time::Instant;

use super::{World, event};
use crate::doubles::service_bus::NAMESPACE;
use crate::doubles::transport::{InProcess, Loopback};

/// Publishes one message, which fails in passing; why, and when it may be tried again.
async fn transient(world: &World) -> (String, Option<Duration>) {
    match world.bus.publish(&[event("m")]).await {
        Err(PublishError::Transient { reason, retry_after }) => (reason, retry_after),
        other => panic!("not in passing: {other:?}"),
    }
}

fn tokens(world: &World) -> Vec<String> {
    world.front.seen().iter().map(|request| request.header("authorization").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_says_when_is_not_asked_earlier() {
    for status in [429, 503] {
        let world = World::new().await;
        world.tell([(status, Some("30"), "The request was throttled.")]);
        let (reason, retry_after) = transient(&world).await;
        assert!(reason.contains("throttled") && reason.contains(&status.to_string()), "{reason}");
        assert_eq!((retry_after, world.requests()), (Some(Duration::from_secs(30)), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_passes_is_not_noticed() {
    for status in [500, 502, 503, 504, 408] {
        let world = World::new().await;
        let start = Instant::now();
        world.tell([(status, None, "busy"), (status, None, "busy"), (201, None, "")]);
        world.bus.publish(&[event("m")]).await.unwrap();
        let bodies: Vec<Vec<u8>> = world.front.seen().into_iter().map(|request| request.body).collect();
        assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]));
        assert!(
            start.elapsed() >= Duration::from_millis(300) && start.elapsed() <= Duration::from_millis(700)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_stays_is_given_up_after_three_tries() {
    let world = World::new().await;
    world.tell([(503, None, "busy"); 3]);
    let (reason, retry_after) = transient(&world).await;
    assert!(reason.contains("503"), "{reason}");
    assert_eq!((retry_after, world.requests()), (None, 3));
}

#[tokio::test(start_paused = true)]
async fn what_people_must_mend_is_neither_tried_at_once_nor_lost() {
    let cases = [(401, "role"), (403, "full"), (404, "deployed"), (410, "deployed"), (302, "302")];
    for (status, hint) in cases {
        let world = World::new().await;
        world.tell([(status, None, "no")]);
        let (reason, _) = transient(&world).await;
        assert!(reason.contains(hint), "{reason}");
        assert_eq!(world.requests(), 1);
    }
}

#[tokio::test]
async fn a_message_that_the_namespace_finds_too_large_is_refused_for_good() {
    for (status, says) in [(413, "no"), (403, "The message (id:m, size:9 bytes) is larger than is allowed")] {
        let world = World::new().await;
        world.tell([(status, None, says)]);
        let error = world.bus.publish(&[event("m")]).await.unwrap_err();
        assert!(matches!(error, PublishError::Permanent { index: 0, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_used_again() {
    let world = World::new().await;
    world.tell([(401, None, "The token has been revoked.")]);
    transient(&world).await;
    world.bus.publish(&[event("m")]).await.unwrap();
    assert_eq!(tokens(&world), ["Bearer token-1", "Bearer token-2"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_is_sent_and_the_cause_is_told() {
    let world = World::new().await;
    *world.identity.fault.lock().unwrap() = Some("the identity endpoint is away");
    assert!(world.bus.ready().await.is_err());
    let (reason, _) = transient(&world).await;
    assert!(reason.contains("no token can be had") && reason.contains("endpoint is away"), "{reason}");
    assert_eq!((world.requests(), world.identity.calls.load(Ordering::SeqCst)), (0, 2));
    *world.identity.fault.lock().unwrap() = None;
    world.bus.ready().await.unwrap();
    world.tell([(201, None, "")]);
    world.bus.publish(&[event("m")]).await.unwrap();
}

#[tokio::test]
async fn a_token_that_ends_soon_is_replaced_but_serves_as_long_as_there_is_no_other() {
    let world = World::new().await;
    *world.identity.minutes.lock().unwrap() = Some(4);
    world.bus.publish(&[event("m-1")]).await.unwrap();
    world.bus.publish(&[event("m-2")]).await.unwrap();
    *world.identity.fault.lock().unwrap() = Some("the identity endpoint is away");
    world.bus.publish(&[event("m-3")]).await.unwrap();
    assert_eq!(tokens(&world), ["Bearer token-1", "Bearer token-2", "Bearer token-2"]);
}

#[tokio::test]
async fn many_calls_at_once_wait_for_one_token() {
    let world = World::new().await;
    let calls = (0..20).map(|n| {
        let bus = world.bus.clone();
        async move { bus.publish(&[event(&format!("m-{n}"))]).await }
    });
    futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(world.identity.calls.load(Ordering::SeqCst), 1);
    assert_eq!(world.ids("all").await.len(), 20);
}

#[tokio::test]
async fn nobody_listens() {
    let mut world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    world.bus = world.bus_by(Loopback::to(NAMESPACE, port));
    let (reason, retry_after) = transient(&world).await;
    assert!(reason.contains("cannot be reached") && retry_after.is_none(), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let mut world = World::new().await;
    let silent = axum::Router::new().fallback(async || pending::<()>().await);
    world.bus = world.bus_by(InProcess::to(NAMESPACE, silent));
    let start = Instant::now();
    let (reason, _) = transient(&world).await;
    assert!(reason.contains("in time"), "{reason}");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_can_be_made_again() {
    let world = World::new().await;
    world.bus.publish(&[event("m-1"), event("m-2")]).await.unwrap();
    world.bus.publish(&[event("m-1"), event("m-2")]).await.unwrap();
    assert_eq!(world.ids("all").await, ["m-1", "m-2"]);
}
