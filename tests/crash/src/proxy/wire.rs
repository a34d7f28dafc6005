//! What the proxy reads of answers, and writes in the server's place, in both encodings: JSON and protobuf.
//!
//! Field numbers are those of apimachinery's `generated.proto`. What is not read here is not declared.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, header};
use prost::Message;
use serde_json::{Value, json};

/// The media type of protobuf.
pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What every object in protobuf begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Bytes of a frame's length in front of it.
const HEADER: usize = 4;

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Protobuf,
}

impl Encoding {
    /// Of an answer, by its `Content-Type`.
    pub(super) fn of_answer(headers: &HeaderMap) -> Self {
        Self::first(headers, &header::CONTENT_TYPE)
    }

    /// That a client would like best, by its `Accept`.
    pub(super) fn wished(headers: &HeaderMap) -> Self {
        Self::first(headers, &header::ACCEPT)
    }

    fn first(headers: &HeaderMap, name: &HeaderName) -> Self {
        let is_protobuf = headers
            .get(name)
            .is_some_and(|value| value.as_bytes().starts_with(PROTOBUF.as_bytes()));
        if is_protobuf {
            Self::Protobuf
        } else {
            Self::Json
        }
    }
}

/// `runtime.Unknown`.
#[derive(Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

#[derive(Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

/// Any object: all have their metadata in one place.
#[derive(Message)]
struct Object {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Meta>,
}

/// `meta.v1.ObjectMeta`.
#[derive(Message)]
struct Meta {
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(message, optional, tag = "9")]
    deletion_timestamp: Option<Time>,
    #[prost(int64, optional, tag = "10")]
    deletion_grace_period_seconds: Option<i64>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
}

#[derive(Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// `meta.v1.Status`.
#[derive(Message)]
struct Status {
    #[prost(string, tag = "2")]
    outcome: String,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(string, tag = "4")]
    reason: String,
    #[prost(message, optional, tag = "5")]
    details: Option<Details>,
    #[prost(int32, tag = "6")]
    code: i32,
}

#[derive(Message)]
struct Details {
    #[prost(int32, tag = "5")]
    retry_after_seconds: i32,
    #[prost(string, tag = "6")]
    uid: String,
}

/// `meta.v1.WatchEvent`, whose object is enclosed once more.
#[derive(Message)]
struct Event {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(message, optional, tag = "2")]
    object: Option<Raw>,
}

#[derive(Message)]
struct Raw {
    #[prost(bytes = "bytes", tag = "1")]
    raw: Bytes,
}

/// What an answer to a write says of the object, in the form that JSON has: its metadata, or the UID in a `Status`. `Null`
/// where nothing can be read.
pub(super) fn told(encoding: Encoding, body: &Bytes) -> Value {
    match encoding {
        Encoding::Json => serde_json::from_slice(body).unwrap_or_default(),
        Encoding::Protobuf => told_in_protobuf(body).unwrap_or_default(),
    }
}

fn told_in_protobuf(body: &Bytes) -> Option<Value> {
    let (kind, raw) = open(body)?;
    if kind == "Status" {
        let details = Status::decode(raw).ok()?.details.unwrap_or_default();
        return Some(json!({ "kind": kind, "details": { "uid": details.uid } }));
    }
    let meta = Object::decode(raw).ok()?.metadata.unwrap_or_default();
    // Only whether there is a time matters.
    let deleted = meta.deletion_timestamp.map(|time| time.seconds.to_string());
    Some(json!({ "kind": kind, "metadata": {
        "uid": meta.uid, "resourceVersion": meta.resource_version, "deletionTimestamp": deleted,
        "deletionGracePeriodSeconds": meta.deletion_grace_period_seconds, "finalizers": meta.finalizers } }))
}

fn open(body: &Bytes) -> Option<(String, Bytes)> {
    let enclosed = body.starts_with(MAGIC).then(|| body.slice(MAGIC.len()..))?;
    let Unknown { type_meta, raw } = Unknown::decode(enclosed).ok()?;
    Some((type_meta.unwrap_or_default().kind, raw))
}

/// A refusal in the words of the API server.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) retry_after: Option<i32>,
}

const MESSAGE: &str = "the crash campaign answers in the server's place";

impl Refusal {
    /// The `Status`.
    pub(super) fn body(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Json => self.json().to_string().into(),
            Encoding::Protobuf => {
                let status = Status {
                    outcome: "Failure".to_owned(),
                    message: MESSAGE.to_owned(),
                    reason: self.reason.to_owned(),
                    details: self.retry_after.map(|retry_after_seconds| Details {
                        retry_after_seconds,
                        uid: String::new(),
                    }),
                    code: self.code.into(),
                };
                enclose("Status", &status)
            }
        }
    }

    fn json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": MESSAGE,
            "reason": self.reason, "code": self.code,
        });
        if let Some(seconds) = self.retry_after {
            status["details"] = json!({ "retryAfterSeconds": seconds });
        }
        status
    }

    /// The event that ends a watch.
    pub(super) fn event(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Json => {
                format!("{}\n", json!({ "type": "ERROR", "object": self.json() })).into()
            }
            Encoding::Protobuf => framed("ERROR", self.body(encoding)),
        }
    }
}

