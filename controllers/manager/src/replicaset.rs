//! ReplicaSet and ReplicationController: observe, plan, create or delete pods, write the status.
//!
//! A ReplicationController is read as the ReplicaSet that it is but for its selector's shape.

mod status_patch;
mod wake;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::meta::{Key, Meta, OwnerReference, Stored as _};
use ironkeel_plan::names::SplitMix64;
use ironkeel_plan::plan::Event;
use ironkeel_plan::pod::Pod;
use ironkeel_plan::replicaset::{
    self, Action, BURST, Deed, Failure, FailureReason, Observed, Outcome, PodManifests, PodRef,
    SetKind, StatusWrite,
};
use ironkeel_plan::workload::{Extras, ReplicaSet, ReplicaSetStatus};
use ironkeel_runtime::barrier::Owner;
use ironkeel_runtime::batches::{run_slow_start, run_together};
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::controller::Reconcile;
use ironkeel_runtime::events::Regarding;
use ironkeel_runtime::lease::Leader;
use ironkeel_runtime::queue::Work;
use ironkeel_runtime::resource::{PODS, Resource};
use ironkeel_runtime::store::Store;
use ironkeel_runtime::write::{Precondition, Propagation, Target, WriteError, Writer};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use wake::{pod_changed, set_changed};

use crate::announce::Announcer;
use crate::execute::{SyncError, after, earliest, still_the_same, still_wanted, write_words};
use crate::patience::{Patience, Windows};
use status_patch::status_operations;

/// When to look again at a pod that was to be deleted and was not there, as the answer said: by then its watch shows that,
/// or the answer was not the API server's.
const MISSED: Duration = Duration::from_secs(1);

/// For how long one sync creates pods, once it has begun [`BURST`]: pods that died in the meantime are replaced, and the
/// counts told, by the next one. Upstream ends a sync at [`BURST`], however fast they come.
const CREATES: Duration = Duration::from_secs(2);

/// What differs between the three kinds that this controller serves.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The collection of the sets.
    pub resource: Resource,
    /// Wording of events.
    pub kind: SetKind,
    /// What the kind adds to upstream's.
    pub extras: Extras,
}

/// The controller of one kind of set.
pub struct ReplicaSets {
    /// The kind.
    pub family: Family,
    /// Its objects.
    pub sets: Store<ReplicaSet>,
    /// All pods.
    pub pods: Store<Pod>,
    /// Writes with this controller's identity.
    pub writer: Writer,
    /// The right to write.
    pub leader: Leader,
    /// Posts events.
    pub announcer: Announcer,
    /// Measures how long writes take.
    pub windows: Windows,
    /// Statuses that wait for what is about to be seen.
    pub patience: Patience,
    /// Tells the time.
    pub clock: Clock,
    /// Random ends of pod names.
    pub names: Mutex<SplitMix64>,
}

impl Reconcile for ReplicaSets {
    type Error = SyncError;

    fn uid(&self, key: &Key) -> Option<Arc<str>> {
        self.sets.get(key).map(|set| set.uid().into())
    }

    async fn reconcile(&self, work: &Work) -> Result<Option<Duration>, SyncError> {
        let Some(object) = self.sets.get(&work.key) else {
            return Ok(None);
        };
        let set = &*object;
        let pods = self.claimable_pods(set);
        let siblings = self.siblings(set, &pods);
        let observed = Observed {
            set,
            kind: self.family.kind,
            pods: &pods,
            siblings: &siblings,
            extras: self.family.extras,
            now: self.clock.now(),
        };
        let plan = replicaset::plan(&observed, &mut *self.names.lock());
        tracing::Span::current().record("decided", tracing::field::display(Words(&plan.actions)));
        let regarding = self.regarding(set);
        for event in &plan.events {
            self.announcer.event(&regarding, event);
        }
        let outcome = self.execute(set, &regarding, plan.actions).await?;
        let status = replicaset::status(&observed, &outcome.reported);
        // A set that has to create more tells how far it is before it goes on: that takes seconds.
        let creates_more =
            outcome.reported.created > 0 && status.as_ref().is_some_and(|write| !write.may_wait);
        if outcome.reported.created + outcome.reported.deleted > 0 && !creates_more {
            self.patience.acted(&set.metadata.uid);
        }
        let waits = self.tell_status(set, &outcome, status).await?;
        if let Some(error) = outcome.error {
            return Err(error.into());
        }
        let again = earliest(after(plan.requeue_after), waits);
        Ok(earliest(again, outcome.missed.then_some(MISSED)))
    }

