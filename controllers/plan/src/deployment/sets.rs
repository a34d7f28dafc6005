//! The ReplicaSets of a Deployment: whose they are, which is new, and counts over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::spec::Target;
use super::{Action, Observed, SetRef};
use crate::claim::{Claim, Owner, claim};
use crate::pod::{Phase, Pod};
use crate::workload::{Deployment, ReplicaSet};

/// `spec.replicas` of a ReplicaSet. A negative number cannot pass validation and counts as 0.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1).max(0)
}

/// Whether the ReplicaSet's status is about an earlier spec. One that is being deleted may never
/// answer and is not waited for.
pub(super) fn is_unanswered(set: &ReplicaSet) -> bool {
    !set.metadata.is_deleting() && set.metadata.generation > set.status.observed_generation
}

/// Whether a pod holds its place on a node, or may: it is not finished.
fn runs(pod: &Pod) -> bool {
    !matches!(pod.phase, Phase::Failed | Phase::Succeeded)
}

/// The ReplicaSets that are the Deployment's own, and the claims still to be made.
#[derive(Clone, Debug)]
pub(super) struct Sets<'a> {
    /// The oldest whose template makes the same pods as the Deployment's.
    pub(super) new: Option<&'a ReplicaSet>,
    /// All others, oldest first.
    pub(super) old: Vec<&'a ReplicaSet>,
    pub(super) adoptions: Vec<Action>,
    pub(super) releases: Vec<Action>,
    /// Orphans that stay orphans because another Deployment selects them too.
    pub(super) disputed: Vec<&'a str>,
}

impl<'a> Sets<'a> {
    /// Sorts what was observed. Both the age and, for equal ages, the name decide, as upstream.
    pub(super) fn sort(observed: &Observed<'a>) -> Self {
        let deployment = observed.deployment;
        let owner = Owner::of(deployment, &deployment.spec.selector);
        let mut sorted: Vec<&Arc<ReplicaSet>> = observed.sets.iter().collect();
        sorted.sort_by(|one, other| age(one).cmp(&age(other)));
        let mut sets = Sets {
            new: None,
            old: Vec::new(),
            adoptions: Vec::new(),
            releases: Vec::new(),
            disputed: Vec::new(),
        };
        for set in sorted {
            match claim(&owner, &**set) {
                Claim::Keep => {
                    if sets.new.is_none() && set.spec.template.same_pods(&deployment.spec.template)
                    {
                        sets.new = Some(set);
                    } else {
                        sets.old.push(set);
                    }
                }
                Claim::Adopt if observed.overlapping.is_empty() => {
                    sets.adoptions.push(Action::Adopt(SetRef::of(set)));
                }
                Claim::Adopt => sets.disputed.push(&set.metadata.name),
                Claim::Release => sets.releases.push(Action::Release(SetRef::of(set))),
                Claim::Ignore => {}
            }
        }
        sets
    }

    /// Old ones, oldest first, then the new one.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a ReplicaSet> + use<'a, '_> {
        self.old.iter().copied().chain(self.new)
    }

    /// Old ones that are to have pods, oldest first.
    pub(super) fn active_old(&self) -> impl Iterator<Item = &'a ReplicaSet> + use<'a, '_> {
        self.old.iter().copied().filter(|set| size(set) > 0)
    }

    /// Pods that all ReplicaSets are to have.
    pub(super) fn total_size(&self) -> i32 {
        self.all().map(size).fold(0, i32::saturating_add)
    }
}

/// What orders ReplicaSets by age.
pub(super) fn age(set: &ReplicaSet) -> (Option<jiff::Timestamp>, &str) {
    (set.metadata.creation_timestamp, &set.metadata.name)
}

/// Everything that a step needs: what was observed, what is wanted, and the ReplicaSets.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    pub(super) observed: Observed<'a>,
    pub(super) deployment: &'a Deployment,
    pub(super) target: Target,
    pub(super) sets: Sets<'a>,
    /// By UID of the ReplicaSet.
    pub(super) pods: BTreeMap<&'a str, Seen>,
}

