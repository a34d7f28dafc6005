//! Which stores, watches and controllers a mode needs, and how a change finds its controllers.
//!
//! Watches and stores run on every replica. Controllers run on the leader alone, each with an
//! identity of its own, once the stores it reads are complete.

mod controllers;
mod watches;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use anyhow::Result;
use ironkeel_plan::pod::Pod;
use ironkeel_plan::replicaset::SetKind;
use ironkeel_plan::workload::{Deployment, Extras, ReplicaSet};
use ironkeel_runtime::awaited::Awaited;
use ironkeel_runtime::barrier::Barrier;
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::http::Check;
use ironkeel_runtime::identity::Identities;
use ironkeel_runtime::limit::Limits;
use ironkeel_runtime::metrics::Metrics;
use ironkeel_runtime::queue::Queue;
use ironkeel_runtime::queue_metrics::QueueMetrics;
use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, REPLICA_SETS, REPLICATION_CONTROLLERS,
    Resource,
};
use ironkeel_runtime::store::Store;
use ironkeel_runtime::watch::WatchMetrics;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::flags::wanted_controllers;
use crate::patience::Windows;
use crate::run::Process;
use crate::schema::Gate;
use crate::{deployment, replicaset};

/// Upstream's names of the controllers, which `--controllers` and the ServiceAccounts have too.
const DEPLOYMENT: &str = "deployment-controller";
const REPLICASET: &str = "replicaset-controller";
const REPLICATION: &str = "replicationcontroller-controller";
const KNOWN: [&str; 3] = [DEPLOYMENT, REPLICASET, REPLICATION];

/// Extras of the built-in Deployment and ReplicaSet.
const NATIVE: Extras = Extras {
    status_selector: false,
    kstatus: false,
    terminating_replicas: true,
    rollout_extensions: false,
    annotations_with_status: true,
    drops_managed_fields: false,
};

/// Extras of our own kinds.
const CUSTOM: Extras = Extras {
    status_selector: true,
    kstatus: true,
    terminating_replicas: true,
    rollout_extensions: true,
    annotations_with_status: false,
    drops_managed_fields: true,
};

/// A ReplicationController has what a built-in ReplicaSet has, but for terminating pods.
const REPLICATION_EXTRAS: Extras = Extras {
    terminating_replicas: false,
    ..NATIVE
};

/// What every watch and every controller is made with.
struct Parts {
    client: Client,
    clock: Clock,
    barrier: Barrier,
    limits: Limits,
    metrics: Metrics,
    watch_metrics: WatchMetrics,
    queue_metrics: QueueMetrics,
    namespace: Option<String>,
    windows: Windows,
    /// Whether the watches may begin.
    begun: Awaited<bool>,
    /// `None`: every controller writes with the manager's own identity.
    identities: Option<Identities>,
    seed: u64,
}

/// A kind of Deployment with its stores and queue.
#[derive(Clone)]
struct DeploymentFamily {
    family: deployment::Family,
    queue: Queue,
    deployments: Store<Deployment>,
    sets: Store<ReplicaSet>,
}

/// A kind of set with its store and queue.
#[derive(Clone)]
struct SetFamily {
    family: replicaset::Family,
    queue: Queue,
    sets: Store<ReplicaSet>,
}

/// Everything that runs beside the lease and the HTTP server.
pub struct Wiring {
    parts: Arc<Parts>,
    concurrency: Concurrency,
    pods: Store<Pod>,
    deployments: Vec<DeploymentFamily>,
    sets: Vec<SetFamily>,
    replication: Option<SetFamily>,
    gate: Gate,
    checks: Vec<Check>,
}

/// Reconciles at once, by kind.
#[derive(Clone, Copy)]
struct Concurrency {
    deployments: usize,
    sets: usize,
    replication: usize,
}

