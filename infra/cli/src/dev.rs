//! `coder dev`: the whole platform in one process.

use std::path::Path;

use anyhow::{Context as _, bail};
use coder_config::Settings;
use coder_core::Ambient;
use coder_platform::{Options, Platform, route_groups};
use coder_users::seed::Seeded;

use crate::arguments::Dev;
use crate::signals::StopSignals;
use crate::{func, seed, terminal};

/// Starts the platform and runs it until it is told to stop.
pub(crate) fn run(options: Dev) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(start(options))
}

async fn start(options: Dev) -> anyhow::Result<()> {
    // Before anything is said to be ready: a signal must not find the platform without an ear for it.
    let mut stop = StopSignals::listen().context("cannot listen for signals")?;
    let mut settings = Settings::load(Path::new("."))?;
    // Under a Functions host the platform process is the handler of one app, on the host's port.
    settings.port = options.port.or(settings.handler_port).unwrap_or(settings.port);
    if let Some(directory) = options.data_dir {
        settings.data_dir = directory;
    }
    let ambient = Ambient::system();
    coder_startup::handler::start_logging(&settings, &ambient)?;
    if options.func {
        return func::run(settings, options.only, &mut stop).await;
    }
    if options.seed && settings.is_production() {
        bail!("`--seed` makes an account with a known password, which is for development only; leave it out");
    }
    let data_dir = settings.data_dir.clone();
    let mail_kept = settings.smtp.is_none();
    let only = options.only.into_iter().collect();
    let platform = Platform::start(Options { settings, ambient, groups: route_groups(), only }).await?;
    if let Some(auth) = platform.service::<coder_auth::Auth>("auth") {
        // Making the first signing key takes a second; a sign-in that comes sooner waits for it.
        tokio::spawn(async move { auth.warm_up().await });
    }
    let seeded = if options.seed { Some(seed::run(&platform.url()).await?) } else { None };
    greet(&platform, &data_dir, mail_kept, seeded).await?;
    stop.requested().await;
    terminal::line("stopping: finishing what runs");
    platform.stop().await;
    Ok(())
}

async fn greet(
    platform: &Platform,
    data_dir: &Path,
    mail_kept: bool,
    seeded: Option<Seeded>,
) -> anyhow::Result<()> {
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
    if let Some(Seeded { made, there }) = seeded {
        terminal::line(&format!("  demonstration  {made} things made, {there} there already; sign in as"));
        terminal::line(&format!("                 {} with `{}`", seed::EMAIL, seed::PASSWORD));
        terminal::line("");
    }
    how_to_sign_in(platform, &url).await?;
    terminal::line("Ctrl-C stops it");
    Ok(())
}

/// The first step of a newcomer: the setup token of an empty store, or registration.
async fn how_to_sign_in(platform: &Platform, url: &str) -> anyhow::Result<()> {
    let Some(auth) = platform.service::<coder_auth::Auth>("auth") else { return Ok(()) };
    terminal::line("To sign in first, register:");
    let body = r#"{"email":"you@example.com","password":"a long enough passphrase","displayName":"You","organizationName":"Acme"}"#;
    terminal::line(&format!(
        "  curl -s {url}/api/auth/register -H 'content-type: application/json' -d '{body}'"
    ));
    let token = auth.setup_token().await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    if let Some(token) = token {
        terminal::line("or, once, become the owner of this installation:");
        let body = format!(
            r#"{{"setupToken":"{token}","email":"you@example.com","password":"…","displayName":"You","organizationName":"Acme"}}"#
        );
        terminal::line(&format!(
            "  curl -s {url}/api/auth/bootstrap -H 'content-type: application/json' -d '{body}'"
        ));
    }
    terminal::line("");
    Ok(())
}
