//! `bicep/deploy` with stand-ins for `az` and `curl`: what it asks for, in which order, and what it does when something
//! goes wrong.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Writes down what it is asked, and answers as Azure does. A package takes a while, so that several are under way.
const AZ: &str = r#"#!/usr/bin/env bash
echo "az $*" >> "$STANDINS/log"
case "$*" in
"functionapp list-flexconsumption-runtimes"*) echo "${RUNTIME:-1.0}" ;;
"deployment group create"*vault-first*) echo /subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v ;;
"rest --method get"*) [[ ! ${NO_KEY:-} || -f $STANDINS/key ]] ;;
"rest --method put"*) touch "$STANDINS/key" ;;
"deployment sub show"*) cat "$STANDINS/outputs.json" ;;
"apim list"*) echo apim-coder-dev-1 ;;
"functionapp deployment source config-zip"*)
    all=$*
    name=${all#*--name }
    [[ ! ${REFUSE:-} || $name != *$REFUSE* ]] || exit 1
    sleep 0.2
    echo "taken ${name%% *} $(cat "${@: -3:1}")" >> "$STANDINS/log"
    ;;
esac
"#;

/// A gateway that is well, but for the group that is named.
const CURL: &str = r#"#!/usr/bin/env bash
echo "curl ${*: -1}" >> "$STANDINS/log"
case "$*" in
*--write-out*)
    if [[ ${SICK:-} && ${*: -1} == *"/api/$SICK/"* ]]; then printf '500 text/html'; else printf '401 application/problem+json'; fi ;;
esac
"#;

/// A place from which is deployed: the scripts, packages, and the stand-ins.
struct Site {
    folder: PathBuf,
    groups: Vec<String>,
}

impl Drop for Site {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

impl Site {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rollout-{name}"));
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(folder.join("standins")).unwrap();
        let bicep = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bicep");
        assert!(Command::new("cp").args(["-r", bicep]).arg(folder.join("bicep")).status().unwrap().success());
        let parameters = folder.join("bicep/main.dev.parameters.json");
        let text = fs::read_to_string(&parameters).unwrap();
        fs::write(&parameters, text.replace("00000000-0000-0000", "12345678-0000-0000")).unwrap();
        for (tool, script) in [("az", AZ), ("curl", CURL)] {
            let path = folder.join("standins").join(tool);
            fs::write(&path, script).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let manifest = crate::deployment::read_json("platform.json");
        let groups = manifest["groups"].as_array().unwrap().iter();
        let groups: Vec<String> = groups.map(|group| group["name"].as_str().unwrap().to_owned()).collect();
        let apps = groups.iter().map(|group| {
            serde_json::json!({"group": group, "name": format!("func-{group}"), "hostName": format!("{group}.example")})
        });
        let outputs = serde_json::json!({
            "gateway": {"value": "apim-coder-dev-1"}, "url": {"value": "https://coder.example"},
            "apps": {"value": apps.collect::<Vec<_>>()},
        });
        fs::write(folder.join("standins/outputs.json"), outputs.to_string()).unwrap();
        Self { folder, groups }
    }

    /// New packages: the text of each says which release it is.
    fn build(&self, release: &str) {
        fs::create_dir_all(self.folder.join("dist")).unwrap();
        for group in &self.groups {
            let text = format!("{group}-{release}");
            fs::write(self.folder.join(format!("dist/{group}.zip")), text).unwrap();
        }
    }

