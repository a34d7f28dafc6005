//! One pod, one ReplicaSet, one Deployment, with what has to be remembered of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use ironkeel_plan::meta::Key;
use ironkeel_plan::pod::{Phase, Pod};
use ironkeel_plan::workload::{Deployment, ReplicaSet};
use ironkeel_runtime::resource::Resource;

use super::{Horizon, Limits, Moment, Step, Timeline};

/// Identity of an object.
pub(crate) type Uid = Arc<str>;

/// What decides first which pods go: not bound before bound, Pending before Unknown before Running, not ready before
/// ready, cheap before dear. Lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    bound: bool,
    phase: u8,
    ready: bool,
    cost: i32,
}

impl Rank {
    pub(crate) fn of(pod: &Pod) -> Self {
        Self {
            bound: pod.node.is_some(),
            phase: match pod.phase {
                Phase::Pending | Phase::Succeeded | Phase::Failed => 0,
                Phase::Unknown => 1,
                Phase::Running => 2,
            },
            ready: pod.ready,
            cost: pod.deletion_cost,
        }
    }
}

/// A pod.
#[derive(Clone, Debug)]
pub(crate) struct PodState {
    pub(crate) pod: Arc<Pod>,
    /// The set that it counts for.
    pub(crate) set: Option<Uid>,
    /// Whether it counts for a set: controlled by it, selected and active.
    pub(crate) member: bool,
    /// Not the controllers' doing that it counts.
    pub(crate) foreign: bool,
    /// Whether it was ready when it was last counted; only of copies.
    pub(super) counted_ready: bool,
    /// When its labels last changed.
    pub(crate) relabelled: Option<Moment>,
    pub(crate) ranks: Timeline<Rank>,
}

impl PodState {
    pub(super) fn new(pod: Arc<Pod>, step: &Step<'_>) -> Self {
        let mut ranks = Timeline::default();
        ranks.push(step.moment, Rank::of(&pod));
        Self {
            pod,
            set: None,
            member: false,
            foreign: false,
            counted_ready: false,
            relabelled: None,
            ranks,
        }
    }

    /// Whether containers may run.
    pub(crate) fn runs(&self) -> bool {
        !matches!(self.pod.phase, Phase::Failed | Phase::Succeeded)
    }
}

/// One spec of a ReplicaSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetSpec {
    pub(crate) generation: i64,
    pub(crate) replicas: i64,
    /// Being deleted, or gone.
    pub(crate) deleting: bool,
}

/// Pods of a set at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Controlled, selected and active.
    pub(crate) active: i64,
    /// Of these, those that the controllers brought in.
    pub(crate) counted: i64,
    /// Of the active ones, those that are ready.
    pub(crate) ready: i64,
}

/// A ReplicaSet or ReplicationController.
#[derive(Clone, Debug)]
pub(crate) struct SetState {
    pub(crate) uid: Uid,
    pub(crate) resource: Resource,
    pub(crate) key: Key,
    pub(crate) object: Arc<ReplicaSet>,
    /// UID of its managing controller.
    pub(crate) owner: Option<Uid>,
    pub(crate) specs: Timeline<SetSpec>,
    pub(crate) counts: Timeline<Counts>,
    pub(crate) gone: Option<Moment>,
    /// Pods that ceased to count, and whose write did it.
    pub(crate) losses: Vec<(Moment, Option<u32>)>,
    /// Pods that came to count without being created for it.
    pub(crate) adopted: i64,
    /// The most pods that were ready at one time.
    pub(crate) most_ready: i64,
    pub(crate) reselected: bool,
    /// The size by the last write of the controllers, and when somebody else changed it.
    pub(crate) own_size: i64,
    pub(crate) resized_by_others: Option<Moment>,
    /// Made by the controllers under test.
    pub(crate) made_by_us: bool,
    /// Somebody else wrote its annotations.
    pub(crate) annotated_by_others: bool,
}

impl SetState {
    pub(super) fn new(uid: Uid, step: &Step<'_>, object: &Arc<ReplicaSet>) -> Self {
        let ours = step.process.is_some() && !step.late;
        Self {
            uid,
            resource: step.commit.resource,
            key: step.commit.key.clone(),
            object: Arc::clone(object),
            owner: None,
            specs: Timeline::default(),
            counts: Timeline::default(),
            gone: None,
            losses: Vec::new(),
            adopted: 0,
            most_ready: 0,
            reselected: false,
            own_size: if ours { size(object) } else { 0 },
            resized_by_others: (!ours).then_some(step.moment),
            made_by_us: ours,
            annotated_by_others: !ours,
        }
    }

