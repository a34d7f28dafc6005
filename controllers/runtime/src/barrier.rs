//! The own-write barrier: no owner is synced on a view that misses the controller's own writes.
//!
//! Upstream has it since 1.36 (KEP-5647), after expectations alone had made duplicate pods for
//! ten years. After a write, the resourceVersion that the API server answered is remembered
//! under the owner's UID; until the store of that resource has reached it, the owner is not
//! synced. Deletes are remembered by the deleted object's UID, until the store shows the object
//! gone or terminating. Unlike upstream the owner is woken by the very observation that
//! completes it, not by back-off.
//!
//! Records are never wrong about a race: a watch event may arrive before the response of the
//! write that caused it has been read, so a record is compared with what was already seen.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::meta::{Key, Stored};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use self::state::{Pending, State};
use crate::resource::Resource;
use crate::store::Change;

mod recent;
mod state;
#[cfg(test)]
mod tests;

/// How long a record holds its owner back; upstream's expectations expire after the same time.
pub const LIMIT: Duration = Duration::from_mins(5);

/// The object on whose behalf something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its resource: decides which queue is woken.
    pub resource: Resource,
    /// Namespace and name.
    pub key: Key,
    /// Its UID, under which writes are remembered: an object recreated under the same name
    /// does not inherit them (kubernetes#69376).
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
        /// The barrier gives up, and wakes the owner, after this long.
        limit: Duration,
    },
}

/// Labels of `stale_sync_skips_total`: group and resource of the owner. Upstream's have the
/// resource that lags, in a metric per controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OwnerLabels {
    group: &'static str,
    resource: &'static str,
}

/// Remembers own writes until the stores show them. One for all controllers; clones share it.
#[derive(Clone)]
pub struct Barrier {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    wakes: Mutex<BTreeMap<Resource, Vec<Wake>>>,
    skips: Family<OwnerLabels, Counter>,
    expired: Counter,
}

type Wake = Arc<dyn Fn(Key) + Send + Sync>;

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.lock();
        f.debug_struct("Barrier")
            .field("owners", &state.owners.len())
            .finish_non_exhaustive()
    }
}

