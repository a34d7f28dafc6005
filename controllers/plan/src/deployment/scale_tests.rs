//! Scaling, pausing, Recreate.

use expect_test::expect;

use super::fixture::*;

#[test]
fn a_single_set_follows_replicas() {
    check_plan(
        "replicas=5 rev=1 | web-b B 3 rev=1 desired=3 max=4",
        expect![
            "patch web-b desired-replicas=5 max-replicas=7 replicas=5 (Normal ScalingReplicaSet: Scaled up replica set web-b from 3 to 5)"
        ],
    );
}

#[test]
fn a_single_set_shrinks() {
    check_plan(
        "replicas=2 rev=1 | web-b B 3 rev=1 desired=3 max=4",
        expect![
            "patch web-b desired-replicas=2 max-replicas=3 replicas=2 (Normal ScalingReplicaSet: Scaled down replica set web-b from 3 to 2)"
        ],
    );
}

#[test]
fn scaling_in_a_rollout_keeps_proportions() {
    check_plan(
        "replicas=30 surge=3 unavailable=2 rev=2 | web-a A 8 rev=1 desired=10 max=13; web-b B 5/0 rev=2 desired=10 max=13",
        expect![[r#"
            patch web-a desired-replicas=30 max-replicas=33 replicas=20 (Normal ScalingReplicaSet: Scaled up replica set web-a from 8 to 20)
            patch web-b desired-replicas=30 max-replicas=33 replicas=13 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 13)"#]],
    );
}

#[test]
fn scaling_down_in_a_rollout_keeps_proportions() {
    check_plan(
        "replicas=5 surge=1 unavailable=1 rev=2 | web-a A 8 rev=1 desired=10 max=13; web-b B 5/0 rev=2 desired=10 max=13",
        expect![[r#"
            patch web-a desired-replicas=5 max-replicas=6 replicas=4 (Normal ScalingReplicaSet: Scaled down replica set web-a from 8 to 4)
            patch web-b desired-replicas=5 max-replicas=6 replicas=2 (Normal ScalingReplicaSet: Scaled down replica set web-b from 5 to 2)"#]],
    );
}

#[test]
fn rounding_goes_to_the_newer_of_equals_when_growing() {
    check_plan(
        "replicas=6 surge=0 unavailable=1 rev=2 | web-a A 5 rev=1 desired=10 max=10; web-b B 5/0 rev=2 desired=10 max=10",
        expect![[r#"
            patch web-a desired-replicas=6 max-replicas=6 replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-a from 5 to 3)
            patch web-b desired-replicas=6 max-replicas=6 replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-b from 5 to 3)"#]],
    );
}

#[test]
fn leftover_goes_to_the_largest() {
    check_plan(
        "replicas=20 surge=0 unavailable=1 rev=3 tpl=C | web-a A 5 rev=1 desired=10 max=10; web-b B 3 rev=2 desired=10 max=10; web-c C 2/0 rev=3 desired=10 max=10",
        expect![[r#"
            patch web-a desired-replicas=20 max-replicas=20 replicas=10 (Normal ScalingReplicaSet: Scaled up replica set web-a from 5 to 10)
            patch web-b desired-replicas=20 max-replicas=20 replicas=6 (Normal ScalingReplicaSet: Scaled up replica set web-b from 3 to 6)
            patch web-c desired-replicas=20 max-replicas=20 replicas=4 (Normal ScalingReplicaSet: Scaled up replica set web-c from 2 to 4)"#]],
    );
}

#[test]
fn scaling_to_zero_empties_all() {
    check_plan(
        "replicas=0 rev=2 | web-a A 8 rev=1 desired=10 max=13; web-b B 5/0 rev=2 desired=10 max=13",
        expect![[r#"
            patch web-a desired-replicas=0 max-replicas=0 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 8 to 0)
            patch web-b desired-replicas=0 max-replicas=0 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-b from 5 to 0)"#]],
    );
}

#[test]
fn a_missing_annotation_is_estimated_from_the_status() {
    check_plan(
        "replicas=20 surge=0 unavailable=1 rev=2 status=10/5/10/10 | web-a A 5 rev=1 desired=10 max=-; web-b B 5/0 rev=2 desired=10 max=10",
        expect![[r#"
            patch web-a desired-replicas=20 max-replicas=20 replicas=10 (Normal ScalingReplicaSet: Scaled up replica set web-a from 5 to 10)
            patch web-b desired-replicas=20 max-replicas=20 replicas=10 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 10)"#]],
    );
}

#[test]
fn a_saturated_new_set_ends_the_others() {
    check_plan(
        "replicas=3 paused rev=2 | web-a A 2 rev=1; web-b B 3 rev=2",
        expect![
            "patch web-a replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 2 to 0)"
        ],
    );
}

#[test]
fn equal_sizes_still_note_the_new_target() {
    check_plan(
        "replicas=10 rev=1 surge=3 | web-b B 10 rev=1 desired=5 max=7",
        expect!["patch web-b desired-replicas=10 max-replicas=13"],
    );
}

#[test]
fn an_adopted_set_without_notes_is_no_scaling() {
    check_plan(
        "replicas=3 rev=2 | web-a A 1 rev=1 desired=-; web-b B 3 rev=2",
        expect![
            "patch web-a desired-replicas=3 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 1 to 0)"
        ],
    );
}

#[test]
fn an_empty_set_does_not_tell_of_scaling() {
    check_plan(
        "replicas=3 rev=2 | web-a A 0 rev=1 desired=9; web-b B 3 rev=2",
        expect![[""]],
    );
}

#[test]
fn scaling_from_zero_grows_the_new_set() {
    check_plan(
        "replicas=3 rev=2 | web-a A 0 rev=1 desired=0; web-b B 0 rev=2 desired=0",
        expect![
            "patch web-b desired-replicas=3 replicas=3 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 3)"
        ],
    );
}

#[test]
fn paused_creates_nothing() {
    check_plan("replicas=3 paused | web-a A 3 rev=1", expect![[""]]);
}

#[test]
fn paused_scales() {
    check_plan(
        "replicas=5 paused | web-a A 3 rev=1 desired=3",
        expect![
            "patch web-a desired-replicas=5 replicas=5 (Normal ScalingReplicaSet: Scaled up replica set web-a from 3 to 5)"
        ],
    );
}

#[test]
fn paused_scales_proportionally() {
    check_plan(
        "replicas=20 surge=3 unavailable=2 paused rev=2 | web-a A 8 rev=1 desired=10 max=13; web-b B 5 rev=2 desired=10 max=13",
        expect![[r#"
            patch web-a desired-replicas=20 max-replicas=23 replicas=14 (Normal ScalingReplicaSet: Scaled up replica set web-a from 8 to 14)
            patch web-b desired-replicas=20 max-replicas=23 replicas=9 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 9)"#]],
    );
}

#[test]
fn paused_cleans_up() {
    check_plan(
        "replicas=3 paused history=0 rev=2 | web-a A 0 rev=1; web-b B 3 rev=2",
        expect!["delete web-a"],
    );
}

#[test]
fn paused_scales_the_latest_when_none_is_active() {
    check_plan(
        "replicas=3 paused | web-a A 0 rev=1 desired=0; web-x X 0 rev=2 desired=0",
        expect![
            "patch web-x desired-replicas=3 replicas=3 (Normal ScalingReplicaSet: Scaled up replica set web-x from 0 to 3)"
        ],
    );
}

#[test]
fn resumed_goes_on() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 cond=Progressing:Unknown:DeploymentPaused | web-a A 10 rev=1; web-b B 3/3 rev=2",
        expect![[r#"
            patch web-a replicas=5 (Normal ScalingReplicaSet: Scaled down replica set web-a from 10 to 5)
            patch web-b replicas=8 (Normal ScalingReplicaSet: Scaled up replica set web-b from 3 to 8)
            again after 9m"#]],
    );
}

#[test]
fn recreate_empties_old_sets_first() {
    check_plan(
        "replicas=3 type=Recreate | web-a A 3 rev=1",
        expect![
            "patch web-a max-replicas=3 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 3 to 0)"
        ],
    );
}

#[test]
fn recreate_waits_for_the_status() {
    check_plan(
        "replicas=3 type=Recreate | web-a A 0 pods=3 rev=1",
        expect![[""]],
    );
}

#[test]
fn recreate_waits_for_terminating_pods() {
    check_plan(
        "replicas=3 type=Recreate | web-a A 0 rev=1 term=1 | web-a: p Running deleting",
        expect![[""]],
    );
}

#[test]
fn recreate_waits_for_pods_of_unknown_phase() {
    check_plan(
        "replicas=3 type=Recreate | web-a A 0 rev=1 | web-a: p Unknown",
        expect![[""]],
    );
}

#[test]
fn recreate_does_not_wait_for_failed_or_finished_pods() {
    check_plan(
        "replicas=3 type=Recreate | web-a A 0 rev=1 | web-a: p Failed; web-a: q Succeeded",
        expect![
            "create web-5f4c5f5fc8 replicas=3 desired-replicas=3 max-replicas=3 revision=2 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 3)"
        ],
    );
}

#[test]
fn recreate_creates_with_all_pods() {
    check_plan(
        "replicas=3 type=Recreate | web-a A 0 rev=1",
        expect![
            "create web-5f4c5f5fc8 replicas=3 desired-replicas=3 max-replicas=3 revision=2 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 3)"
        ],
    );
}

#[test]
fn recreate_grows_an_existing_set() {
    check_plan(
        "replicas=3 type=Recreate rev=2 | web-a A 0 rev=1; web-b B 0 rev=2",
        expect![
            "patch web-b max-replicas=3 replicas=3 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 3)"
        ],
    );
}

#[test]
fn recreate_ignores_pods_of_the_new_set() {
    check_plan(
        "replicas=3 type=Recreate rev=2 | web-a A 0 rev=1; web-b B 1 rev=2 | web-b: p Running",
        expect![
            "patch web-b max-replicas=3 replicas=3 (Normal ScalingReplicaSet: Scaled up replica set web-b from 1 to 3)"
        ],
    );
}

#[test]
fn recreate_rollover_empties_all_old_sets() {
    check_plan(
        "replicas=3 type=Recreate tpl=C | web-a A 1 rev=1; web-b B 2/0 rev=2",
        expect![[r#"
            patch web-a max-replicas=3 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 1 to 0)
            patch web-b max-replicas=3 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-b from 2 to 0)"#]],
    );
}

#[test]
fn recreate_with_termination_started_does_not_wait_for_terminating_pods() {
    check_plan(
        "own replicas=3 type=Recreate policy=started | web-a A 0 rev=1 | web-a: p Running deleting",
        expect![[r#"
            create web-5f4c5f5fc8 replicas=3 desired-replicas=3 max-replicas=3 revision=2 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 3)
            patch deployment revision=2"#]],
    );
}

#[test]
fn recreate_scales_as_others_do() {
    check_plan(
        "replicas=5 type=Recreate rev=2 | web-b B 3 rev=2 desired=3 max=3",
        expect![
            "patch web-b desired-replicas=5 max-replicas=5 replicas=5 (Normal ScalingReplicaSet: Scaled up replica set web-b from 3 to 5)"
        ],
    );
}

#[test]
fn terminating_pods_take_room_when_asked_to() {
    check_plan(
        "own replicas=10 surge=3 unavailable=2 rev=2 policy=complete | web-a A 3 rev=1 term=5; web-b B 5 rev=2",
        expect![[""]],
    );
}

#[test]
fn terminating_pods_take_no_room_otherwise() {
    check_plan(
        "own replicas=10 surge=3 unavailable=2 rev=2 policy=started | web-a A 3 rev=1 term=5; web-b B 5 rev=2",
        expect![
            "patch web-b replicas=10 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 10)"
        ],
    );
}

#[test]
fn terminating_pods_that_were_only_seen_take_room_too() {
    check_plan(
        "own replicas=3 surge=0 unavailable=1 rev=2 policy=complete | web-a A 2 rev=1; web-b B 0 rev=2 | web-a: p Running deleting",
        expect![[""]],
    );
}

#[test]
fn pods_about_to_go_take_room_when_asked_to() {
    check_plan(
        "own replicas=3 surge=0 unavailable=1 rev=2 policy=complete | web-a A 2/3 pods=3 rev=1; web-b B 0 rev=2",
        expect![[""]],
    );
}

#[test]
fn growth_in_part_remembers_where_it_began() {
    check_plan(
        "own replicas=20 surge=0 unavailable=1 policy=complete rev=2 | web-a A 6 rev=1 desired=10 max=10 term=8; web-b B 4 rev=2 desired=10 max=10",
        expect![[r#"
            patch web-a replicaset-replicas-before-scale=6 replicas=8 (Normal ScalingReplicaSet: Scaled up replica set web-a from 6 to 8)
            patch web-b replicaset-replicas-before-scale=4"#]],
    );
}

#[test]
fn growth_in_part_goes_on() {
    check_plan(
        "own replicas=20 surge=0 unavailable=1 policy=complete rev=2 | web-a A 8 rev=1 desired=10 max=10 before=6; web-b B 4 rev=2 desired=10 max=10 before=4",
        expect![[r#"
            patch web-a desired-replicas=20 max-replicas=20 -replicaset-replicas-before-scale replicas=16 (Normal ScalingReplicaSet: Scaled up replica set web-a from 8 to 16)
            patch web-b desired-replicas=20 max-replicas=20 -replicaset-replicas-before-scale"#]],
    );
}

#[test]
fn the_policy_is_read_for_our_own_kind_only() {
    check_plan(
        "replicas=3 surge=0 unavailable=1 rev=2 policy=complete | web-a A 2 rev=1 term=1; web-b B 0 rev=2",
        expect![
            "patch web-b replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 1)"
        ],
    );
}

#[test]
fn a_paused_recreate_does_not_grow_beside_old_pods() {
    check_plan(
        "replicas=3 paused type=Recreate rev=2 | web-a A 0 rev=1; web-b B 0 rev=2 | web-a: p Running deleting",
        expect![[""]],
    );
}

#[test]
fn a_scaling_that_is_called_off_is_forgotten() {
    check_plan(
        "own replicas=10 policy=complete rev=2 | web-a A 0 rev=1; web-b B 10 rev=2 before=8",
        expect!["patch web-b -replicaset-replicas-before-scale"],
    );
}
