//! A Deployment, its ReplicaSets and their pods, driven by the real planners: what a cluster
//! does with the plans, in an order that a test chooses. Safety is checked at every write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::fixture::{Scene, template};
use super::sets::size;
use super::*;
use crate::meta::Meta;
use crate::names::SplitMix64;
use crate::pod::{ControllerRef, Phase};
use crate::workload::{DeploymentSpec, IntOrString, PodReplacementPolicy, RollingUpdate};
use crate::{replicaset, revision, rollout};

/// API writes, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Writes {
    pub(super) pod_create: usize,
    pub(super) pod_delete: usize,
    pub(super) set_create: usize,
    pub(super) set_patch: usize,
    pub(super) set_status: usize,
    pub(super) set_delete: usize,
    pub(super) deployment_patch: usize,
    pub(super) deployment_status: usize,
    /// As the manager posts them: one for all that happens to one object before pods move on,
    /// which takes longer than it waits.
    pub(super) events: usize,
}

impl Writes {
    pub(super) fn total(&self) -> usize {
        self.pod_create
            + self.pod_delete
            + self.set_create
            + self.set_patch
            + self.set_status
            + self.set_delete
            + self.deployment_patch
            + self.deployment_status
            + self.events
    }
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) deployment: Deployment,
    pub(super) sets: BTreeMap<String, ReplicaSet>,
    pub(super) pods: BTreeMap<String, Pod>,
    pub(super) extras: Extras,
    pub(super) now: Timestamp,
    pub(super) writes: Writes,
    pub(super) version: u64,
    pub(super) highest_revision: i64,
    names: SplitMix64,
    /// What was told since pods last moved on.
    told: BTreeSet<String>,
}

impl World {
    pub(super) fn new(extras: Extras, replicas: i32, surge: &str, unavailable: &str) -> Self {
        let bound = |text: &str| Some(IntOrString::String(text.to_owned()));
        let mut deployment = Deployment {
            metadata: Meta {
                name: "web".to_owned(),
                namespace: "default".to_owned(),
                uid: "web-uid".to_owned(),
                resource_version: 1,
                generation: 1,
                ..Meta::default()
            },
            ..Deployment::default()
        };
        let spec = &mut deployment.spec;
        spec.replicas = Some(replicas);
        spec.selector.match_labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        spec.template = template("0");
        spec.revision_history_limit = Some(2);
        spec.strategy.rolling_update = Some(RollingUpdate {
            max_surge: bound(surge),
            max_unavailable: bound(unavailable),
        });
        Self {
            deployment,
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            extras,
            now: crate::fixture::now(),
            writes: Writes::default(),
            version: 1,
            names: SplitMix64::new(7),
            highest_revision: 0,
            told: BTreeSet::new(),
        }
    }

    pub(super) fn tell(&mut self, topic: String) {
        self.writes.events += usize::from(self.told.insert(topic));
    }

