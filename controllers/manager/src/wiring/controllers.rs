//! Starting the controllers once this process leads.

use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::meta::Stored;
use ironkeel_plan::names::SplitMix64;
use ironkeel_runtime::controller::{Controller, Reconcile};
use ironkeel_runtime::events::Recorder;
use ironkeel_runtime::lease::Leader;
use ironkeel_runtime::queue::{Queue, Reason};
use ironkeel_runtime::store::Store;
use ironkeel_runtime::write::Writer;
use kube::Client;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{
    DEPLOYMENT, DeploymentFamily, Parts, REPLICASET, REPLICATION, SetFamily, Wiring, seed_of,
};
use crate::announce::Announcer;
use crate::deployment::Deployments;
use crate::patience::Patience;
use crate::replicaset::ReplicaSets;

/// How long events that still wait may hold up the end of the process.
const LAST_EVENTS: Duration = Duration::from_secs(2);
/// How long a Deployment's status may wait for what its ReplicaSets are about to report. They
/// report soon, unless they have thousands of pods to create first.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a set's status may wait for its pods to be seen, and for more of them.
const QUIET: Duration = Duration::from_secs(3);

impl Wiring {
    /// Runs every controller until `stop`, and returns when the last reconcile has ended.
    ///
    /// Each begins when its stores hold everything that was committed before `since`, when this
    /// process began to lead: watches that lag would hide the last writes of the leader before.
    pub async fn run_controllers(&self, leader: &Leader, since: Instant, stop: &CancellationToken) {
        let tasks = TaskTracker::new();
        for family in &self.deployments {
            tasks.spawn(self.run_deployments(family.clone(), leader.clone(), since, stop.clone()));
        }
        for family in &self.sets {
            let concurrency = self.concurrency.sets;
            tasks.spawn(self.run_sets(
                REPLICASET,
                family.clone(),
                concurrency,
                leader.clone(),
                since,
                stop.clone(),
            ));
        }
        if let Some(family) = &self.replication {
            let concurrency = self.concurrency.replication;
            tasks.spawn(self.run_sets(
                REPLICATION,
                family.clone(),
                concurrency,
                leader.clone(),
                since,
                stop.clone(),
            ));
        }
        tasks.close();
        tasks.wait().await;
    }

    fn run_deployments(
        &self,
        family: DeploymentFamily,
        leader: Leader,
        since: Instant,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let parts = Arc::clone(&self.parts);
        let (pods, gate, concurrency) = (
            self.pods.clone(),
            self.gate.clone(),
            self.concurrency.deployments,
        );
        async move {
            let DeploymentFamily {
                family,
                queue,
                deployments,
                sets,
            } = family;
            let start = async {
                gate.open(family.resource).await;
                tokio::join!(
                    deployments.listed_since(since),
                    sets.listed_since(since),
                    pods.listed_since(since),
                );
                let client = parts.identity(DEPLOYMENT, &stop).await;
                // A template of our own kind is rehearsed with the identity that will create the
                // real pods: the Deployment's needs no right on pods.
                let rehearsal = if family.extras.rollout_extensions {
                    Some(parts.writer(parts.identity(REPLICASET, &stop).await))
                } else {
                    None
                };
                (client, rehearsal)
            };
            let Some((client, rehearsal)) = stop.run_until_cancelled(start).await else {
                return;
            };
            open(&queue, &deployments);
            let (recorder, posting) = parts.recorder(DEPLOYMENT, &client);
            let reconciler = Deployments {
                family,
                deployments,
                sets,
                pods,
                announcer: Announcer::new(recorder),
                windows: parts.windows.clone(),
                patience: Patience::new(ANSWER),
                writer: parts.writer(client),
                rehearsal,
                leader,
                barrier: parts.barrier.clone(),
                clock: parts.clock.clone(),
            };
            parts
                .run(DEPLOYMENT, queue, concurrency, reconciler, posting, stop)
                .await;
        }
    }

