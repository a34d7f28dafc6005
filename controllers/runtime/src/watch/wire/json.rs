//! Lists and watches in JSON: one object after the other, each event on a line.

use kube::core::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Decoded, DecodedPage, Event, Identity, PageMeta};

/// One line of a watch, as it is written.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
enum Line<V> {
    Added(V),
    Modified(V),
    Deleted(V),
    Bookmark(Identity),
    Error(Box<Status>),
}

impl<V> Line<V> {
    fn into_event<To>(self, decoded: impl FnOnce(V) -> Decoded<To>) -> Event<To> {
        match self {
            Self::Added(object) | Self::Modified(object) => Event::Put(decoded(object)),
            Self::Deleted(object) => Event::Deleted(decoded(object)),
            Self::Bookmark(of) => Event::Bookmark(of.metadata.resource_version),
            Self::Error(status) => Event::Error(status),
        }
    }
}

pub(super) fn event<V: DeserializeOwned>(line: &[u8]) -> Result<Event<V>, serde_json::Error> {
    match serde_json::from_slice::<Line<V>>(line) {
        Ok(line) => Ok(line.into_event(Decoded::Whole)),
        Err(error) => {
            let line = serde_json::from_slice::<Line<Identity>>(line)?;
            Ok(line.into_event(|identity| Decoded::Broken {
                identity: identity.metadata,
                error: error.into(),
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
                    error: error.into(),
                },
                Decoded::Whole,
            )
        })
        .collect();
    Ok(DecodedPage { metadata, items })
}
