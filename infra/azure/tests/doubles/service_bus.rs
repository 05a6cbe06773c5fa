//! The REST interface of Service Bus, as its documentation has it, before the embedded broker. It also says what was
//! asked of it, and answers as the test tells it to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use coder_embedded::SqliteBroker;
use coder_embedded::broker::{Delivery, Lock, Source};
use coder_queue::publisher::check;
use coder_queue::{Entity, Message, PublishError, Publisher as _};
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::{Value, json};

/// Its host.
pub(crate) const NAMESPACE: &str = "coder-test.servicebus.windows.net";

/// What the namespace takes at most, in bytes of a request's body.
const LIMIT: usize = 256 * 1024;

/// What came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// An answer: status, `Retry-After`, what it says.
pub(crate) type Answer = (u16, Option<&'static str>, &'static str);

#[derive(Debug)]
pub(crate) struct Front {
    broker: Arc<SqliteBroker>,
    /// What is answered first, without anything being done.
    pub(crate) script: Mutex<VecDeque<Answer>>,
    /// Requests whose body has this are refused as faulty.
    pub(crate) poison: Mutex<Option<&'static str>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    locks: Mutex<HashMap<String, Lock>>,
}

impl Front {
    pub(crate) fn new(broker: Arc<SqliteBroker>) -> Arc<Self> {
        let (script, poison, seen, locks) = Default::default();
        Arc::new(Self { broker, script, poison, seen, locks })
    }

    pub(crate) fn router(self: &Arc<Self>) -> axum::Router {
        axum::Router::new().fallback(answer).with_state(self.clone())
    }

    /// Serves on a free port.
    pub(crate) async fn serve(self: &Arc<Self>) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = self.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        port
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn told(&self, body: &[u8]) -> Option<Response> {
        if let Some((status, retry_after, body)) = self.script.lock().unwrap().pop_front() {
            let mut response = refuse(status, body);
            if let Some(value) = retry_after {
                response.headers_mut().insert("retry-after", value.parse().unwrap());
            }
            return Some(response);
        }
        let poison = (*self.poison.lock().unwrap())?;
        let poisoned = String::from_utf8_lossy(body).contains(poison);
        poisoned.then(|| refuse(400, "A property cannot be read."))
    }

    async fn publish(&self, entity: Entity, seen: &Seen) -> Response {
        if seen.body.len() > LIMIT {
            return refuse(413, "too large");
        }
        let batch = seen.header("content-type") == "application/vnd.microsoft.servicebus.json";
        let messages = if batch { batch_of(entity, &seen.body) } else { vec![single_of(entity, seen)] };
        // The broker behind this one has limits of its own for a call.
        let messages: Vec<&[Message]> = match check(&messages) {
            Ok(()) => vec![&messages],
            Err(_) => messages.chunks(1).collect(),
        };
        for call in messages {
            match self.broker.publish(call).await {
                Ok(()) => {}
                Err(PublishError::Permanent { reason, .. }) => return refuse(400, &reason),
                Err(error) => return refuse(500, &error.to_string()),
            }
        }
        StatusCode::CREATED.into_response()
    }

    async fn lock(&self, entity: Entity, group: &str) -> Response {
        let source = match entity {
            Entity::Events => Source::subscription(group),
            Entity::Jobs => Source::jobs(group),
        };
        let found = self.broker.receive(&source.dead_letters(), 1).await.unwrap().pop();
        let Some(delivery) = found else { return StatusCode::NO_CONTENT.into_response() };
        let token = delivery.lock.token.clone();
        let path = format!(
            "/{}/subscriptions/{group}/$DeadLetterQueue/messages/{}/{token}",
            entity.name(),
            delivery.lock.sequence_number
        );
        self.locks.lock().unwrap().insert(token, delivery.lock.clone());
        delivered(&delivery, &format!("https://{NAMESPACE}{path}"))
    }

    async fn settle(&self, path: &str, done: bool) -> Response {
        let token = path.rsplit('/').next().unwrap();
        let lock = self.locks.lock().unwrap().remove(token);
        let Some(lock) = lock else { return refuse(404, "no such lock") };
        let settled = if done { self.broker.complete(&lock).await } else { self.broker.release(&lock).await };
        match settled {
            Ok(()) => StatusCode::OK.into_response(),
            Err(_) => refuse(410, "The lock supplied is invalid."),
        }
    }
}

fn refuse(status: u16, says: &str) -> Response {
    let body = format!("<Error><Code>{status}</Code><Detail>{says} TrackingId:t-1</Detail></Error>");
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/xml; charset=utf-8")], body)
        .into_response()
}