    fn retry_after(&self, error: &SyncError) -> Option<Duration> {
        error.retry_after()
    }
}

/// A plan in a few words, for the reconcile's span.
struct Words<'a>(&'a [Action]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_words(f, self.0, |f, action| match action {
            Action::Adopt(pod) => write!(f, "adopt {}", pod.name),
            Action::Release(pod) => write!(f, "release {}", pod.name),
            Action::Create { names } => write!(f, "create {}", names.len()),
            Action::Delete { pods } => write!(f, "delete {}", pods.len()),
        })
    }
}

/// What became of a plan: what the status tells of it, and the error to retry for.
struct Executed {
    reported: Outcome,
    error: Option<WriteError>,
    /// Whether a pod that was to be deleted was not there.
    missed: bool,
}

impl ReplicaSets {
    /// Pods that the set controls and orphans that it may adopt.
    fn claimable_pods(&self, set: &ReplicaSet) -> Vec<Arc<Pod>> {
        let mut pods = self.pods.owned_by(&set.metadata.uid);
        let selector = &set.spec.selector;
        let orphans = self.pods.orphans_in(&set.metadata.namespace);
        pods.extend(
            orphans
                .into_iter()
                .filter(|pod| selector.matches(|key| pod.label(key))),
        );
        pods
    }

    /// Active pods by node, over all sets with this one's controller; only a shrinking set needs them.
    fn siblings(&self, set: &ReplicaSet, pods: &[Arc<Pod>]) -> BTreeMap<Arc<str>, usize> {
        let mut count = BTreeMap::new();
        let wanted = usize::try_from(set.spec.replicas.unwrap_or(1)).unwrap_or_default();
        let Some(controller) = set.metadata.controller() else {
            return count;
        };
        if pods.len() <= wanted {
            return count;
        }
        for sibling in self.sets.owned_by(&controller.uid) {
            for pod in self.pods.owned_by(sibling.uid()) {
                if let (true, Some(node)) = (pod.is_active(), &pod.node) {
                    *count.entry(node.clone()).or_default() += 1;
                }
            }
        }
        count
    }

    async fn execute(
        &self,
        set: &ReplicaSet,
        regarding: &Regarding,
        actions: Vec<Action>,
    ) -> Result<Executed, SyncError> {
        let owner = self.owner(set);
        let mut reported = Outcome::default();
        let mut error = None;
        let mut missed = false;
        let mut may_adopt = false;
        for action in actions {
            let failed = match action {
                Action::Adopt(pod) => {
                    if !may_adopt {
                        still_the_same(&set.metadata, &self.live(&owner).await?)?;
                        may_adopt = true;
                    }
                    let target = pod_target(set, &pod.name);
                    let reference = self.reference(set);
                    self.writer
                        .adopt(&self.leader, &owner, target, &pod.uid, &reference)
                        .await?;
                    continue;
                }
                Action::Release(pod) => {
                    let target = pod_target(set, &pod.name);
                    self.writer
                        .release(&self.leader, &owner, target, &pod.uid, &owner.uid)
                        .await?;
                    continue;
                }
                Action::Create { names } => {
                    if was_complete(set) {
                        still_the_same(&set.metadata, &self.live(&owner).await?)?;
                    }
                    let (created, failed) = self.create_pods(set, &owner, regarding, names).await;
                    reported.created += created;
                    failed.map(|error| (FailureReason::FailedCreate, error))
                }
                Action::Delete { pods } => {
                    still_wanted(&set.metadata, &self.live(&owner).await?)?;
                    let asked = pods.len();
                    let (deleted, failed) = self.delete_pods(set, &owner, regarding, pods).await;
                    missed |= failed.is_none() && deleted < asked;
                    reported.deleted += deleted;
                    failed.map(|error| (FailureReason::FailedDelete, error))
                }
            };
            if let Some((reason, failed)) = failed {
                // Upstream's words for the condition.
                let message = match reason {
                    FailureReason::FailedCreate => failed.message().to_owned(),
                    FailureReason::FailedDelete => {
                        format!("unable to delete pods: {}", failed.message())
                    }
                };
                reported.failure = Some(Failure { reason, message });
                error = Some(failed);
                break;
            }
        }
        Ok(Executed {
            reported,
            error,
            missed,
        })
    }

