//! The requests of a watch, and what a refusal means.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;

use super::Scope;
use crate::resource::Resource;

/// The API server gives up on a request that is no watch after 60 s.
const REPLY_LIMIT: Duration = Duration::from_secs(65);
/// A refusal's text beyond this is not read.
const REFUSAL_BYTES: usize = 64 * 1024;
/// Why a list or a watch did not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// 404: no such resource in this group and version.
    #[error(
        "the API server does not serve {0}: its CustomResourceDefinition is missing or too old"
    )]
    Missing(String),
    /// 410, or a version that the server does not know yet: only a new list helps.
    #[error("the resourceVersion is of no use any more: {0}")]
    Expired(String),
    /// Any other refusal.
    #[error("{code}: {message}")]
    Refused {
        code: u16,
        message: String,
        retry_after: Option<Duration>,
    },
    /// The connection could not be made, or broke.
    #[error("{0}")]
    Transport(String),
    /// Something came that is no event and no list.
    #[error("not understood: {0}")]
    Garbled(String),
    /// Nothing came.
    #[error("silent for {} s", .0.as_secs())]
    Silent(Duration),
}

impl Failure {
    /// What a `Status` means, of a refusal or inside an `ERROR` event.
    pub(super) fn of_status(resource: Resource, status: &Status) -> Self {
        let details = status.details.as_ref();
        let too_large = details.is_some_and(|details| {
            details
                .causes
                .iter()
                .any(|cause| cause.reason == "ResourceVersionTooLarge")
        });
        let expired = status.code == 410 || matches!(&*status.reason, "Expired" | "Gone");
        let message = status.message.clone();
        if expired || too_large {
            return Self::Expired(message);
        }
        if status.code == 404 {
            return Self::Missing(format!("{resource} {}", resource.version));
        }
        let seconds = details.map_or(0, |details| details.retry_after_seconds);
        Self::Refused {
            code: status.code,
            message,
            retry_after: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
        }
    }
}

/// Puts a path and its query together.
pub(super) struct Target {
    uri: String,
    separator: char,
}

impl Target {
    pub(super) fn new(resource: Resource, scope: &Scope) -> Self {
        let mut target = Self {
            uri: resource.path(scope.namespace.as_deref(), None, None),
            separator: '?',
        };
        if let Some(labels) = &scope.labels {
            target = target.with("labelSelector", labels);
        }
        if let Some(fields) = &scope.fields {
            target = target.with("fieldSelector", fields);
        }
        target
    }

    pub(super) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.uri.push(self.separator);
        self.separator = '&';
        self.uri.push_str(name);
        self.uri.push('=');
        for byte in value.to_string().bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.uri.push(byte.into());
            } else {
                // Writing to a string cannot fail.
                let _ = write!(self.uri, "%{byte:02X}");
            }
        }
        self
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}

/// Sends a GET and returns the reply if it is a success. `accept` is a wish: what came is said
/// by the reply's `Content-Type`.
pub(super) async fn get(
    client: &Client,
    resource: Resource,
    target: &Target,
    accept: &'static str,
) -> Result<Response<Body>, Failure> {
    let request = Request::get(target.uri())
        .header(header::ACCEPT, accept)
        // A watch that the server compresses event by event cannot be read as it comes.
        .header(header::ACCEPT_ENCODING, "identity")
        .body(Body::empty())
        .map_err(|error| Failure::Garbled(format!("{:?} is no URI: {error}", target.uri())))?;
    let response = tokio::time::timeout(REPLY_LIMIT, client.send(request))
        .await
        .map_err(|_| Failure::Silent(REPLY_LIMIT))?
        .map_err(|error| Failure::Transport(causes(&error)))?;
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(refusal(resource, response).await)
    }
}

/// The whole body of a reply, held once.
pub(super) async fn read(response: Response<Body>) -> Result<Bytes, Failure> {
    let length = response
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let mut text = Vec::with_capacity(length.unwrap_or(0).min(64 * 1024 * 1024));
    let mut chunks = response.into_body().into_data_stream();
    loop {
        let chunk = tokio::time::timeout(REPLY_LIMIT, chunks.next()).await;
        match chunk.map_err(|_| Failure::Silent(REPLY_LIMIT))? {
            Some(Ok(chunk)) => text.extend_from_slice(&chunk),
            Some(Err(error)) => return Err(Failure::Transport(causes(&error))),
            None => return Ok(text.into()),
        }
    }
}

async fn refusal(resource: Resource, response: Response<Body>) -> Failure {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, REFUSAL_BYTES).collect();
    let text = match tokio::time::timeout(REPLY_LIMIT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        _ => Bytes::new(),
    };
    Failure::of_status(resource, &crate::request::refusal(&head, &text))
}

/// An error with what caused it: "error trying to connect: connection refused".
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}