async fn answer(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let path = parts.uri.path().to_owned();
    let whole = parts.uri.path_and_query().unwrap().to_string();
    let seen = Seen { method: parts.method.to_string(), path: whole, headers: parts.headers, body };
    front.seen.lock().unwrap().push(seen.clone());
    if !seen.header("authorization").starts_with("Bearer token-") {
        return refuse(401, "no token");
    }
    if let Some(told) = front.told(&seen.body) {
        return told;
    }
    let entity = |name: &str| [Entity::Events, Entity::Jobs].into_iter().find(|one| one.name() == name);
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (seen.method.as_str(), segments.as_slice()) {
        ("POST", [topic, "messages"]) => match entity(topic) {
            Some(entity) => front.publish(entity, &seen).await,
            None => refuse(404, "no such entity"),
        },
        ("POST", [topic, "subscriptions", group, "$DeadLetterQueue", "messages", "head"]) => {
            front.lock(entity(topic).unwrap(), group).await
        }
        ("DELETE", [_, "subscriptions", _, "$DeadLetterQueue", "messages", _, _]) => {
            front.settle(&path, true).await
        }
        ("PUT", [_, "subscriptions", _, "$DeadLetterQueue", "messages", _, _]) => {
            front.settle(&path, false).await
        }
        _ => refuse(405, "no such operation"),
    }
}

fn batch_of(entity: Entity, body: &[u8]) -> Vec<Message> {
    let entries: Vec<Value> = serde_json::from_slice(body).unwrap();
    let message = |entry: &Value| {
        let properties = entry["UserProperties"].as_object().cloned().unwrap_or_default();
        let body = entry["Body"].as_str().unwrap().as_bytes().to_vec();
        message_of(entity, &entry["BrokerProperties"], properties.into_iter().collect(), body)
    };
    entries.iter().map(message).collect()
}

fn single_of(entity: Entity, seen: &Seen) -> Message {
    let own = |name: &str| {
        let known = ["authorization", "content-type", "content-length", "host", "accept", "accept-encoding"];
        !known.contains(&name)
            && !["x-ms-", "user-agent", "brokerproperties"].iter().any(|p| name.starts_with(p))
    };
    let properties = seen.headers.iter().filter(|(name, _)| own(name.as_str()));
    let properties = properties
        .map(|(name, value)| (name.to_string(), serde_json::from_slice(value.as_bytes()).unwrap()))
        .collect();
    let broker = serde_json::from_str(seen.header("brokerproperties")).unwrap();
    let mut message = message_of(entity, &broker, properties, seen.body.clone());
    seen.header("content-type").clone_into(&mut message.content_type);
    message
}

fn message_of(entity: Entity, broker: &Value, properties: BTreeMap<String, Value>, body: Vec<u8>) -> Message {
    let text = |name: &str| broker[name].as_str().map(str::to_owned);
    let scheduled = text("ScheduledEnqueueTimeUtc");
    Message {
        id: text("MessageId").unwrap(),
        entity,
        body,
        content_type: "application/octet-stream".into(),
        subject: text("Label"),
        session_id: text("SessionId"),
        properties,
        scheduled_at: scheduled.map(|date| DateTimeParser::new().parse_timestamp(date).unwrap()),
        ttl_seconds: broker["TimeToLive"].as_u64().map(|seconds| seconds.try_into().unwrap()),
    }
}

/// A message as an answer.
fn delivered(delivery: &Delivery, lock: &str) -> Response {
    let message = &delivery.message;
    let broker = json!({
        "DeliveryCount": delivery.delivery_count, "EnqueuedTimeUtc": "Mon, 23 Nov 2026 08:46:50 GMT",
        "Label": message.subject, "LockToken": delivery.lock.token, "MessageId": message.id,
        "SequenceNumber": delivery.lock.sequence_number, "SessionId": message.session_id, "State": "Active",
    });
    let mut answer = Response::builder()
        .status(StatusCode::CREATED)
        .header("content-type", &message.content_type)
        .header("location", lock)
        .header("brokerproperties", broker.to_string());
    for (name, value) in &message.properties {
        answer = answer.header(name, value.to_string());
    }
    if let Some(why) = &delivery.dead_letter {
        answer = answer.header("DeadLetterReason", json!(why.reason).to_string());
        answer = answer.header("DeadLetterErrorDescription", json!(why.description).to_string());
    }
    answer.body(Body::from(message.body.clone())).unwrap()
}
