//! What a rolling update costs the API server.
//!
//! The bar of the race (P3: at most 3.2, aim 3.0) counts as kube-controller-manager's 4.3 was counted:
//! every write request of the manager, events and refused ones included, of creating a Deployment
//! and of updating it, for each pod that was created, twenty for a Deployment of ten. The lease is
//! left out. The update alone, for each pod that is replaced, can hardly be below 3.2: two writes
//! are the pods' own, and six for ten pods are the new ReplicaSet and its sizes.
//!
//! P2 (at most 1.25) counts the same way, over as many Deployments as ReplicaSets of ten pods, which
//! nobody makes ready: twelve writes for a ReplicaSet, fifteen for a Deployment, of which one and two
//! are events that a storm of hundreds leaves out for the most part.
//!
//! Here pods move on in rounds; while the controllers work nothing else happens.

use expect_test::expect;

use super::fixture::{NATIVE, OWN, template};
use super::world::{World, Writes};
use super::*;

/// Writes of a rolling update of ten pods, 25 %/25 %. Pods start and stop one at a time or all
/// together.
fn rolling_update(extras: Extras, one_at_a_time: bool) -> Writes {
    let mut world = World::new(extras, 10, "25%", "25%");
    world.settle();
    world.writes = Writes::default();
    world.edit(|spec| spec.template = template("1"));
    for _ in 0..400 {
        let wrote = world.sync_deployment(None) | world.sync_sets();
        if wrote {
            continue;
        }
        let before = world.pods.clone();
        if one_at_a_time {
            world.start_pod(0);
            world.end_terminating(0);
        } else {
            world.run_pods();
        }
        if before == world.pods {
            break;
        }
    }
    world.assert_complete();
    world.writes
}

fn show(writes: Writes) -> String {
    let total = writes.total();
    format!(
        "{}.{} writes per replica: {writes:?}",
        total / 10,
        total % 10
    )
}

#[test]
fn pods_that_start_together() {
    let writes = rolling_update(NATIVE, false);
    expect!["4.8 writes per replica: Writes { pod_create: 10, pod_delete: 10, set_create: 1, set_patch: 5, set_status: 8, set_delete: 0, deployment_patch: 0, deployment_status: 4, events: 10 }"].assert_eq(&show(writes));
}

#[test]
fn pods_that_start_together_in_our_own_kind() {
    expect!["4.9 writes per replica: Writes { pod_create: 10, pod_delete: 10, set_create: 1, set_patch: 5, set_status: 8, set_delete: 0, deployment_patch: 1, deployment_status: 4, events: 10 }"].assert_eq(&show(rolling_update(OWN, false)));
}

#[test]
fn pods_that_start_one_at_a_time() {
    expect!["10.0 writes per replica: Writes { pod_create: 10, pod_delete: 10, set_create: 1, set_patch: 15, set_status: 23, set_delete: 0, deployment_patch: 0, deployment_status: 11, events: 30 }"].assert_eq(&show(rolling_update(NATIVE, true)));
}

/// The measure of the bar: a Deployment of ten is created and updated, and all writes count per pod
/// that was created.
#[test]
fn create_and_update_stay_below_the_target() {
    let mut world = World::new(NATIVE, 10, "25%", "25%");
    world.settle();
    let create = world.writes;
    let update = rolling_update(NATIVE, false);
    let pods = create.pod_create + update.pod_create;
    let hundredths = 100 * (create.total() + update.total()) / pods;
    assert!(hundredths <= 320, "{hundredths}");
    expect!["3.15 writes per pod; 15 to create"].assert_eq(&format!(
        "{}.{:02} writes per pod; {} to create",
        hundredths / 100,
        hundredths % 100,
        create.total()
    ));
}