/// Pods of one ReplicaSet that were seen; finished ones are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    active: i32,
    /// Of the active ones, those that are available and match the ReplicaSet's selector.
    available: i32,
    terminating: i32,
}

/// Counts the pods of each ReplicaSet, by its UID.
pub(super) fn count_pods<'a>(observed: &Observed<'a>, sets: &Sets<'a>) -> BTreeMap<&'a str, Seen> {
    let sets: BTreeMap<&str, &ReplicaSet> = sets
        .all()
        .map(|set| (set.metadata.uid.as_str(), set))
        .collect();
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    for pod in observed.pods.iter().filter(|pod| runs(pod)) {
        let owner = pod.controller.as_ref().map_or("", |owner| &*owner.uid);
        let Some((uid, set)) = sets.get_key_value(owner) else {
            continue;
        };
        let seen = seen.entry(uid).or_default();
        if pod.deleting.is_some() {
            seen.terminating += 1;
            continue;
        }
        seen.active += 1;
        let selector = &set.spec.selector;
        if pod.is_available(set.spec.min_ready_seconds, observed.now)
            && (selector.is_empty() || selector.matches(|key| pod.label(key)))
        {
            seen.available += 1;
        }
    }
    seen
}

impl View<'_> {
    fn seen(&self, set: &ReplicaSet) -> Seen {
        let uid = set.metadata.uid.as_str();
        self.pods.get(uid).copied().unwrap_or_default()
    }

    /// Available pods that are left when the ReplicaSet has the size that its spec already says.
    ///
    /// A ReplicaSet that was just shrunk still has its doomed pods; upstream counts them. Upstream
    /// also waits for the ReplicaSet to report its pods, which are seen here as soon as it sees
    /// them itself.
    pub(super) fn lasting_available(&self, set: &ReplicaSet) -> i32 {
        self.seen(set).available.min(size(set))
    }

    /// Terminating pods of all ReplicaSets, by their status or as seen, whichever is more.
    pub(super) fn terminating(&self) -> i32 {
        self.sets
            .all()
            .map(|set| self.terminating_of(set))
            .fold(0, i32::saturating_add)
    }

    fn terminating_of(&self, set: &ReplicaSet) -> i32 {
        let reported = set.status.terminating_replicas.unwrap_or(0);
        reported.max(self.seen(set).terminating)
    }

    /// Pods that exist or are to exist, once those count that have been asked to go and have
    /// not gone. Only for `TerminationComplete`.
    fn held(&self) -> i32 {
        self.sets
            .all()
            .map(|set| {
                let seen = self.seen(set).active;
                let active = seen.max(set.status.replicas).max(size(set));
                active.saturating_add(self.terminating_of(set))
            })
            .fold(0, i32::saturating_add)
    }

    /// How many pods may be added now, when the ReplicaSets together are to have `total`.
    pub(super) fn room(&self, total: i32) -> i32 {
        let taken = if self.target.waits_for_termination() {
            total.max(self.held())
        } else {
            total
        };
        (self.target.max_replicas().saturating_sub(taken)).max(0)
    }

    /// Whether a pod of an old ReplicaSet still runs, or may. Finished pods do not count: an
    /// evicted pod stays for ever (kubernetes issue 60162). With `TerminationStarted`,
    /// terminating pods do not count either. A ReplicaSet that has not answered may be creating
    /// pods for the size that it had.
    pub(super) fn old_pods_run(&self) -> bool {
        let ignores_terminating = self.target.replacement
            == Some(crate::workload::PodReplacementPolicy::TerminationStarted);
        self.sets.old.iter().any(|set| {
            let seen = self.seen(set);
            set.status.replicas > 0
                || is_unanswered(set)
                || seen.active > 0
                || (seen.terminating > 0 && !ignores_terminating)
        })
    }
}
