//! The own-write barrier: no owner is synced on a view that misses the controller's own writes.
#![allow(clippy::todo)]
use crate::resource::Resource;
use crate::store::Change;
use ironkeel_plan::meta::{Key, Stored};
use std::sync::Arc;
use std::time::Duration;

/// The object on whose behalf something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its resource: decides which queue is woken.
    pub resource: Resource,
    /// Namespace and name.
    pub key: Key,
    /// Its UID, under which writes are remembered.
    pub uid: Arc<str>,
}

/// Whether an owner may be synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The stores hold every write made for the owner.
    Ready,
    /// A store lags; the owner is woken when it has caught up.
    Waiting {
        /// What is missing, for logs.
        what: String,
        /// The barrier gives up after this long; ask again then.
        limit: Duration,
    },
}

/// Remembers own writes until the stores show them. One for all controllers; clones share it.
#[derive(Clone, Debug)]
pub struct Barrier {}

impl Barrier {
    /// An empty barrier with upstream's limit of 5 min per record.
    pub fn register(_registry: &mut prometheus_client::registry::Registry) -> Self {
        todo!()
    }
    /// `wake` gets the key of an owner of that resource that was refused and is now ready.
    pub fn on_ready(&self, _resource: Resource, _wake: impl Fn(Key) + Send + Sync + 'static) {
        todo!()
    }
    /// A write for `owner` succeeded: its response carried this resourceVersion of `resource`.
    /// May come after the watch event.
    pub fn wrote(&self, _owner: &Owner, _resource: Resource, _resource_version: u64) {
        todo!()
    }
    /// A delete for `owner` was sent (or answered: either order with the watch event is right).
    pub fn deleting(&self, _owner: &Owner, _resource: Resource, _object_uid: &str) {
        todo!()
    }
    /// The delete failed, or the object was gone before (NotFound, UID conflict): nothing to wait for.
    pub fn failed_delete(&self, _owner: &Owner, _resource: Resource, _object_uid: &str) {
        todo!()
    }
    /// May the owner be synced? Counts a refusal and remembers to wake the owner.
    pub fn check(&self, _owner_uid: &str) -> Readiness {
        todo!()
    }
    /// The store of `resource` is complete up to this version.
    pub fn seen(&self, _resource: Resource, _resource_version: u64) {
        todo!()
    }
    /// The store shows that the object is gone, or that it is being deleted.
    pub fn gone(&self, _resource: Resource, _object_uid: &str) {
        todo!()
    }
    /// The owner is gone.
    pub fn forget(&self, _owner_uid: &str) {
        todo!()
    }
    /// Feeds a change of a store: `gone` and `forget` as it fits.
    pub fn observe<V: Stored>(&self, _resource: Resource, _change: &Change<V>) {
        todo!()
    }
}
