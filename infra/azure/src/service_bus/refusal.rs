//! What it means when Service Bus does not answer with a success: who has to do something, the message or time.

use std::time::Duration;

use azure_core::http::RawResponse;
use azure_core::http::headers::{Headers, RETRY_AFTER};
use coder_core::Timestamp;
use coder_queue::PublishError;
use jiff::fmt::rfc2822::DateTimeParser;

/// Longest reason that is kept of what the service says, in characters.
const REASON_CHARS: usize = 300;

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The message, or one of several, will never be taken.
    Message(String),
    /// It may work later.
    Later {
        /// Why not now.
        reason: String,
        /// When, if the service said so.
        after: Option<Duration>,
        /// Whether it may have passed in a moment, so that trying again at once makes sense.
        passing: bool,
    },
    /// What the request is about is not there (any more).
    Gone(String),
}

impl Refusal {
    /// It may work later, but not at once.
    pub(super) fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), after: None, passing: false }
    }

    /// Nothing was reached, or it did not answer.
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), after: None, passing: true }
    }

    /// What the answer means; `None` for a success.
    ///
    /// Only what condemns the message itself is final. Missing rights, a missing topic and a full one are mended by
    /// people, and what was acknowledged is published after that.
    pub(super) fn of(answer: &RawResponse, now: Timestamp) -> Option<Self> {
        let status = answer.status();
        if status.is_success() {
            return None;
        }
        let code = u16::from(status);
        let said = detail(answer.body());
        let after = retry_after(answer.headers(), now);
        Some(match code {
            // A page is from something in between, which knows nothing of messages.
            400 if said.to_ascii_lowercase().contains("<html") => {
                Self::later(format!("something before the service answers 400: {said}"))
            }
            400 => Self::Message(format!("the service calls it faulty (400): {said}")),
            413 => Self::Message(format!("it is too large for the namespace (413): {said}")),
            403 if is_about_size(&said) => {
                Self::Message(format!("it is too large for the namespace (403): {said}"))
            }
            401 => Self::later(format!("the identity is refused (401): {said}; has it the role it needs?")),
            403 => Self::later(format!("it is refused (403): {said}; is the topic full, or a role missing?")),
            404 | 410 => Self::Gone(format!("it is not there ({code}): {said}")),
            429 => Self::Later { reason: format!("too many requests (429): {said}"), after, passing: false },
            // Who says when is not asked earlier.
            _ => {
                let passing = after.is_none() && matches!(code, 408 | 500 | 502 | 503 | 504);
                Self::Later { reason: format!("the service answers {code}: {said}"), after, passing }
            }
        })
    }

    /// The refusal of a call, whose message with this index is at fault if one is.
    pub(super) fn of_message(self, index: usize) -> PublishError {
        match self {
            Self::Message(reason) => PublishError::Permanent { index, reason },
            Self::Later { reason, after, .. } => PublishError::Transient { reason, retry_after: after },
            Self::Gone(reason) => PublishError::transient(format!("{reason}; is the topic deployed?")),
        }
    }
}

/// What the service says, which it does in the element `Detail` of a little XML.
fn detail(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let inner = text.split_once("<Detail>").and_then(|(_, rest)| rest.split_once("</Detail>"));
    let said = inner.map_or(text.as_ref(), |(said, _)| said).trim();
    match said {
        "" => "no reason given".to_owned(),
        said => said.chars().filter(|c| !c.is_control()).take(REASON_CHARS).collect(),
    }
}

/// Whether a refusal with 403, which has several meanings, is about a message's size.
fn is_about_size(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["messagesizeexceeded", "is larger than", "message size", "size limit"]
        .iter()
        .any(|sign| said.contains(sign))
}

/// The header `Retry-After`: seconds, or a date.
fn retry_after(headers: &Headers, now: Timestamp) -> Option<Duration> {
    let value = headers.get_optional_str(&RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::http::StatusCode;

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_509_000).unwrap()
    }

    fn answer(code: u16, retry_after: Option<&str>, body: &'static str) -> RawResponse {
        let mut headers = Headers::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.to_owned());
        }
        RawResponse::from_bytes(StatusCode::from(code), headers, body)
    }

    fn refusal(code: u16, body: &'static str) -> Refusal {
        Refusal::of(&answer(code, None, body), now()).unwrap()
    }

    #[test]
    fn only_what_condemns_the_message_is_final() {
        let finals = [
            refusal(400, "<Error><Code>400</Code><Detail>Bad property. TrackingId:1</Detail></Error>"),
            refusal(413, ""),
            refusal(403, "The message (id:7, size:300000 bytes) is larger than is currently allowed"),
        ];
        for (refusal, words) in
            finals.into_iter().zip(["Bad property. TrackingId:1", "413", "is larger than"])
        {
            let PublishError::Permanent { index: 3, reason } = refusal.of_message(3) else {
                panic!("{words}")
            };
            assert!(reason.contains(words) && !reason.contains('<'), "{reason}");
        }
        for code in [301, 401, 403, 404, 405, 408, 409, 410, 429, 500, 502, 503, 504] {
            let PublishError::Transient { reason, .. } = refusal(code, "").of_message(0) else {
                panic!("{code} is final")
            };
            assert!(reason.contains(&code.to_string()), "{reason}");
        }
        assert_eq!(Refusal::of(&answer(201, None, ""), now()), None);
        let page = refusal(400, "<!DOCTYPE HTML><HTML><BODY>Bad Request - Invalid Hostname</BODY></HTML>");
        assert!(matches!(page, Refusal::Later { passing: false, .. }), "{page:?}");
    }

    #[test]
    fn what_may_pass_in_a_moment_is_told_from_what_waits_for_people_or_asks_for_time() {
        let passing = |code, after| match Refusal::of(&answer(code, after, ""), now()) {
            Some(Refusal::Later { passing, .. }) => passing,
            _ => false,
        };
        let codes = [401, 403, 404, 408, 410, 429, 500, 501, 502, 503, 504];
        let tried_again: Vec<u16> = codes.into_iter().filter(|code| passing(*code, None)).collect();
        assert_eq!(tried_again, [408, 500, 502, 503, 504]);
        assert!(!passing(503, Some("10")));
    }

    #[test]
    fn a_time_to_come_back_is_seconds_or_a_date() {
        let after = |value: &str| retry_after(answer(429, Some(value), "").headers(), now());
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        let date = |seconds| {
            let time = Timestamp::from_second(now().as_second() + seconds).unwrap();
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap()
        };
        assert_eq!(after(&date(90)), Some(Duration::from_secs(90)));
        assert_eq!(after(&date(-90)), Some(Duration::ZERO));
        assert_eq!([after("soon"), after("-1"), after("")], [None; 3]);
    }

    #[test]
    fn reasons_stay_short() {
        let long: &'static str = "x".repeat(10_000).leak();
        let Refusal::Message(reason) = refusal(400, long) else { panic!() };
        assert!(reason.len() < REASON_CHARS + 100);
    }
}
