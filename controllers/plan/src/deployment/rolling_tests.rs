//! Rolling update: sizes.

use expect_test::expect;

use super::fixture::*;
use super::plan;
use super::show::show_plan;

#[test]
fn a_first_rollout_creates_all_pods_at_once() {
    check_plan(
        "replicas=3 | ",
        expect![
            "create web-5f4c5f5fc8 replicas=3 desired-replicas=3 max-replicas=4 revision=1 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 3)"
        ],
    );
}

#[test]
fn a_new_template_starts_within_the_surge() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 | web-a A 10/10 rev=1",
        expect![
            "create web-5f4c5f5fc8 replicas=3 desired-replicas=10 max-replicas=13 revision=2 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 3)"
        ],
    );
}

#[test]
fn without_surge_the_new_set_starts_empty() {
    check_plan(
        "replicas=4 surge=0 unavailable=1 | web-a A 4 rev=1",
        expect!["create web-5f4c5f5fc8 replicas=0 desired-replicas=4 max-replicas=4 revision=2"],
    );
}

#[test]
fn the_first_step_shrinks_old_and_uses_the_room() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 10 rev=1; web-b B 3/0 rev=2",
        expect![[r#"
            patch web-a replicas=8 (Normal ScalingReplicaSet: Scaled down replica set web-a from 10 to 8)
            patch web-b replicas=5 (Normal ScalingReplicaSet: Scaled up replica set web-b from 3 to 5)"#]],
    );
}

#[test]
fn no_step_while_new_pods_are_not_available() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 8 rev=1; web-b B 5/0 rev=2",
        expect![[""]],
    );
}

#[test]
fn available_new_pods_let_old_ones_go() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 8 rev=1; web-b B 5/5 rev=2",
        expect![[r#"
            patch web-a replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-a from 8 to 3)
            patch web-b replicas=10 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 10)"#]],
    );
}

#[test]
fn one_available_new_pod_moves_both_by_one() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 8 rev=1; web-b B 5/1 rev=2",
        expect![[r#"
            patch web-a replicas=7 (Normal ScalingReplicaSet: Scaled down replica set web-a from 8 to 7)
            patch web-b replicas=6 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 6)"#]],
    );
}

#[test]
fn the_last_step_empties_the_old_set() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 3 rev=1; web-b B 10/10 rev=2",
        expect![
            "patch web-a replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 3 to 0)"
        ],
    );
}

#[test]
fn a_finished_rollout_plans_nothing() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 0 rev=1; web-b B 10 rev=2",
        expect![[""]],
    );
}

#[test]
fn unhealthy_old_pods_go_first() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 10/6 rev=1; web-b B 3/0 rev=2",
        expect![[r#"
            patch web-a replicas=8 (Normal ScalingReplicaSet: Scaled down replica set web-a from 10 to 8)
            patch web-b replicas=5 (Normal ScalingReplicaSet: Scaled up replica set web-b from 3 to 5)"#]],
    );
}