fn enclose(kind: &str, message: &impl Message) -> Bytes {
    let unknown = Unknown {
        type_meta: Some(TypeMeta {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
        }),
        raw: message.encode_to_vec().into(),
    };
    [MAGIC, &unknown.encode_to_vec()].concat().into()
}

/// A frame with an event.
pub(super) fn framed(kind: &str, object: Bytes) -> Bytes {
    let event = Event {
        kind: kind.to_owned(),
        object: Some(Raw { raw: object }),
    }
    .encode_to_vec();
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &event].concat().into()
}

/// The events that are complete in `buffer`, taken out of it with what delimits them.
pub(super) fn take_events(encoding: Encoding, buffer: &mut BytesMut) -> Vec<Bytes> {
    let mut events = Vec::new();
    while let Some(length) = first_event(encoding, buffer) {
        events.push(buffer.split_to(length).freeze());
    }
    events
}

fn first_event(encoding: Encoding, buffer: &[u8]) -> Option<usize> {
    match encoding {
        Encoding::Json => Some(buffer.iter().position(|byte| *byte == b'\n')? + 1),
        Encoding::Protobuf => {
            let length = HEADER + u32::from_be_bytes(*buffer.first_chunk::<HEADER>()?) as usize;
            (buffer.len() >= length).then_some(length)
        }
    }
}

/// Whether it is about an object. Bookmarks come when the server likes, so counting them would let the numbers of two
/// runs drift apart.
pub(super) fn is_counted(encoding: Encoding, event: &Bytes) -> bool {
    let kind = match encoding {
        Encoding::Json => {
            #[derive(serde::Deserialize)]
            struct Typed {
                #[serde(rename = "type")]
                kind: String,
            }
            serde_json::from_slice::<Typed>(event)
                .ok()
                .map(|typed| typed.kind)
        }
        Encoding::Protobuf => Event::decode(event.slice(HEADER.min(event.len())..))
            .ok()
            .map(|event| event.kind),
    };
    kind.is_some_and(|kind| matches!(kind.as_str(), "ADDED" | "MODIFIED" | "DELETED"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: Refusal = Refusal {
        code: 429,
        reason: "TooManyRequests",
        retry_after: Some(1),
    };

    #[test]
    fn metadata_is_told_in_either_encoding() {
        let pod = Object {
            metadata: Some(Meta {
                uid: "u".to_owned(),
                resource_version: "7".to_owned(),
                deletion_timestamp: Some(Time { seconds: 1 }),
                deletion_grace_period_seconds: Some(30),
                finalizers: vec!["f".to_owned()],
            }),
        };
        let meta = &told(Encoding::Protobuf, &enclose("Pod", &pod))["metadata"];
        assert_eq!(
            *meta,
            json!({ "uid": "u", "resourceVersion": "7", "deletionTimestamp": "1", "deletionGracePeriodSeconds": 30,
                    "finalizers": ["f"] })
        );
        let json = Bytes::from_static(br#"{"metadata":{"resourceVersion":"8"}}"#);
        assert_eq!(
            told(Encoding::Json, &json)["metadata"]["resourceVersion"],
            "8"
        );
        assert_eq!(told(Encoding::Protobuf, &json), Value::Null);
    }

    #[test]
    fn a_status_tells_the_uid_of_what_was_deleted() {
        let status = Status {
            details: Some(Details {
                uid: "u".to_owned(),
                retry_after_seconds: 0,
            }),
            ..Status::default()
        };
        assert_eq!(
            told(Encoding::Protobuf, &enclose("Status", &status))["details"]["uid"],
            "u"
        );
    }

    #[test]
    fn a_refusal_reads_the_same_in_either_encoding() {
        let (kind, raw) = open(&GONE.body(Encoding::Protobuf)).unwrap();
        let status = Status::decode(raw).unwrap();
        let json: Value = serde_json::from_slice(&GONE.body(Encoding::Json)).unwrap();
        assert_eq!(kind, json["kind"]);
        assert_eq!(status.code, json["code"]);
        assert_eq!(status.reason, json["reason"]);
        assert_eq!(status.message, json["message"]);
        assert_eq!(
            status.details.unwrap().retry_after_seconds,
            json["details"]["retryAfterSeconds"]
        );
    }

    #[test]
    fn frames_are_told_apart() {
        let object = enclose("Pod", &Object::default());
        let frames = [
            framed("ADDED", object.clone()),
            framed("BOOKMARK", object),
            GONE.event(Encoding::Protobuf),
        ];
        let whole = frames.concat();
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::from(&whole[..cut]);
            let mut taken = take_events(Encoding::Protobuf, &mut buffer);
            buffer.extend_from_slice(&whole[cut..]);
            taken.extend(take_events(Encoding::Protobuf, &mut buffer));
            assert_eq!(taken, frames);
        }
        let counted = frames.map(|frame| is_counted(Encoding::Protobuf, &frame));
        assert_eq!(counted, [true, false, false]);
    }
}
