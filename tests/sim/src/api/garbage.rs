//! The cluster's garbage collector and namespace controller, one write at a time.
//!
//! Both act on the true state where the real ones act on caches: what they would do late, they do when they are called.
//! The rules are upstream's `attemptToDeleteItem`, `processDeletingDependentsItem` and `attemptToOrphan`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ironkeel_invariants::Writer;
use ironkeel_plan::meta::Key;
use serde_json::Value;

use super::object::{self, FOREGROUND, ORPHAN, Object};
use super::resource::{EVENTS, NAMESPACES, STRATEGIES, index_of};
use super::state::{Change, State};

/// An object by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    index: usize,
    key: Key,
}

/// Who depends on whom, and who has to be looked at.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    /// By the owner's UID.
    dependents: BTreeMap<String, BTreeSet<Item>>,
    queue: VecDeque<Item>,
    queued: BTreeSet<Item>,
    /// Namespaces that are to go.
    ending: BTreeSet<String>,
}

/// What an owner reference means for its object.
enum Standing {
    /// The owner is there and stays, or goes without waiting.
    Solid,
    /// There is no such owner.
    Dangling,
    /// The owner waits until its dependents are gone.
    Waiting,
}

impl Garbage {
    /// Takes a commit into account.
    pub(super) fn note(
        &mut self,
        index: usize,
        key: &Key,
        before: Option<&Value>,
        after: Option<&Value>,
    ) {
        let item = Item {
            index,
            key: key.clone(),
        };
        let uids = |object: Option<&Value>| -> Vec<String> {
            let owners = object.into_iter().flat_map(object::owners);
            owners
                .filter_map(|owner| Some(owner["uid"].as_str()?.to_owned()))
                .collect()
        };
        let (old, new) = (uids(before), uids(after));
        for uid in old.iter().filter(|uid| !new.contains(uid)) {
            if let Some(items) = self.dependents.get_mut(uid) {
                items.remove(&item);
            }
        }
        for uid in &new {
            self.dependents
                .entry(uid.clone())
                .or_default()
                .insert(item.clone());
        }
        let owners_changed = before.map(|object| &object["metadata"]["ownerReferences"])
            != after.map(|object| &object["metadata"]["ownerReferences"]);
        if owners_changed {
            for owner in before.into_iter().flat_map(object::owners) {
                if let Some(owner) = owner_item(owner, &key.namespace) {
                    self.push(owner);
                }
            }
        }
        match after {
            None => {
                let uid = before.map(object::uid).unwrap_or_default().to_owned();
                self.push_dependents(&uid);
            }
            Some(after) => {
                let is_deleting = object::is_deleting(after);
                if is_deleting
                    && (object::has_finalizer(after, FOREGROUND)
                        || object::has_finalizer(after, ORPHAN))
                {
                    self.push(item);
                    let uid = object::uid(after).to_owned();
                    self.push_dependents(&uid);
                } else if !new.is_empty() && owners_changed {
                    self.push(item);
                }
                if STRATEGIES
                    .get(index)
                    .is_some_and(|strategy| strategy.resource == NAMESPACES)
                    && is_deleting
                {
                    self.ending.insert(key.name.clone());
                }
            }
        }
    }

    fn push(&mut self, item: Item) {
        if self.queued.insert(item.clone()) {
            self.queue.push_back(item);
        }
    }

    fn push_dependents(&mut self, uid: &str) {
        for item in self.dependents.get(uid).cloned().unwrap_or_default() {
            self.push(item);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front()?;
        self.queued.remove(&item);
        Some(item)
    }
}

/// Where a reference leads, if its kind is known.
fn owner_item(owner: &Value, namespace: &str) -> Option<Item> {
    let version = owner["apiVersion"].as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let index = STRATEGIES.iter().position(|strategy| {
        strategy.resource.group == group && owner["kind"] == strategy.resource.kind
    })?;
    let namespaced = STRATEGIES.get(index)?.namespaced;
    let namespace = if namespaced { namespace } else { "" };
    Some(Item {
        index,
        key: Key::new(namespace, owner["name"].as_str()?),
    })
}

impl State {
    /// One write of the garbage collector or of the namespace controller; `false` when neither has anything to do.
    pub(super) fn collect_garbage(&mut self) -> bool {
        while let Some(item) = self.garbage.pop() {
            if self.look_at(&item) {
                // There may be more to do for it.
                self.garbage.push(item);
                return true;
            }
        }
        self.end_namespaces()
    }

