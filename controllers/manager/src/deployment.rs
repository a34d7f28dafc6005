//! Deployment: observe, plan, write ReplicaSets, write the status.

mod wake;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::deployment::{
    self, Action, Creation, NewSet, Observed, Outcome, Scaling, SetRef, creation_failed,
    is_collision,
};
use ironkeel_plan::meta::{Key, Stored};
use ironkeel_plan::names;
use ironkeel_plan::plan::Event;
use ironkeel_plan::pod::Pod;
use ironkeel_plan::replicaset::pod_manifest;
use ironkeel_plan::workload::{Deployment, Extras, ReplicaSet, ReplicaSetSpec};
use ironkeel_runtime::barrier::{Barrier, Owner};
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::controller::Reconcile;
use ironkeel_runtime::events::Regarding;
use ironkeel_runtime::lease::Leader;
use ironkeel_runtime::queue::{Reason, Work};
use ironkeel_runtime::resource::{PODS, Resource};
use ironkeel_runtime::store::Store;
use ironkeel_runtime::write::{Precondition, Propagation, Target, WriteError, Writer};
use serde_json::{Value, json};

pub use wake::{deployment_changed, pod_changed, set_changed};

use crate::announce::Announcer;
use crate::execute::{
    SyncError, after, controller_reference, earliest, still_the_same, write_words,
};
use crate::patience::{Patience, Windows};

/// What differs between the built-in kind and ours.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The collection of the Deployments.
    pub resource: Resource,
    /// The collection of their ReplicaSets.
    pub sets: Resource,
    /// What the kind adds to upstream's.
    pub extras: Extras,
}

/// The controller of one kind of Deployment.
#[derive(Debug)]
pub struct Deployments {
    /// The kind.
    pub family: Family,
    /// Its objects.
    pub deployments: Store<Deployment>,
    /// The ReplicaSets of its group.
    pub sets: Store<ReplicaSet>,
    /// All pods.
    pub pods: Store<Pod>,
    /// Writes with this controller's identity.
    pub writer: Writer,
    /// Asks for a pod as a dry run, with the identity that will create the real ones. `None` for
    /// the built-in kind: there the API server has checked the template itself.
    pub rehearsal: Option<Writer>,
    /// The right to write.
    pub leader: Leader,
    /// Remembers own writes.
    pub barrier: Barrier,
    /// Posts events.
    pub announcer: Announcer,
    /// Measures how long writes take.
    pub windows: Windows,
    /// Statuses that wait for what ReplicaSets are about to report.
    pub patience: Patience,
    /// Tells the time.
    pub clock: Clock,
}

impl Reconcile for Deployments {
    type Error = SyncError;

    fn uid(&self, key: &Key) -> Option<Arc<str>> {
        self.deployments.get(key).map(|object| object.uid().into())
    }

    async fn reconcile(&self, work: &Work) -> Result<Option<Duration>, SyncError> {
        let Some(deployment) = self.deployments.get(&work.key) else {
            return Ok(None);
        };
        let sets = self.claimable_sets(&deployment);
        let pods: Vec<Arc<Pod>> = sets
            .iter()
            .flat_map(|set| self.pods.owned_by(&set.metadata.uid))
            .collect();
        let overlapping = self.overlapping(&deployment);
        let observed = Observed {
            deployment: &deployment,
            sets: &sets,
            pods: &pods,
            overlapping: &overlapping,
            extras: self.family.extras,
            now: self.clock.now(),
        };
        let plan = deployment::plan(&observed);
        tracing::Span::current().record("decided", tracing::field::display(Words(&plan.actions)));
        let mut sync = Sync {
            controller: self,
            deployment: &deployment,
            owner: Owner {
                resource: self.family.resource,
                key: deployment.metadata.key(),
                uid: deployment.metadata.uid.as_str().into(),
            },
            regarding: Regarding::of(self.family.resource, &deployment.metadata),
            resource_version: deployment.metadata.resource_version,
            is_live: false,
            lost_a_set: work.why.contains(Reason::Dependent),
        };
        for event in &plan.events {
            self.announcer.event(&sync.regarding, event);
        }
        let mut outcome = Outcome::default();
        let mut failed = None;
        for action in plan.actions {
            match sync.execute(action).await? {
                Step::Done => {}
                Step::Creation(creation, error) => {
                    // What follows in the plan rests on the ReplicaSet that was to be created.
                    let go_on = creation == Creation::Created;
                    outcome.creation = creation;
                    failed = error;
                    if !go_on {
                        break;
                    }
                }
            }
        }
        let status = deployment::status(&observed, &outcome);
        let waits = sync.write_status(status).await?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(earliest(after(plan.requeue_after), waits)),
        }
    }

    fn retry_after(&self, error: &SyncError) -> Option<Duration> {
        error.retry_after()
    }
}

