//! Objects in numbered slots, and the indexes that name slots.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use ironkeel_plan::meta::Stored;

use super::Change;

type Slot = u32;
/// Ordered, so that answers come in a stable order; about 8 bytes per object.
type Members = BTreeSet<Slot>;
/// Names and UIDs of owners are chosen by users: keyed hashing, or they choose collisions.
/// Nothing iterates over these maps, so the key shows nowhere.
type Index = HashMap<Box<str>, Members>;

pub(super) struct Slots<V> {
    objects: Vec<Option<Arc<V>>>,
    free: Vec<Slot>,
    /// Slots by namespace and name; the names stay in the objects.
    names: HashTable<Slot>,
    hasher: RandomState,
    owners: Index,
    orphans: Index,
    namespaces: Index,
    nodes: Index,
}

impl<V> Default for Slots<V> {
    fn default() -> Self {
        Self {
            objects: Vec::new(),
            free: Vec::new(),
            names: HashTable::new(),
            hasher: RandomState::new(),
            owners: Index::new(),
            orphans: Index::new(),
            namespaces: Index::new(),
            nodes: Index::new(),
        }
    }
}

impl<V: Stored> Slots<V> {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<V>> {
        self.objects.iter().flatten()
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<V>> {
        self.at(self.find(namespace, name)?)
    }

    pub(super) fn owned_by(&self, uid: &str) -> Vec<Arc<V>> {
        self.members(&self.owners, uid)
    }

    pub(super) fn orphans_in(&self, namespace: &str) -> Vec<Arc<V>> {
        self.members(&self.orphans, namespace)
    }

    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<Arc<V>> {
        self.members(&self.namespaces, namespace)
    }

    pub(super) fn on_node(&self, node: &str) -> Vec<Arc<V>> {
        self.members(&self.nodes, node)
    }

