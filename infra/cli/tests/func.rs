//! `coder dev --func` with stand-ins for `cargo` and `func`: what it starts, with what, and how that ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::coder;

/// Says that it has built the handlers; any program for this kind of machine will do.
const CARGO: &str = r#"#!/bin/sh
for group in auth users; do
    printf '{"reason":"compiler-artifact","executable":"%s/coder-%s"}\n' "$STANDINS" "$group"
done
"#;

/// Writes down how it was started, and runs until it is asked to stop.
const FUNC: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then
    echo 4.99.0
    exit 0
fi
record=$STANDINS/$3
trap 'echo asked > "$record.stopped"; kill "$waiting"; exit 0' INT
{
    echo "arguments=$*"
    echo "folder=$(pwd)"
    env
} > "$record"
sleep 60 &
waiting=$!
echo "now listening"
wait
"#;

/// Ends at once, as the host does that finds no storage.
const FAILING: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then
    echo 4.99.0
    exit 0
fi
echo "missing value for AzureWebJobsStorage" >&2
exit 1
"#;

/// A project's folder with the two stand-ins.
struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    fn new(func: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let project = Self { directory };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for folder in ["functions", "standins"] {
            fs::create_dir(project.path(folder)).unwrap();
        }
        for name in ["host.json", "functions/function.json"] {
            fs::copy(source.join(name), project.path(name)).unwrap();
        }
        fs::write(project.path("local.settings.json"), r#"{"Values": {"CODER_LOG": "warn"}}"#).unwrap();
        for group in ["auth", "users"] {
            fs::copy("/bin/sh", project.path("standins").join(format!("coder-{group}"))).unwrap();
        }
        for (name, script) in [("cargo", CARGO), ("func", func)] {
            let path = project.path("standins").join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&self) -> Child {
        let arguments = ["dev", "--port", "0", "--data-dir", "data", "--func", "--only", "auth,users"];
        let standins = self.path("standins");
        let path = format!("{}:/usr/bin:/bin", standins.display());
        coder(self.directory.path(), &arguments).env("PATH", path).env("STANDINS", standins).spawn().unwrap()
    }

    /// How the host at this port was started, a line for each variable.
    fn record(&self, port: u16) -> Vec<String> {
        let record = fs::read_to_string(self.path("standins").join(port.to_string())).unwrap();
        record.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_host_is_started_for_every_group_and_stopped_at_ctrl_c() {
    let project = Project::new(FUNC);
    let mut child = project.start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for _ in 0..2 {
        let host = lines.by_ref().find(|line| line.ends_with("now listening"));
        assert!(host.is_some(), "a host was not started: {}", ended(child));
    }
    let data = fs::canonicalize(project.path("data")).unwrap();
    for (group, port) in [("auth", 3022), ("users", 3023)] {
        let record = project.record(port);
        let has = |line: &str| assert!(record.iter().any(|one| one == line), "no `{line}` in {record:#?}");
        let folder = data.join("func").join(group);
        has(&format!("arguments=start --port {port} --functions http"));
        has(&format!("folder={}", folder.display()));
        has("FUNCTIONS_WORKER_RUNTIME=custom");
        has("AzureFunctionsJobHost__customHandler__description__defaultExecutablePath=handler");
        has("CODER_UPSTREAM_AUTH=http://127.0.0.1:3022");
        has("CODER_UPSTREAM_USERS=http://127.0.0.1:3023");
        let value = |name: &str| record.iter().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(fs::canonicalize(value("CODER_DATA_DIR=")).unwrap(), data);
        assert!(value("CODER_PUBLIC_URL=").starts_with("http://127.0.0.1:"));
        // What the host reads lies where it is started.
        for file in ["host.json", "http/function.json", "handler", "local.settings.json"] {
            assert!(folder.join(file).is_file(), "{group}: no {file}");
        }
    }
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    // The rest is read, so that it never waits for a full pipe.
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for port in [3022, 3023] {
        let asked = fs::read_to_string(project.path("standins").join(format!("{port}.stopped")));
        assert_eq!(asked.unwrap(), "asked\n", "the host at {port} was killed");
    }
}

#[test]
fn a_host_that_ends_takes_the_rest_along_and_its_words_are_shown() {
    let project = Project::new(FAILING);
    let mut child = project.start();
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    let error = ended(child);
    assert!(
        error.contains("exit status: 1") && error.contains("has ended; its lines above say why"),
        "{error}"
    );
    assert!(shown.contains("missing value for AzureWebJobsStorage"), "{shown}");
}

fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr))
}
