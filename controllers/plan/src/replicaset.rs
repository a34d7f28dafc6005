//! ReplicaSet: keep the wanted number of pods.
//!
//! Upstream's replicaset controller (1.37), which also serves ReplicationController: the
//! two differ in the selector's shape, in the names they write, and in that only a
//! ReplicaSet reports terminating pods.

mod manifest;
mod same_labels;
mod status;
mod tell;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::claim::{Claim, Owner, claim_if};
use crate::names::NameSource;
use crate::plan::{Event, Plan};
use crate::pod::Pod;
use crate::workload::{Extras, ReplicaSet};
use crate::{names, rank};
use same_labels::OnLabels;

pub use manifest::{PodManifests, pod_manifest};
pub use status::{StatusWrite, status};
pub use tell::{Deed, tell};

/// Most pods that one sync deletes, and as many as it creates at least: upstream's `BurstReplicas`,
/// which is the most for both there.
pub const BURST: usize = 500;

/// Which of the two kinds is planned for: they differ in the wording of events only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetKind {
    /// A ReplicaSet of any group.
    #[default]
    ReplicaSet,
    /// A core/v1 ReplicationController.
    ReplicationController,
}

/// What a sync of one set starts from.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The set.
    pub set: &'a ReplicaSet,
    /// Which kind it is.
    pub kind: SetKind,
    /// Pods that the set controls, and orphans of its namespace. Others do no harm: they
    /// are left alone. In any order.
    pub pods: &'a [Arc<Pod>],
    /// Active pods, by node, of all sets with the same controller as this one, its own
    /// included. Read only when the set has a controller.
    pub siblings: &'a BTreeMap<Arc<str>, usize>,
    /// What the kind's own API adds.
    pub extras: Extras,
    /// Now.
    pub now: Timestamp,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the set the pod's controller. The shell re-reads the set live before the first
    /// one: it must have the same UID and not be deleting. A pod that turns out to be gone
    /// fails the sync, because it has been counted.
    Adopt(PodRef),
    /// Remove the set's controllerRef. A pod that is gone or already free is a success.
    Release(PodRef),
    /// Create one pod per name with [`pod_manifest`], by a slow start, for as long as the set
    /// [`still_grows`] and no creation fails. In a terminating namespace nothing is created and
    /// nothing fails.
    Create {
        /// Names that no pod of the set has, one for each pod that is missing.
        names: Vec<String>,
    },
    /// Delete the pods, all at once, each with its UID as precondition. The version is that
    /// before an adoption in the same plan, so it makes no precondition. A pod that is gone
    /// is a success.
    Delete {
        /// At most [`BURST`] pods, the first to go first.
        pods: Vec<PodRef>,
    },
}

/// A pod as an action names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Name.
    pub name: String,
    /// UID; the write's precondition.
    pub uid: String,
    /// Version that the decision is based on.
    pub resource_version: u64,
}

impl PodRef {
    /// The reference to `pod`.
    pub fn of(pod: &Pod) -> Self {
        Self {
            name: pod.name.to_string(),
            uid: pod.uid.to_string(),
            resource_version: pod.resource_version,
        }
    }
}

/// What became of a plan's `Create` and `Delete`.
///
/// There is none when an adoption or a release failed: then upstream writes no status and
/// the sync is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Pods that were created.
    pub created: usize,
    /// Pods whose deletion the server accepted.
    pub deleted: usize,
    /// The first error of a creation or deletion.
    pub failure: Option<Failure>,
}

/// Why a plan was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub reason: FailureReason,
    /// The server's message, for the condition `ReplicaFailure`.
    pub message: String,
}

/// Reason of the condition `ReplicaFailure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// A pod could not be created.
    FailedCreate,
    /// A pod could not be deleted.
    FailedDelete,
}

impl FailureReason {
    /// The text of the condition's `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailedCreate => "FailedCreate",
            Self::FailedDelete => "FailedDelete",
        }
    }
}

/// Decides what to do about one set.
///
/// Releases and adoptions come first, then either creations or deletions; of these at most
/// [`BURST`], the rest follows when their events arrive. A set that is being deleted gets no
/// action; a set that cannot be acted on gets a warning. Events about the outcome of an action (`SuccessfulCreate`, `FailedDelete`, …) are the executor's.
pub fn plan(observed: &Observed<'_>, names: &mut dyn NameSource) -> Plan<Action> {
    let mut plan = Plan::default();
    let deleting = observed.set.metadata.is_deleting();
    if let Some(fault) = Fault::of(observed) {
        if !deleting {
            plan.events.push(fault.event());
        }
        return plan;
    }
    let Claimed {
        mut active,
        adopt,
        release,
        ..
    } = Claimed::of(observed);
    plan.requeue_after = next_available(observed, &active);
    if deleting {
        return plan;
    }
    plan.actions
        .extend(release.into_iter().map(Action::Release));
    plan.actions.extend(adopt.into_iter().map(Action::Adopt));

    let wanted = wanted(observed.set);
    if active.len() < wanted {
        let names = fresh_names(observed, wanted - active.len(), names);
        if !names.is_empty() {
            plan.actions.push(Action::Create { names });
        }
    } else if active.len() > wanted {
        let surplus = (active.len() - wanted).min(BURST);
        let alone = BTreeMap::new();
        let controlled = observed.set.metadata.controller().is_some();
        // Upstream counts siblings through the common controller: without one there are none.
        let siblings = if controlled {
            observed.siblings
        } else {
            &alone
        };
        rank::sort_for_deletion(&mut active, siblings, observed.now);
        let pods = active[..surplus].iter().map(|pod| PodRef::of(pod));
        plan.actions.push(Action::Delete {
            pods: pods.collect(),
        });
    }
    plan
}

