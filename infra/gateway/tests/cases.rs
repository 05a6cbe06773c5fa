//! Runs `cases.json`, which says what every gateway of the platform answers, against the local one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use coder_core::Ambient;
use coder_gateway::EdgeOptions;
use serde::Deserialize;

use crate::client::{Answer, exchange};
use crate::fakes::{BOTH, Fake, Log, Via, gateway, upstream};

const REQUEST_ID: &str = "case-request-id";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    #[serde(rename = "format")]
    _format: BTreeMap<String, String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    setup: Setup,
    #[serde(default)]
    upstream: Fake,
    request: Ask,
    answer: Expected,
    reached: Option<bool>,
    sees: Option<Sees>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Setup {
    origins: Vec<String>,
    trusted_proxies: Vec<ipnet::IpNet>,
    public_https: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Ask {
    method: Option<String>,
    target: String,
    target_padding: usize,
    headers: Vec<(String, String)>,
    header_lines: usize,
    header_bytes: usize,
    body: Option<String>,
    body_bytes: usize,
    chunks: Vec<String>,
    chunk_bytes: Vec<usize>,
    announced: Option<u64>,
    raw: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    status: u16,
    code: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    absent: Vec<String>,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sees {
    method: Option<String>,
    target: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    absent: Vec<String>,
    body: Option<String>,
    body_bytes: Option<usize>,
}

impl Ask {
    fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone().into_bytes();
        }
        let target = format!("{}{}", self.target, "a".repeat(self.target_padding));
        let mut request = format!("{} {target} HTTP/1.1\r\n", self.method.as_deref().unwrap_or("GET"));
        let mut line = |name: &str, value: &str| write!(request, "{name}: {value}\r\n").unwrap();
        let given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        for (name, value) in [("host", "gateway"), ("connection", "close"), ("x-request-id", REQUEST_ID)] {
            if !given(name) {
                line(name, value);
            }
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        for number in 0..self.header_lines {
            line(&format!("x-line-{number}"), "1");
        }
        if self.header_bytes > 0 {
            line("x-long", &"a".repeat(self.header_bytes));
        }
        let mut body = self.body.clone().unwrap_or_else(|| "a".repeat(self.body_bytes));
        if let Some(length) = self.announced {
            line("content-length", &length.to_string());
        } else if !(self.chunks.is_empty() && self.chunk_bytes.is_empty()) {
            line("transfer-encoding", "chunked");
            let filler = self.chunk_bytes.iter().map(|size| "a".repeat(*size));
            for chunk in self.chunks.iter().cloned().chain(filler) {
                write!(body, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
            }
            body.push_str("0\r\n\r\n");
        } else if !body.is_empty() {
            line("content-length", &body.len().to_string());
        }
        (request + "\r\n" + &body).into_bytes()
    }
}

fn check_answer(expected: &Expected, answer: &Answer) -> Result<(), String> {
    if answer.status != expected.status {
        return Err(format!("status {} instead of {}", answer.status, expected.status));
    }
    if let Some(code) = &expected.code {
        let problem: serde_json::Value =
            serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        let kind = answer.headers.get("content-type").map(String::as_str);
        if problem["code"] != *code || kind != Some("application/problem+json") {
            return Err(format!("no problem `{code}`"));
        }
        if problem["requestId"] != REQUEST_ID || problem["status"] != expected.status {
            return Err("the problem names another request or status".to_owned());
        }
    }
    if expected.body.as_ref().is_some_and(|body| *body != answer.body) {
        return Err("another body".to_owned());
    }
    check_headers(&expected.headers, &expected.absent, |name| answer.headers.get(name).cloned())
}

fn check_headers(
    wanted: &BTreeMap<String, String>,
    absent: &[String],
    get: impl Fn(&str) -> Option<String>,
) -> Result<(), String> {
    for (name, value) in wanted {
        let found = get(name);
        if found.as_ref() != Some(value) {
            return Err(format!("header `{name}` is {found:?}"));
        }
    }
    match absent.iter().find(|name| get(name).is_some()) {
        Some(name) => Err(format!("header `{name}` is there")),
        None => Ok(()),
    }
}

fn check_seen(case: &Case, log: &Log) -> Result<(), String> {
    let requests = log.lock().unwrap().clone();
    if let Some(reached) = case.reached
        && usize::from(reached) != requests.len()
    {
        return Err(format!("the upstream saw {} requests", requests.len()));
    }
    let Some(expected) = &case.sees else { return Ok(()) };
    let [request] = requests.as_slice() else {
        return Err(format!("the upstream saw {} requests", requests.len()));
    };
    let same = expected.method.as_ref().is_none_or(|method| *method == request.method)
        && expected.target.as_ref().is_none_or(|target| *target == request.target)
        && expected.body.as_ref().is_none_or(|body| *body == request.body)
        && expected.body_bytes.is_none_or(|size| size == request.body.len());
    if !same {
        return Err(format!("the upstream saw {request:?}"));
    }
    let header = |name: &str| {
        let values = request.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        let values: Vec<&str> = values.collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    check_headers(&expected.headers, &expected.absent, header).map_err(|fault| format!("upstream: {fault}"))
}

async fn run(case: &Case, via: Via) -> Result<(), String> {
    let (upstream, log) = upstream(&case.upstream, via).await;
    let options = EdgeOptions {
        origins: case.setup.origins.clone(),
        trusted_proxies: case.setup.trusted_proxies.clone(),
        public_https: case.setup.public_https,
        ..EdgeOptions::new(Ambient::system())
    };
    let (_, address) = gateway(upstream, options).await;
    let answer = exchange(address, &case.request.bytes()).await;
    check_answer(&case.answer, &answer).map_err(|fault| format!("{fault}: {answer:?}"))?;
    check_seen(case, &log)
}

#[tokio::test(start_paused = true)]
async fn every_case_is_answered_as_written() {
    let file: File = serde_json::from_str(include_str!("../cases.json")).unwrap();
    let names: BTreeSet<&str> = file.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), file.cases.len(), "two cases share a name");
    assert!(file.cases.len() >= 50);
    let mut faults = Vec::new();
    for case in &file.cases {
        for via in BOTH.into_iter().filter(|via| case.upstream.via.is_none_or(|only| only == *via)) {
            if let Err(fault) = run(case, via).await {
                faults.push(format!("{} ({via:?}): {fault}", case.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
