//! One request to the API server: time limit, small replies, and what a failure means.

use std::time::Duration;

use http::{Method, Request, header};
use kube::Client;
use kube::core::Status;
use serde::Deserialize;

/// Longest that any request but a watch may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The kind of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    MergePatch,
    JsonPatch,
    StrategicMergePatch,
}

impl Content {
    const fn mime(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MergePatch => "application/merge-patch+json",
            Self::JsonPatch => "application/json-patch+json",
            Self::StrategicMergePatch => "application/strategic-merge-patch+json",
        }
    }
}

/// Why a request had no success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The API server refused; its own words.
    #[error("{}", .0.message)]
    Refused(Box<Status>),
    /// No reply in time: the server may or may not have acted.
    #[error("no reply from the API server within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The connection failed: the server may or may not have acted.
    #[error("{0}")]
    Transport(kube::Error),
    /// The request could not be put together, so it was never sent.
    #[error("the request for {path:?} cannot be built: {error}")]
    Unbuildable { path: String, error: http::Error },
}

impl Failure {
    /// HTTP status of a refusal.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused(status) => Some(status.code),
            _ => None,
        }
    }
}

/// Sends one request and returns the body of a 2xx reply.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content: Content,
    body: Vec<u8>,
    limit: Duration,
) -> Result<String, Failure> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content.mime())
        .header(header::ACCEPT, "application/json")
        .body(body)
        .map_err(|error| Failure::Unbuildable {
            path: path.to_owned(),
            error,
        })?;
    match tokio::time::timeout(limit, client.request_text(request)).await {
        Err(_) => Err(Failure::TimedOut(limit)),
        Ok(Ok(text)) => Ok(text),
        Ok(Err(kube::Error::Api(status))) => Err(Failure::Refused(status)),
        Ok(Err(error)) => Err(Failure::Transport(error)),
    }
}

/// What is read of the reply to a write; everything else is skipped, not stored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reply {
    /// Metadata of the object, or of the `Status` that a deletion answers with.
    pub metadata: ReplyMeta,
}

/// The metadata that is read of the reply to a write.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ReplyMeta {
    pub name: String,
    pub uid: String,
    #[serde(deserialize_with = "ironkeel_plan::meta::resource_version")]
    pub resource_version: u64,
    pub deletion_timestamp: Option<String>,
    pub deletion_grace_period_seconds: Option<i64>,
    pub finalizers: Vec<String>,
}
