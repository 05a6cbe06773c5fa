//! The client against a server on this machine that says whatever a test wants.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use coder_core::{Code, Failure};
use reqwest::dns::Resolve as _;
use url::Url;

use super::{BasicCredentials, GuardedResolver, OutboundError, OutboundHttp as _, RefusedAnswer, SafeHttp};

/// Answers one connection with these bytes; the thread's result is the request.
fn serve(answer: Vec<u8>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                // The client may have hung up already: that is what some tests are about.
                drop(stream.write_all(&answer));
                return text;
            }
        }
    });
    (address, server)
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn client(max_bytes: usize) -> SafeHttp {
    SafeHttp::with_limits(true, Duration::from_secs(5), max_bytes).unwrap()
}

#[tokio::test]
async fn posts_a_form_with_credentials() {
    let (address, server) = serve(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno".to_vec());
    let password = "s3cret".into();
    let credentials = BasicCredentials { name: "client", password: &password };
    let form = [("code", "a b&c"), ("grant_type", "authorization_code")];
    let response =
        client(100).post_form(&url(&format!("http://{address}/token")), &form, Some(credentials)).await;
    let response = response.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (400, b"no".as_slice()));
    let request = server.join().unwrap().to_lowercase();
    assert!(request.starts_with("post /token http/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.contains(&"authorization: Basic Y2xpZW50OnMzY3JldA==\r\n".to_lowercase()), "{request}");
    assert!(request.ends_with("\r\n\r\ncode=a+b%26c&grant_type=authorization_code"), "{request}");
}

#[tokio::test]
async fn follows_no_redirect() {
    let (address, server) = serve(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n".to_vec(),
    );
    assert_eq!(client(100).get(&url(&format!("http://{address}/"))).await.unwrap().status, 302);
    server.join().unwrap();
}

#[tokio::test]
async fn stops_reading_at_the_limit() {
    let body = "x".repeat(100);
    let exact = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{body}");
    let (address, _server) = serve(exact.into_bytes());
    assert_eq!(client(100).get(&url(&format!("http://{address}/"))).await.unwrap().body.len(), 100);

    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n{body}y");
    let chunked =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\n{body}\r\n1\r\ny\r\n0\r\n\r\n");
    for answer in [announced, chunked] {
        let (address, _server) = serve(answer.into_bytes());
        assert_eq!(client(100).get(&url(&format!("http://{address}/"))).await, Err(OutboundError::TooLarge));
    }
}

#[tokio::test]
async fn gives_up_in_time() {
    // Nobody accepts: the kernel takes the connection, the answer never comes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let http = SafeHttp::with_limits(true, Duration::from_millis(50), 100).unwrap();
    let result = http.get(&url(&format!("http://{}/", listener.local_addr().unwrap()))).await;
    assert_eq!(result, Err(OutboundError::Timeout));
}

#[tokio::test]
async fn a_closed_port_is_a_failure_that_says_nothing_to_the_caller() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = client(100).get(&url(&format!("http://127.0.0.1:{port}/"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::Failed(_)), "{error}");
    let failure = Failure::from(error);
    assert_eq!(failure.code(), Some(Code::UpstreamFailed));
    assert!(!failure.to_string().contains("127.0.0.1"), "{failure}");
    assert_eq!(Failure::from(OutboundError::Timeout).code(), Some(Code::UpstreamTimeout));
}

#[tokio::test]
async fn refuses_addresses_by_form() {
    let strict = SafeHttp::new(false).unwrap();
    for (address, reason) in [
        ("http://example.com/", "it is not https"),
        ("ftp://example.com/", "it is not https"),
        ("file:///etc/passwd", "it has no host"),
        ("https://user:password@example.com/", "it carries a password"),
        ("https://user@example.com/", "it carries a password"),
        ("https://127.0.0.1/", "it is not a public one"),
        ("https://2130706433/", "it is not a public one"),
        ("https://0x7f.1/", "it is not a public one"),
        ("https://0177.0.0.1/", "it is not a public one"),
        ("https://169.254.169.254/metadata", "it is not a public one"),
        ("https://168.63.129.16/", "it is not a public one"),
        ("https://10.0.0.1:8443/", "it is not a public one"),
        ("https://[::1]/", "it is not a public one"),
        ("https://[::ffff:10.0.0.1]/", "it is not a public one"),
        ("https://[fd00:ec2::254]/", "it is not a public one"),
        ("http://127.0.0.1/", "it is not a public one"),
    ] {
        assert_eq!(strict.get(&url(address)).await, Err(OutboundError::Refused(reason)), "{address}");
    }
}

#[tokio::test]
async fn refuses_a_name_that_leads_home() {
    let strict = SafeHttp::new(false).unwrap();
    let result = strict.get(&url("https://localhost/")).await;
    assert_eq!(result, Err(OutboundError::Refused("it is not a public one")));
}

#[tokio::test]
async fn the_resolver_refuses_a_name_that_leads_home() {
    let strict = GuardedResolver { allow_loopback: false };
    let found = strict.resolve("localhost".parse().unwrap()).await;
    assert!(found.is_err_and(|error| error.is::<RefusedAnswer>()));
}

#[tokio::test]
async fn development_opens_this_machine_and_nothing_else() {
    let open = client(100);
    let (address, _server) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec());
    let by_name = format!("http://localhost:{}/", address.port());
    assert_eq!(open.get(&url(&by_name)).await.unwrap().status, 200);
    for (address, reason) in [
        ("http://example.com/", "it is not https"),
        ("http://localhost.example.com/", "it is not https"),
        ("https://10.0.0.1/", "it is not a public one"),
        ("http://169.254.169.254/", "it is not a public one"),
        ("http://[::ffff:127.0.0.1]/", "it is not a public one"),
    ] {
        assert_eq!(open.get(&url(address)).await, Err(OutboundError::Refused(reason)), "{address}");
    }
}

#[tokio::test]
async fn a_posted_body_arrives_with_its_headers() {
    let (address, server) = serve(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    let url = Url::parse(&format!("http://{address}/hook")).unwrap();
    let client = SafeHttp::new(true).unwrap();
    let headers = [("content-type", "application/cloudevents+json".to_owned())];
    let answer = client.post(&url, &headers, b"{}".to_vec()).await.unwrap();
    let request = server.join().unwrap();
    assert_eq!(answer.status, 204);
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/cloudevents+json\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{}"), "{request}");
}

#[tokio::test]
async fn an_address_is_checked_without_a_call() {
    let refused = Err(OutboundError::Refused("it is not a public one"));
    let client = SafeHttp::new(false).unwrap();
    for url in [
        "https://169.254.169.254/",
        "https://[::ffff:127.0.0.1]/",
        "https://localhost/",
        "https://localhost./",
        "https://anything.localhost/",
        "https://2130706433/",
    ] {
        assert_eq!(client.check(&Url::parse(url).unwrap()).await, refused, "{url}");
    }
    let plain = client.check(&Url::parse("http://1.1.1.1/").unwrap()).await;
    assert_eq!(plain, Err(OutboundError::Refused("it is not https")));
    assert_eq!(client.check(&Url::parse("https://1.1.1.1/").unwrap()).await, Ok(()));
    assert_eq!(SafeHttp::new(true).unwrap().check(&Url::parse("http://localhost/").unwrap()).await, Ok(()));
}
