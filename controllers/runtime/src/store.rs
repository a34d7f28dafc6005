//! The cache of one resource: slim objects, found by name, owner, namespace and node.
#![allow(clippy::todo, missing_debug_implementations)]
use ironkeel_plan::meta::{Key, Stored};
use std::sync::Arc;

/// What one observation did to the store. `old` and `new` are the same object (one UID):
/// a recreated object comes as a removal and an addition.
#[derive(Clone, Debug)]
pub struct Change<V> {
    /// The object before; `None` when it is new.
    pub old: Option<Arc<V>>,
    /// The object now; `None` when it is gone.
    pub new: Option<Arc<V>>,
}

/// The cache of one resource. Clones share the content.
pub struct Store<V>(std::marker::PhantomData<V>);

impl<V> Clone for Store<V> {
    fn clone(&self) -> Self {
        todo!()
    }
}

impl<V: Stored> Store<V> {
    /// An empty store that is not synced.
    pub fn new() -> Self {
        todo!()
    }
    /// The object of that name.
    pub fn get(&self, _key: &Key) -> Option<Arc<V>> {
        todo!()
    }
    /// The objects whose managing controller has that UID, in a stable order.
    pub fn owned_by(&self, _uid: &str) -> Vec<Arc<V>> {
        todo!()
    }
    /// The objects of a namespace that have no managing controller.
    pub fn orphans_in(&self, _namespace: &str) -> Vec<Arc<V>> {
        todo!()
    }
    /// All objects of a namespace.
    pub fn in_namespace(&self, _namespace: &str) -> Vec<Arc<V>> {
        todo!()
    }
    /// The objects bound to a node.
    pub fn on_node(&self, _node: &str) -> Vec<Arc<V>> {
        todo!()
    }
    /// All objects; for start-up and dumps, not for a reconcile.
    pub fn all(&self) -> Vec<Arc<V>> {
        todo!()
    }
    /// Number of objects.
    pub fn len(&self) -> usize {
        todo!()
    }
    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Everything up to this version of the whole resource is in the store (lists, events and
    /// bookmarks count); 0 before the first list.
    pub fn resource_version(&self) -> u64 {
        todo!()
    }
    /// Whether the first list is complete.
    pub fn is_synced(&self) -> bool {
        todo!()
    }
    /// Waits until the first list is complete.
    pub async fn synced(&self) {
        todo!()
    }
    /// Stores what a watch event brought. An older version than the stored one is ignored.
    /// The result is empty, one change, or (another UID under the same name) a removal and an addition.
    pub fn apply(&self, _object: V) -> Vec<Change<V>> {
        todo!()
    }
    /// Removes the object of that name if it has that UID.
    pub fn delete(&self, _key: &Key, _uid: &str) -> Option<Arc<V>> {
        todo!()
    }
    /// Takes a complete list at `resource_version`; what is missing in it comes out as removals.
    pub fn replace(&self, _objects: Vec<Arc<V>>, _resource_version: u64) -> Vec<Change<V>> {
        todo!()
    }
    /// A bookmark: the store is complete up to this version.
    pub fn advance(&self, _resource_version: u64) {
        todo!()
    }
}
