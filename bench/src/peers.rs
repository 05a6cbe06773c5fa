//! The programs that the platform is measured against, and whether they are here.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::Process;

/// Gateway and service as Fastify would have them.
pub(crate) struct Fastify {
    directory: PathBuf,
    issuer: String,
}

impl Fastify {
    /// Takes the tokens of this issuer; why it cannot, in a few words. Its keys are a file in the data directory.
    pub(crate) fn find(issuer: &str) -> Result<Self, &'static str> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/fastify");
        if !runs("node") {
            return Err("node is not installed");
        }
        if !directory.join("node_modules/better-sqlite3/build/Release/better_sqlite3.node").exists() {
            return Err("run `npm ci` in bench/peers/fastify");
        }
        Ok(Self { directory, issuer: issuer.to_owned() })
    }

    /// The file of the issuer's keys.
    pub(crate) fn keys(data: &Path) -> PathBuf {
        data.join("jwks.json")
    }

    /// The service, with its store in this directory.
    pub(crate) fn service(&self, data: &Path, port: u16) -> Command {
        let mut command = self.command("service.js", data, port);
        command.env("DATA_DIR", data).env("SYNCHRONOUS", "FULL");
        command
    }

    /// The gateway before the service.
    pub(crate) fn gateway(&self, data: &Path, service: &Process) -> Command {
        let mut command = self.command("gateway.js", data, 0);
        command.env("UPSTREAM", service.url());
        command.env("LIMIT_PER_MINUTE", crate::scratch::UNLIMITED.to_string());
        command
    }

    fn command(&self, script: &str, data: &Path, port: u16) -> Command {
        let mut command = Command::new("node");
        command.arg(self.directory.join(script)).env("NODE_ENV", "production");
        command.env("PORT", port.to_string()).env("ISSUER", &self.issuer).env("JWKS", Self::keys(data));
        command
    }

    /// The size of what is installed besides Node, in MiB.
    pub(crate) fn size(&self) -> anyhow::Result<f64> {
        mebibytes(&self.directory)
    }
}

/// Whether there is such a program.
pub(crate) fn runs(program: &str) -> bool {
    let asked = Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// A port that nobody has at the moment.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The size of a file, or of all below a directory.
#[expect(clippy::cast_precision_loss, reason = "files are far smaller")]
pub(crate) fn mebibytes(path: &Path) -> anyhow::Result<f64> {
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Ok(found.len() as f64 / f64::from(1 << 20));
    }
    std::fs::read_dir(path)?.map(|entry| mebibytes(&entry?.path())).sum()
}
