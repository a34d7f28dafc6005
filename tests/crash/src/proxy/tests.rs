use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use ironkeel_invariants::Writer;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::fault::Applied;

/// What the server behind the proxy got: method, path, body.
type Got = Arc<Mutex<Vec<(String, String, Bytes)>>>;

/// A server that says which version each write made, and keeps what it got.
fn server() -> (Client, Got) {
    let got = Got::default();
    let kept = got.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let got = kept.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let mut got = got.lock();
            got.push((parts.method.to_string(), parts.uri.to_string(), body));
            let text = if parts
                .uri
                .query()
                .is_some_and(|query| query.contains("watch="))
            {
                let event = |kind: &str| json!({ "type": kind, "object": {} }).to_string() + "\n";
                [event("ADDED"), event("BOOKMARK"), event("MODIFIED")].concat()
            } else {
                let version = (100 + got.len()).to_string();
                let accept = parts.headers[http::header::ACCEPT].to_str()?;
                json!({ "metadata": { "resourceVersion": version }, "accept": accept }).to_string()
            };
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Response::new(Body::from(
                text.into_bytes(),
            )))
        }
    });
    (Client::new(service, "default"), got)
}

/// The answer to a request on a connection of its own: its head and body, or what came before the connection was cut.
async fn ask(gate: &Gate, method: &str, path: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(gate.server().trim_start_matches("http://"))
        .await
        .unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: application/json\r\n\
         Content-Type: application/vnd.kubernetes.protobuf\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

const PODS: &str = "/api/v1/namespaces/a/pods";

async fn proxied() -> (Proxy, Gate, Got, Ledger) {
    let (client, got) = server();
    let ledger = Ledger::default();
    let proxy = Proxy::new(client, "a", ledger.clone());
    let gate = proxy.open(7).await.unwrap();
    (proxy, gate, got, ledger)
}

fn body_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn a_write_passes_untouched_and_its_writer_is_known() {
    let (proxy, gate, got, ledger) = proxied().await;
    let protobuf = b"k8s\0\x01\x02\xff";
    let answer = ask(&gate, "POST", PODS, protobuf).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(body_of(&answer)["accept"], "application/json");
    assert_eq!(got.lock()[0].2, Bytes::from_static(protobuf));
    assert_eq!(ledger.stored(101), Some(Writer::Controller(7)));

    // Reads are not writes.
    ask(&gate, "GET", &format!("{PODS}/p"), b"").await;
    ask(&gate, "POST", "/api/v1/namespaces/a/events", b"{}").await;
    assert_eq!(proxy.writes().len(), 1);
    assert_eq!(
        (proxy.writes()[0].number, proxy.writes()[0].code),
        (0, Some(200))
    );
}

#[tokio::test]
async fn an_error_comes_in_the_place_of_the_server_or_of_its_answer() {
    for (applied, carried) in [(Applied::No, 1), (Applied::Yes, 2)] {
        let (proxy, gate, got, _) = proxied().await;
        proxy.arm(Some((Fault::Code(429, applied), 2)));
        assert!(
            ask(&gate, "POST", PODS, b"{}")
                .await
                .starts_with("HTTP/1.1 200")
        );
        let answer = ask(&gate, "POST", PODS, b"{}").await;
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        assert!(
            answer.to_ascii_lowercase().contains("retry-after: 1"),
            "{answer}"
        );
        assert_eq!(body_of(&answer)["reason"], "TooManyRequests");
        assert_eq!(got.lock().len(), carried);
        assert!(proxy.has_struck());
    }
}

#[tokio::test]
async fn a_cut_gives_no_answer() {
    for (applied, carried) in [(Applied::No, 0), (Applied::Yes, 1)] {
        let (proxy, gate, got, ledger) = proxied().await;
        proxy.arm(Some((Fault::Cut(applied), 1)));
        assert_eq!(ask(&gate, "POST", PODS, b"{}").await, "");
        assert_eq!(got.lock().len(), carried);
        assert_eq!(ledger.stored(101).is_some(), carried == 1);
        assert!(
            ask(&gate, "POST", PODS, b"{}")
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
}

#[tokio::test]
async fn a_kill_ends_the_process_and_nothing_more_of_it_is_heard() {
    for (applied, carried) in [(Applied::No, 0), (Applied::Yes, 1)] {
        let (proxy, gate, got, _) = proxied().await;
        let mut victim = tokio::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        gate.serves(victim.id().unwrap());
        proxy.arm(Some((Fault::Kill(applied), 1)));
        assert_eq!(ask(&gate, "POST", PODS, b"{}").await, "");
        let status = tokio::time::timeout(Duration::from_secs(10), victim.wait())
            .await
            .unwrap();
        assert!(!status.unwrap().success());
        assert!(gate.is_dead());
        assert_eq!(ask(&gate, "POST", PODS, b"{}").await, "");
        assert_eq!(got.lock().len(), carried);

        let next = proxy.open(8).await.unwrap();
        assert!(
            ask(&next, "POST", PODS, b"{}")
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
}

#[tokio::test]
async fn a_watch_is_confined_counted_and_struck() {
    let watch = "/api/v1/pods?watch=true";
    let (proxy, gate, got, _) = proxied().await;
    proxy.arm(None);
    let answer = ask(&gate, "GET", watch, b"").await;
    assert!(
        answer.contains("ADDED") && answer.contains("MODIFIED"),
        "{answer}"
    );
    assert_eq!(got.lock()[0].1, format!("{PODS}?watch=true"));
    assert_eq!(proxy.counted(), (0, 2), "a bookmark is no event");
    assert!(gate.watched().contains("pods"));

    proxy.arm(Some((Fault::WatchGone, 2)));
    let answer = ask(&gate, "GET", watch, b"").await;
    assert!(
        answer.contains("ADDED") && !answer.contains("MODIFIED"),
        "{answer}"
    );
    assert!(
        answer.contains("ERROR") && answer.contains("410"),
        "{answer}"
    );
    assert!(!gate.watched().contains("pods"), "it has to come again");
}
