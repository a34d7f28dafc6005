//! Scaling, as opposed to rolling out: all active ReplicaSets keep their proportions, so that
//! a change of `spec.replicas` in the middle of a rollout does not hasten it.

use super::changes::Changes;
use super::sets::{View, age, size};
use super::spec::Strategy;
use crate::revision;
use crate::workload::ReplicaSet;

/// Whether `spec.replicas` changed since some active ReplicaSet was last sized.
///
/// Several active ReplicaSets under `Recreate` are what is left of a rolling update. They have no
/// proportions to keep; upstream takes them for a scaling that it never carries out.
pub(super) fn is_scaling(view: &View<'_>) -> bool {
    let active: Vec<&ReplicaSet> = view.sets.all().filter(|set| size(set) > 0).collect();
    if view.target.strategy == Strategy::Recreate && active.len() > 1 {
        return false;
    }
    active.iter().any(|set| {
        revision::count(&set.metadata.annotations, revision::DESIRED_REPLICAS)
            .is_some_and(|desired| desired != view.target.replicas)
    })
}

/// Sizes all active ReplicaSets for `spec.replicas` (upstream `scale`, 1.37).
pub(super) fn size_sets<'a>(view: &View<'a>, changes: &mut Changes<'a>) {
    let mut active: Vec<&ReplicaSet> = view.sets.all().filter(|set| base(set) > 0).collect();
    if active.is_empty() {
        active.extend(view.sets.new.or(view.sets.old.last().copied()));
    }
    match active[..] {
        [] => {}
        [only] if grows_beside_old_pods(view, only) => {}
        [only] => apply(view, vec![(only, view.target.replicas)], changes),
        _ if is_saturated(view) => {
            for set in view.sets.active_old() {
                changes.resize(set, 0, &view.target);
            }
        }
        _ if view.target.strategy == Strategy::RollingUpdate => {
            apply(view, proportions(view, active), changes);
        }
        _ => {}
    }
}

/// Whether new pods of a Recreate would come up while old ones run. Upstream lets a paused
/// Deployment do that.
fn grows_beside_old_pods(view: &View<'_>, set: &ReplicaSet) -> bool {
    view.target.strategy == Strategy::Recreate
        && view
            .sets
            .new
            .is_some_and(|new| new.metadata.uid == set.metadata.uid)
        && view.target.replicas > size(set)
        && view.old_pods_run()
}

/// Forgets a scaling that was under way when it was called off.
pub(super) fn forget_partial<'a>(view: &View<'a>, changes: &mut Changes<'a>) {
    for set in view.sets.all() {
        changes.remove_annotation(set, revision::BEFORE_SCALE);
    }
}

/// The size from which proportions are taken: the one before a scaling that is under way.
fn base(set: &ReplicaSet) -> i32 {
    revision::count(&set.metadata.annotations, revision::BEFORE_SCALE)
        .unwrap_or(0)
        .max(size(set))
}

/// Whether the new ReplicaSet can already be the only one.
fn is_saturated(view: &View<'_>) -> bool {
    let wanted = view.target.replicas;
    view.sets.new.is_some_and(|new| {
        let desired = revision::count(&new.metadata.annotations, revision::DESIRED_REPLICAS);
        size(new) == wanted && desired == Some(wanted) && view.lasting_available(new) == wanted
    })
}

/// The size of each ReplicaSet so that all together have `replicas` and the surge. What rounding
/// leaves over goes to the largest: the newer of equals when growing, the older when shrinking.
fn proportions<'a>(view: &View<'a>, mut sets: Vec<&'a ReplicaSet>) -> Vec<(&'a ReplicaSet, i32)> {
    let allowed = if view.target.replicas > 0 {
        view.target.max_replicas()
    } else {
        0
    };
    let total = sets
        .iter()
        .map(|set| base(set))
        .fold(0, i32::saturating_add);
    let to_add = allowed.saturating_sub(total);
    sets.sort_by(|one, other| {
        let by_age = if to_add > 0 {
            age(other).cmp(&age(one))
        } else {
            age(one).cmp(&age(other))
        };
        base(other).cmp(&base(one)).then(by_age)
    });
    let mut left = to_add;
    let mut sizes: Vec<(&ReplicaSet, i32)> = sets
        .into_iter()
        .map(|set| {
            let share = match to_add {
                0 => 0,
                _ if left == 0 => 0,
                1.. => share(view, set).min(left),
                _ => share(view, set).max(left),
            };
            left -= share;
            (set, base(set).saturating_add(share))
        })
        .collect();
    if let Some((_, largest)) = sizes.first_mut() {
        *largest = largest.saturating_add(left).max(0);
    }
    sizes
}

/// By how much `set` changes when its share of all pods stays the same.
fn share(view: &View<'_>, set: &ReplicaSet) -> i32 {
    let size = base(set);
    if view.target.replicas == 0 {
        return -size;
    }
    // Whoever removed the annotation gets an estimate, kept within limits by the caller.
    let before = revision::count(&set.metadata.annotations, revision::MAX_REPLICAS)
        .filter(|before| *before > 0)
        .unwrap_or(view.deployment.status.replicas);
    if before <= 0 {
        return 0;
    }
    let before = i64::from(before);
    let scaled = i64::from(size) * i64::from(view.target.max_replicas());
    let rounded = (2 * scaled + before) / (2 * before);
    i32::try_from(rounded)
        .unwrap_or(i32::MAX)
        .saturating_sub(size)
}

/// Gives each ReplicaSet its size, as far as there is room.
///
/// Room is short only when terminating pods count (`TerminationComplete`). Then the target that
/// the ReplicaSets were sized for stays noted as it was, so that this goes on as a scaling, and
/// each remembers the size that its proportion is taken from.
fn apply<'a>(view: &View<'a>, sizes: Vec<(&'a ReplicaSet, i32)>, changes: &mut Changes<'a>) {
    let kept: i32 = sizes
        .iter()
        .map(|(set, to)| size(set).min(*to))
        .fold(0, i32::saturating_add);
    let others: i32 = view
        .sets
        .all()
        .filter(|set| {
            !sizes
                .iter()
                .any(|(known, _)| known.metadata.name == set.metadata.name)
        })
        .map(size)
        .fold(0, i32::saturating_add);
    let mut room = if view.target.waits_for_termination() {
        view.room(kept.saturating_add(others))
    } else {
        i32::MAX
    };
    let mut steps = Vec::with_capacity(sizes.len());
    for (set, to) in sizes {
        let growth = (to - size(set)).max(0);
        let granted = growth.min(room);
        room -= granted;
        steps.push((set, to, to - (growth - granted)));
    }
    let is_done = steps.iter().all(|(_, to, now)| to == now);
    for (set, _, now) in steps {
        if is_done {
            changes.resize(set, now, &view.target);
            changes.note_target(set, &view.target);
            changes.remove_annotation(set, revision::BEFORE_SCALE);
        } else {
            changes.annotate(set, revision::BEFORE_SCALE, base(set).to_string());
            changes.resize_in_part(set, now);
        }
    }
}