#[test]
fn unhealthy_pods_of_the_oldest_go_before_the_others() {
    check_plan(
        "replicas=10 surge=0 unavailable=5 rev=3 tpl=C | web-a A 4/2 rev=1; web-b B 4/1 rev=2; web-c C 2/0 rev=3",
        expect![[r#"
            patch web-a replicas=2 (Normal ScalingReplicaSet: Scaled down replica set web-a from 4 to 2)
            patch web-b replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-b from 4 to 3)
            patch web-c replicas=5 (Normal ScalingReplicaSet: Scaled up replica set web-c from 2 to 5)"#]],
    );
}

#[test]
fn unhealthy_old_pods_never_block() {
    check_plan(
        "replicas=3 surge=0 unavailable=1 rev=2 | web-a A 3/0 rev=1; web-b B 0 rev=2",
        expect![[r#"
            patch web-a replicas=2 (Normal ScalingReplicaSet: Scaled down replica set web-a from 3 to 2)
            patch web-b replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 1)"#]],
    );
}

#[test]
fn unavailable_new_pods_hold_healthy_old_ones() {
    check_plan(
        "replicas=3 surge=1 unavailable=0 rev=2 | web-a A 3 rev=1; web-b B 1/0 rev=2",
        expect![[""]],
    );
}

#[test]
fn surge_only_moves_one_for_one() {
    check_plan(
        "replicas=3 surge=1 unavailable=0 rev=2 | web-a A 3 rev=1; web-b B 1 rev=2",
        expect![[r#"
            patch web-a replicas=2 (Normal ScalingReplicaSet: Scaled down replica set web-a from 3 to 2)
            patch web-b replicas=2 (Normal ScalingReplicaSet: Scaled up replica set web-b from 1 to 2)"#]],
    );
}

#[test]
fn unavailable_only_shrinks_first() {
    check_plan(
        "replicas=3 surge=0 unavailable=1 rev=2 | web-a A 3 rev=1; web-b B 0 rev=2",
        expect![[r#"
            patch web-a replicas=2 (Normal ScalingReplicaSet: Scaled down replica set web-a from 3 to 2)
            patch web-b replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 1)"#]],
    );
}

#[test]
fn unavailable_only_grows_into_the_room() {
    check_plan(
        "replicas=3 surge=0 unavailable=1 rev=2 | web-a A 2 rev=1; web-b B 0 rev=2",
        expect![
            "patch web-b replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 1)"
        ],
    );
}

#[test]
fn rollover_makes_the_new_set_an_old_one() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 tpl=C | web-a A 8 rev=1; web-b B 5/2 rev=2",
        expect!["create web-67455dcbff replicas=0 desired-replicas=10 max-replicas=13 revision=3"],
    );
}

#[test]
fn rollover_to_a_full_house_starts_empty() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 tpl=C | web-a A 8 rev=1; web-b B 5/5 rev=2",
        expect!["create web-67455dcbff replicas=0 desired-replicas=10 max-replicas=13 revision=3"],
    );
}

#[test]
fn rollover_drops_the_broken_set_first() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=3 tpl=C | web-a A 8 rev=1; web-b B 5/0 rev=2; web-c C 0 rev=3",
        expect![[r#"
            patch web-b replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-b from 5 to 0)
            patch web-c replicas=5 (Normal ScalingReplicaSet: Scaled up replica set web-c from 0 to 5)"#]],
    );
}

#[test]
fn undo_in_the_middle_drops_the_broken_set() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 tpl=A | web-a A 8 rev=1; web-b B 5/0 rev=2",
        expect![[r#"
            patch web-b replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-b from 5 to 0)
            patch web-a revision=3 revision-history=1 replicas=10 (Normal ScalingReplicaSet: Scaled up replica set web-a from 8 to 10)"#]],
    );
}

#[test]
fn pods_that_are_about_to_go_do_not_count_as_available() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 4/8 rev=1; web-b B 5/5 rev=2",
        expect![[r#"
            patch web-a replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-a from 4 to 3)
            patch web-b replicas=10 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 10)"#]],
    );
}

#[test]
fn a_new_set_that_is_too_large_shrinks() {
    check_plan(
        "replicas=3 rev=1 | web-b B 5 rev=1 desired=3",
        expect![
            "patch web-b replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-b from 5 to 3)"
        ],
    );
}

#[test]
fn a_new_set_that_somebody_shrank_grows() {
    check_plan(
        "replicas=3 rev=1 | web-b B 1 rev=1",
        expect![
            "patch web-b replicas=3 (Normal ScalingReplicaSet: Scaled up replica set web-b from 1 to 3)"
        ],
    );
}

#[test]
fn zero_replicas() {
    check_plan(
        "replicas=0 rev=2 | web-a A 2 rev=1; web-b B 0 rev=2",
        expect![
            "patch web-a replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 2 to 0)"
        ],
    );
}

