//! Scripted replies under the ordinary client.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use futures::stream::unfold;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use ironkeel_plan::pod::Pod;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

/// What the server answers to one request.
pub(super) struct Reply(io::Result<Response<ReplyBody>>);

/// The server's end of a reply that is still being sent; dropping it ends the reply.
pub(super) struct Pipe(mpsc::UnboundedSender<io::Result<Bytes>>);

impl Pipe {
    pub(super) fn send(&self, text: impl AsRef<[u8]>) {
        let chunk = Bytes::copy_from_slice(text.as_ref());
        self.0.send(Ok(chunk)).unwrap();
    }

    /// Breaks the connection.
    pub(super) fn fail(self) {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        self.0.send(Err(reset)).unwrap();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Reply {
    pub(super) fn text(code: u16, body: impl AsRef<[u8]>) -> Self {
        let full = Full::new(Bytes::copy_from_slice(body.as_ref()));
        let mut reply = Response::new(full.map_err(|never| match never {}).boxed_unsync());
        *reply.status_mut() = StatusCode::from_u16(code).unwrap();
        Self(Ok(reply))
    }

    pub(super) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        if let Ok(reply) = &mut self.0 {
            reply.headers_mut().insert(name, value.parse().unwrap());
        }
        self
    }

    pub(super) fn status(code: u16, reason: &str, message: &str) -> Self {
        Self::text(code, status(code, reason, message))
    }

    pub(super) fn page(items: &[String], version: u64, next: &str) -> Self {
        let items = items.join(",");
        Self::text(
            200,
            format!(
                "{{\"kind\":\"PodList\",\"metadata\":{{\"resourceVersion\":\"{version}\",\
                 \"continue\":\"{next}\"}},\"items\":[{items}]}}"
            ),
        )
    }

    /// A watch that has sent `lines`; the rest comes through the pipe.
    pub(super) fn stream<L: AsRef<[u8]>>(lines: &[L]) -> (Self, Pipe) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let pipe = Pipe(sender);
        for line in lines {
            pipe.send(line);
        }
        let frames = unfold(receiver, |mut receiver| async {
            let chunk: io::Result<Bytes> = receiver.recv().await?;
            Some((chunk.map(Frame::data), receiver))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        (Self(Ok(Response::new(body))), pipe)
    }

    pub(super) fn refused() -> Self {
        Self(Err(io::ErrorKind::ConnectionRefused.into()))
    }
}

/// A watch against scripted replies; when they are used up, the next request hangs.
pub(super) struct Run {
    pub(super) store: Store<Pod>,
    pub(super) state: tokio::sync::watch::Receiver<WatchState>,
    pub(super) cancel: CancellationToken,
    pub(super) done: JoinHandle<()>,
    requests: Arc<Mutex<Vec<(Instant, String)>>>,
    log: Arc<Mutex<Vec<String>>>,
    registry: Registry,
}

pub(super) fn run(replies: Vec<Reply>) -> Run {
    start(PODS, Scope::default(), replies)
}

pub(super) fn start(resource: Resource, scope: Scope, replies: Vec<Reply>) -> Run {
    start_with(
        resource,
        scope,
        replies,
        &Barrier::register(&mut Registry::default()),
    )
}

/// A watch that feeds a barrier.
pub(super) fn start_with(
    resource: Resource,
    scope: Scope,
    replies: Vec<Reply>,
    barrier: &Barrier,
) -> Run {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
    let seen = Arc::clone(&requests);
    let service = tower::service_fn(move |request: Request<Body>| {
        assert_eq!(request.headers()["accept-encoding"], "identity");
        assert_eq!(request.headers()["accept"], accept::<Pod>());
        seen.lock()
            .push((Instant::now(), request.uri().to_string()));
        let reply = replies.lock().pop_front();
        async move {
            match reply {
                Some(Reply(reply)) => reply,
                None => std::future::pending().await,
            }
        }
    });
    let mut registry = Registry::default();
    let metrics = WatchMetrics::register(&mut registry);
    let client = Client::new(service, "default");
    let watch = Watch::new(client, resource, scope, &metrics, 42);
    let store = Store::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let cancel = CancellationToken::new();
    let state = watch.state();
    let (changes, progress) = (Arc::clone(&log), Arc::clone(&log));
    let (observe, follow) = (barrier.clone(), barrier.follow(resource, &store));
    let done = tokio::spawn(watch.run(
        store.clone(),
        move |change: &Change<Pod>| {
            observe.observe(resource, change);
            changes.lock().push(text(change));
        },
        move |reached| {
            follow(reached);
            let (Progress::Followed(version) | Progress::Listed { version, .. }) = reached;
            progress.lock().push(format!("@{version}"));
        },
        cancel.clone(),
    ));
    Run {
        store,
        state,
        cancel,
        done,
        requests,
        log,
        registry,
    }
}

fn text(change: &Change<Pod>) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => {
            format!(
                "{}@{}>{}",
                new.name, old.resource_version, new.resource_version
            )
        }
        (None, Some(new)) => format!("+{}@{}", new.name, new.resource_version),
        (Some(old), None) => format!("-{}@{}", old.name, old.resource_version),
        (None, None) => panic!("a change of nothing"),
    }
}

impl Run {
    /// What was reported since the last call: `@version` for progress, then the changes.
    pub(super) fn take_log(&self) -> String {
        std::mem::take(&mut *self.log.lock()).join(" ")
    }

    /// The requests so far, without the random `timeoutSeconds`.
    pub(super) fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock();
        let cut = |(_, uri): &(Instant, String)| {
            let (uri, seconds) = uri.split_once("&timeoutSeconds=").unwrap_or((uri, "300"));
            let seconds: u64 = seconds.parse().unwrap();
            assert!((300..=600).contains(&seconds), "{seconds}");
            uri.to_owned()
        };
        requests.iter().map(cut).collect()
    }

    /// The longest time between two requests.
    pub(super) fn longest_pause(&self) -> Duration {
        let requests = self.requests.lock();
        let pauses = requests.windows(2).map(|pair| pair[1].0 - pair[0].0);
        pauses.max().unwrap_or_default()
    }

    pub(super) fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

pub(super) fn pod(name: &str, uid: &str, version: u64) -> String {
    json!({
        "metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": version.to_string()},
        "status": {},
    })
    .to_string()
}

pub(super) fn meta(version: u64) -> String {
    format!("{{\"kind\":\"Pod\",\"metadata\":{{\"resourceVersion\":\"{version}\"}}}}")
}

/// One event; the type comes first, as the API server writes it.
pub(super) fn line(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

pub(super) fn status(code: u16, reason: &str, message: &str) -> String {
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message})
        .to_string()
}

/// The refusal of a resourceVersion that the server has not reached.
pub(super) fn too_large() -> String {
    json!({
        "kind": "Status", "status": "Failure", "code": 504, "reason": "Timeout",
        "message": "Timeout: Too large resource version: 10, current: 3",
        "details": {"retryAfterSeconds": 1, "causes": [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
    })
    .to_string()
}
