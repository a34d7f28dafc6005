//! Which sets a change of a set or of a pod wakes.

use std::sync::Arc;

use ironkeel_plan::meta::{Key, Stored as _};
use ironkeel_plan::pod::Pod;
use ironkeel_plan::workload::ReplicaSet;
use ironkeel_runtime::queue::{Queue, Reason};
use ironkeel_runtime::resource::Resource;
use ironkeel_runtime::store::{Change, Store};

use crate::execute::{only_counts, reason_of};
use crate::patience::Windows;

/// Wakes a set that was added or changed.
pub fn set_changed(queue: &Queue, change: &Change<ReplicaSet>) {
    match &change.new {
        Some(set) => {
            let old = change.old.as_ref().map(|old| &old.metadata);
            queue.add(set.key(), reason_of(old, &set.metadata));
        }
        None => {
            if let Some(set) = &change.old {
                queue.forget(&set.key());
            }
        }
    }
}

/// Wakes the sets that a changed pod concerns: its controller, the controller that it had, and,
/// for an orphan that is new or whose labels changed, every set that may adopt it.
pub fn pod_changed(
    resource: Resource,
    sets: &Store<ReplicaSet>,
    queue: &Queue,
    windows: &Windows,
    change: &Change<Pod>,
) {
    if let (Some(old), Some(new)) = (&change.old, &change.new)
        && old.says_the_same(new)
    {
        // Nodes update the status of their pods all day.
        return;
    }
    let controller = |pod: Option<&Arc<Pod>>| pod.and_then(|pod| owning_set(resource, sets, pod));
    let (old, new) = (change.old.as_ref(), change.new.as_ref());
    let (before, now) = (controller(old), controller(new));
    let wake = |set: &ReplicaSet| {
        if only_counts(old, new) {
            let window = windows.count(set.spec.replicas.unwrap_or(1));
            queue.add_within(set.key(), window, Reason::Dependent);
        } else {
            queue.add(set.key(), Reason::Dependent);
        }
    };
    if let Some(set) = &before
        && now.as_ref().is_none_or(|now| now.key() != set.key())
    {
        wake(set);
    }
    if let Some(set) = &now {
        wake(set);
    }
    let Some(pod) = new.filter(|pod| pod.controller.is_none() && pod.deleting.is_none()) else {
        return;
    };
    let unchanged = old.is_some_and(|old| old.labels == pod.labels && old.controller.is_none());
    if unchanged {
        return;
    }
    for set in sets.in_namespace(&pod.namespace) {
        let selector = &set.spec.selector;
        if !selector.is_empty() && selector.matches(|key| pod.label(key)) {
            queue.add(set.key(), Reason::Orphan);
        }
    }
}

/// The set that controls the pod, if it is of this kind and still has that UID.
fn owning_set(resource: Resource, sets: &Store<ReplicaSet>, pod: &Pod) -> Option<Arc<ReplicaSet>> {
    let controller = pod.controller.as_ref()?;
    if *controller.kind != *resource.kind || *controller.api_version != *resource.api_version() {
        return None;
    }
    let key = Key::new(&*pod.namespace, &*controller.name);
    let set = sets.get(&key)?;
    (set.uid() == &*controller.uid).then_some(set)
}

#[cfg(test)]
#[path = "wake_tests.rs"]
mod tests;
