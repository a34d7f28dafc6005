//! Which stores, watches and controllers a mode needs, and how a change finds its controllers.
//!
//! Watches and stores run on every replica. Controllers run on the leader alone, each with an
//! identity of its own, once the stores it reads are complete.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use ironkeel_plan::meta::Stored;
use ironkeel_plan::names::SplitMix64;
use ironkeel_plan::pod::Pod;
use ironkeel_plan::replicaset::SetKind;
use ironkeel_plan::workload::{Deployment, Extras, ReplicaSet};
use ironkeel_runtime::barrier::Barrier;
use ironkeel_runtime::client::Connection;
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::controller::{Controller, Reconcile};
use ironkeel_runtime::events::Recorder;
use ironkeel_runtime::http::Check;
use ironkeel_runtime::identity::Identities;
use ironkeel_runtime::lease::Leader;
use ironkeel_runtime::limit::Limits;
use ironkeel_runtime::metrics::Metrics;
use ironkeel_runtime::queue::{Queue, Reason};
use ironkeel_runtime::queue_metrics::QueueMetrics;
use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS, Resource,
};
use ironkeel_runtime::store::{Change, Store};
use ironkeel_runtime::watch::{Scope, Watch, WatchMetrics, WatchState};
use ironkeel_runtime::write::Writer;
use kube::Client;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::deployment::{self, Deployments};
use crate::flags::{RunFlags, wanted_controllers};
use crate::replicaset::{self, ReplicaSets};
use crate::replication_controller::{AsReplicaSet, ReplicationController};
use crate::schema::Gate;

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
};

/// Extras of our own kinds.
const CUSTOM: Extras = Extras {
    status_selector: true,
    kstatus: true,
    terminating_replicas: true,
    rollout_extensions: true,
    annotations_with_status: false,
};

/// A ReplicationController has what a built-in ReplicaSet has, but for terminating pods.
const REPLICATION_EXTRAS: Extras = Extras {
    terminating_replicas: false,
    ..NATIVE
};

