use std::io::Read as _;

use super::app::{App, Host};
use super::*;

/// A project with the files that every app shares.
fn project() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::create_dir(directory.path().join("functions")).unwrap();
    for name in ["host.json", "functions/function.json"] {
        fs::copy(root.join(name), directory.path().join(name)).unwrap();
    }
    directory
}

fn users() -> Group {
    coder_platform::route_groups().into_iter().find(|group| group.name == "users").unwrap()
}

fn apps(project: &Path) -> App {
    App::of(&users(), &Host::read(project).unwrap(), b"the handler".to_vec()).unwrap()
}

#[test]
fn an_app_has_a_folder_for_each_function_beside_the_handler() {
    let project = project();
    let app = apps(project.path());
    assert_eq!(app.functions[..3], ["http", "on-event", "on-dead-letter"]);
    assert!(
        app.functions.contains(&"every-expire".to_owned()) && app.functions.contains(&"run-job".to_owned())
    );
    let files: Vec<&str> = app.entries.keys().map(String::as_str).collect();
    assert_eq!(files.len(), app.functions.len() + 2);
    assert!(files.contains(&"host.json") && files.contains(&"handler"), "{files:?}");
    for function in &app.functions {
        let text = &app.entries[&format!("{function}/function.json")].bytes;
        let value: serde_json::Value = serde_json::from_slice(text).unwrap();
        let triggers = value["bindings"].as_array().unwrap().iter();
        let triggers = triggers.filter(|one| one["type"].as_str().unwrap().ends_with("Trigger"));
        assert_eq!(triggers.count(), 1, "{function}");
    }
    assert!(app.entries.iter().all(|(name, entry)| entry.executable == (name == "handler")));
}

#[cfg(unix)]
#[test]
fn only_the_handler_of_a_written_app_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project();
    let folder = project.path().join("dist/users");
    apps(project.path()).write(&folder).unwrap();
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("handler"), 0o755);
    assert_eq!(mode("host.json") & 0o111, 0);
    assert_eq!(fs::read(folder.join("handler")).unwrap(), b"the handler");
}

#[test]
fn the_zip_of_the_same_files_is_the_same_and_keeps_the_mode() {
    let project = project();
    let app = apps(project.path());
    let (first, second) = (project.path().join("first.zip"), project.path().join("second.zip"));
    let size = archive::write(&first, &app.entries).unwrap();
    archive::write(&second, &app.entries).unwrap();
    let bytes = fs::read(&first).unwrap();
    assert_eq!(bytes.len() as u64, size);
    assert!(bytes == fs::read(&second).unwrap(), "the same files made another zip");
    let mut zip = zip::ZipArchive::new(fs::File::open(&first).unwrap()).unwrap();
    assert_eq!(zip.len(), app.entries.len());
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for name in names {
        let mut entry = zip.by_name(&name).unwrap();
        let mode = if name == "handler" { 0o100_755 } else { 0o100_644 };
        assert_eq!(entry.unix_mode(), Some(mode), "{name}");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!(content, app.entries[&name].bytes, "{name}");
    }
    let mut changed = app.entries.clone();
    changed.get_mut("handler").unwrap().bytes.push(b'!');
    archive::write(&second, &changed).unwrap();
    assert!(bytes != fs::read(&second).unwrap());
    assert!(!project.path().join("first.zip.partial").exists());
}

#[test]
fn a_slip_in_the_folder_deletes_nothing() {
    let project = project();
    let options = |out: &str| Options {
        project: project.path().to_owned(),
        groups: vec!["users".into()],
        out: project.path().join(out),
        profile: Profile::named("dev"),
        skip_build: true,
        azure: false,
        archive: true,
    };
    let sources = project.path().join("functions/users");
    fs::create_dir(&sources).unwrap();
    fs::write(sources.join("Cargo.toml"), "").unwrap();
    for name in ["Cargo.toml", "host.json"] {
        fs::write(sources.join(name), "").unwrap();
        let error = package(&options("functions"), |_| {}).unwrap_err().to_string();
        assert!(error.contains("--out") && sources.join("Cargo.toml").exists(), "{error}");
    }
}

#[test]
fn what_is_no_project_is_refused_with_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let error = Host::read(empty.path()).unwrap_err().to_string();
    assert!(error.contains("host.json") && error.contains("project's folder"), "{error}");
    let project = project();
    for handler in ["", "./handler", "bin/handler", "%HANDLER%"] {
        let host = serde_json::json!({"customHandler": {"description": {"defaultExecutablePath": handler}}});
        fs::write(project.path().join("host.json"), host.to_string()).unwrap();
        let error = Host::read(project.path()).unwrap_err().to_string();
        assert!(error.contains("defaultExecutablePath"), "{error}");
    }
    fs::write(project.path().join("host.json"), "{").unwrap();
    assert!(Host::read(project.path()).unwrap_err().to_string().contains("no JSON"));
}
