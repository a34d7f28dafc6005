//! `/metrics`, `/healthz`, `/livez` and `/readyz`.
//!
//! Ready means that the stores are filled, not that this process leads: a follower is
//! ready, and a roll-out of the manager itself does not wait for an election.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderName, StatusCode, header};
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// How long requests may take to end once the server stops.
const DRAIN: Duration = Duration::from_secs(1);

/// A named condition that has to hold.
#[derive(Clone)]
pub struct Check {
    name: String,
    test: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Check {
    /// A check that fails with what `test` says is wrong. It is asked at every probe, so it
    /// must not block.
    pub fn new(
        name: impl Into<String>,
        test: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            test: Arc::new(test),
        }
    }

    fn ping() -> Self {
        Self::new("ping", || Ok(()))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

/// What the server answers.
#[derive(Debug, Default)]
pub struct Site {
    registry: Registry,
    live: Vec<Check>,
    ready: Vec<Check>,
}

impl Site {
    /// A site that serves `registry` and is live and ready at once.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            live: vec![Check::ping()],
            ready: vec![Check::ping()],
        }
    }

    /// Adds a condition to `/readyz`.
    #[must_use]
    pub fn ready_if(mut self, check: Check) -> Self {
        self.ready.push(check);
        self
    }

    /// The routes. `/livez`, `/readyz` and `/healthz` take `?verbose` and `?exclude=name`, and
    /// each check has a path of its own below them.
    pub fn into_router(self) -> Router {
        Router::new()
            .route("/metrics", get(serve_metrics))
            .route("/healthz", get(serve_livez_as_healthz))
            .route("/healthz/{check}", get(serve_live_check))
            .route("/livez", get(serve_livez))
            .route("/livez/{check}", get(serve_live_check))
            .route("/readyz", get(serve_readyz))
            .route("/readyz/{check}", get(serve_ready_check))
            .with_state(Arc::new(self))
    }
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not to be had.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The server ended by itself.
    #[error("serving health and metrics: {0}")]
    Serve(std::io::Error),
}

/// Takes the address, so that a wrong one is known before anything starts.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| ServeError::Listen { address, error })
}

/// Serves until `stop` is cancelled, and then ends the requests that are under way.
///
/// No longer than a second: a client that never finishes its request must not keep the process.
pub async fn serve(
    listener: TcpListener,
    site: Site,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let server = axum::serve(listener, site.into_router())
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server => ended.map_err(ServeError::Serve),
        () = overdue => Ok(()),
    }
}

async fn serve_metrics(State(site): State<Arc<Site>>) -> Response {
    match metrics::encode(&site.registry) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn serve_livez_as_healthz(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
) -> Response {
    report("healthz", &site.live, query.as_deref())
}

async fn serve_livez(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    report("livez", &site.live, query.as_deref())
}

async fn serve_readyz(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    report("readyz", &site.ready, query.as_deref())
}

async fn serve_live_check(State(site): State<Arc<Site>>, Path(name): Path<String>) -> Response {
    report_one(&site.live, &name)
}

async fn serve_ready_check(State(site): State<Arc<Site>>, Path(name): Path<String>) -> Response {
    report_one(&site.ready, &name)
}

/// The answer in the form of apiserver's `healthz` package; unlike that it also tells why a
/// check fails, since nothing here is secret and the operator has no other place to look.
fn report(endpoint: &str, checks: &[Check], query: Option<&str>) -> Response {
    let query = query.unwrap_or_default();
    let mut excluded: Vec<&str> = Vec::new();
    let mut verbose = false;
    for pair in query.split('&') {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("exclude", name) => excluded.push(name),
            ("verbose", _) => verbose = true,
            _ => {}
        }
    }
    let mut text = String::new();
    let mut failed = false;
    for Check { name, test } in checks {
        let line = if excluded.contains(&name.as_str()) {
            format!("[+]{name} excluded: ok\n")
        } else {
            match test() {
                Ok(()) => format!("[+]{name} ok\n"),
                Err(reason) => {
                    failed = true;
                    format!("[-]{name} failed: {reason}\n")
                }
            }
        };
        text.push_str(&line);
    }
    for name in excluded {
        if !checks.iter().any(|check| check.name == name) {
            let _ = writeln!(
                text,
                "warn: some health checks cannot be excluded: no matches for {name:?}"
            );
        }
    }
    if failed {
        let _ = writeln!(text, "{endpoint} check failed");
        return plain(StatusCode::INTERNAL_SERVER_ERROR, text);
    }
    if !verbose {
        return plain(StatusCode::OK, "ok".to_owned());
    }
    let _ = writeln!(text, "{endpoint} check passed");
    plain(StatusCode::OK, text)
}

fn report_one(checks: &[Check], name: &str) -> Response {
    match checks
        .iter()
        .find(|check| check.name == name)
        .map(|check| (check.test)())
    {
        None => plain(StatusCode::NOT_FOUND, format!("no check {name:?}\n")),
        Some(Ok(())) => plain(StatusCode::OK, "ok".to_owned()),
        Some(Err(reason)) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("internal server error: {reason}\n"),
        ),
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    let headers: [(HeaderName, &str); 2] = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}
