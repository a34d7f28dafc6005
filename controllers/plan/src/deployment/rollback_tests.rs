//! Automatic rollback, and the patch that replaces a template.

use expect_test::expect;

use super::fixture::*;
use super::rollback;
use super::world_writes::merge;

#[test]
fn completion_is_remembered_for_a_rollback() {
    check(
        "own rollback replicas=3 rev=2 | web-a A 0 rev=1; web-b B 3 rev=2",
        expect![[r#"
            patch web-b deployment.ironkeel.dev/completed-revision=2
            status available=3 ready=3 replicas=3 selector="app=web" terminating=0 updated=3
              Available True MinimumReplicasAvailable: Deployment has minimum availability.
              Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
              Ready True AllReplicasAvailable: 3 of 3 pods are updated and available"#]],
    );
}

#[test]
fn completion_is_remembered_only_on_demand() {
    check(
        "own replicas=3 rev=2 | web-a A 0 rev=1; web-b B 3 rev=2",
        expect![[r#"
            status available=3 ready=3 replicas=3 selector="app=web" terminating=0 updated=3
              Available True MinimumReplicasAvailable: Deployment has minimum availability.
              Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
              Ready True AllReplicasAvailable: 3 of 3 pods are updated and available"#]],
    );
}

#[test]
fn completion_of_nothing_proves_nothing() {
    check(
        "own rollback replicas=0 rev=2 | web-a A 0 rev=1; web-b B 0 rev=2",
        expect![[r#"
            status selector="app=web" terminating=0
              Available True MinimumReplicasAvailable: Deployment has minimum availability.
              Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
              Ready True AllReplicasAvailable: 0 of 0 pods are updated and available"#]],
    );
}

#[test]
fn a_missed_deadline_returns_to_the_last_complete_revision() {
    check(
        "own rollback replicas=3 rev=3 ann=why=bad status=4/1/3/3/0 cond=Progressing:False:ProgressDeadlineExceeded | web-x X 0 rev=1 completed=1; web-a A 3 rev=2 completed=2 ann=why=good; web-b B 1/0 rev=3",
        expect![[r#"
            patch deployment deployment.ironkeel.dev/rollback={"from":"web-b","fromRevision":3,"to":"web-a","toRevision":2} why=good template={"spec":{"containers":[{"image":"A","name":"c"}]}} (Normal DeploymentRolledBack: Rolled back deployment "web" from revision 3 to revision 2: the progress deadline passed)
            status unchanged"#]],
    );
}

#[test]
fn a_revision_that_never_was_complete_is_passed_over() {
    check(
        "own rollback replicas=3 rev=3 status=4/1/3/3/0 cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-x X 0 rev=2; web-b B 1/0 rev=3",
        expect![[r#"
            patch deployment deployment.ironkeel.dev/rollback={"from":"web-b","fromRevision":3,"to":"web-a","toRevision":1} template={"spec":{"containers":[{"image":"A","name":"c"}]}} (Normal DeploymentRolledBack: Rolled back deployment "web" from revision 3 to revision 1: the progress deadline passed)
            status unchanged"#]],
    );
}

#[test]
fn a_revision_that_failed_since_is_passed_over() {
    check(
        "own rollback replicas=3 rev=3 status=4/1/3/3/0 cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-x X 0 rev=2 completed=2 rolledback; web-b B 1/0 rev=3",
        expect![[r#"
            patch deployment deployment.ironkeel.dev/rollback={"from":"web-b","fromRevision":3,"to":"web-a","toRevision":1} template={"spec":{"containers":[{"image":"A","name":"c"}]}} (Normal DeploymentRolledBack: Rolled back deployment "web" from revision 3 to revision 1: the progress deadline passed)
            status unchanged"#]],
    );
}

#[test]
fn without_a_complete_revision_nothing_is_undone() {
    check(
        "own rollback replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1; web-b B 1/0 rev=2",
        expect![[r#"
            event Warning DeploymentRollbackRevisionNotFound: Unable to roll back: no earlier revision was ever complete
            status selector="app=web" unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ProgressDeadlineExceeded 60s ago: ReplicaSet "web-b" has timed out progressing.
              RolledBack False NoCompleteRevision: no earlier revision was ever complete
              Stalled True ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Ready False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn a_revision_that_was_rolled_back_is_not_again() {
    check(
        "own rollback replicas=3 surge=1 unavailable=0 rev=5 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=4 completed=4; web-b B 1/0 rev=5 rolledback",
        expect![[r#"
            status selector="app=web" unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ProgressDeadlineExceeded 60s ago: ReplicaSet "web-b" has timed out progressing.
              RolledBack False AlreadyRolledBack: ReplicaSet "web-b" was rolled back before and is not rolled back again
              Stalled True ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Ready False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn nobody_asked_for_a_rollback() {
    check(
        "own replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-b B 1/0 rev=2",
        expect![[r#"
            status selector="app=web" unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ProgressDeadlineExceeded 60s ago: ReplicaSet "web-b" has timed out progressing.
              Stalled True ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Ready False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn the_built_in_kind_never_rolls_back() {
    check(
        "rollback replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-b B 1/0 rev=2",
        expect!["status unavailable=1"],
    );
}

#[test]
fn a_verdict_on_another_set_is_none_on_this() {
    check(
        "own rollback replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded:web-x | web-a A 3 rev=1 completed=1; web-b B 1/0 rev=2",
        expect![[r#"
            status selector="app=web" unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True FoundNewReplicaSet: Found new replica set "web-b"
              Reconciling True LessUpdated: 1 of 3 pods are updated
              Ready False LessUpdated: 1 of 3 pods are updated"#]],
    );
}

#[test]
fn a_verdict_on_an_older_spec_is_none_on_this() {
    check(
        "own rollback gen=3 replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-b B 1/0 rev=2",
        expect![[r#"
            status observedGeneration=3 selector="app=web" unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ProgressDeadlineExceeded 60s ago: ReplicaSet "web-b" has timed out progressing.
              Stalled True ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Ready False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn a_paused_rollout_is_not_undone() {
    check(
        "own paused rollback replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-b B 1/0 rev=2",
        expect![[r#"
            status selector="app=web" unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ProgressDeadlineExceeded 60s ago: ReplicaSet "web-b" has timed out progressing.
              Stalled True ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Ready False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn after_a_rollback_the_failed_set_is_marked() {
    check(
        "own rollback replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 ann=deployment.ironkeel.dev/rollback={\"from\":\"web-x\",\"fromRevision\":2,\"to\":\"web-b\",\"toRevision\":1} cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded:web-x | web-b B 3 rev=1 completed=1; web-x X 1/0 rev=2",
        expect![[r#"
            patch web-x deployment.ironkeel.dev/rolled-back-revision=2 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-x from 1 to 0)
            patch web-b revision=3 revision-history=1
            patch deployment revision=3
            status selector="app=web" unavailable=1 updated=3
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
              RolledBack True ProgressDeadlineExceeded: returned from revision 2 (ReplicaSet "web-x") to revision 1 (ReplicaSet "web-b")
              Reconciling True ExtraPods: 1 old pods are still there
              Ready False ExtraPods: 1 old pods are still there"#]],
    );
}

#[test]
fn the_result_of_a_rollback_is_not_rolled_back() {
    check(
        "own rollback replicas=3 surge=1 unavailable=0 rev=3 status=3/3/1/1/0 ann=deployment.ironkeel.dev/rollback={\"from\":\"web-x\",\"fromRevision\":2,\"to\":\"web-b\",\"toRevision\":1} cond=Available:False:MinimumReplicasUnavailable cond=Progressing:False:ProgressDeadlineExceeded | web-a A 0 rev=0 completed=0; web-x X 0 rev=2 rolledback; web-b B 3/1 rev=3 completed=1",
        expect![[r#"
            patch web-x deployment.ironkeel.dev/rolled-back-revision=2
            status selector="app=web" unavailable=2
              Available False MinimumReplicasUnavailable 60s ago: said before
              Progressing False ProgressDeadlineExceeded 60s ago: ReplicaSet "web-b" has timed out progressing.
              RolledBack True ProgressDeadlineExceeded: returned from revision 2 (ReplicaSet "web-x") to revision 1 (ReplicaSet "web-b")
              Stalled True ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
              Ready False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn the_next_template_ends_the_record() {
    check(
        "own rollback replicas=3 rev=4 ann=deployment.ironkeel.dev/rollback={\"from\":\"web-x\",\"fromRevision\":2,\"to\":\"web-a\",\"toRevision\":1} | web-a A 3 rev=3 completed=1; web-x X 0 rev=2 rolledback; web-b B 1/0 rev=4",
        expect![[r#"
            patch web-x deployment.ironkeel.dev/rolled-back-revision=2
            patch deployment -deployment.ironkeel.dev/rollback
            status available=3 ready=3 replicas=4 selector="app=web" terminating=0 unavailable=1 updated=1
              Available True MinimumReplicasAvailable: Deployment has minimum availability.
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
              Reconciling True LessUpdated: 1 of 3 pods are updated
              Ready False LessUpdated: 1 of 3 pods are updated"#]],
    );
}

#[test]
fn a_record_that_cannot_be_read_goes() {
    check(
        "own rollback replicas=1 rev=1 ann=deployment.ironkeel.dev/rollback=nonsense | web-b B 1 rev=1 completed=1",
        expect![[r#"
            patch deployment -deployment.ironkeel.dev/rollback
            status available=1 ready=1 replicas=1 selector="app=web" terminating=0 updated=1
              Available True MinimumReplicasAvailable: Deployment has minimum availability.
              Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
              Ready True AllReplicasAvailable: 1 of 1 pods are updated and available"#]],
    );
}

#[test]
fn a_complete_return_lifts_the_mark() {
    check(
        "own rollback replicas=1 rev=3 | web-a A 0 rev=2; web-b B 1 rev=3 rolledback",
        expect![[r#"
            patch web-b deployment.ironkeel.dev/completed-revision=3 -deployment.ironkeel.dev/rolled-back-revision
            status available=1 ready=1 replicas=1 selector="app=web" terminating=0 updated=1
              Available True MinimumReplicasAvailable: Deployment has minimum availability.
              Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
              Ready True AllReplicasAvailable: 1 of 1 pods are updated and available"#]],
    );
}

#[test]
fn a_replaced_template_is_exactly_the_old_one() {
    use serde_json::json;
    for (current, wanted) in [
        (json!({"a": 1}), json!({"a": 1})),
        (json!({"a": 1, "gone": {"deep": 1}}), json!({"a": 2})),
        (
            json!({"a": {"b": {"c": 1, "d": 2}}}),
            json!({"a": {"b": {"d": 2}}}),
        ),
        (
            json!({"a": [1, {"x": 1, "y": 2}]}),
            json!({"a": [1, {"x": 1}]}),
        ),
        (json!({"a": "text"}), json!({"a": {}})),
        (json!({"a": {"b": 1}}), json!({"a": "text"})),
        (json!({}), json!({"v": {"emptyDir": {}}})),
        (
            json!({"v": {"emptyDir": {"medium": "Memory"}}}),
            json!({"v": {"emptyDir": {}}}),
        ),
        (json!(null), json!({"a": {"b": 1}})),
    ] {
        let patch = rollback::difference(&current, &wanted);
        let mut result = current.clone();
        merge(&mut result, &patch);
        assert_eq!(result, wanted, "{current} {patch}");
    }
}

#[test]
fn a_null_in_a_template_is_written_as_absent() {
    use serde_json::json;
    let current = json!({"metadata": {"creationTimestamp": null, "labels": {"a": "b"}}, "x": 1});
    let wanted = json!({"metadata": {"creationTimestamp": null}, "x": null, "y": {"z": null}});
    let patch = rollback::difference(&current, &wanted);
    assert_eq!(
        patch,
        json!({"metadata": {"labels": null}, "x": null, "y": {}})
    );
}
