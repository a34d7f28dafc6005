//! Rolling update: how far old ReplicaSets may shrink and how far the new one may grow.
//!
//! Upstream (`rolling.go`, 1.37) grows in one sync and shrinks in the next. Both bounds allow
//! both at once: shrinking comes first in the plan, and what it frees may be used at once.

use super::changes::Changes;
use super::sets::{View, is_unanswered, size};
use crate::workload::ReplicaSet;

/// Pods that a new ReplicaSet may be created with beside the old ones.
pub(super) fn first_size(view: &View<'_>) -> i32 {
    view.room(view.sets.total_size()).min(view.target.replicas)
}

/// Sizes for the next step of the rollout to `new`.
pub(super) fn size_sets<'a>(view: &View<'a>, new: &'a ReplicaSet, changes: &mut Changes<'a>) {
    let wanted = view.target.replicas;
    let grown = size(new);
    if grown > wanted {
        changes.resize(new, wanted, &view.target);
        return;
    }
    let mut total = grown;
    for (set, left) in shrink_old(view, new) {
        changes.resize(set, left, &view.target);
        total = total.saturating_add(left);
    }
    let room = view.room(total);
    changes.resize(new, grown.saturating_add(room).min(wanted), &view.target);
}

/// Active old ReplicaSets, oldest first, with the size that each may be left with.
fn shrink_old<'a>(view: &View<'a>, new: &ReplicaSet) -> Vec<(&'a ReplicaSet, i32)> {
    let mut sizes: Vec<(&ReplicaSet, i32)> =
        view.sets.active_old().map(|set| (set, size(set))).collect();
    let min_available = view.target.min_available();
    // What it had at an earlier size may be going: it may have been shrunk and grown again.
    let new_available = if is_unanswered(new) {
        0
    } else {
        view.lasting_available(new)
    };
    let new_unavailable = size(new) - new_available;
    // New pods that are not available must not be the reason to take old ones away.
    let most = view.sets.total_size() - min_available - new_unavailable;
    if most <= 0 {
        return sizes;
    }
    // Unhealthy pods go first: a ReplicaSet deletes those before others, so that nothing is
    // lost, and they would block the rollout for ever (kubernetes issue 16737).
    let mut left = most;
    for (set, size) in &mut sizes {
        let count = (*size - view.lasting_available(set)).min(left);
        *size -= count;
        left -= count;
    }
    // A ReplicaSet that was resized and has not answered may be losing what is seen of it: shrunk
    // and grown again, it has deleted pods that still look available. Its answer causes a sync.
    if view.sets.all().any(is_unanswered) {
        return sizes;
    }
    let available: i32 = view
        .sets
        .active_old()
        .chain([new])
        .map(|set| view.lasting_available(set))
        .fold(0, i32::saturating_add);
    let mut spare = (available - min_available).max(0);
    for (_, size) in &mut sizes {
        let count = (*size).min(spare);
        *size -= count;
        spare -= count;
    }
    sizes
}
