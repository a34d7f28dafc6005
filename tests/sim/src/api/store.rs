//! Every version of the objects of one resource, and the log of its changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use ironkeel_plan::meta::Key;
use jiff::Timestamp;

use super::log::{EventKind, WatchEvent};
use super::object::Object;

/// The objects of one resource.
#[derive(Debug, Default)]
pub(super) struct Collection {
    objects: BTreeMap<Key, Vec<Version>>,
    pub(super) log: Vec<Entry>,
}

/// From this version on the object was this, or not there.
#[derive(Debug)]
struct Version {
    since: u64,
    object: Option<Arc<Object>>,
}

/// One change, as watches see it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) version: u64,
    pub(super) at: Timestamp,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Object>>,
    /// The object after; of a deletion its last state with the deletion's version.
    pub(super) after: Arc<Object>,
    pub(super) is_deletion: bool,
    /// The event of whoever saw the object before and after, made when the first one asks.
    event: OnceLock<Arc<WatchEvent>>,
}

impl Entry {
    pub(super) fn new(
        version: u64,
        at: Timestamp,
        key: Key,
        before: Option<Arc<Object>>,
        after: Arc<Object>,
        is_deletion: bool,
    ) -> Self {
        Self {
            version,
            at,
            key,
            before,
            after,
            is_deletion,
            event: OnceLock::new(),
        }
    }

    /// The change as one sees it whose selectors the object met before, or meets after; `None` if neither.
    pub(super) fn seen(&self, before: bool, after: bool) -> Option<Arc<WatchEvent>> {
        let existed = self.before.is_some();
        let plain = if self.is_deletion {
            EventKind::Deleted
        } else if existed {
            EventKind::Modified
        } else {
            EventKind::Added
        };
        let kind = match (before && existed, after && !self.is_deletion) {
            (false, false) => return None,
            (false, true) => EventKind::Added,
            (true, true) => EventKind::Modified,
            (true, false) => EventKind::Deleted,
        };
        if kind == plain {
            let event = self
                .event
                .get_or_init(|| self.event(kind, &self.after.text));
            return Some(Arc::clone(event));
        }
        // It went out of view without being deleted: its last seen state, with the version of the change.
        if kind == EventKind::Deleted
            && let Some(before) = &self.before
        {
            let text = with_version(before, self.version);
            return Some(self.event(kind, text.as_bytes()));
        }
        Some(self.event(kind, &self.after.text))
    }

    fn event(&self, kind: EventKind, object: &[u8]) -> Arc<WatchEvent> {
        Arc::new(WatchEvent::of(
            kind,
            self.version,
            self.at,
            self.key.clone(),
            object,
        ))
    }
}

/// The object's text with another resourceVersion.
fn with_version(object: &Object, version: u64) -> String {
    let mut value = (*object.value).clone();
    super::object::metadata(&mut value)
        .insert("resourceVersion".to_owned(), version.to_string().into());
    value.to_string()
}

impl Collection {
    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)?.last()?.object.as_ref()
    }

    /// The object as it was right after the commit `version`.
    pub(super) fn get_at(&self, key: &Key, version: u64) -> Option<&Arc<Object>> {
        let versions = self.objects.get(key)?;
        let count = versions.partition_point(|known| known.since <= version);
        versions.get(count.checked_sub(1)?)?.object.as_ref()
    }

    pub(super) fn put(&mut self, key: Key, since: u64, object: Option<Arc<Object>>) {
        let versions = self.objects.entry(key).or_default();
        versions.push(Version { since, object });
    }

    /// The objects right after the commit `version`, in the order of their keys, from behind `after` on.
    pub(super) fn at<'a>(
        &'a self,
        namespace: Option<&'a str>,
        version: u64,
        after: Option<&Key>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Object>)> {
        let first = Key::new(namespace.unwrap_or_default(), "");
        let start = match after {
            Some(after) if *after >= first => std::ops::Bound::Excluded(after.clone()),
            _ => std::ops::Bound::Included(first),
        };
        self.objects
            .range((start, std::ops::Bound::Unbounded))
            .take_while(move |(key, _)| namespace.is_none_or(|known| known == key.namespace))
            .filter_map(move |(key, versions)| {
                let count = versions.partition_point(|known| known.since <= version);
                let object = versions.get(count.checked_sub(1)?)?.object.as_ref()?;
                Some((key, object))
            })
    }

    /// The place in the log behind the last change up to `version`.
    pub(super) fn behind(&self, version: u64) -> usize {
        self.log.partition_point(|entry| entry.version <= version)
    }
}
