//! What the embedded providers need of this machine.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use coder_config::Settings;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Finding, PATIENCE, handlers};

/// The check of the data directory, without which there is no store.
pub(super) const DATA: &str = "data directory";

/// Whether the directory is there, or can be made, and can be written to. Leaves nothing behind.
pub(super) fn data_directory(directory: &Path) -> Finding {
    let shown = directory.display();
    let found = if directory.exists() {
        try_writing(directory).map(|()| format!("`{shown}` can be written to"))
    } else {
        let above =
            directory.ancestors().skip(1).find(|above| above.as_os_str().is_empty() || above.exists());
        let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        try_writing(above).map(|()| format!("`{shown}` will be made at the first start"))
    };
    let finding = match found {
        Ok(what) => Finding::good(DATA, what),
        Err(cause) => Finding::faulty(
            DATA,
            format!("`{shown}` cannot be written to: {cause}"),
            "choose another folder, or give this user the right to write to it",
        ),
    };
    finding.set_by("CODER_DATA_DIR")
}

fn try_writing(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".coder-doctor-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&file)?;
    fs::remove_file(&file)
}

/// Whether the gateway could listen, or does.
pub(super) async fn port(port: u16) -> Finding {
    let check = "port";
    let finding = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(_) if port == 0 => Finding::good(check, "any free one"),
        Ok(_) => Finding::good(check, format!("{port} is free")),
        Err(_) if handlers::is_platform(&format!("http://127.0.0.1:{port}")).await => {
            Finding::good(check, format!("a platform listens on {port} already"))
        }
        Err(cause) => Finding::faulty(
            check,
            format!("{port} cannot be listened on: {cause}"),
            "stop the program that uses it, or choose another port (0 takes any free one)",
        ),
    };
    finding.set_by("CODER_PORT")
}

/// Whether the mail server lets itself be reached; nothing if there is none.
pub(super) async fn mail(settings: &Settings) -> Option<Finding> {
    let check = "mail";
    let smtp = settings.smtp.as_ref()?;
    let address = format!("{}:{}", smtp.host, smtp.port);
    let began = Instant::now();
    let cause = match timeout(PATIENCE, TcpStream::connect((smtp.host.as_str(), smtp.port))).await {
        Ok(Ok(_)) => None,
        Ok(Err(cause)) => Some(cause.to_string()),
        Err(_) => Some("no answer in time".to_owned()),
    };
    let finding = match cause {
        None => {
            let latency_ms = u64::try_from(began.elapsed().as_millis()).ok();
            Finding { latency_ms, ..Finding::good(check, format!("{address} accepts connections")) }
        }
        Some(cause) => Finding::faulty(
            check,
            format!("{address} cannot be reached: {cause}"),
            "correct host and port, or let this machine through to them",
        ),
    };
    Some(finding.set_by("CODER_SMTP_URL"))
}