impl Deployments {
    /// ReplicaSets that the Deployment controls and orphans that it may adopt.
    fn claimable_sets(&self, deployment: &Deployment) -> Vec<Arc<ReplicaSet>> {
        let mut sets = self.sets.owned_by(&deployment.metadata.uid);
        let selector = &deployment.spec.selector;
        let orphans = self.sets.orphans_in(&deployment.metadata.namespace);
        sets.extend(
            orphans
                .into_iter()
                .filter(|set| selector.matches_map(&set.metadata.labels)),
        );
        sets
    }

    /// Other Deployments of the namespace that would claim this one's pods. Only adoption asks.
    fn overlapping(&self, deployment: &Deployment) -> Vec<Key> {
        let meta = &deployment.metadata;
        if self.sets.orphans_in(&meta.namespace).is_empty() {
            return Vec::new();
        }
        let template = &deployment.spec.template;
        let mut keys: Vec<Key> = self
            .deployments
            .in_namespace(&meta.namespace)
            .into_iter()
            .filter(|other| {
                let selector = &other.spec.selector;
                other.metadata.uid != meta.uid
                    && !other.metadata.is_deleting()
                    && !selector.is_empty()
                    && selector.matches(|key| template.label(key))
            })
            .map(|other| other.metadata.key())
            .collect();
        keys.sort();
        keys
    }
}

/// A plan in a few words, for the reconcile's span.
struct Words<'a>(&'a [Action]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_words(f, self.0, |f, action| match action {
            Action::Adopt(set) => write!(f, "adopt {}", set.name),
            Action::Release(set) => write!(f, "release {}", set.name),
            Action::CreateSet { set, .. } => write!(f, "create {} x{}", set.name, set.replicas),
            Action::PatchSet { set, patch, .. } => match patch.pointer("/spec/replicas") {
                Some(replicas) => write!(f, "scale {} to {replicas}", set.name),
                None => write!(f, "patch {}", set.name),
            },
            Action::DeleteSet(set) => write!(f, "delete {}", set.name),
            Action::PatchDeployment { .. } => f.write_str("patch the deployment"),
        })
    }
}

/// How one action ended.
enum Step {
    /// It is written.
    Done,
    /// A creation that the status has to tell of; the error makes the queue retry.
    Creation(Creation, Option<WriteError>),
}

/// One sync of one Deployment.
struct Sync<'a> {
    controller: &'a Deployments,
    deployment: &'a Deployment,
    owner: Owner,
    regarding: Regarding,
    /// Version of the Deployment, after this sync's own writes to it.
    resource_version: u64,
    /// Whether what became of a ReplicaSet of it is a reason for this sync.
    lost_a_set: bool,
    /// Whether it was read live, and is there.
    is_live: bool,
}

