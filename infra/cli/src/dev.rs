//! `coder dev`: the whole platform in one process.

use std::path::Path;

use anyhow::Context as _;
use coder_config::Settings;
use coder_core::Ambient;
use coder_platform::{Options, Platform, route_groups};

use crate::arguments::Dev;
use crate::terminal;

/// Starts the platform and runs it until it is told to stop.
pub(crate) fn run(options: Dev) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(start(options))
}

async fn start(options: Dev) -> anyhow::Result<()> {
    let mut settings = Settings::load(Path::new("."))?;
    if let Some(port) = options.port {
        settings.port = port;
    }
    if let Some(directory) = options.data_dir {
        settings.data_dir = directory;
    }
    let ambient = Ambient::system();
    coder_startup::handler::start_logging(&settings, &ambient)?;
    let data_dir = settings.data_dir.clone();
    let mail_kept = settings.smtp.is_none();
    let only = options.only.into_iter().collect();
    let platform = Platform::start(Options { settings, ambient, groups: route_groups(), only }).await?;
    greet(&platform, &data_dir, mail_kept).await?;
    tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")?;
    terminal::line("stopping: finishing what runs");
    platform.stop().await;
    Ok(())
}

async fn greet(platform: &Platform, data_dir: &Path, mail_kept: bool) -> anyhow::Result<()> {
    let url = platform.url();
    terminal::line(&format!("ready {url}"));
    terminal::line("");
    for group in &platform.assembly.groups {
        terminal::line(&format!("  {:<14} {url}/api/{}", group.name, group.name));
    }
    terminal::line("");
    terminal::line(&format!("  documentation  {url}/docs"));
    terminal::line(&format!("  data           {}", data_dir.display()));
    if mail_kept {
        terminal::line(&format!(
            "  mail           {} (no mail server is set)",
            data_dir.join("mail-outbox.jsonl").display()
        ));
    }
    terminal::line("");
    Ok(())
}
