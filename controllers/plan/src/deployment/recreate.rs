//! Recreate: no new pod while an old one runs.

use super::changes::Changes;
use super::sets::{View, size};

/// What a Recreate rollout waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recreate {
    /// Old ReplicaSets are still shrinking, or their pods still run.
    Waiting,
    /// The new ReplicaSet may have its pods.
    Ready,
}

/// Shrinks old ReplicaSets to nothing, and grows the new one once no old pod runs.
pub(super) fn size_sets<'a>(view: &View<'a>, changes: &mut Changes<'a>) -> Recreate {
    for set in view.sets.active_old() {
        changes.resize(set, 0, &view.target);
    }
    if changes.resizes() || view.old_pods_run() {
        return Recreate::Waiting;
    }
    if let Some(new) = view.sets.new {
        let wanted = view.target.replicas;
        let room = view.room(view.sets.total_size());
        let allowed = size(new).saturating_add(room).min(wanted);
        changes.resize(new, allowed, &view.target);
    }
    Recreate::Ready
}