/// What every watch and every controller is made with.
struct Parts {
    connection: Connection,
    client: Client,
    clock: Clock,
    barrier: Barrier,
    limits: Limits,
    metrics: Metrics,
    watch_metrics: WatchMetrics,
    queue_metrics: QueueMetrics,
    namespace: Option<String>,
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
struct SetFamily<V> {
    family: replicaset::Family,
    queue: Queue,
    sets: Store<V>,
}

impl<V> Clone for SetFamily<V> {
    fn clone(&self) -> Self {
        Self {
            family: self.family,
            queue: self.queue.clone(),
            sets: self.sets.clone(),
        }
    }
}

/// Everything that runs beside the lease and the HTTP server.
pub struct Wiring {
    parts: Arc<Parts>,
    concurrency: Concurrency,
    pods: Store<Pod>,
    deployments: Vec<DeploymentFamily>,
    sets: Vec<SetFamily<ReplicaSet>>,
    replication: Option<SetFamily<ReplicationController>>,
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
    /// Starts the watches of the kinds that the flags ask for; they run until `stop`.
    pub fn start(
        flags: &RunFlags,
        connection: &Connection,
        clock: &Clock,
        seed: u64,
        metrics: &Metrics,
        registry: &mut Registry,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let wanted = wanted_controllers(&flags.controllers, &KNOWN)?;
        let identities = flags
            .use_service_account_credentials
            .then(|| {
                Identities::new(
                    connection.clone(),
                    &flags.service_account_namespace,
                    clock.clone(),
                )
            })
            .transpose()?;
        let parts = Arc::new(Parts {
            connection: connection.clone(),
            client: connection.client()?,
            clock: clock.clone(),
            barrier: Barrier::register(registry),
            limits: Limits::new(flags.max_inflight_writes.into())
                .with_rate(flags.kube_api_qps, flags.kube_api_burst),
            metrics: metrics.clone(),
            watch_metrics: WatchMetrics::register(registry),
            queue_metrics: QueueMetrics::register(registry),
            namespace: Some(flags.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            identities,
            seed,
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
                    queue: Queue::new(queues[0], &wiring.parts.queue_metrics),
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
                let queue = Queue::new(queues[1], &wiring.parts.queue_metrics);
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
                queue: Queue::new("replicationmanager", &wiring.parts.queue_metrics),
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

    /// What has to hold before the manager counts as ready: complete stores, not leadership.
    pub fn readiness(&self) -> Vec<Check> {
        self.checks.clone()
    }

    fn watch_sets(
        &mut self,
        resource: Resource,
        store: Store<ReplicaSet>,
        stop: &CancellationToken,
    ) {
        let of_kind = |family: &&SetFamily<ReplicaSet>| family.family.resource == resource;
        let sets: Vec<Queue> = self
            .sets
            .iter()
            .filter(of_kind)
            .map(|family| family.queue.clone())
            .collect();
        let owners: Vec<DeploymentFamily> = self
            .deployments
            .iter()
            .filter(|family| family.family.sets == resource)
            .cloned()
            .collect();
        self.watch(resource, store, stop, move |change| {
            for queue in &sets {
                replicaset::set_changed(queue, change);
            }
            for owner in &owners {
                deployment::set_changed(
                    owner.family.resource,
                    &owner.deployments,
                    &owner.queue,
                    change,
                );
            }
        });
    }

    fn watch_owners(&mut self, stop: &CancellationToken) {
        for family in self.deployments.clone() {
            let queue = family.queue;
            self.watch(
                family.family.resource,
                family.deployments,
                stop,
                move |change| {
                    deployment::deployment_changed(&queue, change);
                },
            );
        }
        if let Some(family) = self.replication.clone() {
            let queue = family.queue;
            self.watch(family.family.resource, family.sets, stop, move |change| {
                replicaset::set_changed(&queue, change);
            });
        }
    }

    fn watch_pods(&mut self, stop: &CancellationToken) {
        let (sets, deployments) = (self.sets.clone(), self.deployments.clone());
        let replication = self.replication.clone();
        self.watch(PODS, self.pods.clone(), stop, move |change| {
            for SetFamily {
                family,
                queue,
                sets,
            } in &sets
            {
                replicaset::pod_changed(family.resource, sets, queue, change);
            }
            if let Some(SetFamily {
                family,
                queue,
                sets,
            }) = &replication
            {
                replicaset::pod_changed(family.resource, sets, queue, change);
            }
            for DeploymentFamily {
                family,
                queue,
                deployments,
                sets,
            } in &deployments
            {
                deployment::pod_changed(family.resource, deployments, sets, queue, change);
            }
        });
    }

    fn watch<V: Stored + DeserializeOwned>(
        &mut self,
        resource: Resource,
        store: Store<V>,
        stop: &CancellationToken,
        on_change: impl Fn(&Change<V>) + Send + Sync + 'static,
    ) {
        let parts = Arc::clone(&self.parts);
        let scope = Scope {
            namespace: parts.namespace.clone(),
            ..Scope::default()
        };
        let watch = Watch::new(
            parts.client.clone(),
            resource,
            scope,
            &parts.watch_metrics,
            parts.seed,
        );
        let state = watch.state();
        let synced = store.clone();
        self.checks
            .push(Check::new(format!("informer-sync-{resource}"), move || {
                let state = state.borrow().clone();
                // A kind that is not installed must not hold back the others: the log says which.
                if synced.is_synced() || state == WatchState::Missing {
                    return Ok(());
                }
                Err(format!("{resource} are not listed yet: {state:?}"))
            }));
        let stop = stop.clone();
        tokio::spawn(async move {
            let barrier = parts.barrier.clone();
            let seen = parts.barrier.clone();
            watch
                .run(
                    store,
                    move |change| {
                        barrier.observe(resource, change);
                        on_change(change);
                    },
                    move |version| seen.seen(resource, version),
                    stop,
                )
                .await;
        });
    }

    fn wake_when_caught_up(&self) {
        let wake = |resource: Resource, queue: &Queue| {
            let queue = queue.clone();
            self.parts
                .barrier
                .on_ready(resource, move |key| queue.add(key, Reason::CaughtUp));
        };
        for family in &self.deployments {
            wake(family.family.resource, &family.queue);
        }
        for family in &self.sets {
            wake(family.family.resource, &family.queue);
        }
        if let Some(family) = &self.replication {
            wake(family.family.resource, &family.queue);
        }
    }

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

    fn run_sets<V: AsReplicaSet>(
        &self,
        name: &'static str,
        family: SetFamily<V>,
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
                names: Mutex::new(SplitMix64::new(parts.seed)),
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