impl Wiring {
    /// Sets up the watches of the kinds that the flags ask for; they run from
    /// [`Wiring::watch_from_now_on`] until `stop`.
    pub fn start(
        process: &Process,
        metrics: &Metrics,
        registry: &mut Registry,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let flags = &process.flags;
        let wanted = wanted_controllers(&flags.controllers, &KNOWN)?;
        let parts = Arc::new(Parts {
            client: process.client.clone(),
            clock: process.clock.clone(),
            barrier: Barrier::register(registry),
            limits: Limits::new(flags.max_inflight_writes.into())
                .with_rate(flags.kube_api_qps, flags.kube_api_burst),
            metrics: metrics.clone(),
            watch_metrics: WatchMetrics::register(registry),
            queue_metrics: QueueMetrics::register(registry),
            namespace: Some(flags.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            windows: Windows::default(),
            begun: Awaited::default(),
            identities: process.identities.clone(),
            seed: process.seed,
        });
        let custom = flags.mode.drives_custom_kinds();
        let native = flags.mode.drives_native_kinds();
        let mut wiring = Self {
            concurrency: Concurrency {
                deployments: flags.concurrent_deployment_syncs.into(),
                sets: flags.concurrent_replicaset_syncs.into(),
                replication: flags.concurrent_rc_syncs.into(),
            },
            pods: Store::new(),
            deployments: Vec::new(),
            sets: Vec::new(),
            replication: None,
            gate: Gate::default(),
            checks: Vec::new(),
            parts,
        };
        for (served, deployments, sets, extras, queues) in [
            (
                native,
                NATIVE_DEPLOYMENTS,
                NATIVE_REPLICA_SETS,
                NATIVE,
                ["deployment", "replicaset"],
            ),
            (
                custom,
                DEPLOYMENTS,
                REPLICA_SETS,
                CUSTOM,
                [
                    "deployment.apps.ironkeel.dev",
                    "replicaset.apps.ironkeel.dev",
                ],
            ),
        ] {
            if !served {
                continue;
            }
            let store = Store::new();
            if wanted.contains(DEPLOYMENT) {
                wiring.deployments.push(DeploymentFamily {
                    family: deployment::Family {
                        resource: deployments,
                        sets,
                        extras,
                    },
                    queue: Queue::closed(queues[0], &wiring.parts.queue_metrics),
                    deployments: Store::new(),
                    sets: store.clone(),
                });
            }
            if wanted.contains(REPLICASET) {
                let family = replicaset::Family {
                    resource: sets,
                    kind: SetKind::ReplicaSet,
                    extras,
                };
                let queue = Queue::closed(queues[1], &wiring.parts.queue_metrics);
                wiring.sets.push(SetFamily {
                    family,
                    queue,
                    sets: store.clone(),
                });
            }
            if wanted.contains(DEPLOYMENT) || wanted.contains(REPLICASET) {
                wiring.watch_sets(sets, store, stop);
            }
        }
        if native && wanted.contains(REPLICATION) {
            wiring.replication = Some(SetFamily {
                family: replicaset::Family {
                    resource: REPLICATION_CONTROLLERS,
                    kind: SetKind::ReplicationController,
                    extras: REPLICATION_EXTRAS,
                },
                queue: Queue::closed("replicationmanager", &wiring.parts.queue_metrics),
                sets: Store::new(),
            });
        }
        wiring.watch_owners(stop);
        wiring.watch_pods(stop);
        wiring.wake_when_caught_up();
        if custom {
            wiring.gate.start(wiring.parts.client.clone(), stop.clone());
        }
        Ok(wiring)
    }

    /// What lets the watches begin. They wait for the first answer about the lease: a process that
    /// leads at once then lists everything that a leader before it wrote, and lists it only once.
    pub fn watch_from_now_on(&self) -> impl FnOnce() + Send + 'static {
        let parts = Arc::clone(&self.parts);
        move || parts.begun.set(true)
    }

    /// What has to hold before the manager counts as ready: complete stores, not leadership.
    pub fn readiness(&self) -> Vec<Check> {
        self.checks.clone()
    }
}

/// A seed of its own for every kind: two sets of one name in two groups must not choose the same
/// names for their pods, and watches opened together must not end together.
fn seed_of(seed: u64, resource: Resource) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, resource.group, resource.plural).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_do_not_share_their_randomness() {
        assert_eq!(seed_of(7, REPLICA_SETS), seed_of(7, REPLICA_SETS));
        assert_ne!(seed_of(7, REPLICA_SETS), seed_of(7, NATIVE_REPLICA_SETS));
        assert_ne!(seed_of(7, REPLICA_SETS), seed_of(8, REPLICA_SETS));
    }
}