    /// Creates the pods by a slow start, until one fails, the set wants no more, or it is time to look again.
    async fn create_pods(
        &self,
        set: &ReplicaSet,
        owner: &Owner,
        regarding: &Regarding,
        names: Vec<String>,
    ) -> (usize, Option<WriteError>) {
        let resource = self.family.resource;
        let manifests = PodManifests::of(&resource.api_version(), resource.kind, set);
        let mut share = Share::default();
        let go_on = || {
            let now = self.sets.get(&owner.key);
            share.has_more() && now.is_some_and(|now| replicaset::still_grows(set, &now))
        };
        let (created, error) = run_slow_start(names, go_on, |name| {
            let body = manifests.named(&name);
            async move {
                let target = pod_target(set, &name);
                match self.writer.create(&self.leader, owner, target, body).await {
                    Ok(_) => {
                        self.announcer.pod(regarding, Deed::Created, &name);
                        Ok(())
                    }
                    Err(error) => {
                        if !error.is_namespace_terminating() {
                            let told = format!("Error creating: {}", error.message());
                            self.announcer
                                .event(regarding, &Event::warning("FailedCreate", told));
                        }
                        Err(error)
                    }
                }
            }
        })
        .await;
        // Nothing can be created in a namespace that goes away, and the set goes with it.
        (
            created,
            error.filter(|error| !error.is_namespace_terminating()),
        )
    }

    async fn delete_pods(
        &self,
        set: &ReplicaSet,
        owner: &Owner,
        regarding: &Regarding,
        pods: Vec<PodRef>,
    ) -> (usize, Option<WriteError>) {
        let (done, error) = run_together(pods, |pod| async move {
            let target = pod_target(set, &pod.name);
            let same = Precondition::uid(&pod.uid);
            match self
                .writer
                .delete(&self.leader, owner, target, same, Propagation::Background)
                .await
            {
                Ok(()) => {
                    self.announcer.pod(regarding, Deed::Deleted, &pod.name);
                    Ok(true)
                }
                Err(error) if error.is_not_found() => Ok(false),
                Err(error) => {
                    let told = format!("Error deleting: {}", error.message());
                    self.announcer
                        .event(regarding, &Event::warning("FailedDelete", told));
                    Err(error)
                }
            }
        })
        .await;
        // One that was not there is as good as deleted by somebody else: no deed of this sync.
        (done.into_iter().filter(|deleted| *deleted).count(), error)
    }

    /// Writes the status, unless it waits for more; then the answer is how long.
    async fn tell_status(
        &self,
        set: &ReplicaSet,
        outcome: &Executed,
        status: Option<StatusWrite>,
    ) -> Result<Option<Duration>, SyncError> {
        let uid = &set.metadata.uid;
        if let Some(StatusWrite { status, may_wait }) = status {
            let window = self.windows.count(set.spec.replicas.unwrap_or(1));
            let failed = outcome.reported.failure.is_some();
            if !failed && let Some(left) = self.patience.wait(uid, may_wait, window) {
                return Ok(Some(left));
            }
            self.write_status(set, &status).await?;
            self.patience.written(uid);
            self.patience.acted(uid);
            return Ok(None);
        } else if outcome.reported.created + outcome.reported.deleted > 0 {
            // What was done is about to be seen: that is then told with what follows it.
            return Ok(None);
        }
        self.patience.written(uid);
        Ok(None)
    }

