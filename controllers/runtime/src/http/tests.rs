use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::metrics::Metrics;

/// A running server; ready once `synced` is set.
struct Server {
    address: SocketAddr,
    synced: Arc<AtomicBool>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Server {
    async fn start() -> Self {
        let mut registry = Registry::default();
        Metrics::register(&mut registry);
        let synced = Arc::new(AtomicBool::new(false));
        let site = Site::new(registry).ready_if(Check::new("pods-synced", {
            let synced = Arc::clone(&synced);
            move || {
                if synced.load(Ordering::Relaxed) {
                    Ok(())
                } else {
                    Err("pods are being listed".to_owned())
                }
            }
        }));
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, site, stop.clone()));
        Self {
            address,
            synced,
            stop,
            task,
        }
    }

    /// Status line's code, head and body.
    async fn get(&self, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, head.to_lowercase(), body.to_owned())
    }
}

#[tokio::test]
async fn readiness_lists_what_is_missing() {
    let server = Server::start().await;
    let (code, _, body) = server.get("/readyz").await;
    assert_eq!(code, 500);
    assert_eq!(
        body,
        "[+]ping ok\n[-]pods-synced failed: pods are being listed\nreadyz check failed\n"
    );
    let (code, _, body) = server
        .get("/readyz?exclude=pods-synced&exclude=typo&verbose")
        .await;
    assert_eq!(code, 200);
    assert_eq!(
        body,
        "[+]ping ok\n[+]pods-synced excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"typo\"\nreadyz check passed\n"
    );
    let (code, _, body) = server.get("/readyz/pods-synced").await;
    assert_eq!(
        (code, body.as_str()),
        (500, "internal server error: pods are being listed\n")
    );
    assert_eq!(server.get("/readyz/typo").await.0, 404);

    server.synced.store(true, Ordering::Relaxed);
    let (code, head, body) = server.get("/readyz").await;
    assert_eq!((code, body.as_str()), (200, "ok"));
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    let (code, _, body) = server.get("/readyz?verbose").await;
    assert_eq!(code, 200);
    assert_eq!(body, "[+]ping ok\n[+]pods-synced ok\nreadyz check passed\n");
}

#[tokio::test]
async fn a_follower_that_is_not_ready_is_alive() {
    let server = Server::start().await;
    for path in ["/livez", "/healthz", "/livez/ping", "/healthz/ping"] {
        let (code, _, body) = server.get(path).await;
        assert_eq!((code, body.as_str()), (200, "ok"), "{path}");
    }
    assert_eq!(
        server.get("/healthz?verbose").await.2,
        "[+]ping ok\nhealthz check passed\n"
    );
    assert_eq!(server.get("/").await.0, 404);
}

#[tokio::test]
async fn metrics_come_as_openmetrics() {
    let server = Server::start().await;
    let (code, head, body) = server.get("/metrics").await;
    assert_eq!(code, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(body.contains("process_resident_memory_bytes "), "{body}");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[tokio::test]
async fn the_server_ends_when_it_is_told_to() {
    let server = Server::start().await;
    // Connections are accepted in turn: by the answer, the half request is with the server.
    assert_eq!(server.get("/livez").await.0, 200);
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    TcpStream::connect(server.address).await.unwrap_err();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = Server::start().await;
    let error = listen(server.address).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {}: ", server.address)),
        "{error}"
    );
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_process() {
    let server = Server::start().await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost:")
        .await
        .unwrap();
    // Connections are accepted in turn: by the answer, the half request is with the server.
    assert_eq!(server.get("/livez").await.0, 200);
    server.stop.cancel();
    let ended = tokio::time::timeout(DRAIN * 10, server.task).await;
    ended
        .expect("the server waits for half a request")
        .unwrap()
        .unwrap();
}
