//! The links that a platform without a mail server has kept.

use coder_testkit::TestPlatform;
use serde_json::Value;

/// All mails with links so far, oldest first.
pub(crate) async fn mails(platform: &TestPlatform) -> Vec<Value> {
    platform.settle().await;
    let text = std::fs::read_to_string(platform.data_dir().join("mail-outbox.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The token behind the link of the newest mail to an address.
#[track_caller]
pub(crate) fn token(mails: &[Value], to: &str) -> String {
    let mail = mails.iter().rev().find(|mail| mail["to"] == to).unwrap();
    let text = mail["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("http")).unwrap();
    link.rsplit(['=', '/']).next().unwrap().to_owned()
}
