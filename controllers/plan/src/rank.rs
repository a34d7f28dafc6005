//! Which pods a set deletes first when it has too many.
//!
//! Upstream's `ActivePodsWithRanks` (1.37), rule by rule. Its comparison is not transitive:
//! among pods that became ready at different times of one logarithmic bucket the UID
//! decides, among those that became ready at the same time restarts do. Here pods with the
//! same ready time stand together, at the place of their lowest UID. Any two pods compare
//! as they do upstream, and many pods have one order whatever the order they come in.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::pod::{Phase, Pod};

/// The rules 1 to 5, first to last; the lowest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Coarse {
    assigned: bool,
    phase: u8,
    ready: bool,
    deletion_cost: i32,
    siblings_on_node: Reverse<usize>,
}

/// All rules; the lowest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    coarse: Coarse,
    /// Only of ready pods.
    ready_for: Option<Age>,
    /// Lowest UID of the pods with this very ready time.
    ready_together: Option<&'a str>,
    restarts: Reverse<i32>,
    sidecar_restarts: Reverse<i32>,
    created_ago: Age,
    uid: &'a str,
}

/// How long ago something was, on a logarithmic scale: unknown, then short, then long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Unknown,
    /// In the future: clocks differ.
    Ahead,
    /// Whole part of the base-2 logarithm of the nanoseconds.
    Log2(u32),
}

impl Age {
    fn of(then: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(then) = then else {
            return Self::Unknown;
        };
        let nanoseconds = now.duration_since(then).as_nanos();
        u128::try_from(nanoseconds)
            .ok()
            .and_then(u128::checked_ilog2)
            .map_or(Self::Ahead, Self::Log2)
    }
}

/// Sorts `pods` so that those to be deleted first come first.
///
/// `siblings` counts, by node, the active pods of all sets with the same controller; nodes
/// that are absent count 0. The rules, first to last: not bound to a node; phase Pending,
/// Unknown, Running; not ready; lower `controller.kubernetes.io/pod-deletion-cost`; more
/// siblings on the node; ready for a shorter time; more restarts of a container, then of a
/// sidecar; created later; lower UID. Times are compared by the power of two of their age,
/// so that pods of about the same age fall in random (UID) order.
pub fn sort_for_deletion<'a>(
    pods: &mut [&'a Arc<Pod>],
    siblings: &BTreeMap<Arc<str>, usize>,
    now: Timestamp,
) {
    let mut together: BTreeMap<(Coarse, Option<Timestamp>), &'a str> = BTreeMap::new();
    for &pod in pods.iter() {
        let lowest = together
            .entry((coarse(pod, siblings), pod.ready_since))
            .or_insert(&pod.uid);
        *lowest = (*lowest).min(&pod.uid);
    }
    pods.sort_by_cached_key(|pod| {
        let pod: &'a Arc<Pod> = pod;
        let coarse = coarse(pod, siblings);
        Rank {
            coarse,
            ready_for: pod.ready.then(|| Age::of(pod.ready_since, now)),
            ready_together: pod
                .ready
                .then(|| together.get(&(coarse, pod.ready_since)).copied())
                .flatten(),
            restarts: Reverse(pod.restarts),
            sidecar_restarts: Reverse(pod.sidecar_restarts),
            created_ago: Age::of(pod.created, now),
            uid: &pod.uid,
        }
    });
}

fn coarse(pod: &Pod, siblings: &BTreeMap<Arc<str>, usize>) -> Coarse {
    let here = |node: &Arc<str>| siblings.get(node).copied().unwrap_or_default();
    Coarse {
        assigned: pod.node.is_some(),
        phase: match pod.phase {
            Phase::Unknown => 1,
            Phase::Running => 2,
            Phase::Pending | Phase::Succeeded | Phase::Failed => 0,
        },
        ready: pod.ready,
        deletion_cost: pod.deletion_cost,
        siblings_on_node: Reverse(pod.node.as_ref().map(here).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
