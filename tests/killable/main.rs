//! A whole platform in a process that a test can kill; see `coder_testkit::killable`.

#[tokio::main]
async fn main() {
    coder_testkit::killable::run(std::env::args().skip(1)).await;
}
