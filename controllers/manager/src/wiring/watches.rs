//! Starting the watches, and how a change finds the queues that it concerns.

use std::sync::Arc;

use ironkeel_plan::workload::ReplicaSet;
use ironkeel_runtime::http::Check;
use ironkeel_runtime::queue::{Queue, Reason};
use ironkeel_runtime::resource::{PODS, Resource};
use ironkeel_runtime::store::{Change, Store};
use ironkeel_runtime::watch::{Readable, Scope, Watch, WatchState};
use tokio_util::sync::CancellationToken;

use super::{DeploymentFamily, SetFamily, Wiring, seed_of};
use crate::{deployment, replicaset};

impl Wiring {
    pub(super) fn watch_sets(
        &mut self,
        resource: Resource,
        store: Store<ReplicaSet>,
        stop: &CancellationToken,
    ) {
        let of_kind = |family: &&SetFamily| family.family.resource == resource;
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
        let windows = self.parts.windows.clone();
        self.watch(resource, store, stop, move |change| {
            for queue in &sets {
                replicaset::set_changed(queue, change);
            }
            for owner in &owners {
                deployment::set_changed(
                    owner.family.resource,
                    &owner.deployments,
                    &owner.queue,
                    &windows,
                    change,
                );
            }
        });
    }

    pub(super) fn watch_owners(&mut self, stop: &CancellationToken) {
        for family in self.deployments.clone() {
            let DeploymentFamily {
                family,
                queue,
                deployments,
                sets,
            } = family;
            let store = deployments.clone();
            self.watch(family.resource, store, stop, move |change| {
                deployment::deployment_changed(&deployments, &sets, &queue, change);
            });
        }
        if let Some(family) = self.replication.clone() {
            let queue = family.queue;
            self.watch(family.family.resource, family.sets, stop, move |change| {
                replicaset::set_changed(&queue, change);
            });
        }
    }

    pub(super) fn watch_pods(&mut self, stop: &CancellationToken) {
        let (sets, deployments) = (self.sets.clone(), self.deployments.clone());
        let replication = self.replication.clone();
        let windows = self.parts.windows.clone();
        self.watch(PODS, self.pods.clone(), stop, move |change| {
            for SetFamily {
                family,
                queue,
                sets,
            } in &sets
            {
                replicaset::pod_changed(family.resource, sets, queue, &windows, change);
            }
            if let Some(SetFamily {
                family,
                queue,
                sets,
            }) = &replication
            {
                replicaset::pod_changed(family.resource, sets, queue, &windows, change);
            }
            for DeploymentFamily {
                family,
                queue,
                deployments,
                sets,
            } in &deployments
            {
                deployment::pod_changed(
                    family.resource,
                    deployments,
                    sets,
                    queue,
                    &windows,
                    change,
                );
            }
        });
    }

    fn watch<V: Readable>(
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
            seed_of(parts.seed, resource),
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
                Err(format!("{resource} are not listed yet: {state}"))
            }));
        let stop = stop.clone();
        tokio::spawn(async move {
            let barrier = parts.barrier.clone();
            let on_progress = barrier.follow(resource, &store);
            let begun = parts.begun.wait_for(|begun| *begun);
            if stop.run_until_cancelled(begun).await.is_none() {
                return;
            }
            watch
                .run(
                    store,
                    move |change| {
                        barrier.observe(resource, change);
                        on_change(change);
                    },
                    on_progress,
                    stop,
                )
                .await;
        });
    }

    pub(super) fn wake_when_caught_up(&self) {
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
}