#[test]
fn absent_replicas_are_one() {
    check_plan(
        " | ",
        expect![
            "create web-5f4c5f5fc8 replicas=1 desired-replicas=1 max-replicas=2 revision=1 (Normal ScalingReplicaSet: Scaled up replica set web-5f4c5f5fc8 from 0 to 1)"
        ],
    );
}

#[test]
fn a_hundred_percent_unavailable_replaces_all_at_once() {
    check_plan(
        "replicas=4 surge=0 unavailable=100% rev=2 | web-a A 4 rev=1; web-b B 0 rev=2",
        expect![[r#"
            patch web-a replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-a from 4 to 0)
            patch web-b replicas=4 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 4)"#]],
    );
}

#[test]
fn three_generations_of_sets_share_the_room() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=3 tpl=C | web-a A 6 rev=1; web-b B 3/3 rev=2; web-c C 4/2 rev=3",
        expect![[r#"
            patch web-a replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-a from 6 to 3)
            patch web-c replicas=7 (Normal ScalingReplicaSet: Scaled up replica set web-c from 4 to 7)"#]],
    );
}

#[test]
fn a_lagging_set_is_not_shrunk_twice() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 8/10 pods=10 rev=1; web-b B 5/0 pods=3 rev=2",
        expect![[""]],
    );
}

#[test]
fn percentages_are_taken_of_replicas() {
    check_plan(
        "replicas=7 surge=25% unavailable=25% rev=2 | web-a A 7 rev=1; web-b B 2/0 rev=2",
        expect![[r#"
            patch web-a replicas=6 (Normal ScalingReplicaSet: Scaled down replica set web-a from 7 to 6)
            patch web-b replicas=3 (Normal ScalingReplicaSet: Scaled up replica set web-b from 2 to 3)"#]],
    );
}

#[test]
fn a_set_that_has_not_answered_holds_healthy_old_pods() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 8 rev=1; web-b B 5 rev=2 stale",
        expect![[""]],
    );
}

#[test]
fn a_new_set_that_has_not_answered_has_nothing_available() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 8/5 rev=1; web-b B 5 rev=2 stale",
        expect![[""]],
    );
}

#[test]
fn an_old_set_that_has_not_answered_does_not_hold_unhealthy_pods() {
    check_plan(
        "replicas=10 surge=3 unavailable=2 rev=2 | web-a A 8/5 rev=1 stale; web-b B 5 rev=2",
        expect![[r#"
            patch web-a replicas=5 (Normal ScalingReplicaSet: Scaled down replica set web-a from 8 to 5)
            patch web-b replicas=8 (Normal ScalingReplicaSet: Scaled up replica set web-b from 5 to 8)"#]],
    );
}

#[test]
fn the_first_change_of_a_set_of_our_kind_ends_the_record_of_its_fields_unless_somebody_applied_it()
{
    let shown = |kind: &str, record: &str| {
        let scene = scene(&format!(
            "{kind} replicas=4 surge=0 unavailable=1 rev=1 | web-a A 4 rev=1 {record}; web-b B 0 rev=2"
        ));
        show_plan(&plan(&scene.observed()))
    };
    let dropped = shown("own", "updated");
    expect![[r#"
        patch web-a managedFields=[{}] replicas=3 (Normal ScalingReplicaSet: Scaled down replica set web-a from 4 to 3)
        patch web-b replicas=1 (Normal ScalingReplicaSet: Scaled up replica set web-b from 0 to 1)
        patch deployment revision=2"#]]
    .assert_eq(&dropped);
    let kept = dropped.replace(" managedFields=[{}]", "");
    assert_eq!(shown("own", "applied"), kept);
    assert_eq!(shown("own", ""), kept);
    // Upstream's own Deployment has its revision written with its status.
    let native = kept.replace("\npatch deployment revision=2", "");
    assert_eq!(shown("", "updated"), native);
}
