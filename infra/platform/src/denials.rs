//! Refused requests as events: what was answered 401 or 403 is told to whoever keeps the audit log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use coder_core::{Actor, ActorKind, Ambient, Code, Timestamp};
use coder_gateway::RouteTable;
use coder_middleware::Identity;
use coder_middleware::chain::Authentication;
use coder_queue::{Entity, Message, Publisher};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

/// The type of the events.
const KIND: &str = "coder.gateway.request.denied";

/// Events of one process in a minute; the next minute's first says how many were left out.
const A_MINUTE: u32 = 100;

/// Publishes refusals.
#[derive(Debug)]
pub(crate) struct Denials {
    ambient: Ambient,
    publisher: Arc<dyn Publisher>,
    window: Arc<Mutex<Window>>,
    publishing: TaskTracker,
}

/// A minute, and what it has seen.
#[derive(Debug)]
struct Window {
    began: Timestamp,
    told: u32,
    left_out: u64,
}

/// What is known of a request before it is answered.
struct Asked {
    method: Method,
    group: Option<&'static str>,
    identity: Identity,
    authentication: Authentication,
}

impl Denials {
    pub(crate) fn new(ambient: Ambient, publisher: Arc<dyn Publisher>) -> Self {
        let window = Window { began: ambient.now(), told: 0, left_out: 0 };
        let window = Arc::new(Mutex::new(window));
        Self { ambient, publisher, window, publishing: TaskTracker::new() }
    }

    /// Watches answers; stands behind the chain, which finds out who asks. For
    /// `axum::middleware::from_fn_with_state`.
    pub(crate) async fn watch(State(denials): State<Arc<Self>>, request: Request, next: Next) -> Response {
        let extensions = request.extensions();
        let asked = Asked {
            method: request.method().clone(),
            group: group(request.uri().path()),
            identity: extensions.get().cloned().unwrap_or_default(),
            authentication: extensions.get().cloned().unwrap_or(Authentication::Anonymous),
        };
        let response = next.run(request).await;
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            denials.tell(&asked, &response);
        }
        response
    }

    /// Waits until what was refused so far is published.
    pub(crate) async fn settle(&self) {
        self.publishing.close();
        self.publishing.wait().await;
        self.publishing.reopen();
    }

    /// The caller does not wait for it.
    fn tell(&self, asked: &Asked, response: &Response) {
        let Some(left_out) = self.admit() else { return };
        let id = self.ambient.new_uuid().to_string();
        let message = Message::of_event(&id, Entity::Events, &self.event(&id, asked, response, left_out));
        let (publisher, window) = (self.publisher.clone(), self.window.clone());
        self.publishing.spawn(async move {
            if let Err(error) = publisher.publish(&[message]).await {
                tracing::warn!(cause = %error, "a refusal was not told");
                // The next one says so.
                locked(&window).left_out += left_out + 1;
            }
        });
    }

    /// Whether this minute has room for one more, and how many were left out since the last one.
    fn admit(&self) -> Option<u64> {
        let now = self.ambient.now();
        let mut window = locked(&self.window);
        if now.duration_since(window.began) >= SignedDuration::from_mins(1) {
            (window.began, window.told) = (now, 0);
        }
        if window.told >= A_MINUTE {
            window.left_out += 1;
            return None;
        }
        window.told += 1;
        Some(std::mem::take(&mut window.left_out))
    }

    fn event(&self, id: &str, asked: &Asked, response: &Response, left_out: u64) -> Value {
        let caller = match &asked.authentication {
            Authentication::Verified(caller) => Some(caller),
            Authentication::Anonymous | Authentication::Refused(_) => None,
        };
        let known = caller.map(|caller| caller.actor());
        let mut actor = known.unwrap_or_else(|| Actor::new(ActorKind::Service, "anonymous"));
        actor.ip_address = asked.identity.client_address.map(|address| address.to_string());
        actor.user_agent.clone_from(&asked.identity.user_agent);
        let organization = caller.and_then(|caller| caller.organization_id);
        // A handler at an address of its own says no more than the status.
        let usual = if response.status() == StatusCode::UNAUTHORIZED {
            Code::Unauthenticated
        } else {
            Code::Forbidden
        };
        let code = response.extensions().get::<Code>().copied().unwrap_or(usual);
        json!({
            "specversion": "1.0",
            "id": id,
            "source": "/functions/gateway",
            "type": KIND,
            "subject": asked.identity.request_id,
            "time": self.ambient.now(),
            "datacontenttype": "application/json",
            "organizationid": organization.map_or_else(|| "platform".to_owned(), |id| id.to_string()),
            "traceparent": asked.identity.traceparent,
            "data": {
                "method": asked.method.as_str(),
                "group": asked.group,
                "status": response.status().as_u16(),
                "code": code.as_str(),
                "leftOut": left_out,
                "actor": actor,
            },
        })
    }
}