    fn look_at(&mut self, item: &Item) -> bool {
        let Some(object) = self.find(item.index, &item.key).cloned() else {
            return false;
        };
        let value = Arc::clone(&object.value);
        if object::is_deleting(&value) {
            if object::has_finalizer(&value, ORPHAN) {
                return self.orphan_dependents(item, &object);
            }
            if object::has_finalizer(&value, FOREGROUND) {
                let blocked = self
                    .dependents_of(object.uid())
                    .iter()
                    .any(|dependent| blocks(&dependent.1.value, object.uid()));
                return !blocked && self.remove_finalizer(item, &object, FOREGROUND);
            }
            return false;
        }
        self.judge_owners(item, &object)
    }

    fn dependents_of(&self, uid: &str) -> Vec<(Item, Arc<Object>)> {
        let items = self.garbage.dependents.get(uid).into_iter().flatten();
        items
            .filter_map(|item| Some((item.clone(), Arc::clone(self.find(item.index, &item.key)?))))
            .collect()
    }

    /// `None`: the reference names a kind that is not known, and nothing is done.
    fn standing(&self, item: &Item, owner: &Value) -> Option<Standing> {
        let place = owner_item(owner, &item.key.namespace)?;
        let found = self.find(place.index, &place.key);
        Some(match found.filter(|found| owner["uid"] == found.uid()) {
            None => Standing::Dangling,
            Some(found)
                if object::is_deleting(&found.value)
                    && object::has_finalizer(&found.value, FOREGROUND) =>
            {
                Standing::Waiting
            }
            Some(_) => Standing::Solid,
        })
    }

    /// Deletes an object none of whose owners stays; takes references away that hold an owner up for nothing.
    fn judge_owners(&mut self, item: &Item, object: &Arc<Object>) -> bool {
        let owners: Vec<Value> = object::owners(&object.value).cloned().collect();
        let mut solid = false;
        let mut waiting = false;
        let mut useless = Vec::new();
        for owner in &owners {
            match self.standing(item, owner) {
                None => return false,
                Some(Standing::Solid) => solid = true,
                Some(Standing::Dangling) => useless.push(owner["uid"].clone()),
                Some(Standing::Waiting) => {
                    waiting = true;
                    useless.push(owner["uid"].clone());
                }
            }
        }
        if owners.is_empty() || (solid && useless.is_empty()) {
            return false;
        }
        let writer = Writer::GarbageCollector;
        if solid {
            return self.remove_owners(item, object, &useless);
        }
        let dependents = self.dependents_of(object.uid());
        if waiting && !dependents.is_empty() {
            let in_circle = dependents.iter().any(|(_, dependent)| {
                object::is_deleting(&dependent.value)
                    && object::has_finalizer(&dependent.value, FOREGROUND)
            });
            let is_blocking = owners
                .iter()
                .any(|owner| owner["blockOwnerDeletion"] == true);
            if in_circle && is_blocking {
                return self.unblock(item, object);
            }
            return self.delete_in_background(&writer, item.index, &item.key, "Foreground");
        }
        let policy = if object::has_finalizer(&object.value, ORPHAN) {
            "Orphan"
        } else if object::has_finalizer(&object.value, FOREGROUND) {
            "Foreground"
        } else {
            "Background"
        };
        self.delete_in_background(&writer, item.index, &item.key, policy)
    }

