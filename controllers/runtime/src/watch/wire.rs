//! What the API server sends: pages of a list, and events; as JSON or as protobuf.
//!
//! The common case decodes straight into the slim object. Only if that fails the text is
//! read again, for who the object is, so that one that cannot be decoded is skipped by name.

mod json;
mod protobuf;

use bytes::Bytes;
use ironkeel_plan::meta::{Key, Stored, resource_version};
use kube::core::Status;
use serde::Deserialize;

use super::Readable;
use crate::protobuf::Encoding;
use crate::request::Unreadable;

/// One event of a watch.
#[derive(Debug)]
pub(super) enum Event<V> {
    /// The object was added or changed.
    Put(Decoded<V>),
    /// The object is gone.
    Deleted(Decoded<V>),
    /// Everything up to this version was sent.
    Bookmark(u64),
    /// The watch failed on the server.
    Error(Box<Status>),
}

/// Who an object is, when nothing else of it can be decoded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Identity {
    metadata: IdentityMeta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct IdentityMeta {
    namespace: String,
    name: String,
    pub(super) uid: String,
    #[serde(deserialize_with = "resource_version")]
    pub(super) resource_version: u64,
}

impl IdentityMeta {
    pub(super) fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }
}

/// An object, or who it is and why it could not be decoded.
#[derive(Debug)]
pub(super) enum Decoded<V> {
    Whole(V),
    Broken {
        identity: IdentityMeta,
        error: Unreadable,
    },
}

impl<V: Stored> Decoded<V> {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Whole(object) => object.key(),
            Self::Broken { identity, .. } => identity.key(),
        }
    }

    pub(super) fn uid(&self) -> &str {
        match self {
            Self::Whole(object) => object.uid(),
            Self::Broken { identity, .. } => &identity.uid,
        }
    }

    pub(super) fn resource_version(&self) -> u64 {
        match self {
            Self::Whole(object) => object.resource_version(),
            Self::Broken { identity, .. } => identity.resource_version,
        }
    }
}

/// Reads one event of a watch; fails only if it is no event of an object at all.
pub(super) fn event<V: Readable>(
    encoding: Encoding,
    frame: &Bytes,
) -> Result<Event<V>, Unreadable> {
    match encoding {
        Encoding::Json => Ok(json::event(frame)?),
        Encoding::Protobuf => protobuf::event(frame),
    }
}

/// Reads one page; fails only if it is no list at all.
pub(super) fn page<V: Readable>(
    encoding: Encoding,
    text: &Bytes,
) -> Result<DecodedPage<V>, Unreadable> {
    match encoding {
        Encoding::Json => Ok(json::page(text)?),
        Encoding::Protobuf => protobuf::page(text),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMeta {
    #[serde(deserialize_with = "resource_version")]
    pub(super) resource_version: u64,
    #[serde(default, rename = "continue")]
    pub(super) next: Option<String>,
}

/// A page, its objects decoded one by one where need be.
#[derive(Debug)]
pub(super) struct DecodedPage<V> {
    pub(super) metadata: PageMeta,
    pub(super) items: Vec<Decoded<V>>,
}
