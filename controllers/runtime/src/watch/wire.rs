//! What the API server sends: pages of a list, and events.
//!
//! The common case decodes straight into the slim object. Only if that fails the text is
//! read again, for who the object is, so that one that cannot be decoded is skipped by name.

use std::collections::BTreeMap;

use ironkeel_plan::meta::{Key, Stored, resource_version};
use kube::core::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The annotation of the bookmark that ends the initial part of a streaming list (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// One line of a watch.
#[derive(Debug)]
pub(super) enum Event<V> {
    /// The object was added or changed.
    Put(Decoded<V>),
    /// The object is gone.
    Deleted(Decoded<V>),
    /// Everything up to a version was sent.
    Bookmark(Mark),
    /// The watch failed on the server.
    Error(Box<Status>),
}

/// One line of a watch, as it is written.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
enum Line<V> {
    Added(V),
    Modified(V),
    Deleted(V),
    Bookmark(Mark),
    Error(Box<Status>),
}

impl<V> Line<V> {
    fn into_event<To>(self, decoded: impl FnOnce(V) -> Decoded<To>) -> Event<To> {
        match self {
            Self::Added(object) | Self::Modified(object) => Event::Put(decoded(object)),
            Self::Deleted(object) => Event::Deleted(decoded(object)),
            Self::Bookmark(mark) => Event::Bookmark(mark),
            Self::Error(status) => Event::Error(status),
        }
    }
}

/// The object of a bookmark.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    metadata: MarkMeta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MarkMeta {
    #[serde(deserialize_with = "resource_version")]
    resource_version: u64,
    annotations: BTreeMap<String, String>,
}

impl Mark {
    pub(super) fn resource_version(&self) -> u64 {
        self.metadata.resource_version
    }

    pub(super) fn ends_initial_events(&self) -> bool {
        self.metadata
            .annotations
            .get(INITIAL_EVENTS_END)
            .is_some_and(|value| value == "true")
    }
}

/// Who an object is, when nothing else of it can be decoded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Identity {
    pub(super) metadata: IdentityMeta,
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
        error: serde_json::Error,
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

/// Reads one line of a watch; fails only if it is no event of an object at all.
pub(super) fn event<V: DeserializeOwned>(line: &[u8]) -> Result<Event<V>, serde_json::Error> {
    match serde_json::from_slice::<Line<V>>(line) {
        Ok(line) => Ok(line.into_event(Decoded::Whole)),
        Err(error) => {
            let line = serde_json::from_slice::<Line<Identity>>(line)?;
            Ok(line.into_event(|identity| Decoded::Broken {
                identity: identity.metadata,
                error,
            }))
        }
    }
}

/// One page of a list.
#[derive(Debug, Deserialize)]
struct Page<V> {
    metadata: PageMeta,
    /// Go writes an empty list as `null` where nobody made it `[]`.
    items: Option<Vec<V>>,
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

/// Reads one page; fails only if it is no list at all.
pub(super) fn page<V: DeserializeOwned>(text: &[u8]) -> Result<DecodedPage<V>, serde_json::Error> {
    if let Ok(Page { metadata, items }) = serde_json::from_slice::<Page<V>>(text) {
        let items = items.into_iter().flatten().map(Decoded::Whole).collect();
        return Ok(DecodedPage { metadata, items });
    }
    let Page { metadata, items } = serde_json::from_slice::<Page<&RawValue>>(text)?;
    let items = items
        .into_iter()
        .flatten()
        .map(|item| {
            serde_json::from_str(item.get()).map_or_else(
                |error| Decoded::Broken {
                    identity: serde_json::from_str::<Identity>(item.get())
                        .unwrap_or_default()
                        .metadata,
                    error,
                },
                Decoded::Whole,
            )
        })
        .collect();
    Ok(DecodedPage { metadata, items })
}
