//! The server's certificate is checked.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coder_azure::redis::{Redis, RedisOptions};
use coder_core::Ambient;

use crate::doubles::redis::{Server, missing};

/// An authority, and a certificate that it gave to `localhost`.
fn certificates(directory: &Path) -> Option<()> {
    let run = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
        let Ok(output) = output else {
            missing("openssl", "openssl");
            return None;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
        .unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc";
    run(&format!("req -x509 {key} -days 2 -subj /CN=authority -keyout authority.key -out authority.pem"))?;
    run(&format!("req -new {key} -subj /CN=localhost -keyout server.key -out server.csr"))?;
    run(
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names -out server.pem",
    )
}

#[tokio::test]
async fn only_a_server_with_a_trusted_certificate_of_its_name_is_talked_to() {
    let directory = tempfile::tempdir().unwrap();
    let Some(()) = certificates(directory.path()) else { return };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = |name: &str| directory.path().join(name).display().to_string();
    let Some(_server) = Server::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("authority.pem"),
    ]) else {
        return;
    };
    let authority = std::fs::read(directory.path().join("authority.pem")).unwrap();
    let reaches = async |host: &str, authority: Option<&Vec<u8>>| {
        let patience = Duration::from_secs(10);
        let url = format!("rediss://{host}:{port}");
        let options = RedisOptions { patience, authority: authority.cloned(), ..RedisOptions::new(url) };
        Redis::new(options, None, Ambient::system()).unwrap().is_reachable().await
    };
    assert!(reaches("localhost", Some(&authority)).await);
    assert!(!reaches("localhost", None).await, "an authority that nobody trusts");
    assert!(!reaches("127.0.0.1", Some(&authority)).await, "a certificate of another name");
}
