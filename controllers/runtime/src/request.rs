//! One request to the API server: time limit, small replies, and what a failure means.

use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Method, Request, header};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::protobuf::{self, Enclosed, Encoding, Malformed, MetaMessage, text};

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

/// What the API server is asked to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    /// The object, as JSON.
    Json,
    /// Of an object no more than its metadata, as protobuf: the cheapest for the API server to
    /// write and for us to read. One that cannot do that answers as to [`Accept::Json`].
    Metadata,
}

impl Accept {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Metadata => {
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, \
                 application/json"
            }
        }
    }
}

/// The body of a reply that is no refusal.
#[derive(Debug)]
pub(crate) struct Answer {
    encoding: Encoding,
    body: Bytes,
}

/// Why a reply is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Protobuf(#[from] Malformed),
}

impl Answer {
    /// The object that the API server has written as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// What is read of the reply to a write, however it is written.
    pub(crate) fn reply(&self) -> Result<Reply, Unreadable> {
        match self.encoding {
            Encoding::Json => Ok(self.json()?),
            Encoding::Protobuf => Ok(Reply::from_protobuf(&self.body)?),
        }
    }
}

/// Sends one request and returns the 2xx reply.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content: Content,
    accept: Accept,
    body: Vec<u8>,
    limit: Duration,
) -> Result<Answer, Failure> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content.mime())
        .header(header::ACCEPT, accept.as_str())
        .body(Body::from(body))
        .map_err(|error| Failure::Unbuildable {
            path: path.to_owned(),
            error,
        })?;
    let exchange = async {
        let (head, body) = client.send(request).await?.into_parts();
        Ok((head, body.collect_bytes().await?))
    };
    let (head, body) = match tokio::time::timeout(limit, exchange).await {
        Err(_) => return Err(Failure::TimedOut(limit)),
        Ok(Err(error)) => return Err(Failure::Transport(error)),
        Ok(Ok(reply)) => reply,
    };
    if head.status.is_client_error() || head.status.is_server_error() {
        return Err(Failure::Refused(Box::new(refusal(&head, &body))));
    }
    Ok(Answer {
        encoding: Encoding::of(&head.headers),
        body,
    })
}

/// What a reply with a code of 4xx or 5xx says. Not everything between us and the API server
/// answers with a `Status`: then the text is its message.
///
/// Priority and fairness sheds load in plain text, with the delay in the header alone.
pub(crate) fn refusal(head: &Parts, body: &Bytes) -> Status {
    let status = match Encoding::of(&head.headers) {
        Encoding::Json => serde_json::from_slice(body).ok(),
        Encoding::Protobuf => Enclosed::open(body)
            .and_then(|object| protobuf::status(object.message))
            .ok(),
    };
    let mut status =
        status.unwrap_or_else(|| Status::failure(String::from_utf8_lossy(body).trim(), ""));
    status.code = head.status.as_u16();
    let asked = head.headers.get(header::RETRY_AFTER);
    let asked = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    if let Some(seconds) = asked {
        let details = status.details.get_or_insert_with(protobuf::no_details);
        if details.retry_after_seconds == 0 {
            details.retry_after_seconds = seconds;
        }
    }
    status
}

/// What is read of the reply to a write; everything else is skipped, not stored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reply {
    /// Metadata of the object, or of the `Status` that a deletion answers with.
    pub metadata: ReplyMeta,
}

/// The metadata that is read of the reply to a write.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ReplyMeta {
    pub name: String,
    pub uid: String,
    #[serde(deserialize_with = "ironkeel_plan::meta::resource_version")]
    pub resource_version: u64,
    pub deletion_timestamp: Option<Timestamp>,
    pub deletion_grace_period_seconds: Option<i64>,
    pub finalizers: Vec<String>,
}

