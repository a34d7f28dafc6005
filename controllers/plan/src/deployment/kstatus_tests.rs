//! The conditions that kstatus reads.

use expect_test::expect;

use super::fixture::*;
use super::*;

#[test]
fn our_own_kind_is_reconciling() {
    check_status(
        "own gen=3 replicas=3 | ",
        Creation::Created,
        expect![[r#"
            later: status observedGeneration=3 selector="app=web" terminating=0
              Progressing True NewReplicaSetCreated: Created new replica set "web-5f4c5f5fc8"
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability.
              Reconciling True LessUpdated: 0 of 3 pods are updated
              Ready False LessUpdated: 0 of 3 pods are updated"#]],
    );
}

#[test]
fn our_own_kind_is_reconciling_until_pods_are_available() {
    check_status(
        "own replicas=3 rev=2 status=3/0/0/0/0 cond=Available:False:MinimumReplicasUnavailable cond=Progressing:True:NewReplicaSetCreated | web-b B 3/1 rev=2",
        Creation::None,
        expect![[r#"
            status available=1 ready=1 selector="app=web" unavailable=2 updated=3
              Available False MinimumReplicasUnavailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
              Reconciling True LessAvailable: 1 of 3 pods are available
              Ready False LessAvailable: 1 of 3 pods are available"#]],
    );
}

#[test]
fn our_own_kind_is_reconciling_until_old_pods_are_gone() {
    check_status(
        "own replicas=3 surge=1 unavailable=0 rev=2 status=3/0/0/0/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated | web-a A 0 pods=1 rev=1; web-b B 3 rev=2",
        Creation::None,
        expect![[r#"
            status available=3 ready=3 replicas=4 selector="app=web" updated=3
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
              Reconciling True ExtraPods: 1 old pods are still there
              Ready False ExtraPods: 1 old pods are still there"#]],
    );
}

#[test]
fn our_own_kind_is_ready() {
    check_status(
        "own replicas=3 rev=2 status=3/3/3/2/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated cond=Reconciling:True:LessAvailable cond=Ready:False:LessAvailable | web-b B 3 rev=2",
        Creation::None,
        expect![[r#"
            status available=3 selector="app=web"
              Available True MinimumReplicasAvailable 60s ago: said before
              Ready True AllReplicasAvailable: 3 of 3 pods are updated and available
              Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed."#]],
    );
}

#[test]
fn our_own_kind_stalls_behind_its_deadline() {
    check_status(
        "own deadline=100 replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@100s cond=Reconciling:True:LessUpdated cond=Ready:False:LessUpdated | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect![[r#"
            status selector="app=web" unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Ready False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Progressing False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Stalled True ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn a_paused_rollout_is_not_ready() {
    check_status(
        "own paused replicas=3 rev=1 status=3/0/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:Unknown:DeploymentPaused cond=Ready:True:AllReplicasAvailable | web-a A 3 rev=1",
        Creation::None,
        expect![[r#"
            status selector="app=web"
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing Unknown DeploymentPaused 60s ago: said before
              Ready False DeploymentPaused: the rollout is paused
              Reconciling True DeploymentPaused: the rollout is paused"#]],
    );
}

#[test]
fn a_pause_without_a_rollout_is_ready() {
    check_status(
        "own paused replicas=3 rev=1 status=3/3/3/2/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:Unknown:DeploymentPaused | web-b B 3 rev=1",
        Creation::None,
        expect![[r#"
            status available=3 selector="app=web"
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing Unknown DeploymentPaused 60s ago: said before
              Ready True AllReplicasAvailable: 3 of 3 pods are updated and available"#]],
    );
}

#[test]
fn terminating_pods_hold_completion_when_asked_to() {
    check_status(
        "own policy=complete replicas=3 surge=1 unavailable=0 rev=2 status=3/3/3/2/2 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated | web-a A 0 rev=1 term=1; web-b B 3 rev=2",
        Creation::None,
        expect![[r#"
            status available=3 selector="app=web" terminating=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
              Reconciling True ExtraPods: 1 pods are still terminating
              Ready False ExtraPods: 1 pods are still terminating"#]],
    );
}
