//! What a broker says of a message that it gave up, in the words of dead letters.

use super::Reason;

/// The reason for the broker's word, and a sentence for people with the broker's own description.
pub fn given_up(word: Option<&str>, description: Option<&str>) -> (Reason, String) {
    let (reason, words) = match word.unwrap_or_default() {
        // How often that is, the broker's own words say.
        "MaxDeliveryCountExceeded" => (
            Reason::DeliveryCountExceeded,
            "It was delivered as often as may be and never taken; did the process crash?".to_owned(),
        ),
        "TTLExpiredException" => {
            (Reason::Expired, "It waited longer than messages are kept; was the group down?".to_owned())
        }
        "" => (Reason::Unroutable, "The broker gave it up and did not say why.".to_owned()),
        other => (Reason::Unroutable, format!("The broker gave it up: {other}.")),
    };
    match description {
        Some(more) => (reason, format!("{words} {more}")),
        None => (reason, words),
    }
}
