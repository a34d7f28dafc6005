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

pub(crate) use self::recent::Departure;
use self::state::{Overdue, Pending, State};
use crate::resource::Resource;
use crate::store::{Change, Store};
use crate::watch::Progress;

mod recent;
mod state;
#[cfg(test)]
mod tests;

/// How long the watches may owe an own write until the resource is listed anew.
pub const LIMIT: Duration = Duration::from_secs(30);

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
    lists: Mutex<BTreeMap<Resource, AskForList>>,
    skips: Family<OwnerLabels, Counter>,
    overdue: Counter,
}

type Wake = Arc<dyn Fn(Key) + Send + Sync>;
type AskForList = Arc<dyn Fn(Instant) + Send + Sync>;

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.lock();
        f.debug_struct("Barrier")
            .field("owners", &state.owners.len())
            .finish_non_exhaustive()
    }
}

impl Barrier {
    /// An empty barrier; registers `stale_sync_skips_total` and `ironkeel_barrier_overdue_total`.
    pub fn register(registry: &mut Registry) -> Self {
        let skips = Family::<OwnerLabels, Counter>::default();
        let overdue = Counter::default();
        registry.register(
            "stale_sync_skips",
            "Syncs skipped because a store did not show the controller's own writes yet",
            skips.clone(),
        );
        registry.register(
            "ironkeel_barrier_overdue",
            "New lists asked for because a watch did not show an own write in time",
            overdue.clone(),
        );
        Self {
            inner: Arc::new(Inner {
                state: Mutex::default(),
                wakes: Mutex::default(),
                lists: Mutex::default(),
                skips,
                overdue,
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

    /// Follows the watch that fills `store`: what it calls at each step. In return a list is asked
    /// for through the store when the watch owes an own write for too long.
    pub fn follow<V: Stored>(
        &self,
        resource: Resource,
        store: &Store<V>,
    ) -> impl Fn(Progress) + Send + Sync + use<V> {
        let (barrier, store) = (self.clone(), store.clone());
        self.on_overdue(resource, move |moment| store.ask_for_list(moment));
        move |progress| match progress {
            Progress::Followed(version) => barrier.seen(resource, version),
            Progress::Listed { version, began } => {
                barrier.seen(resource, version);
                barrier.listed(resource, began);
            }
        }
    }

    /// `ask` has `resource` listed from a moment on, and [`listed`](Self::listed) told of it.
    ///
    /// It is called outside of the barrier's locks and must not block.
    pub(crate) fn on_overdue(
        &self,
        resource: Resource,
        ask: impl Fn(Instant) + Send + Sync + 'static,
    ) {
        self.inner.lists.lock().insert(resource, Arc::new(ask));
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
    /// Either order with the watch event is right. Tell both: before, because the event may come
    /// first; after, because a list that was made meanwhile may show the object. After an answer that leaves open whether the delete was done,
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

    /// The API server says that the owner itself is gone: nothing is synced for it until its store
    /// says so too. Its pods would be replaced as fast as the garbage collector deletes them.
    pub fn vanished(&self, owner: &Owner) {
        self.change(|state, now| {
            state.vanished(owner, now);
            None
        });
    }

    /// May the owner be synced?
    ///
    /// A refusal is counted, and remembered so that the owner is woken.
    pub fn check(&self, owner_uid: &str) -> Readiness {
        let mut state = self.inner.state.lock();
        let Some(pending) = state.owners.get_mut(owner_uid) else {
            return Readiness::Ready;
        };
        pending.refused = true;
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
        Readiness::Waiting { what }
    }

    /// Has the resources listed anew whose watches have owed an own write for longer than [`LIMIT`].
    /// The worker loops call it from time to time.
    ///
    /// Neither acting on a view that is known to be stale will do, as upstream's expectations do
    /// after five minutes, nor standing still for ever (openkruise/kruise#1765 stood for days): a
    /// new list shows whatever is true.
    pub fn hurry(&self) {
        let overdue = self.inner.state.lock().overdue(Instant::now());
        for Overdue {
            resource,
            last,
            first,
        } in overdue
        {
            let Some(ask) = self.inner.lists.lock().get(&resource).cloned() else {
                continue;
            };
            self.inner.overdue.inc();
            tracing::warn!(
                %resource,
                first,
                "own writes were not observed within {} s: asking for a new list",
                LIMIT.as_secs(),
            );
            // Strictly later: what was recorded in the same moment may have come after the list.
            ask(last + Duration::from_nanos(1));
        }
    }

    /// A consistent list of `resource` that was asked for at `began` is in the store.
    ///
    /// Nobody waits any longer for what was written before: the list shows it, or it is not there
    /// (an object that outlived its delete; a write that an etcd restored from a backup has lost).
    pub(crate) fn listed(&self, resource: Resource, began: Instant) {
        self.change(|state, _| state.listed(resource, began));
    }

    /// The store of `resource` is complete up to this version. To be told by one watch, in order.
    pub fn seen(&self, resource: Resource, resource_version: u64) {
        self.change(|state, _| state.seen(resource, resource_version));
    }

    /// The store shows that the object is gone, or that it is being deleted.
    pub(crate) fn gone(&self, resource: Resource, object_uid: &str, departure: Departure) {
        self.change(|state, _| state.gone(resource, object_uid, departure));
    }

    /// Takes note of a change of the store of `resource`: objects that went or began to, and
    /// owners that are no more. Call it for every change, before queues are fed.
    pub fn observe<V: Stored>(&self, resource: Resource, change: &Change<V>) {
        match (&change.old, &change.new) {
            (Some(old), None) => self.gone(resource, old.uid(), Departure::Over),
            (old, Some(new)) => {
                let was_deleting = old.as_ref().is_some_and(|old| old.has_deletion_timestamp());
                if new.has_deletion_timestamp() && !was_deleting {
                    self.gone(resource, new.uid(), Departure::Begun);
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
            change(&mut state, now).into_iter().collect()
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
}
