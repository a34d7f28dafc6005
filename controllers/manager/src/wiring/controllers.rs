//! Starting the controllers once this process leads.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::names::SplitMix64;
use ironkeel_runtime::controller::{Controller, Reconcile};
use ironkeel_runtime::events::Recorder;
use ironkeel_runtime::lease::Leader;
use ironkeel_runtime::queue::Queue;
use ironkeel_runtime::resource::Resource;
use ironkeel_runtime::write::Writer;
use kube::Client;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{DEPLOYMENT, DeploymentFamily, Parts, REPLICASET, REPLICATION, SetFamily, Wiring};
use crate::deployment::Deployments;
use crate::replicaset::ReplicaSets;

impl Wiring {
    /// Runs every controller until `stop`, and returns when the last reconcile has ended.
    pub async fn run_controllers(&self, leader: &Leader, stop: &CancellationToken) {
        let tasks = TaskTracker::new();
        for family in &self.deployments {
            tasks.spawn(self.run_deployments(family.clone(), leader.clone(), stop.clone()));
        }
        for family in &self.sets {
            let concurrency = self.concurrency.sets;
            tasks.spawn(self.run_sets(
                REPLICASET,
                family.clone(),
                concurrency,
                leader.clone(),
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
                tokio::join!(deployments.synced(), sets.synced(), pods.synced());
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
            let reconciler = Deployments {
                family,
                deployments,
                sets,
                pods,
                recorder: parts.recorder(DEPLOYMENT, &client, &stop),
                writer: parts.writer(client),
                rehearsal,
                leader,
                barrier: parts.barrier.clone(),
                clock: parts.clock.clone(),
            };
            parts
                .run(DEPLOYMENT, queue, concurrency, reconciler, stop)
                .await;
        }
    }

    fn run_sets(
        &self,
        name: &'static str,
        family: SetFamily,
        concurrency: usize,
        leader: Leader,
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
                tokio::join!(sets.synced(), pods.synced());
                parts.identity(name, &stop).await
            };
            let Some(client) = stop.run_until_cancelled(start).await else {
                return;
            };
            let reconciler = ReplicaSets {
                family,
                sets,
                pods,
                recorder: parts.recorder(name, &client, &stop),
                writer: parts.writer(client),
                leader,
                clock: parts.clock.clone(),
                names: Mutex::new(SplitMix64::new(seed_of(parts.seed, family.resource))),
            };
            parts.run(name, queue, concurrency, reconciler, stop).await;
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

    fn recorder(&self, name: &'static str, client: &Client, stop: &CancellationToken) -> Recorder {
        let events = self.metrics.events.clone();
        let (recorder, poster) =
            Recorder::new(name, client.clone(), self.clock.clone(), self.seed, events);
        tokio::spawn(poster.run(stop.clone()));
        recorder
    }

    async fn run<R: Reconcile>(
        &self,
        name: &'static str,
        queue: Queue,
        concurrency: usize,
        reconciler: R,
        stop: CancellationToken,
    ) {
        tracing::info!(controller = name, server = %self.connection.server(), concurrency, "starting controller");
        let controller = Controller {
            name,
            queue,
            barrier: self.barrier.clone(),
            concurrency,
        };
        controller.run(Arc::new(reconciler), stop).await;
    }
}

/// A seed of its own for every kind: two sets of one name in two groups must not choose the same
/// names for their pods.
fn seed_of(seed: u64, resource: Resource) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, resource.group, resource.plural).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironkeel_runtime::resource::{NATIVE_REPLICA_SETS, REPLICA_SETS};

    #[test]
    fn kinds_do_not_share_their_random_names() {
        assert_eq!(seed_of(7, REPLICA_SETS), seed_of(7, REPLICA_SETS));
        assert_ne!(seed_of(7, REPLICA_SETS), seed_of(7, NATIVE_REPLICA_SETS));
        assert_ne!(seed_of(7, REPLICA_SETS), seed_of(8, REPLICA_SETS));
    }
}