impl Sync<'_> {
    async fn execute(&mut self, action: Action) -> Result<Step, SyncError> {
        let controller = self.controller;
        let (writer, leader) = (&controller.writer, &controller.leader);
        let deployment = self.deployment;
        let set_target = |name| Target {
            resource: controller.family.sets,
            namespace: &deployment.metadata.namespace,
            name,
        };
        match action {
            Action::Adopt(set) => {
                self.check_live().await?;
                let reference =
                    controller_reference(controller.family.resource, &self.deployment.metadata);
                writer
                    .adopt(
                        leader,
                        &self.owner,
                        set_target(&set.name),
                        &set.uid,
                        &reference,
                    )
                    .await?;
            }
            Action::Release(set) => {
                let owner_uid = &self.owner.uid;
                writer
                    .release(
                        leader,
                        &self.owner,
                        set_target(&set.name),
                        &set.uid,
                        owner_uid,
                    )
                    .await?;
            }
            Action::CreateSet { set, scaled } => return self.create_set(set, scaled).await,
            Action::PatchSet { set, patch, scaled } => {
                self.patch_set(set_target(&set.name), &set, patch).await?;
                self.tell_scaled(scaled.as_ref());
            }
            Action::DeleteSet(SetRef {
                name,
                uid,
                resource_version,
                ..
            }) => {
                let seen = Precondition::version(&uid, resource_version);
                let target = set_target(&name);
                match writer
                    .delete(leader, &self.owner, target, seen, Propagation::Background)
                    .await
                {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
            Action::PatchDeployment { patch, on_success } => {
                self.patch_deployment(None, patch).await?;
                self.tell(on_success.as_ref());
            }
        }
        Ok(Step::Done)
    }

    async fn create_set(
        &mut self,
        set: NewSet,
        scaled: Option<Scaling>,
    ) -> Result<Step, SyncError> {
        let controller = self.controller;
        if self.deployment.status.observed_generation > 0 || self.lost_a_set {
            // One that had a ReplicaSet may be gone, and its ReplicaSet with it: the two come by
            // different watches. It would be made anew as often as the garbage collector deletes it.
            self.check_live().await?;
        }
        let meta = &self.deployment.metadata;
        let target = Target {
            resource: controller.family.sets,
            namespace: &meta.namespace,
            name: &set.name,
        };
        if let Err(error) = self.rehearse(&set).await {
            return Ok(self.refused(&set.name, error));
        }
        let body = self.manifest(&set).to_string().into_bytes();
        match controller
            .writer
            .create(&controller.leader, &self.owner, target, body)
            .await
        {
            Ok(_) => {
                self.tell_scaled(scaled.as_ref());
                Ok(Step::Creation(Creation::Created, None))
            }
            Err(error) if error.is_already_exists() => {
                let existing: ReplicaSet = controller.writer.live(target).await?;
                let observed = controller.sets.get(&target.key());
                if is_collision(self.deployment, &existing, observed.as_deref()) {
                    return Ok(Step::Creation(Creation::NameTaken, None));
                }
                // Ours, from a create whose reply was lost, or to be adopted: the store has to show it.
                let seen = existing.metadata.resource_version;
                controller
                    .barrier
                    .wrote(&self.owner, controller.family.sets, seen);
                Err(SyncError::Outdated(format!(
                    "ReplicaSet {} is there at version {seen}, which is not observed yet",
                    set.name
                )))
            }
            // Nothing can be created in a namespace that goes away, and the Deployment goes with it.
            Err(error) if error.is_namespace_terminating() => {
                Ok(Step::Creation(Creation::None, None))
            }
            Err(error) => Ok(self.refused(&set.name, error)),
        }
    }

    /// Asks the API server whether it would take a pod of the new template, where nobody has checked
    /// the template before. A rollout that cannot work then leaves the running pods alone.
    async fn rehearse(&self, new: &NewSet) -> Result<(), WriteError> {
        let Some(writer) = &self.controller.rehearsal else {
            return Ok(());
        };
        let sets = self.controller.family.sets;
        let set = ReplicaSet {
            metadata: ironkeel_plan::meta::Meta {
                name: new.name.clone(),
                namespace: self.deployment.metadata.namespace.clone(),
                uid: self.deployment.metadata.uid.clone(),
                ..Default::default()
            },
            spec: ReplicaSetSpec {
                template: new.template.clone(),
                ..Default::default()
            },
            ..Default::default()
        };
        let name = names::generated(&names::prefix(&new.name), "check");
        let mut pod = pod_manifest(&sets.api_version(), sets.kind, &set, &name);
        // The set does not exist yet, so nothing may refer to it.
        if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("ownerReferences");
        }
        let target = Target {
            resource: PODS,
            namespace: &self.deployment.metadata.namespace,
            name: &name,
        };
        match writer
            .dry_run_create(target, pod.to_string().into_bytes())
            .await
        {
            // Only an invalid template is a verdict; quota and admission are judged pod by pod.
            Err(error) if error.is_invalid() => Err(error),
            _ => Ok(()),
        }
    }

    fn refused(&self, name: &str, error: WriteError) -> Step {
        let message = error.message().to_owned();
        self.tell(Some(&creation_failed(name, &message)));
        Step::Creation(
            Creation::Failed {
                message,
                permanent: error.is_invalid(),
            },
            Some(error),
        )
    }

    fn manifest(&self, set: &NewSet) -> Value {
        let family = self.controller.family;
        json!({
            "apiVersion": family.sets.api_version(),
            "kind": family.sets.kind,
            "metadata": {
                "name": set.name,
                "namespace": self.deployment.metadata.namespace,
                "labels": set.labels,
                "annotations": set.annotations,
                "ownerReferences": [controller_reference(family.resource, &self.deployment.metadata)],
            },
            "spec": {
                "replicas": set.replicas,
                "minReadySeconds": set.min_ready_seconds,
                "selector": set.selector,
                "template": set.template,
            },
        })
    }

    /// Reads the Deployment live, once in a sync: before what a Deployment that is gone must not do.
    async fn check_live(&mut self) -> Result<(), SyncError> {
        if self.is_live {
            return Ok(());
        }
        let live: Deployment = self.controller.writer.live_owner(&self.owner).await?;
        still_the_same(&self.deployment.metadata, &live.metadata)?;
        self.is_live = true;
        Ok(())
    }

    fn tell(&self, event: Option<&Event>) {
        if let Some(event) = event {
            self.controller.announcer.event(&self.regarding, event);
        }
    }

    fn tell_scaled(&self, scaled: Option<&Scaling>) {
        if let Some(scaled) = scaled {
            self.controller.announcer.scaled(&self.regarding, scaled);
        }
    }
}