    fn orphan_dependents(&mut self, item: &Item, owner: &Arc<Object>) -> bool {
        match self.dependents_of(owner.uid()).first() {
            Some((dependent, object)) => {
                let uid = Value::from(owner.uid());
                self.remove_owners(dependent, object, &[uid])
            }
            None => self.remove_finalizer(item, owner, ORPHAN),
        }
    }

    fn remove_owners(&mut self, item: &Item, object: &Arc<Object>, uids: &[Value]) -> bool {
        let mut new = (*object.value).clone();
        let kept: Vec<Value> = object::owners(&new)
            .filter(|owner| !uids.contains(&owner["uid"]))
            .cloned()
            .collect();
        let kept = (!kept.is_empty()).then_some(Value::Array(kept));
        object::put(object::metadata(&mut new), "ownerReferences", kept);
        self.write(item, object, new)
    }

    fn unblock(&mut self, item: &Item, object: &Arc<Object>) -> bool {
        let mut new = (*object.value).clone();
        let owners = new["metadata"]["ownerReferences"].as_array_mut();
        for owner in owners.into_iter().flatten() {
            if owner["blockOwnerDeletion"] == true {
                owner["blockOwnerDeletion"] = Value::Bool(false);
            }
        }
        self.write(item, object, new)
    }

    /// Takes a finalizer away from an object that is being deleted, which may be the end of it.
    fn remove_finalizer(&mut self, item: &Item, object: &Arc<Object>, finalizer: &str) -> bool {
        let kept: Vec<String> = object::finalizers(&object.value)
            .filter(|known| *known != finalizer)
            .map(str::to_owned)
            .collect();
        if kept.is_empty() && object::grace(&object.value).unwrap_or(0) == 0 {
            self.commit(
                &Writer::GarbageCollector,
                item.index,
                &item.key,
                Change::Remove,
            );
            return true;
        }
        let mut new = (*object.value).clone();
        object::set_finalizers(&mut new, &kept);
        self.write(item, object, new)
    }

    fn write(&mut self, item: &Item, old: &Arc<Object>, new: Value) -> bool {
        let before = self.version();
        self.store(&Writer::GarbageCollector, item.index, &item.key, old, new);
        self.version() > before
    }

    /// Deletes the next object of a namespace that is to go; an empty one goes itself.
    fn end_namespaces(&mut self) -> bool {
        let writer = Writer::Other("namespace controller".into());
        let Some(namespaces) = index_of(NAMESPACES) else {
            return false;
        };
        for name in self.garbage.ending.clone() {
            let key = Key::new("", name.as_str());
            if self.find(namespaces, &key).is_none() {
                self.garbage.ending.remove(&name);
                continue;
            }
            let mut left = Vec::new();
            // Events last: they tell of the others' end.
            let events = |index: &usize| {
                STRATEGIES
                    .get(*index)
                    .is_some_and(|known| known.resource == EVENTS)
            };
            let (late, early): (Vec<usize>, Vec<usize>) =
                (0..self.collections.len()).partition(events);
            for index in early.into_iter().chain(late) {
                let Some(collection) = self.collections.get(index).filter(|_| index != namespaces)
                else {
                    continue;
                };
                let objects = collection.at(Some(&name), u64::MAX, None);
                left.extend(
                    objects.map(|(key, object)| {
                        (index, key.clone(), object::is_deleting(&object.value))
                    }),
                );
            }
            let next = left
                .iter()
                .find(|(_, _, is_deleting)| !is_deleting)
                .cloned();
            if let Some((index, key, _)) = next {
                if self.delete_in_background(&writer, index, &key, "Background") {
                    return true;
                }
            } else if left.is_empty() {
                self.commit(&writer, namespaces, &key, Change::Remove);
                return true;
            }
        }
        false
    }
}

/// Whether a dependent holds up the deletion of the owner with this UID.
fn blocks(dependent: &Value, uid: &str) -> bool {
    object::owners(dependent)
        .any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true)
}
