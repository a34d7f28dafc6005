//! The true state, typed and indexed, kept up to date commit by commit.
//!
//! Parsing borrows the planner's types; what is concluded from them is written here anew.

mod knowledge;
mod limits;
mod objects;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ironkeel_plan::meta::Key;
use ironkeel_plan::pod::Pod;
use ironkeel_plan::revision;
use ironkeel_plan::workload::{Deployment, ReplicaSet};
use serde::Deserialize;
use serde_json::Value;

pub(crate) use limits::Limits;
pub(crate) use objects::{DeploymentState, PodState, Rank, SetSpec, SetState, Uid, size};
pub(crate) use timeline::{Horizon, Moment, Timeline};

use knowledge::Process;

use crate::{Commit, Writer};

/// What a commit is about, read.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Pod(Option<Arc<Pod>>, Option<Arc<Pod>>),
    Set(Option<Arc<ReplicaSet>>, Option<Arc<ReplicaSet>>),
    Deployment(Option<Arc<Deployment>>, Option<Arc<Deployment>>),
    Other,
}

/// A commit with what it means.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) commit: &'a Commit,
    pub(crate) moment: Moment,
    pub(crate) change: Change,
    /// The process of the controllers that wrote it.
    pub(crate) process: Option<u32>,
    /// It wrote although another process leads by now: its request was under way.
    pub(crate) late: bool,
}

/// The true state.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Option<Moment>,
    pub(crate) pods: BTreeMap<Uid, PodState>,
    pub(crate) sets: BTreeMap<Uid, SetState>,
    pub(crate) deployments: BTreeMap<Uid, DeploymentState>,
    /// The pod that the last commit removed.
    pub(crate) removed: Option<PodState>,
    /// Namespaces that are being deleted.
    pub(crate) ending: BTreeSet<String>,
    /// Pods by the UID of their managing controller.
    owned: BTreeMap<Uid, BTreeSet<Uid>>,
    processes: BTreeMap<u32, Process>,
    /// The process that holds the lease.
    pub(crate) leader: Option<u32>,
}

