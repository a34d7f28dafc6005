//! Revisions: numbers, notes on ReplicaSets, and which old ones go.

use super::changes::Changes;
use super::sets::{View, age, size};
use super::{Action, SetRef};
use crate::revision;
use crate::workload::ReplicaSet;

/// The number that a new ReplicaSet gets.
pub(super) fn next_revision(view: &View<'_>) -> i64 {
    revision::next(view.sets.old.iter().map(|set| &set.metadata.annotations))
}

/// Brings annotations and `minReadySeconds` of the new ReplicaSet up to date; returns its
/// revision.
pub(super) fn update_new<'a>(
    view: &View<'a>,
    new: &'a ReplicaSet,
    changes: &mut Changes<'a>,
) -> i64 {
    let next = next_revision(view);
    let annotations = &view.deployment.metadata.annotations;
    for (key, value) in revision::changes(annotations, &new.metadata.annotations, next) {
        changes.annotate(new, &key, value);
    }
    changes.set_min_ready(new, view.deployment.spec.min_ready_seconds);
    revision::number(&new.metadata.annotations).map_or(next, |known| known.max(next))
}

/// Notes on the new ReplicaSet that its rollout is complete, for a later automatic rollback.
/// A rollout of no pods proves nothing.
pub(super) fn note_complete<'a>(
    view: &View<'a>,
    new: &'a ReplicaSet,
    revision: i64,
    changes: &mut Changes<'a>,
) {
    if view.target.rolls_back && view.target.replicas > 0 {
        changes.annotate(new, revision::COMPLETED, revision.to_string());
        changes.remove_annotation(new, revision::ROLLED_BACK);
    }
}

/// Old ReplicaSets beyond `revisionHistoryLimit` that have no pods, lowest revision first.
///
/// As upstream, one that still has pods is passed over and counts all the same.
pub(super) fn surplus(view: &View<'_>) -> Vec<Action> {
    let Some(limit) = view.target.history_limit else {
        return Vec::new();
    };
    let mut sets: Vec<&ReplicaSet> = view
        .sets
        .old
        .iter()
        .copied()
        .filter(|set| !set.metadata.is_deleting())
        .collect();
    let surplus = sets.len().saturating_sub(limit.unsigned_abs() as usize);
    let number = |set: &ReplicaSet| revision::number(&set.metadata.annotations).unwrap_or(0);
    sets.sort_by(|one, other| (number(one), age(one)).cmp(&(number(other), age(other))));
    sets.into_iter()
        .take(surplus)
        .filter(|set| {
            size(set) == 0
                && set.status.replicas == 0
                && set.metadata.generation <= set.status.observed_generation
        })
        .map(|set| Action::DeleteSet(SetRef::of(set)))
        .collect()
}