    /// Stores `object` in place of the one of the same name and reports what that did.
    pub(super) fn put(&mut self, object: Arc<V>, changes: &mut Vec<Change<V>>) -> Slot {
        let Some(slot) = self.find(object.namespace(), object.name()) else {
            changes.push(Change::added(Arc::clone(&object)));
            return self.insert(object);
        };
        let old = self
            .objects
            .get_mut(slot as usize)
            .and_then(|place| place.replace(Arc::clone(&object)));
        if let Some(old) = old {
            self.move_between_indexes(slot, &old, &object);
            if old.uid() == object.uid() {
                changes.push(Change {
                    old: Some(old),
                    new: Some(object),
                });
            } else {
                changes.push(Change::removed(old));
                changes.push(Change::added(object));
            }
        }
        slot
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Arc<V>> {
        let slot = self.find(namespace, name)?;
        self.vacate(slot)
    }

    /// Makes `objects` the whole content; unchanged ones (same UID and version) are no change.
    pub(super) fn replace(&mut self, objects: Vec<Arc<V>>) -> Vec<Change<V>> {
        let mut changes = Vec::new();
        let known = self.objects.len();
        let mut listed = vec![false; known];
        for object in objects {
            let same = self.find(object.namespace(), object.name()).filter(|slot| {
                self.at(*slot)
                    .is_some_and(|known| same_version(&**known, &*object))
            });
            let slot = same.unwrap_or_else(|| self.put(object, &mut changes));
            if let Some(listed) = listed.get_mut(slot as usize) {
                *listed = true;
            }
        }
        for (slot, listed) in listed.into_iter().enumerate() {
            if !listed && let Some(old) = self.vacate(slot as Slot) {
                changes.push(Change::removed(old));
            }
        }
        changes
    }

    fn at(&self, slot: Slot) -> Option<&Arc<V>> {
        self.objects.get(slot as usize)?.as_ref()
    }

    fn members(&self, index: &Index, of: &str) -> Vec<Arc<V>> {
        index.get(of).map_or_else(Vec::new, |members| {
            members
                .iter()
                .filter_map(|slot| self.at(*slot).cloned())
                .collect()
        })
    }

    fn hash(&self, namespace: &str, name: &str) -> u64 {
        self.hasher.hash_one((namespace, name))
    }

    fn find(&self, namespace: &str, name: &str) -> Option<Slot> {
        let hash = self.hash(namespace, name);
        self.names
            .find(hash, |slot| {
                self.at(*slot)
                    .is_some_and(|known| known.name() == name && known.namespace() == namespace)
            })
            .copied()
    }

    fn insert(&mut self, object: Arc<V>) -> Slot {
        let hash = self.hash(object.namespace(), object.name());
        let slot = self.free.pop().unwrap_or_else(|| {
            self.objects.push(None);
            (self.objects.len() - 1) as Slot
        });
        self.index(slot, &object);
        if let Some(place) = self.objects.get_mut(slot as usize) {
            *place = Some(object);
        }
        let (objects, hasher) = (&self.objects, &self.hasher);
        self.names.insert_unique(hash, slot, |slot| {
            let known = objects.get(*slot as usize).and_then(Option::as_ref);
            known.map_or(0, |known| {
                hasher.hash_one((known.namespace(), known.name()))
            })
        });
        slot
    }

    fn vacate(&mut self, slot: Slot) -> Option<Arc<V>> {
        let old = self.objects.get_mut(slot as usize)?.take()?;
        let hash = self.hash(old.namespace(), old.name());
        if let Ok(entry) = self.names.find_entry(hash, |known| *known == slot) {
            entry.remove();
        }
        leave(&mut self.namespaces, old.namespace(), slot);
        match old.controller_uid() {
            Some(uid) => leave(&mut self.owners, uid, slot),
            None => leave(&mut self.orphans, old.namespace(), slot),
        }
        if let Some(node) = old.node() {
            leave(&mut self.nodes, node, slot);
        }
        self.free.push(slot);
        Some(old)
    }

    fn index(&mut self, slot: Slot, object: &V) {
        join(&mut self.namespaces, object.namespace(), slot);
        match object.controller_uid() {
            Some(uid) => join(&mut self.owners, uid, slot),
            None => join(&mut self.orphans, object.namespace(), slot),
        }
        if let Some(node) = object.node() {
            join(&mut self.nodes, node, slot);
        }
    }

    /// Most updates change neither owner nor node and touch no index.
    fn move_between_indexes(&mut self, slot: Slot, old: &V, new: &V) {
        if old.controller_uid() != new.controller_uid() {
            match old.controller_uid() {
                Some(uid) => leave(&mut self.owners, uid, slot),
                None => leave(&mut self.orphans, old.namespace(), slot),
            }
            match new.controller_uid() {
                Some(uid) => join(&mut self.owners, uid, slot),
                None => join(&mut self.orphans, new.namespace(), slot),
            }
        }
        if old.node() != new.node() {
            if let Some(node) = old.node() {
                leave(&mut self.nodes, node, slot);
            }
            if let Some(node) = new.node() {
                join(&mut self.nodes, node, slot);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn index_bytes(&self) -> usize {
        let members = |index: &Index| -> usize {
            index
                .iter()
                // A B-tree node holds up to 11 slots and at least 5 beside its links.
                .map(|(name, members)| 64 + name.len() + 64 * members.len().div_ceil(5))
                .sum()
        };
        self.objects.capacity() * size_of::<Option<Arc<V>>>()
            + self.free.capacity() * size_of::<Slot>()
            + self.names.allocation_size()
            + members(&self.owners)
            + members(&self.orphans)
            + members(&self.namespaces)
            + members(&self.nodes)
    }
}

fn same_version<V: Stored>(known: &V, object: &V) -> bool {
    known.uid() == object.uid() && known.resource_version() == object.resource_version()
}

fn join(index: &mut Index, name: &str, slot: Slot) {
    if let Some(members) = index.get_mut(name) {
        members.insert(slot);
    } else {
        index.insert(name.into(), Members::from([slot]));
    }
}

fn leave(index: &mut Index, name: &str, slot: Slot) {
    if let Some(members) = index.get_mut(name) {
        members.remove(&slot);
        if members.is_empty() {
            index.remove(name);
        }
    }
}