/// Whether creations that were planned for a set may go on now that it reads otherwise: it is the
/// same set, stays, and wants as many pods of the same kind or more.
///
/// Upstream creates what it has planned, 500 pods at most; asking in between lets one sync create
/// as many as are missing.
pub fn still_grows(planned: &ReplicaSet, now: &ReplicaSet) -> bool {
    let is_same = planned.metadata.uid == now.metadata.uid && !now.metadata.is_deleting();
    let is_unchanged = planned.metadata.generation == now.metadata.generation;
    is_same
        && (is_unchanged
            || wanted(now) >= wanted(planned)
                && now.spec.template == planned.spec.template
                && now.spec.selector == planned.spec.selector)
}

/// Pods that the set wants. A negative number cannot pass validation and counts as 0.
fn wanted(set: &ReplicaSet) -> usize {
    usize::try_from(set.spec.replicas.unwrap_or(1)).unwrap_or_default()
}

/// The pods of a set by what is to be done about them.
struct Claimed<'a> {
    /// Replicas: active pods that the set controls, or will once `adopt` is done. In the order in
    /// which they were observed: sorting thousands of names at each look would cost more than all
    /// the rest, and nothing rests on the order.
    active: Vec<&'a Arc<Pod>>,
    /// How many of the set's pods are terminating.
    terminating: usize,
    /// Sorted.
    adopt: Vec<PodRef>,
    /// Sorted.
    release: Vec<PodRef>,
}

impl<'a> Claimed<'a> {
    fn of(observed: &Observed<'a>) -> Self {
        let owner = Owner::of(observed.set, &observed.set.spec.selector);
        let mut matches = OnLabels::new(|pod: &Pod| owner.selector.matches(|key| pod.label(key)));
        let mut claimed = Self {
            active: Vec::with_capacity(observed.pods.len()),
            terminating: 0,
            adopt: Vec::new(),
            release: Vec::new(),
        };
        for pod in observed.pods {
            match claim_if(&owner, &**pod, || matches.of(pod)) {
                Claim::Keep if pod.is_active() => claimed.active.push(pod),
                Claim::Keep if pod.is_terminating() => claimed.terminating += 1,
                Claim::Adopt if pod.is_active() => {
                    claimed.active.push(pod);
                    claimed.adopt.push(PodRef::of(pod));
                }
                Claim::Release if pod.is_active() => claimed.release.push(PodRef::of(pod)),
                // Pods that ended, or are about to, stay with whoever has them.
                _ => {}
            }
        }
        claimed.adopt.sort_unstable();
        claimed.release.sort_unstable();
        claimed
    }
}

/// When the clock alone makes another pod available.
///
/// Ready pods of which nobody knows since when keep the set looking again every
/// `minReadySeconds`, as upstream does.
fn next_available(observed: &Observed<'_>, active: &[&Arc<Pod>]) -> Option<SignedDuration> {
    let seconds = observed.set.spec.min_ready_seconds;
    if seconds <= 0 {
        return None;
    }
    let mut waiting = active
        .iter()
        .filter(|pod| pod.ready && !pod.is_available(seconds, observed.now))
        .peekable();
    waiting.peek()?;
    let soonest = waiting.filter_map(|pod| pod.available_at(seconds)).min();
    Some(
        soonest.map_or(SignedDuration::from_secs(seconds.into()), |at| {
            at.duration_since(observed.now)
        }),
    )
}

/// Up to `count` names that differ from each other and from those of the observed pods.
///
/// Fewer, when the source repeats itself too often: the next sync draws again.
fn fresh_names(observed: &Observed<'_>, count: usize, source: &mut dyn NameSource) -> Vec<String> {
    const ATTEMPTS: usize = 16;
    let prefix = names::prefix(&observed.set.metadata.name);
    // Only ever asked whether it holds a name, so that its order shows nowhere.
    let taken: HashSet<&str> = observed.pods.iter().map(|pod| &*pod.name).collect();
    let mut drawn = HashSet::with_capacity(count);
    let mut fresh = Vec::with_capacity(count);
    for _ in 0..count {
        let name = (0..ATTEMPTS)
            .map(|_| names::generated(&prefix, &source.suffix()))
            .find(|name| !taken.contains(name.as_str()) && drawn.insert(name.clone()));
        let Some(name) = name else {
            break;
        };
        fresh.push(name);
    }
    fresh
}

/// Why a set cannot be acted on. The API server's validation keeps all of this out of
/// native objects; a custom resource can hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    reason: &'static str,
    message: String,
}

impl Fault {
    fn of(observed: &Observed<'_>) -> Option<Self> {
        let spec = &observed.set.spec;
        let invalid = |message: String| {
            Some(Self {
                reason: "InvalidSelector",
                message,
            })
        };
        if spec.selector.is_empty() {
            let noun = match observed.kind {
                SetKind::ReplicaSet => "replica set",
                SetKind::ReplicationController => "replication controller",
            };
            return Some(Self {
                reason: "SelectingAll",
                message: format!(
                    "This {noun} is selecting all pods. A non-empty selector is required."
                ),
            });
        }
        if let Err(error) = spec.selector.check() {
            return invalid(format!("spec.selector: {error}"));
        }
        // New pods would never be claimed, so that every sync would create more of them.
        if !spec.selector.matches(|key| spec.template.label(key)) {
            return invalid(format!(
                "spec.selector: {:?} does not match the labels of spec.template",
                spec.selector.to_string()
            ));
        }
        None
    }

    fn event(&self) -> Event {
        Event::warning(self.reason, &self.message)
    }
}

#[cfg(test)]
mod manifest_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod status_tests;
#[cfg(test)]
mod tests;