    /// Runs `deploy`; gives how it ended, and what was asked meanwhile.
    fn deploy(&self, arguments: &str, variables: &[(&str, &str)], typed: &str) -> (Output, Vec<String>) {
        let standins = self.folder.join("standins");
        let log = standins.join("log");
        fs::remove_file(&log).ok();
        let path = format!("{}:{}", standins.display(), env!("PATH"));
        let mut child = Command::new(self.folder.join("bicep/deploy"))
            .args(arguments.split(' '))
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("STANDINS", &standins)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever asks for nothing may have ended.
        child.stdin.take().unwrap().write_all(typed.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        let lines = fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect();
        (output, lines)
    }

    fn done(&self, arguments: &str) -> Vec<String> {
        let (output, lines) = self.deploy(arguments, &[], "");
        assert!(output.status.success(), "{}", error(&output));
        lines
    }

    fn refused(&self, arguments: &str, variables: &[(&str, &str)], words: &[&str]) -> Vec<String> {
        let (output, lines) = self.deploy(arguments, variables, "");
        let error = error(&output);
        assert!(!output.status.success(), "{arguments} was done");
        for word in words {
            assert!(error.contains(word), "no `{word}` in: {error}");
        }
        lines
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where the first line stands that has all these words.
#[track_caller]
fn at(lines: &[String], words: &[&str]) -> usize {
    let found = lines.iter().position(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("no {words:?} in {lines:#?}"))
}

#[test]
fn everything_is_put_up_in_order_and_proven() {
    let site = Site::new("up");
    site.build("1");
    let lines = site.done("up dev");
    let resources = at(&lines, &["deployment sub create", "main.bicep"]);
    assert!(at(&lines, &["list-flexconsumption-runtimes"]) < resources);
    assert!(at(&lines, &["vault-first"]) < resources);
    assert!(!lines.iter().any(|line| line.contains("--method put")), "the key that is there was replaced");
    // `auth` alone, then at most four at a time.
    let first = at(&lines, &["config-zip"]);
    assert!(lines[first].contains("func-auth") && resources < first, "{}", lines[first]);
    assert_eq!(lines[first + 1], "taken func-auth auth-1");
    let mut under_way = 0;
    for line in &lines[first..] {
        under_way += i32::from(line.contains("config-zip")) - i32::from(line.starts_with("taken"));
        assert!(under_way <= 4, "{under_way} at a time");
    }
    for group in &site.groups {
        let taken = at(&lines, &["taken", &format!("{group}-1")]);
        let api =
            at(&lines, &["deployment group create", &format!("api-{group}"), &format!("{group}.example")]);
        let asked = at(&lines, &["curl", &format!("https://coder.example/api/{group}/operations/jobs")]);
        assert!(taken < api && api < asked, "{group}: {lines:#?}");
        let kept = site.folder.join(format!("dist/released/dev/last/{group}.zip"));
        assert_eq!(fs::read_to_string(kept).unwrap(), format!("{group}-1"));
    }
    at(&lines, &["curl https://coder.example/health/live"]);
    at(&lines, &["curl https://coder.example/api/auth/.well-known/openid-configuration"]);
}

#[test]
fn a_first_time_makes_the_key_and_a_wrong_region_is_refused() {
    let site = Site::new("first");
    let (output, lines) = site.deploy("infrastructure dev", &[("NO_KEY", "1")], "");
    assert!(output.status.success(), "{}", error(&output));
    assert!(at(&lines, &["rest --method put", "coder-master-key"]) < at(&lines, &["deployment sub create"]));
    let lines =
        site.refused("infrastructure dev", &[("RUNTIME", "0.9")], &["runtime custom 1.0", "location"]);
    assert!(!lines.iter().any(|line| line.contains("create")), "{lines:#?}");
}

#[test]
fn a_release_goes_back_to_the_one_before() {
    let site = Site::new("back");
    site.refused("roll-back dev", &[], &["nothing was published twice", "--packages"]);
    for release in ["1", "2"] {
        site.build(release);
        site.done("packages dev");
    }
    let lines = site.done("roll-back dev usage");
    let taken: Vec<_> = lines.iter().filter(|line| line.starts_with("taken")).collect();
    assert_eq!(taken, ["taken func-usage usage-1"]);
    at(&lines, &["curl", "/api/usage/operations/jobs"]);
    let lines = site.done("roll-back dev");
    assert_eq!(at(&lines, &["taken"]), at(&lines, &["taken func-auth auth-1"]));
    for group in &site.groups {
        at(&lines, &[&format!("taken func-{group} {group}-1")]);
    }
}

#[test]
fn what_goes_wrong_is_named_with_what_to_do() {
    let site = Site::new("wrong");
    site.refused("packages dev", &[], &["dist/auth.zip", "coder package auth"]);
    site.build("1");
    let lines = site.refused("up dev", &[("REFUSE", "func-usage")], &["a package was not taken"]);
    assert!(!lines.iter().any(|line| line.contains("api-usage")), "went on: {lines:#?}");
    let words = ["usage answered `500 text/html`", "bicep/deploy roll-back dev usage"];
    site.refused("smoke dev", &[("SICK", "usage")], &words);
    site.refused("smoke dev nobody", &[], &["no group `nobody`", "auth"]);
    site.refused("smoke stage", &[], &["main.stage.parameters.json"]);
    let parameters = site.folder.join("bicep/main.dev.parameters.json");
    let text = fs::read_to_string(&parameters).unwrap();
    fs::write(&parameters, text.replace("12345678-", "00000000-")).unwrap();
    assert_eq!(site.refused("up dev", &[], &["platformClientId", "docs/deploy.md"]), Vec::<String>::new());
}

#[test]
fn nothing_is_torn_down_by_a_slip() {
    let site = Site::new("down");
    for typed in ["", "prod\n", "de\n"] {
        let (output, lines) = site.deploy("tear-down dev", &[], typed);
        assert!(!output.status.success(), "{typed}");
        assert!(!lines.iter().any(|line| line.contains("delete")), "{typed}: {lines:#?}");
    }
    let (output, lines) = site.deploy("tear-down dev", &[], "dev\n");
    assert!(output.status.success(), "{}", error(&output));
    let gone = at(&lines, &["group delete --name rg-coder-dev --yes"]);
    assert!(
        at(&lines, &["apim list"]) < gone && gone < at(&lines, &["deletedservice purge", "apim-coder-dev-1"])
    );
}