    pub(super) fn update(&mut self, step: &Step<'_>, object: &Arc<ReplicaSet>) {
        let before = std::mem::replace(&mut self.object, Arc::clone(object));
        let meta = &object.metadata;
        self.reselected |= before.spec.selector != object.spec.selector;
        self.owner = meta.controller().map(|owner| owner.uid.as_str().into());
        self.specs.push(
            step.moment,
            SetSpec {
                generation: meta.generation,
                replicas: size(object),
                deleting: meta.is_deleting(),
            },
        );
        let ours = step.process.is_some() && !step.late;
        if size(&before) != size(object) {
            if ours {
                self.own_size = size(object);
                self.resized_by_others = None;
            } else {
                self.resized_by_others = Some(step.moment);
            }
        }
        if before.metadata.annotations != meta.annotations {
            self.annotated_by_others |= !ours;
        }
        if self.counts.last().is_none() {
            self.counts.push(step.moment, Counts::default());
        }
    }

    pub(super) fn end(&mut self, moment: Moment) {
        self.gone = Some(moment);
        let generation = self.object.metadata.generation;
        self.specs.push(
            moment,
            SetSpec {
                generation: generation.saturating_add(1),
                replicas: 0,
                deleting: true,
            },
        );
    }

    pub(super) fn count(&mut self, moment: Moment, active: i64, counted: i64, ready: i64) {
        let now = self.now();
        let now = Counts {
            active: now.active + active,
            counted: now.counted + counted,
            ready: now.ready + ready,
        };
        self.most_ready = self.most_ready.max(now.ready);
        self.counts.push(moment, now);
    }

    /// The fewest and the most ready pods that somebody with this horizon may see.
    pub(crate) fn ready(&self, horizon: Horizon) -> (i64, i64) {
        let seen = self.counts.since(horizon).map(|counts| counts.ready);
        seen.fold((i64::MAX, 0), |(least, most), ready| {
            (least.min(ready), most.max(ready))
        })
    }

    /// The largest size that somebody with this horizon may see.
    pub(crate) fn largest(&self, horizon: Horizon) -> i64 {
        let sizes = self.specs.since(horizon).map(|spec| spec.replicas);
        sizes.max().unwrap_or(0)
    }

    /// Pods now.
    pub(crate) fn now(&self) -> Counts {
        self.counts.last().copied().unwrap_or_default()
    }

    /// Whether the selector picks the pod.
    pub(crate) fn selects(&self, pod: &Pod) -> bool {
        let selector = &self.object.spec.selector;
        !selector.is_empty() && selector.matches(|key| pod.label(key))
    }

    /// Whether nobody could act on the spec: no selector, or one that its own template misses.
    pub(crate) fn is_faulty(&self) -> bool {
        let spec = &self.object.spec;
        spec.selector.is_empty()
            || spec.selector.check().is_err()
            || !spec.selector.matches(|key| spec.template.label(key))
    }
}

/// A Deployment.
#[derive(Clone, Debug)]
pub(crate) struct DeploymentState {
    pub(crate) uid: Uid,
    pub(crate) key: Key,
    pub(crate) object: Arc<Deployment>,
    /// None for a spec that nobody can act on.
    pub(crate) specs: Timeline<Option<Limits>>,
    /// ReplicaSets that it has or had as their managing controller.
    pub(crate) sets: BTreeSet<Uid>,
    pub(crate) gone: Option<Moment>,
    /// When somebody else last took one of its sets away.
    pub(crate) sets_taken: Option<Moment>,
    /// When one of its sets was last noted as being sized for another number of replicas.
    pub(crate) retargeted: Option<Moment>,
    /// Annotations that it has or had.
    pub(crate) annotations: BTreeSet<String>,
}

impl DeploymentState {
    pub(super) fn new(
        uid: Uid,
        step: &Step<'_>,
        object: &Arc<Deployment>,
        sets: BTreeSet<Uid>,
    ) -> Self {
        Self {
            uid,
            key: step.commit.key.clone(),
            object: Arc::clone(object),
            specs: Timeline::default(),
            sets,
            gone: None,
            sets_taken: None,
            retargeted: None,
            annotations: BTreeSet::new(),
        }
    }

    pub(super) fn update(&mut self, step: &Step<'_>, object: &Arc<Deployment>) {
        self.object = Arc::clone(object);
        self.specs.push(step.moment, Limits::of(object));
        for key in object.metadata.annotations.keys() {
            if !self.annotations.contains(key) {
                self.annotations.insert(key.clone());
            }
        }
    }
}

/// `spec.replicas` of a set.
pub(crate) fn size(set: &ReplicaSet) -> i64 {
    i64::from(set.spec.replicas.unwrap_or(1)).max(0)
}
