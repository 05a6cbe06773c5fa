//! A handler with the cloud's services linked: how long it takes from its start until it answers, what memory it has
//! then, and how large it is. None of the services is there, and none is needed before it is first used.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::clock::{now, percentile};
use crate::load::{first_answer, get};
use crate::peers::{free_port, mebibytes};
use crate::process::Process;
use crate::start::{CALM, MASTER_KEY, MEMORY_MIB, build};
use crate::table::Table;

const STARTS: usize = 15;
const START_MS: f64 = 25.0;
const SIZE_MIB: f64 = 16.0;
/// Settings of an app, with services that nobody has.
const SETTINGS: [(&str, &str); 6] = [
    ("CODER_COSMOS_ENDPOINT", "https://nobody.documents.azure.com:443/"),
    ("CODER_SERVICEBUS_NAMESPACE", "nobody.servicebus.windows.net"),
    ("CODER_KEYVAULT_URL", "https://nobody.vault.azure.net"),
    ("CODER_REDIS_HOST", "nobody.redis.azure.net"),
    ("AZURE_CLIENT_ID", "01990c3a-7e3a-7c11-9d2f-5b6a7c8d9e0f"),
    ("CODER_MASTER_KEY", MASTER_KEY),
];

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let binary = build(&["--features", "azure"])?;
    let (mut took, mut memory) = (Vec::new(), 0.0);
    for _ in 0..STARTS {
        let begin = now();
        let server = start(&binary, free_port()?)?;
        first_answer(server.url(), || get("/", "")).await?;
        took.push(begin.elapsed());
        tokio::time::sleep(CALM).await;
        memory = server.memory()?;
    }
    let start = percentile(&mut took, 50).as_secs_f64() * 1e3;
    let of = |what: &str| format!("{what}, with the cloud's services");
    table
        .row(of("a handler's start until it answers"), format!("{start:.1} ms"))
        .figure(start, " ms")
        .at_most(START_MS);
    table
        .row(of("memory of an idle handler"), format!("{memory:.1} MiB"))
        .figure(memory, " MiB")
        .at_most(MEMORY_MIB);
    let size = mebibytes(&binary)?;
    table.row(of("a handler on disk"), format!("{size:.1} MiB")).figure(size, " MiB").at_most(SIZE_MIB);
    Ok(())
}

fn start(binary: &Path, port: u16) -> anyhow::Result<Process> {
    let mut command = Command::new(binary);
    command.envs(SETTINGS).env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string());
    command.stdout(Stdio::null()).current_dir(std::env::temp_dir());
    Process::spawn(&mut command, format!("http://127.0.0.1:{port}"))
}