    async fn write_status(
        &self,
        set: &ReplicaSet,
        status: &ReplicaSetStatus,
    ) -> Result<(), SyncError> {
        let meta = &set.metadata;
        let target = Target {
            resource: self.family.resource,
            namespace: &meta.namespace,
            name: &meta.name,
        };
        let owner = self.owner(set);
        let operations = status_operations(set, status);
        let write =
            self.writer
                .patch_tested(&self.leader, &owner, target, Some("status"), &operations);
        self.windows.time(write).await?;
        Ok(())
    }

    /// The set's metadata as the API server has it now.
    async fn live(&self, owner: &Owner) -> Result<Meta, SyncError> {
        let live: ReplicaSet = self.writer.live_owner(owner).await?;
        Ok(live.metadata)
    }

    fn owner(&self, set: &ReplicaSet) -> Owner {
        Owner {
            resource: self.family.resource,
            key: set.metadata.key(),
            uid: set.metadata.uid.as_str().into(),
        }
    }

    fn reference(&self, set: &ReplicaSet) -> OwnerReference {
        crate::execute::controller_reference(self.family.resource, &set.metadata)
    }

    fn regarding(&self, set: &ReplicaSet) -> Regarding {
        Regarding::of(self.family.resource, &set.metadata)
    }
}

/// How many pods one sync creates: [`BURST`], and as many more as it can within [`CREATES`].
#[derive(Debug)]
struct Share {
    begun: usize,
    since: Instant,
}

impl Default for Share {
    /// That of a sync which begins with its first pod now.
    fn default() -> Self {
        Self {
            begun: 1,
            since: Instant::now(),
        }
    }
}

impl Share {
    /// Whether one more is in it.
    fn has_more(&mut self) -> bool {
        self.begun += 1;
        self.begun <= BURST || self.since.elapsed() < CREATES
    }
}

/// Whether the set had all its pods, so that one that is missing has gone since.
///
/// Pods may be seen to go before it is seen that the set itself is being deleted, in the foreground
/// for example: the two come by different watches. So the set is asked, where there is no hurry
/// because of a user who wants more pods.
fn was_complete(set: &ReplicaSet) -> bool {
    set.status.observed_generation == set.metadata.generation
        && set.status.replicas >= set.spec.replicas.unwrap_or(1)
}

fn pod_target<'a>(set: &'a ReplicaSet, name: &'a str) -> Target<'a> {
    Target {
        resource: PODS,
        namespace: &set.metadata.namespace,
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pods of 5,000 one sync creates where each create takes so long.
    async fn created_by_one_sync(latency: Duration) -> usize {
        let mut share = Share::default();
        let done = run_slow_start(
            vec![(); 5000],
            || share.has_more(),
            |()| async move {
                tokio::time::sleep(latency).await;
                Ok::<(), ()>(())
            },
        );
        done.await.0
    }

    #[tokio::test(start_paused = true)]
    async fn a_sync_creates_five_hundred_pods_however_slow_and_more_where_that_is_fast() {
        assert_eq!(created_by_one_sync(Duration::from_secs(5)).await, 500);
        assert_eq!(created_by_one_sync(Duration::from_millis(300)).await, 500);
        // 127 in seven rounds, then 128 every 100 ms up to two seconds.
        assert_eq!(created_by_one_sync(Duration::from_millis(100)).await, 1791);
        assert_eq!(created_by_one_sync(Duration::from_millis(10)).await, 5000);
    }

    #[test]
    fn a_set_that_loses_pods_is_asked_and_one_that_grows_is_not() {
        let mut set = ReplicaSet::default();
        set.metadata.generation = 2;
        set.spec.replicas = Some(3);
        set.status.observed_generation = 2;
        set.status.replicas = 3;
        assert!(was_complete(&set));
        set.status.replicas = 2;
        assert!(!was_complete(&set), "not all pods are created yet");
        set.status.replicas = 3;
        set.metadata.generation = 3;
        assert!(!was_complete(&set), "it was resized");
    }
}
