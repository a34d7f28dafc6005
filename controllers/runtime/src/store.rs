//! The cache of one resource: slim objects, found by name, owner, namespace and node.
//!
//! kube's own store has no secondary index and hands out no old value, so that an owner's
//! pods cost a scan of all pods and a deletion missed during a gap wakes nobody. This one
//! answers both: indexes hold slot numbers, an update of an object touches one slot, and
//! [`Store::replace`] compares a list with what was known before.

use std::fmt;
use std::sync::Arc;

use ironkeel_plan::meta::{Key, Stored};
use parking_lot::RwLock;
use tokio::time::Instant;

use self::slots::Slots;
use crate::awaited::Awaited;

mod slots;
#[cfg(test)]
mod tests;

/// What one observation did to the store.
///
/// `old` and `new` are the same object (one UID): an object recreated under its old name
/// comes as a removal and an addition.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<V> {
    /// The object before; `None` when it is new.
    pub old: Option<Arc<V>>,
    /// The object now; `None` when it is gone.
    pub new: Option<Arc<V>>,
}

impl<V> Clone for Change<V> {
    fn clone(&self) -> Self {
        Self {
            old: self.old.clone(),
            new: self.new.clone(),
        }
    }
}

impl<V> Change<V> {
    pub(crate) fn added(new: Arc<V>) -> Self {
        Self {
            old: None,
            new: Some(new),
        }
    }

    pub(crate) fn removed(old: Arc<V>) -> Self {
        Self {
            old: Some(old),
            new: None,
        }
    }

    /// The object now, or as it was last when it is gone.
    pub fn object(&self) -> Option<&Arc<V>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

/// The cache of one resource. Clones share the content.
pub struct Store<V> {
    inner: Arc<Inner<V>>,
}

struct Inner<V> {
    content: RwLock<Content<V>>,
    /// When the last list that is in the store was asked for.
    listed: Awaited<Option<Instant>>,
    /// The moment from which somebody wants a list.
    wanted: Awaited<Option<Instant>>,
}

struct Content<V> {
    slots: Slots<V>,
    /// High-water of the whole resource: lists, events and bookmarks.
    resource_version: u64,
}

impl<V> Clone for Store<V> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<V: Stored> Default for Store<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Stored> fmt::Debug for Store<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = self.inner.content.read();
        f.debug_struct("Store")
            .field("objects", &content.slots.len())
            .field("resource_version", &content.resource_version)
            .field("synced", &self.is_synced())
            .finish()
    }
}

impl<V: Stored> Store<V> {
    /// An empty store that is not synced.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                content: RwLock::new(Content {
                    slots: Slots::default(),
                    resource_version: 0,
                }),
                listed: Awaited::new(None),
                wanted: Awaited::new(None),
            }),
        }
    }

    /// The object of that name.
    pub fn get(&self, key: &Key) -> Option<Arc<V>> {
        let content = self.inner.content.read();
        content.slots.get(&key.namespace, &key.name).cloned()
    }

    /// The objects whose managing controller has that UID, in an order that depends only on
    /// the order of observations.
    pub fn owned_by(&self, uid: &str) -> Vec<Arc<V>> {
        self.inner.content.read().slots.owned_by(uid)
    }

    /// The objects of a namespace that have no managing controller.
    pub fn orphans_in(&self, namespace: &str) -> Vec<Arc<V>> {
        self.inner.content.read().slots.orphans_in(namespace)
    }

    /// All objects of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<V>> {
        self.inner.content.read().slots.in_namespace(namespace)
    }

    /// The objects bound to a node.
    pub fn on_node(&self, node: &str) -> Vec<Arc<V>> {
        self.inner.content.read().slots.on_node(node)
    }

    /// All objects. For start-up and dumps: a reconcile asks an index.
    pub fn all(&self) -> Vec<Arc<V>> {
        self.inner.content.read().slots.iter().cloned().collect()
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.inner.content.read().slots.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The store holds everything up to this version of the whole resource: lists, events
    /// and bookmarks count. 0 before the first list.
    pub fn resource_version(&self) -> u64 {
        self.inner.content.read().resource_version
    }

    /// Whether the first list is complete.
    pub fn is_synced(&self) -> bool {
        self.inner.listed.read(Option::is_some)
    }

    /// Waits until the first list is complete.
    pub async fn synced(&self) {
        self.inner.listed.wait_for(Option::is_some).await;
    }

    /// Wants a list that is asked for no earlier than `moment`, of whoever keeps the store current:
    /// its watch may lag.
    pub fn ask_for_list(&self, moment: Instant) {
        let known = self.inner.wanted.read(|wanted| *wanted);
        self.inner.wanted.set(known.max(Some(moment)));
    }

    /// Waits until the store holds everything that was committed before `moment`: until a list that
    /// was asked for no earlier is in it.
    pub async fn listed_since(&self, moment: Instant) {
        let is_recent = |began: &Option<Instant>| began.is_some_and(|began| began >= moment);
        if !self.inner.listed.read(is_recent) {
            self.ask_for_list(moment);
        }
        self.inner.listed.wait_for(is_recent).await;
    }

    /// Waits until a list is wanted that is newer than the one in the store.
    pub(crate) async fn list_wanted(&self) {
        let is_older = |wanted: &Option<Instant>| {
            wanted.is_some() && self.inner.listed.read(|began| began < wanted)
        };
        self.inner.wanted.wait_for(is_older).await;
    }

    /// Stores what a watch event brought.
    ///
    /// A version that is not newer than the stored one of the same object is ignored: a
    /// replayed event must not turn the store back. The answer is empty, one change, or, when
    /// another object of the same name was known, its removal and an addition.
    pub fn apply(&self, object: V) -> Vec<Change<V>> {
        self.apply_shared(Arc::new(object))
    }

    pub(crate) fn apply_shared(&self, object: Arc<V>) -> Vec<Change<V>> {
        let mut content = self.inner.content.write();
        content.resource_version = content.resource_version.max(object.resource_version());
        if let Some(known) = content.slots.get(object.namespace(), object.name())
            && known.uid() == object.uid()
            && known.resource_version() >= object.resource_version()
        {
            return Vec::new();
        }
        let mut changes = Vec::with_capacity(1);
        content.slots.put(object, &mut changes);
        changes
    }

    /// Removes the object of that name if it has that UID.
    pub fn delete(&self, key: &Key, uid: &str) -> Option<Arc<V>> {
        let mut content = self.inner.content.write();
        let known = content.slots.get(&key.namespace, &key.name)?;
        if known.uid() != uid {
            return None;
        }
        content.slots.remove(&key.namespace, &key.name)
    }

    /// Takes a complete list at `resource_version`, asked for at `began`, and marks the store synced.
    ///
    /// Readers see the old content or the new one, never a mixture. What the list lacks comes
    /// out as removals, so that a deletion missed during a gap still wakes its owner. The
    /// high-water is set even if it falls: an etcd restored from a backup starts at an older
    /// one, and waiting for the former would never end.
    pub fn replace(
        &self,
        objects: Vec<Arc<V>>,
        resource_version: u64,
        began: Instant,
    ) -> Vec<Change<V>> {
        let changes = {
            let mut content = self.inner.content.write();
            content.resource_version = resource_version;
            content.slots.replace(objects)
        };
        self.inner.listed.set(Some(began));
        changes
    }

    /// A bookmark, or an event without effect: the store is complete up to this version.
    pub fn advance(&self, resource_version: u64) {
        let mut content = self.inner.content.write();
        content.resource_version = content.resource_version.max(resource_version);
    }
}
