//! What lies between a process of the manager and the API server.
//!
//! Under the ordinary [`kube::Client`] lies a [`Wire`]: it notes each request and hands it to whoever runs the process. The
//! answer comes through a channel; a watch is a body whose lines come one by one. Latency, loss, faults and lag are the run's
//! to decide ([`run`](crate::run)), which knows the order of everything.

mod body;
mod target;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tower::Service;

use crate::api::Request;

pub(crate) use body::{ReplyBody, whole};
pub(crate) use target::Target;

/// What a process gets for a request.
pub(crate) type Reply = io::Result<http::Response<ReplyBody>>;

/// A request that a process has sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// When, by the process's own monotonic clock: since its start.
    pub(crate) at: Duration,
    /// What.
    pub(crate) request: Request,
    /// Where the answer goes. Dropped, the connection is broken.
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// The process's end of its connections. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    sent: Arc<Mutex<Vec<Outgoing>>>,
    /// Told when something was sent.
    pub(crate) stirred: Arc<Notify>,
    started: Instant,
}

impl Wire {
    /// A wire of a process that starts now. Must be called inside its runtime.
    pub(crate) fn new() -> Self {
        Self {
            sent: Arc::default(),
            stirred: Arc::default(),
            started: Instant::now(),
        }
    }

    /// The ordinary client over this wire.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// What was sent since the last call, in order.
    pub(crate) fn take(&self) -> Vec<Outgoing> {
        std::mem::take(&mut *self.sent.lock())
    }

    fn send(&self, request: Request) -> oneshot::Receiver<Reply> {
        let (reply, answer) = oneshot::channel();
        self.sent.lock().push(Outgoing {
            at: self.started.elapsed(),
            request,
            reply,
        });
        self.stirred.notify_one();
        answer
    }
}

impl Service<http::Request<Body>> for Wire {
    type Response = http::Response<ReplyBody>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let header = |name| {
                let value = head.headers.get(name);
                value
                    .and_then(|value: &http::HeaderValue| value.to_str().ok())
                    .unwrap_or_default()
                    .to_owned()
            };
            let answer = wire.send(Request {
                content_type: header(http::header::CONTENT_TYPE),
                accept: header(http::header::ACCEPT),
                path: head.uri.path().to_owned(),
                query: head.uri.query().unwrap_or_default().to_owned(),
                method: head.method,
                body,
            });
            match answer.await {
                Ok(reply) => reply,
                Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
            }
        })
    }
}