fn locked(window: &Mutex<Window>) -> MutexGuard<'_, Window> {
    window.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The group that a path is for; no other part of a path is told, since it can carry a token.
fn group(path: &str) -> Option<&'static str> {
    let name = path.strip_prefix("/api/")?.split('/').next()?;
    RouteTable::PLATFORM.group(name).map(|group| group.name)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use coder_core::{ManualClock, OsEntropy};
    use coder_queue::PublishError;

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Value>>, AtomicBool);

    #[async_trait::async_trait]
    impl Publisher for Kept {
        async fn publish(&self, messages: &[Message]) -> Result<(), PublishError> {
            if self.1.load(Ordering::SeqCst) {
                return Err(PublishError::transient("busy"));
            }
            let event = |message: &Message| {
                let event: Value = serde_json::from_slice(&message.body).unwrap();
                assert_eq!(event["id"], message.id);
                event
            };
            let events: Vec<Value> = messages.iter().map(event).collect();
            self.0.lock().unwrap().extend(events);
            Ok(())
        }
    }

    fn denials() -> (Denials, Arc<Kept>, ManualClock) {
        let (kept, clock) = (Arc::<Kept>::default(), ManualClock::at(Timestamp::UNIX_EPOCH));
        (Denials::new(Ambient::new(clock.clone(), OsEntropy), kept.clone()), kept, clock)
    }

    fn asked() -> Asked {
        let identity = Identity { client_address: Some([192, 0, 2, 7].into()), ..Identity::default() };
        let identity = Identity { request_id: "r-1".into(), user_agent: Some("curl".into()), ..identity };
        let authentication = Authentication::Anonymous;
        Asked { method: Method::POST, group: group("/api/users/teams"), identity, authentication }
    }

    fn refusal(status: StatusCode) -> Response {
        let mut response = Response::default();
        *response.status_mut() = status;
        response
    }

    #[tokio::test]
    async fn a_refusal_says_what_was_asked_and_from_where_but_not_the_path() {
        let (denials, kept, _) = denials();
        let mut response = refusal(StatusCode::UNAUTHORIZED);
        response.extensions_mut().insert(Code::TokenExpired);
        denials.tell(&asked(), &response);
        denials.tell(&asked(), &refusal(StatusCode::FORBIDDEN));
        denials.settle().await;
        let events = kept.0.lock().unwrap();
        assert_eq!(coder_queue::cloud_event::faults(&events[0]), []);
        assert_eq!((&events[0]["type"], &events[0]["organizationid"]), (&json!(KIND), &json!("platform")));
        let actor =
            json!({"kind": "service", "id": "anonymous", "ipAddress": "192.0.2.7", "userAgent": "curl"});
        let wanted = json!({
            "method": "POST", "group": "users", "status": 401, "code": "token_expired", "leftOut": 0,
            "actor": actor,
        });
        assert_eq!(events[0]["data"], wanted);
        assert_eq!(events[1]["data"]["code"], "forbidden");
        assert_eq!(
            (group("/api/nothing/x"), group("/metrics"), group("/api/auth")),
            (None, None, Some("auth"))
        );
    }

    #[tokio::test]
    async fn what_the_broker_does_not_take_is_counted() {
        let (denials, kept, _) = denials();
        kept.1.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            denials.tell(&asked(), &refusal(StatusCode::FORBIDDEN));
        }
        denials.settle().await;
        kept.1.store(false, Ordering::SeqCst);
        denials.tell(&asked(), &refusal(StatusCode::FORBIDDEN));
        denials.settle().await;
        let events = kept.0.lock().unwrap();
        assert_eq!((events.len(), &events[0]["data"]["leftOut"]), (1, &json!(3)));
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_counted() {
        let (denials, kept, clock) = denials();
        for _ in 0..250 {
            denials.tell(&asked(), &refusal(StatusCode::FORBIDDEN));
        }
        clock.advance(SignedDuration::from_secs(60));
        denials.tell(&asked(), &refusal(StatusCode::FORBIDDEN));
        denials.tell(&asked(), &refusal(StatusCode::FORBIDDEN));
        denials.settle().await;
        let events = kept.0.lock().unwrap();
        let left_out = |event: &Value| event["data"]["leftOut"].as_u64().unwrap();
        assert_eq!(events.len(), 102);
        assert_eq!((left_out(&events[100]), left_out(&events[101])), (150, 0));
    }
}
