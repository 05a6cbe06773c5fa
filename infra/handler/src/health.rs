//! Whether the services that a process stands on answer: `GET /health/ready`. Whoever watches the process may ask as
//! often as it likes; the services are asked every few seconds at most.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use coder_core::{Ambient, Problem, Timestamp};
use coder_database::DocumentStore;
use coder_middleware::problem_response::problem_response;
use futures_util::future::join_all;
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::server::json_response;

/// Seconds that an answer is believed.
const BELIEVED_SECONDS: i64 = 5;
/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A question to a service, on its way.
pub type Asking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The services of a process, and what they last answered.
pub struct Health {
    ambient: Ambient,
    dependencies: Vec<Dependency>,
    last: Mutex<Option<(Timestamp, Arc<[State]>)>>,
}

struct Dependency {
    name: &'static str,
    needed: bool,
    ask: Box<dyn Fn() -> Asking + Send + Sync>,
}

/// What came of asking one service. Has no word of the service itself, which could tell strangers too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// What the service is for.
    pub name: &'static str,
    /// Whether it answered.
    pub up: bool,
    /// Whether requests fail without it.
    pub needed: bool,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
}

impl fmt::Debug for Health {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.dependencies.iter().map(|dependency| dependency.name);
        out.debug_list().entries(names).finish()
    }
}

impl Health {
    /// A process that stands on nothing.
    pub fn new(ambient: Ambient) -> Self {
        Self { ambient, dependencies: Vec::new(), last: Mutex::default() }
    }

    /// Adds the document store.
    pub fn of_store(self, store: Arc<dyn DocumentStore>) -> Self {
        self.needs("documents", move || {
            let store = store.clone();
            Box::pin(async move { store.ping().await.map_err(|error| error.to_string()) })
        })
    }

    /// Adds a service without which requests fail. The error goes to the log only.
    pub fn needs(self, name: &'static str, ask: impl Fn() -> Asking + Send + Sync + 'static) -> Self {
        self.depends(name, true, ask)
    }

    /// Adds a service without which requests are answered all the same.
    pub fn likes(self, name: &'static str, ask: impl Fn() -> Asking + Send + Sync + 'static) -> Self {
        self.depends(name, false, ask)
    }

    fn depends(
        mut self,
        name: &'static str,
        needed: bool,
        ask: impl Fn() -> Asking + Send + Sync + 'static,
    ) -> Self {
        self.dependencies.push(Dependency { name, needed, ask: Box::new(ask) });
        self
    }

    /// What the services answer, at most a few seconds old. They are asked all at once, and by one caller at a time.
    pub async fn states(&self) -> Arc<[State]> {
        let mut last = self.last.lock().await;
        let now = self.ambient.now();
        if let Some((at, states)) = &*last
            && now.duration_since(*at).as_secs().abs() < BELIEVED_SECONDS
        {
            return states.clone();
        }
        let states: Arc<[State]> = join_all(self.dependencies.iter().map(Dependency::state)).await.into();
        *last = Some((now, states.clone()));
        states
    }

    /// Asks every service now, and tells what is wrong with those that do not answer. For operators only: the causes
    /// are the services' own words.
    pub async fn examine(&self) -> Vec<(State, Option<String>)> {
        join_all(self.dependencies.iter().map(Dependency::ask)).await
    }

    /// The answer to `GET /health/ready`.
    pub async fn answer(&self) -> Response {
        let states = self.states().await;
        let away: Vec<&str> =
            states.iter().filter(|state| state.needed && !state.up).map(|state| state.name).collect();
        if away.is_empty() {
            let body = serde_json::json!({ "status": "ready", "dependencies": &*states });
            return json_response(StatusCode::OK, &body);
        }
        let detail = format!("These services do not answer: {}.", away.join(", "));
        let problem = Problem::unavailable(detail, BELIEVED_SECONDS.unsigned_abs());
        problem_response(&problem, "")
    }
}

impl Dependency {
    async fn state(&self) -> State {
        let (state, fault) = self.ask().await;
        if let Some(cause) = fault {
            tracing::warn!(dependency = self.name, cause, "a service does not answer");
        }
        state
    }

    async fn ask(&self) -> (State, Option<String>) {
        let began = Instant::now();
        let outcome = timeout(PATIENCE, (self.ask)()).await;
        let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let fault = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(cause)) => Some(cause),
            Err(_) => Some("no answer in time".to_owned()),
        };
        let state = State { name: self.name, up: fault.is_none(), needed: self.needed, latency_ms };
        (state, fault)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use coder_core::{ManualClock, OsEntropy};
    use http::header::RETRY_AFTER;
    use jiff::SignedDuration;

    use super::*;

    fn counted(health: Health, asked: Arc<AtomicUsize>, up: bool) -> Health {
        health.needs("documents", move || {
            asked.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { if up { Ok(()) } else { Err("password=secret".to_owned()) } })
        })
    }

    fn ambient() -> (ManualClock, Ambient) {
        let clock = ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap());
        (clock.clone(), Ambient::new(clock, OsEntropy))
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn services_are_asked_every_few_seconds_at_most() {
        let (clock, ambient) = ambient();
        let asked = Arc::new(AtomicUsize::new(0));
        let health = counted(Health::new(ambient), asked.clone(), true);
        for (advance, times) in [(0, 1), (4, 1), (2, 2)] {
            clock.advance(SignedDuration::from_secs(advance));
            assert_eq!(health.answer().await.status(), StatusCode::OK);
            assert_eq!(asked.load(Ordering::SeqCst), times);
        }
        assert!(text(health.answer().await).await.contains(r#""name":"documents","up":true"#));
    }

    #[tokio::test]
    async fn a_needed_service_that_is_away_makes_the_process_unavailable() {
        let (_, ambient) = ambient();
        let health = counted(Health::new(ambient), Arc::default(), false);
        let answer = health.answer().await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[RETRY_AFTER], "5");
        let text = text(answer).await;
        assert!(text.contains("documents") && text.contains("unavailable"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[tokio::test]
    async fn a_service_that_is_only_liked_may_be_away() {
        let (_, ambient) = ambient();
        let health = Health::new(ambient)
            .likes("cache", || Box::pin(std::future::ready(Err("away".to_owned()))))
            .needs("documents", || Box::pin(std::future::ready(Ok(()))));
        let answer = health.answer().await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(text(answer).await.contains(r#""name":"cache","up":false,"needed":false"#));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_silent_counts_as_away() {
        let (_, ambient) = ambient();
        let health = Health::new(ambient).needs("documents", || Box::pin(std::future::pending()));
        assert_eq!(health.answer().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
