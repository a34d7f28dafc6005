//! What the API server sends to those who accept protobuf: an envelope around each object, and
//! the messages that every API shares.
//!
//! Field numbers are those of apimachinery's `generated.proto`; what nobody here reads is not
//! declared, and prost steps over it.

use bytes::Bytes;
use http::{HeaderMap, header};
use kube::core::Status;
use kube::core::response::{StatusCause, StatusDetails};
use prost::Message;

/// Its media type. With `;stream=watch` behind it where the reply is a watch.
const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
/// What every envelope begins with.
const MAGIC: &[u8] = b"k8s\0";

/// How the API server has written a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Protobuf,
}

impl Encoding {
    /// What the reply's `Content-Type` says; a client that asks for protobuf may get JSON.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_protobuf = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(MEDIA_TYPE.as_bytes()));
        if is_protobuf {
            Self::Protobuf
        } else {
            Self::Json
        }
    }
}

/// Why something is not what protobuf should hold here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the protobuf envelope is missing: it must begin with {MAGIC:?}")]
    NoEnvelope,
    #[error("{0}")]
    Message(#[from] prost::DecodeError),
    #[error("{field}: {:?} is not UTF-8", String::from_utf8_lossy(.value))]
    NotUtf8 { field: &'static str, value: Bytes },
    #[error("metadata.resourceVersion {0:?} is not a decimal number")]
    ResourceVersion(String),
    #[error("an event of type {0:?}")]
    EventType(Bytes),
    #[error("protobuf was not asked for")]
    NotAskedFor,
    #[error("{0}")]
    Object(#[from] ironkeel_plan::pod::ProtobufError),
}

/// `runtime.Unknown`.
#[derive(Message)]
struct UnknownMessage {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMetaMessage>,
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

#[derive(Message)]
struct TypeMetaMessage {
    #[prost(bytes = "bytes", tag = "2")]
    kind: Bytes,
}

/// An object out of its envelope.
pub(crate) struct Enclosed {
    kind: Bytes,
    pub(crate) message: Bytes,
}

impl Enclosed {
    pub(crate) fn open(envelope: &Bytes) -> Result<Self, Malformed> {
        if !envelope.starts_with(MAGIC) {
            return Err(Malformed::NoEnvelope);
        }
        let unknown = UnknownMessage::decode(envelope.slice(MAGIC.len()..))?;
        Ok(Self {
            kind: unknown.type_meta.unwrap_or_default().kind,
            message: unknown.raw,
        })
    }

    pub(crate) fn is_status(&self) -> bool {
        self.kind == "Status"
    }
}

/// `meta.v1.ObjectMeta`.
#[derive(Message)]
pub(crate) struct MetaMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) name: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) namespace: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) uid: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    resource_version: Bytes,
    #[prost(message, optional, tag = "9")]
    pub(crate) deletion_timestamp: Option<TimeMessage>,
    #[prost(int64, optional, tag = "10")]
    pub(crate) deletion_grace_period_seconds: Option<i64>,
    #[prost(bytes = "bytes", repeated, tag = "14")]
    pub(crate) finalizers: Vec<Bytes>,
}

/// `meta.v1.Time`; an empty one is no time.
#[derive(Message)]
pub(crate) struct TimeMessage {
    #[prost(int64, optional, tag = "1")]
    pub(crate) seconds: Option<i64>,
}

/// Any object, of which only the metadata is read: they have it in one place.
#[derive(Message)]
struct ObjectMessage {
    #[prost(message, optional, tag = "1")]
    metadata: Option<MetaMessage>,
}

impl MetaMessage {
    /// The metadata of an object, whatever its kind.
    pub(crate) fn of(object: Bytes) -> Result<Self, Malformed> {
        let object = ObjectMessage::decode(object)?;
        Ok(object.metadata.unwrap_or_default())
    }

    pub(crate) fn resource_version(&self) -> Result<u64, Malformed> {
        number(&self.resource_version)
    }
}

/// Reads a resourceVersion; absent or empty is 0.
pub(crate) fn number(version: &Bytes) -> Result<u64, Malformed> {
    let version = text("metadata.resourceVersion", version)?;
    if version.is_empty() {
        return Ok(0);
    }
    let number = version.parse();
    number.map_err(|_| Malformed::ResourceVersion(version.to_owned()))
}

pub(crate) fn text<'a>(field: &'static str, value: &'a Bytes) -> Result<&'a str, Malformed> {
    std::str::from_utf8(value).map_err(|_| Malformed::NotUtf8 {
        field,
        value: value.clone(),
    })
}

/// `meta.v1.Status`.
#[derive(Message)]
struct StatusMessage {
    #[prost(bytes = "bytes", tag = "3")]
    message: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    reason: Bytes,
    #[prost(message, optional, tag = "5")]
    details: Option<DetailsMessage>,
    #[prost(int32, tag = "6")]
    code: i32,
}

#[derive(Message)]
struct DetailsMessage {
    #[prost(message, repeated, tag = "4")]
    causes: Vec<CauseMessage>,
    #[prost(int32, tag = "5")]
    retry_after_seconds: i32,
}

#[derive(Message)]
struct CauseMessage {
    #[prost(bytes = "bytes", tag = "1")]
    reason: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    message: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    field: Bytes,
}

/// A refusal. Of what it says only the parts that are read here are filled in.
pub(crate) fn status(message: Bytes) -> Result<Status, Malformed> {
    let words = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let status = StatusMessage::decode(message)?;
    let mut refusal = Status::failure(&words(&status.message), &words(&status.reason));
    refusal.code = u16::try_from(status.code).unwrap_or_default();
    refusal.details = status.details.map(|details| StatusDetails {
        retry_after_seconds: u32::try_from(details.retry_after_seconds).unwrap_or_default(),
        causes: details
            .causes
            .iter()
            .map(|cause| StatusCause {
                reason: words(&cause.reason),
                message: words(&cause.message),
                field: words(&cause.field),
            })
            .collect(),
        ..no_details()
    });
    Ok(refusal)
}

/// Details that say nothing.
pub(crate) fn no_details() -> StatusDetails {
    StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

#[cfg(test)]
pub(crate) mod encode;
#[cfg(test)]
mod tests;
