//! A whole platform in a process that a test can kill; see `coder_testkit::killable`.

/// What a Unix sends to a process whose file grows beyond its limit; unless it is taken, the process ends.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

#[tokio::main]
async fn main() {
    // Once it is taken, such a write fails as on a full disk.
    #[cfg(unix)]
    let _taken = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ)).ok();
    coder_testkit::killable::run(std::env::args().skip(1)).await;
}
