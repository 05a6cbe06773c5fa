//! Attacks on the running platform, as data: `cases.json` says what an attacker sends, how it is refused, and what
//! must be so afterwards. What no list of requests can say (time, redirects, slow callers) has a file of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod attacks;
mod case;
mod forgery;
mod log;
mod redirects;
mod runner;
mod scene;
mod slow;
mod timing;
mod wire;
