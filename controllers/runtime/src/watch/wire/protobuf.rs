//! Lists and watches in protobuf: each event in a frame, each object of it in an envelope.

use bytes::Bytes;
use prost::Message;

use super::{Decoded, DecodedPage, Event, IdentityMeta, PageMeta};
use crate::protobuf::{Enclosed, Malformed, MetaMessage, number, status, text};
use crate::request::Unreadable;
use crate::watch::Readable;

/// `meta.v1.WatchEvent`.
#[derive(Message)]
struct EventMessage {
    #[prost(bytes = "bytes", tag = "1")]
    kind: Bytes,
    #[prost(message, optional, tag = "2")]
    object: Option<RawMessage>,
}

/// `runtime.RawExtension`.
#[derive(Message)]
struct RawMessage {
    #[prost(bytes = "bytes", tag = "1")]
    raw: Bytes,
}

/// A list of any kind.
#[derive(Message)]
struct ListMessage {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ListMetaMessage>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    items: Vec<Bytes>,
}

/// `meta.v1.ListMeta`.
#[derive(Message)]
struct ListMetaMessage {
    #[prost(bytes = "bytes", tag = "2")]
    resource_version: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    next: Bytes,
}

pub(super) fn event<V: Readable>(frame: &Bytes) -> Result<Event<V>, Unreadable> {
    let event = EventMessage::decode(frame.clone()).map_err(Malformed::from)?;
    let object = Enclosed::open(&event.object.unwrap_or_default().raw)?.message;
    Ok(match &*event.kind {
        b"ADDED" | b"MODIFIED" => Event::Put(decode(object)?),
        b"DELETED" => Event::Deleted(decode(object)?),
        b"BOOKMARK" => Event::Bookmark(MetaMessage::of(object)?.resource_version()?),
        b"ERROR" => Event::Error(Box::new(status(object)?)),
        _ => return Err(Malformed::EventType(event.kind).into()),
    })
}

pub(super) fn page<V: Readable>(body: &Bytes) -> Result<DecodedPage<V>, Unreadable> {
    let list = Enclosed::open(body)?.message;
    let ListMessage { metadata, items } = ListMessage::decode(list).map_err(Malformed::from)?;
    let metadata = metadata.unwrap_or_default();
    Ok(DecodedPage {
        metadata: PageMeta {
            resource_version: number(&metadata.resource_version)?,
            next: Some(text("metadata.continue", &metadata.next)?.to_owned()),
        },
        items: items
            .into_iter()
            .map(|item| {
                whole(item.clone()).unwrap_or_else(|error| Decoded::Broken {
                    identity: identity(item).unwrap_or_default(),
                    error,
                })
            })
            .collect(),
    })
}

/// An object, or who it is; fails if not even that can be read.
fn decode<V: Readable>(object: Bytes) -> Result<Decoded<V>, Malformed> {
    whole(object.clone()).or_else(|error| {
        let identity = identity(object)?;
        Ok(Decoded::Broken { identity, error })
    })
}

fn whole<V: Readable>(object: Bytes) -> Result<Decoded<V>, Unreadable> {
    let read = V::FROM_PROTOBUF.ok_or(Malformed::NotAskedFor)?;
    Ok(Decoded::Whole(read(object).map_err(Malformed::from)?))
}

fn identity(object: Bytes) -> Result<IdentityMeta, Malformed> {
    let meta = MetaMessage::of(object)?;
    Ok(IdentityMeta {
        namespace: text("metadata.namespace", &meta.namespace)?.to_owned(),
        name: text("metadata.name", &meta.name)?.to_owned(),
        uid: text("metadata.uid", &meta.uid)?.to_owned(),
        resource_version: meta.resource_version()?,
    })
}