    pub(super) fn scene(&self) -> Scene {
        Scene {
            deployment: self.deployment.clone(),
            sets: self.sets.values().cloned().map(Arc::new).collect(),
            pods: self.pods.values().cloned().map(Arc::new).collect(),
            overlapping: Vec::new(),
            extras: self.extras,
            now: self.now,
        }
    }

    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut DeploymentSpec)) {
        change(&mut self.deployment.spec);
        self.deployment.metadata.generation += 1;
        self.deployment.metadata.resource_version = self.next_version();
    }

    pub(super) fn replicas(&self) -> i32 {
        self.deployment.spec.replicas.unwrap_or(1)
    }

    pub(super) fn bounds(&self) -> rollout::Bounds {
        if self.is_recreate() {
            return rollout::Bounds {
                surge: 0,
                unavailable: self.replicas(),
            };
        }
        let rolling = self.deployment.spec.strategy.rolling_update.as_ref();
        rollout::resolve(rolling, self.replicas()).unwrap()
    }

    fn is_recreate(&self) -> bool {
        self.deployment.spec.strategy.kind.as_deref() == Some("Recreate")
    }

    pub(super) fn total_size(&self) -> i32 {
        self.sets.values().map(size).sum()
    }

    /// The names of the pods that are available: ready for as long as their set asks for.
    fn available_pods(&self) -> BTreeSet<String> {
        let is_available = |pod: &Pod| {
            let controller = pod.controller.as_ref().unwrap();
            let mut sets = self.sets.values();
            let set = sets.find(|set| *set.metadata.uid == *controller.uid);
            set.is_some_and(|set| {
                pod.is_active() && pod.is_available(set.spec.min_ready_seconds, self.now)
            })
        };
        let pods = self.pods.iter().filter(|(_, pod)| is_available(pod));
        pods.map(|(name, _)| name.clone()).collect()
    }

    /// How many of these pods stay when every ReplicaSet has the size that its spec says.
    fn lasting(&self, available: &BTreeSet<String>) -> i32 {
        let left = |set: &ReplicaSet| {
            let pods = self.pods.iter().filter(|(name, pod)| {
                available.contains(*name)
                    && *pod.controller.as_ref().unwrap().uid == *set.metadata.uid
            });
            (pods.count() as i32).min(size(set))
        };
        self.sets.values().map(left).sum()
    }

    /// Pods that serve, truly.
    pub(super) fn available(&self) -> i32 {
        self.pods
            .values()
            .filter(|pod| pod.ready && pod.deleting.is_none())
            .count() as i32
    }

    /// Pods that hold a place, truly.
    pub(super) fn running(&self, with_terminating: bool) -> i32 {
        let runs = |pod: &&Pod| {
            !matches!(pod.phase, Phase::Failed | Phase::Succeeded)
                && (with_terminating || pod.deleting.is_none())
        };
        self.pods.values().filter(runs).count() as i32
    }

    fn is_scaling(&self) -> bool {
        self.sets.values().filter(|set| size(set) > 0).any(|set| {
            revision::count(&set.metadata.annotations, revision::DESIRED_REPLICAS)
                .is_some_and(|desired| desired != self.replicas())
        })
    }

    /// One sync of the Deployment; it ends after `steps` actions when it is to crash. Returns
    /// whether anything was written.
    pub(super) fn sync_deployment(&mut self, steps: Option<usize>) -> bool {
        let scene = self.scene();
        let observed = scene.observed();
        let plan = plan(&observed);
        self.check_order_does_not_matter(&scene, &plan);
        let bound = (self.replicas() + self.bounds().surge).max(self.total_size());
        // A plan may change what counts as available; what was must not go for it.
        let available = self.available_pods();
        let before = self.lasting(&available);
        let rolls = !self.is_recreate() && !self.is_scaling() && !self.deployment.spec.paused;
        let count = steps.unwrap_or(usize::MAX);
        for action in plan.actions.iter().take(count) {
            let new_size = self.new_size();
            self.apply(action);
            assert!(
                self.total_size() <= bound,
                "{} pods over {bound}: {plan:?}",
                self.total_size()
            );
            self.check_recreate(new_size);
        }
        if rolls {
            let least = (self.replicas() - self.bounds().unavailable).min(before);
            let left = self.lasting(&available);
            assert!(left >= least, "{left} available, {least} needed: {plan:?}");
        }
        if steps.is_some() {
            return !plan.actions.is_empty();
        }
        let outcome = super::fixture::success(&plan);
        let write = status(&observed, &outcome).filter(|write| !write.may_wait);
        if let Some(write) = &write {
            self.write_status(write);
        }
        !plan.actions.is_empty() || write.is_some()
    }

    fn check_order_does_not_matter(&self, scene: &Scene, expected: &Plan<Action>) {
        let mut other = scene.clone();
        other.sets.reverse();
        other.pods.reverse();
        let turn = other.sets.len() / 2;
        other.sets.rotate_left(turn);
        assert_eq!(plan(&other.observed()), *expected);
        let outcome = super::fixture::success(expected);
        assert_eq!(
            status(&other.observed(), &outcome),
            status(&self.scene().observed(), &outcome)
        );
    }

    /// Pods that ReplicaSets of the current template are to have.
    fn new_size(&self) -> i32 {
        let template = &self.deployment.spec.template;
        self.sets
            .values()
            .filter(|set| set.spec.template.same_pods(template))
            .map(size)
            .sum()
    }

    /// With Recreate no new pod may be asked for while an old one is there. What a rolling update
    /// left behind when the strategy changed may stay; `before` is the new size until then.
    fn check_recreate(&self, before: i32) {
        if !self.is_recreate()
            || self.deployment.spec.pod_replacement_policy
                == Some(PodReplacementPolicy::TerminationStarted)
        {
            return;
        }
        let template = &self.deployment.spec.template;
        let is_new = |set: &ReplicaSet| set.spec.template.same_pods(template);
        let wants_new = self.new_size() > before;
        let old_runs = self.pods.values().any(|pod| {
            let owner = pod.controller.as_ref().unwrap();
            !matches!(pod.phase, Phase::Failed | Phase::Succeeded)
                && self.sets.get(&*owner.name).is_some_and(|set| !is_new(set))
        });
        assert!(!(wants_new && old_runs), "new pods beside old ones");
    }

    /// One sync of a ReplicaSet by the planner of ReplicaSets.
    pub(super) fn sync_set(&mut self, name: &str) -> bool {
        let Some(set) = self.sets.get(name).cloned() else {
            return false;
        };
        let pods: Vec<Arc<Pod>> = self
            .pods
            .values()
            .filter(|pod| *pod.controller.as_ref().unwrap().uid == *set.metadata.uid)
            .cloned()
            .map(Arc::new)
            .collect();
        let siblings = BTreeMap::new();
        let observed = replicaset::Observed {
            set: &set,
            kind: replicaset::SetKind::ReplicaSet,
            pods: &pods,
            siblings: &siblings,
            extras: self.extras,
            now: self.now,
        };
        let plan = replicaset::plan(&observed, &mut self.names);
        let mut outcome = replicaset::Outcome::default();
        for action in &plan.actions {
            match action {
                replicaset::Action::Create { names } => {
                    outcome.created += names.len();
                    self.writes.pod_create += names.len();
                    self.tell(format!("{name} created pods"));
                    for name in names {
                        let pod = self.new_pod(name, &set);
                        self.pods.insert(name.clone(), pod);
                    }
                }
                replicaset::Action::Delete { pods } => {
                    outcome.deleted += pods.len();
                    self.writes.pod_delete += pods.len();
                    self.tell(format!("{name} deleted pods"));
                    for pod in pods {
                        self.pods.get_mut(&pod.name).unwrap().deleting = Some(self.now);
                    }
                }
                other => panic!("nothing to claim: {other:?}"),
            }
        }
        let status = replicaset::status(&observed, &outcome)
            .filter(|write| !write.may_wait)
            .map(|write| write.status);
        let version = self.next_version();
        let known = self.sets.get_mut(name).unwrap();
        if let Some(status) = &status {
            self.writes.set_status += 1;
            known.status = status.clone();
            known.metadata.resource_version = version;
        }
        !plan.actions.is_empty() || status.is_some()
    }

    fn new_pod(&mut self, name: &str, set: &ReplicaSet) -> Pod {
        let labels = set
            .spec
            .template
            .0
            .pointer("/metadata/labels")
            .unwrap()
            .as_object()
            .unwrap();
        Pod {
            name: name.into(),
            namespace: "default".into(),
            uid: format!("{name}-{}", self.next_version()).into(),
            resource_version: self.version,
            created: Some(self.now),
            deleting: None,
            labels: crate::hash::sorted(labels)
                .into_iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap().into()))
                .collect(),
            controller: Some(ControllerRef {
                uid: set.metadata.uid.as_str().into(),
                kind: "ReplicaSet".into(),
                name: set.metadata.name.as_str().into(),
                api_version: "apps/v1".into(),
            }),
            node: None,
            phase: Phase::Pending,
            ready: false,
            ready_since: None,
            restarts: 0,
            sidecar_restarts: 0,
            deletion_cost: 0,
        }
    }

    /// Changes the pod that is `at`-th among those that `filter` accepts.
    pub(super) fn change_pod(
        &mut self,
        at: usize,
        filter: impl Fn(&Pod) -> bool,
        change: impl FnOnce(&mut Pod),
    ) {
        let count = self.pods.values().filter(|pod| filter(pod)).count();
        if count > 0 {
            let pod = self
                .pods
                .values_mut()
                .filter(|pod| filter(pod))
                .nth(at % count);
            change(pod.unwrap());
        }
    }

    pub(super) fn start_pod(&mut self, at: usize) {
        let now = self.now;
        self.told.clear();
        let waits = |pod: &Pod| {
            !pod.ready
                && pod.deleting.is_none()
                && matches!(pod.phase, Phase::Pending | Phase::Running)
        };
        self.change_pod(at, waits, |pod| {
            pod.phase = Phase::Running;
            pod.node = Some("n1".into());
            pod.ready = true;
            pod.ready_since = Some(now);
        });
    }

    pub(super) fn end_terminating(&mut self, at: usize) {
        let leaving: Vec<String> = self
            .pods
            .iter()
            .filter(|(_, pod)| pod.deleting.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        if !leaving.is_empty() {
            self.pods.remove(&leaving[at % leaving.len()]);
        }
    }

    /// Every pod that may start starts, every pod that is to go is gone.
    pub(super) fn run_pods(&mut self) {
        for _ in 0..self.pods.len() {
            self.start_pod(0);
        }
        self.pods.retain(|_, pod| pod.deleting.is_none());
    }

    pub(super) fn sync_sets(&mut self) -> bool {
        let names: Vec<String> = self.sets.keys().cloned().collect();
        names
            .iter()
            .fold(false, |wrote, name| self.sync_set(name) | wrote)
    }

    /// Runs everything until nothing is written any more, nor a few seconds later, when pods may
    /// have become available.
    #[track_caller]
    pub(super) fn settle(&mut self) {
        let longest = self.deployment.spec.min_ready_seconds.max(0);
        let mut quiet = 0;
        for _ in 0..400 {
            let wrote = self.sync_deployment(None) | self.sync_sets();
            let before = self.pods.clone();
            self.run_pods();
            let is_quiet = !wrote && before == self.pods;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet > longest + 1 {
                return;
            }
            self.now += SignedDuration::from_secs(1);
        }
        panic!("never quiet: {:#?}", self.deployment.status);
    }

    /// Nothing is left to do, and the status says so.
    #[track_caller]
    pub(super) fn assert_complete(&self) {
        let status = &self.deployment.status;
        let wanted = self.replicas();
        assert_eq!(
            (
                status.replicas,
                status.updated_replicas,
                status.available_replicas
            ),
            (wanted, wanted, wanted)
        );
        assert_eq!(
            status.observed_generation,
            self.deployment.metadata.generation
        );
        assert_eq!(self.total_size(), wanted);
        assert_eq!(self.available(), wanted);
        assert!(self.sets.len() <= 3, "history: {:?}", self.sets.keys());
        let shown = &self.deployment.metadata.annotations[revision::REVISION];
        let newest = self
            .sets
            .values()
            .filter_map(|set| revision::number(&set.metadata.annotations))
            .max();
        assert_eq!(Some(shown.parse().unwrap()), newest);
    }
}
