//! Which ReplicaSet is new, claims, revisions, cleanup, rollback, bad input.

use expect_test::expect;

use super::fixture::*;

#[test]
fn the_oldest_equal_template_is_the_new_set() {
    check_plan(
        "replicas=3 rev=1 | web-x B 0 rev=1; web-b B 3 rev=2",
        expect![
            "patch web-x revision=3 revision-history=1 replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-x from 0 to 1)"
        ],
    );
}

#[test]
fn the_name_decides_between_sets_of_one_age() {
    check_plan(
        "replicas=1 rev=1 | web-x B 1 same-age rev=1; web-b B 0 same-age rev=1",
        expect![
            "patch web-b revision=2 revision-history=1 replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 1)"
        ],
    );
}

#[test]
fn an_orphan_that_matches_is_adopted_alone() {
    check_plan("replicas=3 | old B 3 orphan", expect!["adopt old"]);
}

#[test]
fn several_orphans_are_adopted_oldest_first() {
    check_plan(
        "replicas=3 | old B 3 orphan; older A 1 orphan",
        expect![[r#"
            adopt old
            adopt older"#]],
    );
}

#[test]
fn a_terminating_orphan_is_left_alone() {
    check_plan(
        "replicas=1 rev=1 | old B 3 orphan deleting; web-b B 1 rev=1",
        expect![[""]],
    );
}

#[test]
fn an_orphan_that_does_not_match_is_left_alone() {
    check_plan(
        "replicas=1 rev=1 | old B 3 orphan labels=app=db; web-b B 1 rev=1",
        expect![[""]],
    );
}

#[test]
fn a_set_of_somebody_else_is_left_alone() {
    check_plan(
        "replicas=1 rev=1 | other B 3 foreign; web-b B 1 rev=1",
        expect![[""]],
    );
}

#[test]
fn a_set_that_matches_no_more_is_released() {
    check_plan(
        "replicas=1 rev=1 | old A 1 labels=app=db rev=7; web-b B 1 rev=1",
        expect!["release old"],
    );
}

#[test]
fn a_deleting_deployment_does_nothing() {
    check_plan(
        "replicas=3 deleting | old B 3 orphan; web-a A 5 rev=1; gone A 1 labels=app=db",
        expect![[""]],
    );
}

#[test]
fn an_adopted_set_becomes_the_new_one_and_is_numbered() {
    check_plan(
        "replicas=3 | old B 3 desired=- max=-",
        expect!["patch old revision=1"],
    );
}

#[test]
fn a_new_revision_is_above_all_others() {
    check_plan(
        "replicas=1 | web-a A 1 rev=3546343826724305832",
        expect![
            "create web-5f4c5f5fc8 replicas=1 desired-replicas=1 max-replicas=2 revision=3546343826724305833 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 1)"
        ],
    );
}

#[test]
fn a_copy_goes_to_the_new_set() {
    check_plan(
        "replicas=1 rev=1 ann=kubernetes.io/change-cause=set~image ann=kubectl.kubernetes.io/last-applied-configuration={} | web-b B 1 rev=1",
        expect!["patch web-b kubernetes.io/change-cause=set image"],
    );
}

#[test]
fn a_changed_copy_and_a_scaling_are_one_write() {
    check_plan(
        "replicas=2 rev=1 ann=team=blue | web-b B 1 rev=1 desired=1 ann=team=red",
        expect![
            "patch web-b desired-replicas=2 team=blue replicas=2 (Normal ScalingReplicaSet: Scaled up replica set web-b from 1 to 2)"
        ],
    );
}

#[test]
fn old_sets_keep_their_annotations() {
    check_plan(
        "replicas=1 rev=2 ann=team=blue | web-a A 0 rev=1 ann=team=red; web-b B 1 rev=2 ann=team=blue",
        expect![[""]],
    );
}

#[test]
fn returning_to_an_old_set_numbers_it_anew() {
    check_plan(
        "replicas=3 rev=2 tpl=A | web-a A 0 rev=1; web-b B 3 rev=2",
        expect![
            "patch web-a revision=3 revision-history=1 replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-a from 0 to 1)"
        ],
    );
}

#[test]
fn returning_again_extends_the_history() {
    check_plan(
        "replicas=3 rev=4 tpl=A | web-a A 0 rev=3 hist=1; web-b B 3 rev=4",
        expect![
            "patch web-a revision=5 revision-history=1,3 replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-a from 0 to 1)"
        ],
    );
}

#[test]
fn min_ready_seconds_are_passed_on() {
    check_plan(
        "replicas=1 rev=1 minReady=10 | web-b B 1 rev=1",
        expect!["patch web-b minReadySeconds=10"],
    );
}

#[test]
fn a_new_set_has_min_ready_seconds() {
    check_plan(
        "replicas=1 minReady=10 | ",
        expect![
            "create web-5f4c5f5fc8 replicas=1 desired-replicas=1 max-replicas=2 revision=1 minReadySeconds=10 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 1)"
        ],
    );
}

#[test]
fn our_own_kind_writes_its_revision_apart() {
    check_plan(
        "own replicas=1 | ",
        expect![[r#"
        create web-5f4c5f5fc8 replicas=1 desired-replicas=1 max-replicas=2 revision=1 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 1)
        patch deployment revision=1"#]],
    );
}

#[test]
fn our_own_kind_notes_a_found_revision() {
    check_plan(
        "own replicas=1 | web-b B 1 rev=4",
        expect!["patch deployment revision=4"],
    );
}

#[test]
fn cleanup_takes_the_lowest_revisions() {
    check_plan(
        "replicas=1 history=1 rev=4 | web-a A 0 rev=3; web-x X 0 rev=1; web-y Y 0 rev=2; web-b B 1 rev=4",
        expect![[r#"
            delete web-x
            delete web-y"#]],
    );
}

#[test]
fn cleanup_keeps_ten() {
    check_plan(
        "replicas=1 rev=13 | web-a A 0 rev=1; web-c C 0 rev=2; web-d D 0 rev=3; web-e E 0 rev=4; web-f F 0 rev=5; web-g G 0 rev=6; web-h H 0 rev=7; web-i I 0 rev=8; web-j J 0 rev=9; web-k K 0 rev=10; web-l L 0 rev=11; web-m M 0 rev=12; web-b B 1 rev=13",
        expect![[r#"
            delete web-a
            delete web-c"#]],
    );
}

#[test]
fn cleanup_waits_for_the_rollout() {
    check_plan(
        "replicas=1 surge=1 unavailable=0 history=0 rev=3 | web-a A 0 rev=1; web-c C 1 rev=2; web-b B 1/0 rev=3",
        expect![[""]],
    );
}

#[test]
fn cleanup_passes_over_sets_with_pods() {
    check_plan(
        "replicas=1 history=0 rev=4 paused | web-a A 0 pods=1 rev=1; web-c C 0 rev=2 stale; web-d D 0 rev=3 deleting; web-e E 0 rev=3; web-b B 1 rev=4",
        expect!["delete web-e"],
    );
}

#[test]
fn cleanup_of_everything_keeps_the_new_set() {
    check_plan(
        "replicas=1 history=0 rev=2 | web-a A 0 rev=1; web-b B 1 rev=2",
        expect!["delete web-a"],
    );
}

#[test]
fn an_endless_history_is_kept() {
    check_plan(
        "replicas=1 history=2147483647 rev=2 | web-a A 0 rev=1; web-b B 1 rev=2",
        expect![[""]],
    );
}

#[test]
fn a_deadline_asks_to_be_called_again() {
    check_plan(
        "replicas=1 rev=1 deadline=100 cond=Progressing:True:ReplicaSetUpdated@40s | web-b B 1/0 rev=1",
        expect!["again after 1m"],
    );
}

#[test]
fn no_deadline_asks_for_nothing() {
    check_plan(
        "replicas=1 rev=1 deadline=2147483647 cond=Progressing:True:ReplicaSetUpdated@40s | web-b B 1/0 rev=1",
        expect![[""]],
    );
}

#[test]
fn a_finished_rollout_does_not_ask() {
    check_plan(
        "replicas=1 rev=1 deadline=100 cond=Progressing:True:NewReplicaSetAvailable@40s | web-b B 1/0 rev=1",
        expect![[""]],
    );
}

#[test]
fn a_failed_rollout_does_not_ask() {
    check_plan(
        "replicas=1 rev=1 deadline=100 cond=Progressing:False:ProgressDeadlineExceeded@400s | web-b B 1/0 rev=1",
        expect![[""]],
    );
}

#[test]
fn a_paused_rollout_does_not_ask() {
    check_plan(
        "replicas=1 rev=1 paused deadline=100 cond=Progressing:Unknown:DeploymentPaused@40s | web-b B 1/0 rev=1",
        expect![[""]],
    );
}

#[test]
fn the_legacy_annotation_returns_to_a_revision() {
    check_plan(
        "replicas=1 rev=2 ann=deprecated.deployment.rollback.to=1 ann=why=bad | web-a A 0 rev=1 ann=why=good; web-b B 1 rev=2",
        expect![[
            r#"patch deployment -deprecated.deployment.rollback.to why=good template={"spec":{"containers":[{"image":"A","name":"c"}]}} (Normal DeploymentRollback: Rolled back deployment "web" to revision 1)"#
        ]],
    );
}

#[test]
fn the_legacy_annotation_returns_to_the_last_revision() {
    check_plan(
        "replicas=1 rev=5 ann=deprecated.deployment.rollback.to=0 | web-a A 0 rev=1; web-c C 0 rev=4; web-b B 1 rev=5",
        expect![[
            r#"patch deployment -deprecated.deployment.rollback.to template={"spec":{"containers":[{"image":"C","name":"c"}]}} (Normal DeploymentRollback: Rolled back deployment "web" to revision 4)"#
        ]],
    );
}

#[test]
fn the_legacy_annotation_names_an_unknown_revision() {
    check_plan(
        "replicas=1 rev=2 ann=deprecated.deployment.rollback.to=7 | web-a A 0 rev=1; web-b B 1 rev=2",
        expect![[r#"
            patch deployment -deprecated.deployment.rollback.to
            event Warning DeploymentRollbackRevisionNotFound: Unable to find the revision to rollback to."#]],
    );
}

#[test]
fn the_legacy_annotation_finds_no_last_revision() {
    check_plan(
        "replicas=1 rev=2 ann=deprecated.deployment.rollback.to=0 | web-b B 1 rev=2",
        expect![[r#"
            patch deployment -deprecated.deployment.rollback.to
            event Warning DeploymentRollbackRevisionNotFound: Unable to find last revision."#]],
    );
}

#[test]
fn the_legacy_annotation_names_the_current_revision() {
    check_plan(
        "replicas=1 rev=2 ann=deprecated.deployment.rollback.to=2 | web-a A 0 rev=1; web-b B 1 rev=2",
        expect![[r#"
            patch deployment -deprecated.deployment.rollback.to
            event Warning DeploymentRollbackTemplateUnchanged: The rollback revision contains the same template as current deployment "web""#]],
    );
}

#[test]
fn the_legacy_annotation_is_no_number() {
    check_plan(
        "replicas=1 rev=2 ann=deprecated.deployment.rollback.to=x | web-b B 1 rev=2",
        expect![[""]],
    );
}

#[test]
fn the_legacy_annotation_waits_while_paused() {
    check_plan(
        "replicas=1 rev=2 paused ann=deprecated.deployment.rollback.to=1 | web-a A 0 rev=1; web-b B 1 rev=2",
        expect![[""]],
    );
}