impl Barrier {
    /// An empty barrier; registers `stale_sync_skips_total` and `ironkeel_barrier_expired_total`.
    pub fn register(registry: &mut Registry) -> Self {
        let skips = Family::<OwnerLabels, Counter>::default();
        let expired = Counter::default();
        registry.register(
            "stale_sync_skips",
            "Syncs skipped because a store did not show the controller's own writes yet",
            skips.clone(),
        );
        registry.register(
            "ironkeel_barrier_expired",
            "Owners released because an own write was not observed within the limit",
            expired.clone(),
        );
        Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                wakes: Mutex::default(),
                skips,
                expired,
            }),
        }
    }

    /// `wake` gets the key of each owner of that resource that was refused and is now ready.
    ///
    /// It is called outside of the barrier's locks and must not block.
    pub fn on_ready(&self, resource: Resource, wake: impl Fn(Key) + Send + Sync + 'static) {
        let mut wakes = self.inner.wakes.lock();
        wakes.entry(resource).or_default().push(Arc::new(wake));
    }

    /// A write for `owner` succeeded, and its response carried this version of `resource`.
    ///
    /// May come before or after the watch event of the write. A resource that no watch feeds
    /// (nothing was ever [`seen`](Self::seen) of it) is not waited for.
    pub fn wrote(&self, owner: &Owner, resource: Resource, resource_version: u64) {
        self.change(|state, now| {
            state.wrote(owner, resource, resource_version, now);
            None
        });
    }

    /// A delete for `owner` is about to be sent, or was answered.
    ///
    /// Either order with the watch event is right; before sending is better, because then
    /// nothing can be missed. After an answer that leaves open whether the delete was done,
    /// read the object live and call [`failed_delete`](Self::failed_delete) if it stands.
    pub fn deleting(&self, owner: &Owner, resource: Resource, object_uid: &str) {
        self.change(|state, now| {
            state.deleting(owner, resource, object_uid, now);
            None
        });
    }

    /// The delete was refused, or there was nothing to delete (NotFound, another UID): nothing
    /// will be observed.
    pub fn failed_delete(&self, owner: &Owner, resource: Resource, object_uid: &str) {
        self.change(|state, _| state.failed_delete(owner, resource, object_uid));
    }

    /// May the owner be synced?
    ///
    /// A refusal is counted, and remembered so that the owner is woken. A record older than
    /// [`LIMIT`] is given up with a warning: the cache may be stale, but standing still for
    /// ever is worse (openkruise/kruise#1765 stood for days).
    pub fn check(&self, owner_uid: &str) -> Readiness {
        let now = Instant::now();
        let mut state = self.inner.state.lock();
        let Some(pending) = state.owners.get_mut(owner_uid) else {
            return Readiness::Ready;
        };
        if pending.deadline <= now {
            let given_up = state.forget(owner_uid);
            self.report_expired(&state, given_up.as_slice());
            return Readiness::Ready;
        }
        pending.refused = true;
        let limit = pending.deadline - now;
        let labels = OwnerLabels {
            group: pending.owner.resource.group,
            resource: pending.owner.resource.plural,
        };
        let what = state
            .owners
            .get(owner_uid)
            .map_or_else(String::new, |pending| state.describe(pending));
        drop(state);
        self.inner.skips.get_or_create(&labels).inc();
        Readiness::Waiting { what, limit }
    }

    /// Releases and wakes the owners whose records are older than [`LIMIT`]. The worker loops
    /// call it from time to time: nothing else would wake an owner whose write never shows.
    pub fn expire(&self) {
        self.change(State::expire);
    }

    /// The store of `resource` is complete up to this version. To be told by one watch, in order.
    pub fn seen(&self, resource: Resource, resource_version: u64) {
        self.change(|state, _| state.seen(resource, resource_version));
    }

    /// The store shows that the object is gone, or that it is being deleted.
    pub fn gone(&self, resource: Resource, object_uid: &str) {
        self.change(|state, _| state.gone(resource, object_uid));
    }

    /// The owner is gone: what was written for it no longer matters.
    pub fn forget(&self, owner_uid: &str) {
        self.inner.state.lock().forget(owner_uid);
    }

    /// Takes note of a change of the store of `resource`: objects that went or began to, and
    /// owners that are no more. Call it for every change, before queues are fed.
    pub fn observe<V: Stored>(&self, resource: Resource, change: &Change<V>) {
        match (&change.old, &change.new) {
            (Some(old), None) => {
                self.gone(resource, old.uid());
                self.forget(old.uid());
            }
            (old, Some(new)) => {
                let was_deleting = old.as_ref().is_some_and(|old| old.has_deletion_timestamp());
                if new.has_deletion_timestamp() && !was_deleting {
                    self.gone(resource, new.uid());
                }
            }
            (None, None) => {}
        }
    }

    /// Changes the state, and wakes the refused owners that are ready by it, after the lock.
    fn change<Ready>(&self, change: impl FnOnce(&mut State, Instant) -> Ready)
    where
        Ready: IntoIterator<Item = Pending>,
    {
        let now = Instant::now();
        let ready: Vec<Pending> = {
            let mut state = self.inner.state.lock();
            let ready: Vec<Pending> = change(&mut state, now).into_iter().collect();
            self.report_expired(&state, &ready);
            ready
        };
        for pending in ready.into_iter().filter(|pending| pending.refused) {
            let wakes = self
                .inner
                .wakes
                .lock()
                .get(&pending.owner.resource)
                .cloned();
            for wake in wakes.into_iter().flatten() {
                wake(pending.owner.key.clone());
            }
        }
    }

    /// Warns of those that were dropped incomplete; the complete ones have nothing missing.
    fn report_expired(&self, state: &State, owners: &[Pending]) {
        for pending in owners {
            let missing = state.describe(pending);
            if missing.is_empty() {
                continue;
            }
            self.inner.expired.inc();
            tracing::warn!(
                owner = %pending.owner.resource,
                namespace = pending.owner.key.namespace,
                name = pending.owner.key.name,
                uid = %pending.owner.uid,
                missing,
                "own writes were not observed within {} s, syncing on what is there",
                LIMIT.as_secs(),
            );
        }
    }
}