impl Reply {
    fn from_protobuf(body: &Bytes) -> Result<Self, Malformed> {
        let object = Enclosed::open(body)?;
        if object.is_status() {
            // Its metadata is that of a list, and says nothing of the object.
            return Ok(Self::default());
        }
        let meta = MetaMessage::of(object.message)?;
        let deletion = meta
            .deletion_timestamp
            .as_ref()
            .and_then(|time| time.seconds);
        let finalizers = meta.finalizers.iter();
        Ok(Self {
            metadata: ReplyMeta {
                name: text("metadata.name", &meta.name)?.to_owned(),
                uid: text("metadata.uid", &meta.uid)?.to_owned(),
                resource_version: meta.resource_version()?,
                // That there is one is what counts.
                deletion_timestamp: deletion
                    .map(|second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX)),
                deletion_grace_period_seconds: meta.deletion_grace_period_seconds,
                finalizers: finalizers
                    .map(|name| text("metadata.finalizers", name).map(str::to_owned))
                    .collect::<Result<_, _>>()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Response};

    use super::*;
    use crate::protobuf::encode::{Encoder, envelope, meta, status};

    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

    fn reply(kind: &str, message: Encoder) -> Result<Reply, Unreadable> {
        let body = envelope(kind, message).into();
        let encoding = Encoding::Protobuf;
        Answer { encoding, body }.reply()
    }

    fn head(code: u16, headers: &[(&'static str, &'static str)]) -> Parts {
        let mut response = Response::new(());
        *response.status_mut() = code.try_into().unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        *response.headers_mut() = headers.collect::<HeaderMap>();
        response.into_parts().0
    }

    #[test]
    fn metadata_in_protobuf_is_what_it_is_in_json() {
        let object = Encoder::default().message(1, meta("web-1", "uid-1", 41));
        let read = reply("PartialObjectMetadata", object).unwrap().metadata;
        assert_eq!(
            (&*read.name, &*read.uid, read.resource_version),
            ("web-1", "uid-1", 41)
        );
        assert_eq!(read.deletion_timestamp, None);
        assert!(read.finalizers.is_empty());

        let time = Encoder::default().number(1, 1_795_000_000).number(2, 0);
        let deleted = meta("web-1", "uid-1", 42)
            .message(9, time)
            .number(10, 30)
            .bytes(14, "example.com/hold");
        let object = Encoder::default().message(1, deleted);
        let read = reply("PartialObjectMetadata", object).unwrap().metadata;
        let json = br#"{"metadata": {"name": "web-1", "uid": "uid-1", "resourceVersion": "42",
            "deletionTimestamp": "2026-11-18T11:06:40Z", "deletionGracePeriodSeconds": 30,
            "finalizers": ["example.com/hold"], "labels": {"a": "b"}}}"#;
        let answer = Answer {
            encoding: Encoding::Json,
            body: Bytes::from_static(json),
        };
        assert_eq!(read, answer.reply().unwrap().metadata);
    }

    #[test]
    fn a_status_says_nothing_of_the_object() {
        // Of a list's metadata the fields have other meanings under the same numbers.
        let of_a_list = Encoder::default().bytes(1, "link").bytes(2, "17");
        let status = Encoder::default().message(1, of_a_list);
        let read = reply("Status", status).unwrap();
        assert_eq!(read.metadata, ReplyMeta::default());
    }

    #[test]
    fn a_refusal_is_read_in_whatever_form_it_comes() {
        let json =
            r#"{"kind": "Status", "code": 409, "reason": "AlreadyExists", "message": "taken"}"#;
        let binary = envelope("Status", status(409, "AlreadyExists", "taken"));
        for (kind, body) in [
            ("application/json", Bytes::from(json)),
            (PROTOBUF, binary.into()),
        ] {
            let status = refusal(&head(409, &[("content-type", kind)]), &body);
            assert_eq!(
                (status.code, &*status.reason, &*status.message),
                (409, "AlreadyExists", "taken"),
                "{kind}"
            );
        }
        for (kind, body) in [("text/plain", "no\n"), (PROTOBUF, "no")] {
            let status = refusal(&head(502, &[("content-type", kind)]), &body.into());
            assert_eq!((status.code, &*status.message), (502, "no"), "{kind}");
        }
    }

    #[test]
    fn the_delay_of_a_refusal_may_stand_in_the_header_alone() {
        let delay = |headers: &[(&'static str, &'static str)], body: &'static str| {
            let status = refusal(&head(429, headers), &body.into());
            status.details.map(|details| details.retry_after_seconds)
        };
        assert_eq!(delay(&[("retry-after", "7")], "too many"), Some(7));
        assert_eq!(delay(&[], "too many"), None);
        let inside = r#"{"code": 429, "details": {"retryAfterSeconds": 3}}"#;
        assert_eq!(delay(&[("retry-after", "7")], inside), Some(3));
    }
}
