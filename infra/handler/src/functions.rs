//! The event functions of a group as the Functions host calls them: `POST /<function>` with an envelope, and an
//! answer that is never empty.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coder_core::Failure;
use coder_database::{Partition, PlatformJob, Record, Repository};
use coder_jobs::{JobFault, JobRecord};
use coder_middleware::runtime::Runtime;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::events::{Consumer, ConsumerFault, Event, Invocation, Job, JobRun, Timer};

/// Longest run of one delivery; well below the host's own limit, which would kill the process.
pub const DEADLINE: Duration = Duration::from_mins(4);

/// Largest envelope: a 1 MiB message in base64, escaped, with its metadata.
pub const ENVELOPE_LIMIT: usize = 4 * 1024 * 1024;

type Run = Arc<dyn Fn(Value, String) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// What came of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, with a result for jobs.
    Done(Value),
    /// Failed; a later try may succeed.
    Retry(String),
    /// Failed for good.
    Reject(String),
}

/// The event functions of a group, by name.
#[derive(Clone, Default)]
pub struct Functions(BTreeMap<String, Run>);

impl fmt::Debug for Functions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.0.keys()).finish()
    }
}

impl Functions {
    /// Whether there is a function of this name; names are case-sensitive.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Names of all functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Runs a function with the host's envelope. A panic and a run over the deadline are failures.
    pub async fn invoke(&self, name: &str, envelope: Value, invocation_id: &str) -> Outcome {
        let Some(run) = self.0.get(name) else {
            return Outcome::Reject(format!("there is no function `{name}`"));
        };
        let work = AssertUnwindSafe(run(envelope, invocation_id.to_owned())).catch_unwind();
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::Retry("the function panicked".into()),
            Err(_) => Outcome::Retry(format!("the function ran longer than {} s", DEADLINE.as_secs())),
        }
    }
}

pub(crate) fn build<S: Clone + Send + Sync + 'static>(
    runtime: &Arc<Runtime>,
    service: &S,
    consumers: Vec<Consumer<S>>,
    timers: Vec<Timer<S>>,
    jobs: Vec<Job<S>>,
) -> Functions {
    let mut functions = BTreeMap::<String, Run>::new();
    for consumer in consumers {
        let (runtime, service, name) = (runtime.clone(), service.clone(), consumer.name);
        let run: Run = Arc::new(move |envelope, id| {
            let (service, run) = (service.clone(), consumer.run.clone());
            let invocation = invocation(&runtime, name, id);
            Box::pin(async move {
                match delivered(&envelope).and_then(|value| Event::parse(&value)) {
                    Ok(event) => outcome(run(service, invocation, event).await),
                    Err(reason) => Outcome::Reject(reason),
                }
            })
        });
        functions.insert(format!("on-{}", consumer.name), run);
    }
    for timer in timers {
        let (runtime, service, name) = (runtime.clone(), service.clone(), timer.name);
        let run: Run = Arc::new(move |_, id| {
            let (service, run) = (service.clone(), timer.run.clone());
            let invocation = invocation(&runtime, name, id);
            Box::pin(async move {
                match run(service, invocation).await {
                    Ok(()) => Outcome::Done(Value::Null),
                    Err(failure) => Outcome::Retry(failure.to_string()),
                }
            })
        });
        functions.insert(format!("every-{}", timer.name), run);
    }
    if !jobs.is_empty() {
        functions.insert("run-job".into(), run_job(runtime, service, jobs));
    }
    Functions(functions)
}

