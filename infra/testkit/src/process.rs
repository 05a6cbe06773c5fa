//! A handler binary as the Functions host starts it: a process of its own on a port of the host's choice.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running handler; dropped, it is killed, as the host does it.
#[derive(Debug)]
pub struct HandlerProcess {
    /// Where it listens.
    pub url: String,
    child: Child,
}

impl HandlerProcess {
    /// Starts a binary on a free port and waits until it listens.
    pub fn start(executable: &str, data_dir: &Path, variables: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut child = match command(executable, data_dir, port, variables).stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => panic!("`{executable}` does not start: {error}"),
        };
        let Some(output) = child.stdout.take() else { panic!("no output") };
        let mut lines = BufReader::new(output).lines();
        let listens = lines.by_ref().map_while(Result::ok).any(|line| line.contains("listening"));
        assert!(listens, "`{executable}` ended before it listened");
        // The rest is read, so that the process never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { url: format!("http://127.0.0.1:{port}"), child }
    }

    /// Runs a binary that is expected to give up; answers its exit code and what it says on standard error.
    pub fn refused(
        executable: &str,
        data_dir: &Path,
        port: u16,
        variables: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        match command(executable, data_dir, port, variables).output() {
            Ok(output) => (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => panic!("`{executable}` does not start: {error}"),
        }
    }
}

impl Drop for HandlerProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn command(executable: &str, data_dir: &Path, port: u16, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(executable);
    command
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
        .env("CODER_DATA_DIR", data_dir)
        .envs(variables.iter().copied())
        .current_dir(data_dir)
        .stdin(Stdio::null());
    command
}

fn free_port() -> u16 {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()) {
        Ok(address) => address.port(),
        Err(error) => panic!("no free port: {error}"),
    }
}
