use std::net::SocketAddr;
use std::sync::Mutex as StdMutex;

use axum::Json;
use axum::extract::Path;
use axum::routing::post;
use coder_core::{ManualClock, OsEntropy};
use tokio::sync::Semaphore;

use super::*;

/// A handler that answers what it is told to, and remembers its calls.
#[derive(Clone)]
struct Handler(Arc<Inner>);

struct Inner {
    calls: StdMutex<Vec<(String, Value)>>,
    answers: StdMutex<Vec<Value>>,
    /// Calls of `every-slow` wait here.
    gate: Semaphore,
    began: Semaphore,
}

impl Handler {
    async fn start() -> (Self, SocketAddr) {
        let inner = Inner {
            calls: StdMutex::default(),
            answers: StdMutex::default(),
            gate: Semaphore::new(0),
            began: Semaphore::new(0),
        };
        let handler = Self(Arc::new(inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let own = handler.clone();
        let route = post(move |Path(name): Path<String>, Json(body): Json<Value>| async move {
            own.0.calls.lock().unwrap().push((name.clone(), body));
            if name == "every-slow" {
                own.0.began.add_permits(1);
                own.0.gate.acquire().await.unwrap().forget();
            }
            let answer = own.0.answers.lock().unwrap().pop().unwrap_or_default();
            let status = if answer == "fails" { 500 } else { 200 };
            let status = http::StatusCode::from_u16(status).unwrap();
            (status, Json(json!({"Outputs": {}, "ReturnValue": answer})))
        });
        let router = axum::Router::new().route("/{function}", route);
        tokio::spawn(async move { axum_serve(listener, router).await });
        (handler, address)
    }

    fn names(&self) -> Vec<String> {
        self.0.calls.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    fn last(&self) -> Value {
        self.0.calls.lock().unwrap().last().unwrap().1.clone()
    }
}

async fn axum_serve(listener: tokio::net::TcpListener, router: axum::Router) {
    coder_handler::serve(listener, router, std::future::pending()).await.unwrap();
}

fn timers(address: SocketAddr, declared: &[(&str, &str)]) -> (ManualClock, Timers) {
    let clock = ManualClock::at("2026-01-05T12:01:00Z".parse().unwrap());
    let ambient = Ambient::new(clock.clone(), OsEntropy);
    let client = crate::host::client().unwrap();
    let receiver = Receiver::Remote { client, address: format!("http://{address}/").parse().unwrap() };
    let all = declared.iter().map(|(name, schedule)| {
        Timer::new(&ambient, "notes", name, Schedule::parse(schedule).unwrap(), receiver.clone())
    });
    let all = all.collect();
    (clock, Timers::new(ambient, all))
}

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

#[tokio::test]
async fn the_host_says_what_the_functions_host_says() {
    let (handler, address) = Handler::start().await;
    let (clock, timers) = timers(address, &[("tidy", "0 */5 * * * *")]);
    // The first look asks whether a slot was missed.
    assert_eq!(timers.run_due().await, [""; 0]);
    let body = handler.last();
    assert_eq!(body["Data"]["timer"]["IsPastDue"], true);
    assert_eq!(body["Data"]["timer"]["ScheduleStatus"]["Last"], "0001-01-01T00:00:00+00:00");
    clock.advance(minutes(4));
    assert_eq!(timers.run_due().await, ["notes/every-tidy"]);
    clock.advance(minutes(5) + SignedDuration::from_millis(11));
    assert_eq!(timers.run_due().await, ["notes/every-tidy"]);
    let mut body = handler.last();
    let call = body["Metadata"]["sys"]["RandGuid"].take();
    assert_eq!(call.as_str().unwrap().len(), 36);
    let expected = json!({
        "Data": {"timer": {
            "Schedule": {"AdjustForDST": true},
            "ScheduleStatus": {
                "Last": "2026-01-05T12:05:00.0000+00:00",
                "Next": "2026-01-05T12:10:00+00:00",
                "LastUpdated": "2026-01-05T12:05:00.0000+00:00",
            },
            "IsPastDue": false,
        }},
        "Metadata": {"sys": {
            "MethodName": "every-tidy", "UtcNow": "2026-01-05T12:10:00.0110000Z", "RandGuid": null,
        }},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_schedule_denser_than_a_minute_is_not_monitored() {
    let (handler, address) = Handler::start().await;
    let (_, timers) = timers(address, &[("often", "*/30 * * * * *")]);
    timers.run_due().await;
    assert_eq!(handler.last()["Data"]["timer"]["ScheduleStatus"], Value::Null);
}

#[tokio::test]
async fn a_timer_is_called_once_for_the_slots_that_were_missed_and_not_before_its_next() {
    let (handler, address) = Handler::start().await;
    let (clock, timers) = timers(address, &[("tidy", "0 */5 * * * *")]);
    timers.run_due().await;
    clock.advance(minutes(3));
    timers.run_due().await;
    assert_eq!(handler.names().len(), 1);
    clock.advance(minutes(60));
    timers.run_due().await;
    timers.run_due().await;
    assert_eq!(handler.names().len(), 2);
    clock.advance(minutes(1));
    assert_eq!(timers.run_due().await, ["notes/every-tidy"]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_silence_a_timer() {
    let (handler, address) = Handler::start().await;
    let (clock, timers) = timers(address, &[("tidy", "0 */5 * * * *")]);
    clock.advance(SignedDuration::from_hours(24 * 365));
    timers.run_due().await;
    clock.advance(SignedDuration::from_hours(-24 * 365));
    timers.run_due().await;
    clock.advance(minutes(4));
    assert_eq!(timers.run_due().await, ["notes/every-tidy"]);
    assert_eq!(handler.names().len(), 2);
}

#[tokio::test]
async fn a_timer_that_another_process_has_is_asked_for_again_when_the_lease_ends() {
    let (handler, address) = Handler::start().await;
    let (clock, timers) = timers(address, &[("daily", "0 5 12 * * *")]);
    timers.run_due().await;
    handler.0.answers.lock().unwrap().push(json!({"outcome": "held", "until": "2026-01-05T12:06:00Z"}));
    clock.advance(minutes(4));
    timers.run_due().await;
    assert_eq!(timers.run_due().await, [""; 0]);
    clock.advance(minutes(1));
    assert_eq!(timers.run_due().await, ["notes/every-daily"]);
    clock.advance(minutes(60));
    assert_eq!(timers.run_due().await, [""; 0]);
}

#[tokio::test]
async fn a_slow_timer_delays_no_other_and_never_overlaps_itself() {
    let (handler, address) = Handler::start().await;
    let (clock, timers) = timers(address, &[("slow", "0 * * * * *"), ("quick", "0 * * * * *")]);
    let stop = CancellationToken::new();
    clock.advance(minutes(1));
    let loops = tokio::spawn(timers.clone().run(stop.clone()));
    handler.0.began.acquire().await.unwrap().forget();
    clock.advance(minutes(1));
    // The other one runs again, while this one still does.
    while handler.names().iter().filter(|name| *name == "every-quick").count() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handler.names().iter().filter(|name| *name == "every-slow").count(), 1);
    // Whoever waits for what is due waits for what runs, too; the slot in between is made up for once.
    let due = tokio::spawn(async move { timers.run_due().await });
    handler.0.gate.add_permits(2);
    assert!(due.await.unwrap().len() <= 1);
    handler.0.gate.add_permits(2);
    stop.cancel();
    loops.await.unwrap();
    assert!(handler.names().iter().filter(|name| *name == "every-slow").count() <= 2);
}

#[tokio::test]
async fn a_call_that_failed_is_made_again_before_the_next_slot() {
    let (handler, address) = Handler::start().await;
    let (clock, timers) = timers(address, &[("tidy", "0 */5 * * * *")]);
    let fails = |times: usize| handler.0.answers.lock().unwrap().extend(vec![json!("fails"); times]);
    let past_due = || handler.last()["Data"]["timer"]["IsPastDue"].clone();
    let seconds = SignedDuration::from_secs;
    // The first question, too.
    fails(1);
    timers.run_due().await;
    timers.run_due().await;
    assert_eq!(handler.names().len(), 1);
    clock.advance(seconds(30));
    timers.run_due().await;
    assert_eq!((handler.names().len(), past_due()), (2, json!(true)));
    clock.advance(seconds(210));
    fails(2);
    assert_eq!(timers.run_due().await, ["notes/every-tidy"]);
    for calls in [4, 5] {
        clock.advance(seconds(29));
        timers.run_due().await;
        assert_eq!(handler.names().len(), calls - 1);
        clock.advance(seconds(1));
        assert_eq!(timers.run_due().await, [""; 0], "it is no other slot");
        assert_eq!((handler.names().len(), past_due()), (calls, json!(false)));
    }
    clock.advance(seconds(60));
    timers.run_due().await;
    assert_eq!(handler.names().len(), 5, "it has succeeded");
    clock.advance(minutes(3));
    assert_eq!(timers.run_due().await, ["notes/every-tidy"]);
}