fn run_job<S: Clone + Send + Sync + 'static>(runtime: &Arc<Runtime>, service: &S, jobs: Vec<Job<S>>) -> Run {
    let jobs: Arc<BTreeMap<&'static str, Job<S>>> =
        Arc::new(jobs.into_iter().map(|job| (job.name, job)).collect());
    let (runtime, service) = (runtime.clone(), service.clone());
    Arc::new(move |envelope, id| {
        let (runtime, service, jobs) = (runtime.clone(), service.clone(), jobs.clone());
        Box::pin(async move {
            let message = match delivered(&envelope) {
                Ok(message) => message,
                Err(reason) => return Outcome::Reject(reason),
            };
            // The message names the record; the record says what is asked.
            let wanted = message["data"]["job"].as_str().unwrap_or_default();
            let Some(job) = jobs.get(wanted) else {
                return Outcome::Reject(format!("there is no job `{wanted}`"));
            };
            let invocation = invocation(&runtime, job.name, id);
            let record = match job_record(&invocation, &message).await {
                Ok(record) => record,
                Err(outcome) => return outcome,
            };
            let run = JobRun { invocation, id: record.meta.id.clone(), attempt: record.data.attempts + 1 };
            match (job.run)(service, run, record.data.input).await {
                Ok(result) => Outcome::Done(result),
                Err(JobFault::Retry(failure)) => Outcome::Retry(failure.to_string()),
                Err(fault) => Outcome::Reject(fault.to_string()),
            }
        })
    })
}

async fn job_record(invocation: &Invocation, message: &Value) -> Result<Record<JobRecord>, Outcome> {
    let runtime = &invocation.runtime;
    let records = Repository::<JobRecord>::new(runtime.store.clone(), runtime.container);
    let partition = Partition::of_message(&invocation.job, &message["data"]["partition"])
        .ok_or_else(|| Outcome::Reject("the message names no partition".into()))?;
    let id = message["subject"].as_str().unwrap_or_default();
    match records.find(&partition, id).await {
        Ok(Some(record)) => Ok(record),
        Ok(None) => Err(Outcome::Reject(format!("there is no job `{id}`"))),
        Err(failure) => Err(Outcome::Retry(failure.to_string())),
    }
}

fn invocation(runtime: &Arc<Runtime>, name: &'static str, id: String) -> Invocation {
    Invocation { runtime: runtime.clone(), job: PlatformJob::begin(), name, id }
}

fn outcome(result: Result<(), ConsumerFault>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done(Value::Null),
        Err(ConsumerFault::Retry(Failure::Internal(cause))) => Outcome::Retry(cause.to_string()),
        Err(ConsumerFault::Retry(failure)) => Outcome::Retry(failure.to_string()),
        Err(ConsumerFault::Reject(reason)) => Outcome::Reject(reason),
    }
}

/// The envelope with which the host delivers a message whose binding is `message` and `dataType` is `binary`.
pub fn envelope(message: &Value, message_id: &str, delivery_count: u32) -> Value {
    json!({
        "Data": {"message": STANDARD.encode(message.to_string())},
        "Metadata": {
            "DeliveryCount": delivery_count.to_string(),
            "MessageId": format!("\"{message_id}\""),
            "ContentType": "\"application/json\"",
        },
    })
}

/// The message inside an envelope. Hosts encode values differently, so: base64 of JSON, JSON text, JSON text in
/// JSON text, and bare JSON are all read.
fn delivered(envelope: &Value) -> Result<Value, String> {
    let data = envelope.get("Data").and_then(Value::as_object).ok_or("the envelope has no `Data`")?;
    let value = data.values().next().ok_or("the envelope's `Data` is empty")?;
    let Value::String(text) = value else { return Ok(value.clone()) };
    if let Ok(Value::String(inner)) = serde_json::from_str::<Value>(text) {
        return serde_json::from_str(&inner).map_err(|error| format!("the message is no JSON: {error}"));
    }
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return Ok(value);
    }
    let bytes = STANDARD.decode(text).map_err(|_| "the message is neither JSON nor base64".to_owned())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the message is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_encoding_of_a_message() {
        let message = json!({"id": "1"});
        let text = message.to_string();
        let doubled = Value::String(text.clone()).to_string();
        for value in [json!(STANDARD.encode(&text)), json!(text), json!(doubled), message.clone()] {
            assert_eq!(delivered(&json!({"Data": {"anything": value}})), Ok(message.clone()));
        }
        for bad in
            [json!({}), json!({"Data": {}}), json!({"Data": {"m": "%%%"}}), json!({"Data": {"m": "YWJj"}})]
        {
            assert!(delivered(&bad).is_err(), "{bad}");
        }
    }
}
