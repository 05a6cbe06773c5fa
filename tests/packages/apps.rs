//! The apps, assembled once for all tests, and a host that calls their functions.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coder_cli::package::{self, Options, Package, Profile};
use coder_config::Settings;
use coder_core::Ambient;
use coder_startup::Providers;
use coder_testkit::HandlerProcess;
use serde_json::{Value, json};

/// The apps of all groups, with handlers that are built for this machine.
pub(crate) fn apps() -> &'static [Package] {
    static APPS: OnceLock<Vec<Package>> = OnceLock::new();
    APPS.get_or_init(|| {
        let options = Options {
            project: Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            groups: Vec::new(),
            out: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("packages"),
            profile: Profile::named("dev"),
            skip_build: false,
            azure: false,
            archive: false,
        };
        package::package(&options, |_| {}).unwrap()
    })
}

/// The app of a group.
pub(crate) fn app(group: &str) -> &'static Package {
    apps().iter().find(|package| package.group == group).unwrap()
}

/// The program that the app's `host.json` names.
pub(crate) fn handler(package: &Package) -> String {
    let host = std::fs::read(package.folder.join("host.json")).unwrap();
    let host: Value = serde_json::from_slice(&host).unwrap();
    let name = host["customHandler"]["description"]["defaultExecutablePath"].as_str().unwrap();
    package.folder.join(name).to_str().unwrap().to_owned()
}

/// The functions that the host finds: the folders with a `function.json`, in their order, without the one for HTTP.
pub(crate) fn functions(package: &Package) -> Vec<String> {
    let folders = std::fs::read_dir(&package.folder).unwrap().map(Result::unwrap);
    let folders = folders.filter(|folder| folder.path().join("function.json").is_file());
    let names = folders.map(|folder| folder.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "http").collect();
    names.sort();
    names
}

/// A running app.
pub(crate) struct App {
    pub(crate) group: &'static str,
    pub(crate) process: HandlerProcess,
    client: reqwest::Client,
}

/// What a function answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media: String,
    pub(crate) body: Value,
}

impl App {
    /// Starts the app's handler on this data.
    pub(crate) fn start(package: &Package, data: &Path, variables: &[(&str, &str)]) -> Self {
        let process = HandlerProcess::start(&handler(package), data, variables);
        Self { group: package.group, process, client: reqwest::Client::new() }
    }

    /// Calls a function as the host does; what it answers is something the host can go on with.
    pub(crate) async fn call(&self, function: &str, body: String) -> Answer {
        let request = self
            .client
            .post(format!("{}/{function}", self.process.url))
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Azure-Functions-Host/4.1052.100.0")
            .header("x-azure-functions-hostversion", "4.1052.100.0")
            .header("x-azure-functions-invocationid", "3d6b1f0a-1111-4222-8333-444455556666")
            .body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let bytes = answer.bytes().await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let about = || format!("{}/{function}: {status} {text}", self.group);
        let body: Value =
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {}", about()));
        assert!(body.is_object() && media == "application/json", "{media}, {}", about());
        assert!(!text.contains("panicked"), "{}", about());
        Answer { status, media, body }
    }

    /// `GET` of a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let answer = self.client.get(format!("{}{path}", self.process.url)).send().await.unwrap();
        let status = answer.status().as_u16();
        let media = answer.headers().get("content-type");
        let media = media.map_or_else(String::new, |media| media.to_str().unwrap().to_owned());
        Answer { status, media, body: answer.json().await.unwrap_or_default() }
    }
}

/// The data of an app, seen from beside it.
pub(crate) async fn open(data: &Path) -> Providers {
    let providers = Providers::open(Settings::for_tests(data), Ambient::system()).unwrap();
    let groups = coder_platform::route_groups();
    let containers: Vec<_> = groups.iter().flat_map(|group| group.containers.clone()).collect();
    providers.store.prepare(&containers).await.unwrap();
    providers
}

/// The host's body for a message with this event.
pub(crate) fn delivery(event: &Value, message_id: &str) -> String {
    let body = json!({
        "Data": {"message": STANDARD.encode(event.to_string())},
        "Metadata": {
            "DeliveryCount": "1",
            "MessageId": json!(message_id).to_string(),
            "LockToken": "\"7f3a0000-0000-4000-8000-000000000000\"",
            "SequenceNumber": "1",
            "ContentType": "\"application/cloudevents+json\"",
            "ApplicationProperties": {"type": event["type"], "organizationid": event["organizationid"]},
            "sys": {"MethodName": "on-event", "UtcNow": "2026-03-02T08:15:01.5Z", "RandGuid": "1"},
        },
    });
    body.to_string()
}
