//! Which Deployments a change of a Deployment, a ReplicaSet or a pod wakes.

use std::collections::BTreeSet;

use ironkeel_plan::meta::Key;
use ironkeel_plan::pod::Pod;
use ironkeel_plan::workload::{Deployment, DeploymentSpec, ReplicaSet};
use ironkeel_runtime::queue::{Queue, Reason};
use ironkeel_runtime::resource::Resource;
use ironkeel_runtime::store::{Change, Store};

use crate::execute::reason_of;
use crate::patience::Windows;

/// Wakes a Deployment that was added or changed; when one goes, those that may now adopt the
/// ReplicaSets that its selector kept from them.
pub fn deployment_changed(
    deployments: &Store<Deployment>,
    sets: &Store<ReplicaSet>,
    queue: &Queue,
    change: &Change<Deployment>,
) {
    if let Some(deployment) = &change.new {
        let old = change.old.as_ref().map(|old| &old.metadata);
        let reason = reason_of(old, &deployment.metadata);
        queue.add(deployment.metadata.key(), reason);
    }
    let Some(old) = &change.old else { return };
    if change.new.is_none() {
        queue.forget(&old.metadata.key());
    }
    let after = change.new.as_ref();
    let goes = !old.metadata.is_deleting() && after.is_none_or(|new| new.metadata.is_deleting());
    let namespace = &old.metadata.namespace;
    if goes && !sets.orphans_in(namespace).is_empty() {
        for other in deployments.in_namespace(namespace) {
            queue.add(other.metadata.key(), Reason::Orphan);
        }
    }
}

/// Wakes the Deployments that a changed ReplicaSet concerns: its controller, the controller that it
/// had, and every Deployment that may adopt it if it has none.
pub fn set_changed(
    resource: Resource,
    deployments: &Store<Deployment>,
    queue: &Queue,
    windows: &Windows,
    change: &Change<ReplicaSet>,
) {
    let mut wake = BTreeSet::new();
    for set in [&change.old, &change.new].into_iter().flatten() {
        wake.extend(owning_deployment(resource, deployments, set));
    }
    for key in wake {
        match (&change.old, &change.new) {
            (Some(old), Some(new)) if only_counts_differ(old, new) => {
                queue.add_within(key, windows.step() * 2, Reason::Dependent);
            }
            _ => queue.add(key, Reason::Dependent),
        }
    }
    let Some(set) = change
        .new
        .as_ref()
        .filter(|set| set.metadata.controller().is_none())
    else {
        return;
    };
    let unchanged = change.old.as_ref().is_some_and(|old| {
        old.metadata.labels == set.metadata.labels && old.metadata.controller().is_none()
    });
    if unchanged || set.metadata.is_deleting() {
        return;
    }
    for deployment in deployments.in_namespace(&set.metadata.namespace) {
        let selector = &deployment.spec.selector;
        if !selector.is_empty() && selector.matches_map(&set.metadata.labels) {
            queue.add(deployment.metadata.key(), Reason::Orphan);
        }
    }
}

/// Whether the set only counts its pods differently, which may wait for the next count.
fn only_counts_differ(old: &ReplicaSet, new: &ReplicaSet) -> bool {
    old.spec == new.spec
        && old.metadata.labels == new.metadata.labels
        && old.metadata.annotations == new.metadata.annotations
        && old.metadata.owner_references == new.metadata.owner_references
        && old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
        && old.status.conditions == new.status.conditions
        && old.status.observed_generation == new.status.observed_generation
}

/// Wakes the Deployment of a pod of which its rollout takes note.
///
/// A rolling update goes on when pods turn ready, and is kept when they are no more: those of one
/// batch are collected. `Recreate` and `podReplacementPolicy` wait for pods that are gone or ended,
/// of which the ReplicaSet's status does not tell.
pub fn pod_changed(
    resource: Resource,
    deployments: &Store<Deployment>,
    sets: &Store<ReplicaSet>,
    queue: &Queue,
    windows: &Windows,
    change: &Change<Pod>,
) {
    let Some(old) = &change.old else { return };
    let (ended, turned) = match &change.new {
        None => (true, false),
        Some(new) => (
            old.is_active() && !new.is_active(),
            old.ready != new.ready && new.is_active(),
        ),
    };
    let Some(controller) = old.controller.as_ref().filter(|_| ended || turned) else {
        return;
    };
    let Some(set) = sets.get(&Key::new(&*old.namespace, &*controller.name)) else {
        return;
    };
    if set.metadata.uid != *controller.uid {
        return;
    }
    let Some(key) = owning_deployment(resource, deployments, &set) else {
        return;
    };
    if turned {
        // A look costs as much as the Deployment has pods.
        let pods = deployments
            .get(&key)
            .map_or(0, |deployment| deployment.spec.replicas.unwrap_or(1));
        let window = windows.step().max(windows.look(pods));
        queue.add_within(key, window, Reason::Dependent);
    } else if deployments
        .get(&key)
        .is_some_and(|deployment| waits_for_pods_to_go(&deployment.spec))
    {
        queue.add(key, Reason::Dependent);
    }
}

fn waits_for_pods_to_go(spec: &DeploymentSpec) -> bool {
    spec.strategy.kind.as_deref() == Some("Recreate") || spec.pod_replacement_policy.is_some()
}

/// The Deployment that controls the set, if it is of this kind and still has that UID.
fn owning_deployment(
    resource: Resource,
    deployments: &Store<Deployment>,
    set: &ReplicaSet,
) -> Option<Key> {
    let controller = set.metadata.controller()?;
    if controller.kind != resource.kind || controller.api_version != resource.api_version() {
        return None;
    }
    let key = Key::new(&set.metadata.namespace, &controller.name);
    let deployment = deployments.get(&key)?;
    (deployment.metadata.uid == controller.uid).then_some(key)
}