    fn run_sets(
        &self,
        name: &'static str,
        family: SetFamily,
        concurrency: usize,
        leader: Leader,
        since: Instant,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let parts = Arc::clone(&self.parts);
        let (pods, gate) = (self.pods.clone(), self.gate.clone());
        async move {
            let SetFamily {
                family,
                queue,
                sets,
            } = family;
            let start = async {
                gate.open(family.resource).await;
                tokio::join!(sets.listed_since(since), pods.listed_since(since));
                parts.identity(name, &stop).await
            };
            let Some(client) = stop.run_until_cancelled(start).await else {
                return;
            };
            open(&queue, &sets);
            let (recorder, posting) = parts.recorder(name, &client);
            let reconciler = ReplicaSets {
                family,
                sets,
                pods,
                announcer: Announcer::new(recorder),
                windows: parts.windows.clone(),
                patience: Patience::new(QUIET),
                writer: parts.writer(client),
                leader,
                clock: parts.clock.clone(),
                names: Mutex::new(SplitMix64::new(seed_of(parts.seed, family.resource))),
            };
            parts
                .run(name, queue, concurrency, reconciler, posting, stop)
                .await;
        }
    }
}

impl Parts {
    /// The client that a controller acts with; asks again until there is one.
    async fn identity(&self, name: &'static str, stop: &CancellationToken) -> Client {
        let Some(identities) = &self.identities else {
            return self.client.clone();
        };
        loop {
            match identities.client_as(name, stop.clone()).await {
                Ok(client) => return client,
                Err(error) => {
                    tracing::error!(controller = name, %error, "no identity for the controller: trying again");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        }
    }

    fn writer(&self, client: Client) -> Writer {
        Writer::new(
            client,
            self.limits.clone(),
            self.barrier.clone(),
            self.metrics.writes.clone(),
        )
    }

    /// A recorder, and the task that posts until the recorder and its clones are gone.
    fn recorder(&self, name: &'static str, client: &Client) -> (Recorder, JoinHandle<()>) {
        let events = self.metrics.events.clone();
        let (recorder, poster) =
            Recorder::new(name, client.clone(), self.clock.clone(), self.seed, events);
        // Not ended by the signal: the reconciles that are finished after it have events too.
        let posting = tokio::spawn(poster.run(CancellationToken::new()));
        (recorder, posting)
    }

    async fn run<R: Reconcile>(
        &self,
        name: &'static str,
        queue: Queue,
        concurrency: usize,
        reconciler: R,
        posting: JoinHandle<()>,
        stop: CancellationToken,
    ) {
        tracing::info!(controller = name, concurrency, "starting controller");
        let controller = Controller {
            name,
            queue,
            barrier: self.barrier.clone(),
            concurrency,
        };
        controller.run(Arc::new(reconciler), stop).await;
        // The recorder went with the last reconcile, so the poster ends when it has posted all.
        if tokio::time::timeout(LAST_EVENTS, posting).await.is_err() {
            tracing::warn!(controller = name, "the last events were not posted in time");
        }
    }
}

/// Has the queue take keys from now on, and looks at every object once.
///
/// In this order: what changes meanwhile is then in the queue by its watch event, in the list, or
/// in both.
fn open<V: Stored>(queue: &Queue, objects: &Store<V>) {
    queue.open();
    for object in objects.all() {
        queue.add(object.key(), Reason::Resync);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironkeel_plan::meta::Key;
    use ironkeel_plan::workload::ReplicaSet;
    use ironkeel_runtime::queue_metrics::QueueMetrics;
    use prometheus_client::registry::Registry;

    #[tokio::test]
    async fn a_controller_that_starts_looks_at_what_is_there_and_not_at_what_was() {
        let queue = Queue::closed("test", &QueueMetrics::register(&mut Registry::default()));
        let sets = Store::new();
        for name in ["gone", "there"] {
            let mut set = ReplicaSet::default();
            set.metadata.namespace = "shop".into();
            set.metadata.name = name.into();
            set.metadata.uid = name.into();
            set.metadata.resource_version = 1;
            queue.add(set.key(), Reason::Changed);
            sets.apply(set);
        }
        sets.delete(&Key::new("shop", "gone"), "gone").unwrap();
        open(&queue, &sets);
        let work = queue.next().await.unwrap();
        assert_eq!(
            (work.key.name.as_str(), work.why.to_string()),
            ("there", "resync".into())
        );
        queue.done(&work.key);
        let more = tokio::time::timeout(Duration::from_millis(1), queue.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
}