impl World {
    /// Pods that have a ReplicaSet of this UID as their managing controller.
    pub(crate) fn pods_of<'a>(&'a self, set: &str) -> impl Iterator<Item = &'a PodState> + use<'a> {
        self.owned
            .get(set)
            .into_iter()
            .flatten()
            .filter_map(|uid| self.pods.get(uid))
    }

    /// ReplicaSets that a Deployment has or had.
    pub(crate) fn sets_of<'a>(
        &'a self,
        deployment: &'a DeploymentState,
    ) -> impl Iterator<Item = &'a SetState> {
        deployment.sets.iter().filter_map(|uid| self.sets.get(uid))
    }

    /// Takes a commit.
    pub(crate) fn apply<'a>(&mut self, commit: &'a Commit) -> Step<'a> {
        let moment = Moment {
            version: commit.version,
            at: commit.at,
        };
        self.now = Some(moment);
        let process = match commit.writer {
            Writer::Controller(process) => Some(process),
            _ => None,
        };
        let late =
            process.is_some_and(|process| self.leader.is_some_and(|leader| leader != process));
        let mut step = Step {
            commit,
            moment,
            change: Change::Other,
            process,
            late,
        };
        match commit.resource.plural {
            "pods" => step.change = self.apply_pod(&step),
            "replicasets" | "replicationcontrollers" => step.change = self.apply_set(&step),
            "deployments" => step.change = self.apply_deployment(&step),
            "leases" => self.apply_lease(&step),
            "namespaces" => self.apply_namespace(commit),
            _ => {}
        }
        step
    }

    fn apply_pod(&mut self, step: &Step<'_>) -> Change {
        let after = read::<Pod>(step.commit.after.as_ref());
        let before_uid = uid_of(step.commit.before.as_ref());
        let before = before_uid
            .as_deref()
            .and_then(|uid| self.pods.get(uid))
            .map(|known| Arc::clone(&known.pod));
        if let Some(gone) = before_uid
            && after.as_ref().is_none_or(|after| *after.uid != *gone)
        {
            self.set_owner(&gone, None);
            if let Some(mut pod) = self.pods.remove(&gone) {
                if pod.member {
                    pod.counted_ready = pod.pod.ready;
                    self.leave(step, &pod);
                }
                self.removed = Some(pod);
            }
        }
        if let Some(pod) = &after {
            let pod = Arc::clone(pod);
            let uid: Uid = (*pod.uid).into();
            let owner = pod.controller.as_ref().map(|owner| Uid::clone(&owner.uid));
            self.set_owner(&uid, owner.as_deref());
            let labels_kept = self
                .pods
                .get(&uid)
                .is_none_or(|known| known.pod.labels == pod.labels);
            let state = self
                .pods
                .entry(Uid::clone(&uid))
                .or_insert_with(|| PodState::new(Arc::clone(&pod), step));
            if !labels_kept {
                state.relabelled = Some(step.moment);
            }
            state.ranks.push(step.moment, Rank::of(&pod));
            let was_ready = state.pod.ready;
            state.pod = Arc::clone(&pod);
            let was = state.member.then(|| state.set.clone()).flatten();
            let is = owner.filter(|owner| {
                pod.is_active() && self.sets.get(owner).is_some_and(|set| set.selects(&pod))
            });
            self.move_pod(step, &uid, was.as_ref(), is.as_ref(), was_ready);
        }
        Change::Pod(before, after)
    }

    /// Counts a pod with the set that it belongs to.
    fn move_pod(
        &mut self,
        step: &Step<'_>,
        uid: &Uid,
        was: Option<&Uid>,
        is: Option<&Uid>,
        was_ready: bool,
    ) {
        let Some(pod) = self.pods.get_mut(uid) else {
            return;
        };
        if was == is {
            if let Some(set) = is.and_then(|set| self.sets.get_mut(set))
                && was_ready != pod.pod.ready
            {
                set.count(
                    step.moment,
                    0,
                    0,
                    i64::from(pod.pod.ready) - i64::from(was_ready),
                );
            }
            return;
        }
        let old = PodState {
            set: was.cloned(),
            member: was.is_some(),
            counted_ready: was_ready,
            ..pod.clone()
        };
        pod.member = is.is_some();
        pod.set = is.cloned();
        if is.is_some() {
            // Only what the controllers themselves brought in counts against them.
            pod.foreign = step.process.is_none() || step.late;
        }
        let (ready, foreign) = (pod.pod.ready, pod.foreign);
        if was.is_some() {
            self.leave(step, &old);
        }
        if let Some(set) = is.and_then(|set| self.sets.get_mut(set)) {
            set.count(step.moment, 1, i64::from(!foreign), i64::from(ready));
            if step.commit.before.is_some() {
                set.adopted += 1;
            }
        }
    }

    /// A pod counts no longer.
    fn leave(&mut self, step: &Step<'_>, pod: &PodState) {
        let Some(set) = pod.set.as_ref().and_then(|set| self.sets.get_mut(set)) else {
            return;
        };
        set.count(
            step.moment,
            -1,
            -i64::from(!pod.foreign),
            -i64::from(pod.counted_ready),
        );
        set.losses.push((step.moment, step.process));
    }

    fn set_owner(&mut self, pod: &Uid, owner: Option<&str>) {
        let known = self
            .pods
            .get(pod)
            .and_then(|known| known.pod.controller.as_ref());
        let known = known.map(|owner| Uid::clone(&owner.uid));
        if known.as_deref() != owner
            && let Some(known) = known
            && let Some(pods) = self.owned.get_mut(&known)
        {
            pods.remove(pod);
        }
        if let Some(owner) = owner {
            self.owned
                .entry(owner.into())
                .or_default()
                .insert(Uid::clone(pod));
        }
    }

    fn apply_set(&mut self, step: &Step<'_>) -> Change {
        let after = read::<ReplicaSet>(step.commit.after.as_ref());
        let gone = uid_of(step.commit.before.as_ref());
        let before = gone
            .as_deref()
            .and_then(|uid| self.sets.get(uid))
            .map(|known| Arc::clone(&known.object));
        if let Some(gone) = gone
            && after
                .as_ref()
                .is_none_or(|after| *after.metadata.uid != *gone)
            && let Some(set) = self.sets.get_mut(&gone)
        {
            set.end(step.moment);
            if step.process.is_none()
                && let Some(owner) = set
                    .owner
                    .clone()
                    .and_then(|owner| self.deployments.get_mut(&owner))
            {
                owner.sets_taken = Some(step.moment);
            }
        }
        if let Some(object) = &after {
            let uid: Uid = object.metadata.uid.as_str().into();
            let state = self
                .sets
                .entry(Uid::clone(&uid))
                .or_insert_with(|| SetState::new(Uid::clone(&uid), step, object));
            let reselects = state.object.spec.selector != object.spec.selector;
            state.update(step, object);
            let owner = state.owner.clone();
            if let Some(deployment) = owner.and_then(|owner| self.deployments.get_mut(&owner)) {
                deployment.sets.insert(Uid::clone(&uid));
                let target = |set: &ReplicaSet| {
                    let annotations = &set.metadata.annotations;
                    annotations.get(revision::DESIRED_REPLICAS).cloned()
                };
                if before
                    .as_ref()
                    .is_some_and(|before| target(before) != target(object))
                {
                    deployment.retargeted = Some(step.moment);
                }
                // Who makes a set of a template has seen it in a spec.
                let of_template = deployment
                    .specs
                    .all()
                    .flatten()
                    .filter(|spec| spec.template.same_pods(&object.spec.template));
                if let (None, Some(process), Some(seen)) = (
                    &before,
                    step.process,
                    of_template.map(|spec| spec.generation).min(),
                ) {
                    let owner = Uid::clone(&deployment.uid);
                    let known = self.processes.entry(process).or_default();
                    let seen = (step.moment.at, seen);
                    known.seen.entry(owner).or_default().push(seen);
                }
            }
            if reselects || before.is_none() {
                self.recount(step, &uid);
            }
            self.note_seen(
                step,
                &uid,
                before.as_deref().map(|set| set.status.observed_generation),
                object.status.observed_generation,
            );
        }
        Change::Set(before, after)
    }

    /// Pods may be there before their set, or its selector changed.
    fn recount(&mut self, step: &Step<'_>, set: &Uid) {
        let pods: Vec<Uid> = self.owned.get(set).into_iter().flatten().cloned().collect();
        for uid in pods {
            let Some(pod) = self.pods.get(&uid) else {
                continue;
            };
            let was = pod.member.then(|| pod.set.clone()).flatten();
            let ready = pod.pod.ready;
            let selected = self.sets.get(set).is_some_and(|set| set.selects(&pod.pod));
            let is = (pod.pod.is_active() && selected).then_some(set);
            self.move_pod(step, &uid, was.as_ref(), is, ready);
        }
    }

    fn note_seen(&mut self, step: &Step<'_>, uid: &Uid, before: Option<i64>, after: i64) {
        if let Some(process) = step.process
            && before != Some(after)
        {
            let known = self.processes.entry(process).or_default();
            let seen = known.seen.entry(Uid::clone(uid)).or_default();
            seen.push((step.moment.at, after));
        }
    }

    fn apply_deployment(&mut self, step: &Step<'_>) -> Change {
        let after = read::<Deployment>(step.commit.after.as_ref());
        let gone = uid_of(step.commit.before.as_ref());
        let before = gone
            .as_deref()
            .and_then(|uid| self.deployments.get(uid))
            .map(|known| Arc::clone(&known.object));
        if let Some(gone) = gone
            && after
                .as_ref()
                .is_none_or(|after| *after.metadata.uid != *gone)
            && let Some(deployment) = self.deployments.get_mut(&gone)
        {
            deployment.gone = Some(step.moment);
        }
        if let Some(object) = &after {
            let uid: Uid = object.metadata.uid.as_str().into();
            let sets = &self.sets;
            let state = self.deployments.entry(Uid::clone(&uid)).or_insert_with(|| {
                let known = sets.values().filter(|set| set.owner.as_ref() == Some(&uid));
                DeploymentState::new(
                    Uid::clone(&uid),
                    step,
                    object,
                    known.map(|set| Uid::clone(&set.uid)).collect(),
                )
            });
            state.update(step, object);
            self.note_seen(
                step,
                &uid,
                before.as_deref().map(|one| one.status.observed_generation),
                object.status.observed_generation,
            );
        }
        Change::Deployment(before, after)
    }

    fn apply_lease(&mut self, step: &Step<'_>) {
        let holder = step
            .commit
            .after
            .as_ref()
            .and_then(|lease| lease.pointer("/spec/holderIdentity"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some(process) = step.process {
            if holder.is_empty() {
                return;
            }
            self.leader = Some(process);
            self.processes.entry(process).or_default().renewed = Some(step.moment.at);
        }
    }

    fn apply_namespace(&mut self, commit: &Commit) {
        let deleting = commit
            .after
            .as_ref()
            .is_none_or(|namespace| namespace.pointer("/metadata/deletionTimestamp").is_some());
        if deleting {
            self.ending.insert(commit.key.name.clone());
        } else {
            self.ending.remove(&commit.key.name);
        }
    }

    /// Whether objects of this key's namespace are on their way out with it.
    pub(crate) fn is_ending(&self, key: &Key) -> bool {
        self.ending.contains(&key.namespace)
    }
}

/// The object as the planners read it; none when it is not there or cannot be read.
fn read<T: for<'de> Deserialize<'de>>(value: Option<&Arc<Value>>) -> Option<Arc<T>> {
    T::deserialize(&**value?).ok().map(Arc::new)
}

/// The UID in an object.
pub(crate) fn uid_of(value: Option<&Arc<Value>>) -> Option<Uid> {
    value?.pointer("/metadata/uid")?.as_str().map(Uid::from)
}
