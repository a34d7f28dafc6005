//! Counts every request of a client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use kube::client::Body;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::metrics::ClientMetrics;

/// Wraps a client's service so that `rest_client_*` metrics see its requests.
#[derive(Clone, Debug)]
pub(super) struct MeasureLayer {
    metrics: ClientMetrics,
    host: String,
}

impl MeasureLayer {
    pub(super) fn new(metrics: ClientMetrics, host: String) -> Self {
        Self { metrics, host }
    }
}

impl<S> Layer<S> for MeasureLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured {
            inner,
            metrics: self.metrics.clone(),
            host: self.host.clone(),
        }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub(super) struct Measured<S> {
    inner: S,
    metrics: ClientMetrics,
    host: String,
}

impl<S, B> Service<Request<Body>> for Measured<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let method = request.method().clone();
        let metrics = self.metrics.clone();
        let host = self.host.clone();
        let reply = self.inner.call(request);
        Box::pin(async move {
            let reply = reply.await;
            let status = reply.as_ref().ok().map(Response::status);
            let code = status.as_ref().map_or("<error>", StatusCode::as_str);
            metrics.observe(method.as_str(), &host, code, started.elapsed());
            reply
        })
    }
}
