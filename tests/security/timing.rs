//! What the time of an answer tells: nothing. Whether an account exists must not be heard from how long its password is
//! looked at.

use std::time::{Duration, Instant};

use coder_testkit::{Client, TestPlatform};
use serde_json::json;

const SAMPLES: usize = 15;

async fn time(nobody: &Client, path: &str, body: serde_json::Value, status: u16) -> Duration {
    let began = Instant::now();
    let reply = nobody.post(path, body).await;
    let took = began.elapsed();
    reply.expect(status);
    took
}

fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

/// A password is hashed for an unknown address too. The margin is wide, since the hash is nearly all of the work:
/// without it an answer comes many times sooner.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_takes_as_long_for_nobody_as_for_somebody() {
    let platform = TestPlatform::start().await;
    let nobody = platform.nobody();
    let mut known = Vec::new();
    for index in 0..SAMPLES / 3 {
        known.push(platform.register(&format!("known-{index}@example.com"), None).await.email);
    }
    let (mut wrong, mut unknown, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..SAMPLES {
        let login = |email: String| json!({"email": email, "password": "a wrong password 7"});
        // Taken in turn, so that a busy machine slows both down; three tries an account, which none is slowed down for.
        let somebody = known[round % known.len()].clone();
        wrong.push(time(&nobody, "/api/auth/login", login(somebody), 401).await);
        let stranger = format!("unknown-{round}@example.com");
        unknown.push(time(&nobody, "/api/auth/login", login(stranger), 401).await);
        without.push(time(&nobody, "/api/auth/refresh", json!({"refreshToken": "rt_x"}), 401).await);
    }
    let (wrong, unknown, without) = (median(wrong), median(unknown), median(without));
    assert!(unknown * 2 > wrong && wrong * 2 > unknown, "wrong password {wrong:?}, nobody {unknown:?}");
    assert!(wrong > without * 2, "no hash is measured here: {wrong:?} against {without:?} without one");
}
