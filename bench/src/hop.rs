//! A hop through the gateway to a handler at another address, beside the same hop through nginx.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::compare::{Figure, Subject, alternate};
use crate::load::{Until, first_answer, get};
use crate::peers::{free_port, runs};
use crate::process::Process;
use crate::table::Table;
use crate::teams::text;

const ROUNDS: usize = 9;
const ROUND: Until = Until::Time(Duration::from_millis(500));
const WHAT: &str = "a hop to another process";

/// Both proxies before the same handler.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let handler = Process::own(&["bare"])?;
    let gateway = Process::own(&["hop", handler.url()])?;
    let message = |_| get("/api/calendar/answer", "");
    let ours = || Subject::new(gateway.url(), [&gateway], message);
    // Debian has it where only root looks.
    let Some(program) = ["nginx", "/usr/sbin/nginx"].into_iter().find(|program| runs(program)) else {
        let [ours] = alternate([ours()], ROUNDS, ROUND).await?;
        table.row(WHAT, ours.to_string()).beside("nginx is not installed");
        return Ok(());
    };
    let directory = tempfile::tempdir()?;
    let port = free_port()?;
    let configuration = directory.path().join("nginx.conf");
    std::fs::write(&configuration, nginx(directory.path(), port, handler.url())?)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(directory.path()).arg("-c").arg(&configuration).args(["-e", "stderr"]);
    let nginx = Process::spawn(&mut command, format!("http://127.0.0.1:{port}"))?;
    first_answer(nginx.url(), || message(0)).await?;
    let [ours, nginx]: [Figure; 2] =
        alternate([ours(), Subject::new(nginx.url(), [&nginx], message)], ROUNDS, ROUND).await?;
    table
        .row(WHAT, ours.to_string())
        .beside(format!("nginx {nginx}"))
        .figure(ours.microseconds / nginx.microseconds, " × its CPU")
        .at_most(1.0);
    Ok(())
}

/// As many workers as the gateway has threads; connections to the handler stay open; each request gets an id and
/// says whom it is for, as with the gateway.
fn nginx(directory: &Path, port: u16, handler: &str) -> anyhow::Result<String> {
    let (directory, handler) = (text(directory)?, handler.trim_start_matches("http://"));
    let workers = std::thread::available_parallelism()?;
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|what| format!("{what}_temp_path {directory}/{what};")).join(" ");
    Ok(format!(
        "daemon off; worker_processes {workers}; pid {directory}/pid; error_log stderr warn;
         events {{ worker_connections 1024; }}
         http {{
           access_log off; server_tokens off; keepalive_requests 1000000000; {temporary}
           client_max_body_size 1m; large_client_header_buffers 4 32k;
           upstream handler {{ server {handler}; keepalive 64; keepalive_requests 1000000000; }}
           server {{
             listen 127.0.0.1:{port} backlog=1024;
             location /api/calendar/ {{
               proxy_pass http://handler; proxy_http_version 1.1; proxy_set_header Connection \"\";
               proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Request-Id $request_id;
               add_header X-Content-Type-Options nosniff always; add_header Referrer-Policy no-referrer always;
               add_header Cache-Control no-store always;
             }}
           }}
         }}\n"
    ))
}
