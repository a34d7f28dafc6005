//! Status: counts, conditions, kstatus, collisions.

use expect_test::expect;

use super::fixture::*;
use super::*;

fn failed(message: &str, permanent: bool) -> Creation {
    Creation::Failed {
        message: message.to_owned(),
        permanent,
    }
}

#[test]
fn a_first_status_of_a_new_set() {
    check_status(
        "gen=1 observed=0 replicas=3 | ",
        Creation::Created,
        expect![[r#"
            later: status revision=1 observedGeneration=1 terminating=0
              Progressing True NewReplicaSetCreated: Created new replica set "web-5f4c5f5fc8"
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability."#]],
    );
}

#[test]
fn a_clock_that_was_set_back_restarts_the_deadline() {
    for (age, expected) in [
        (
            "-7776000s",
            expect![[r#"
                status unavailable=1
                  Available True MinimumReplicasAvailable 60s ago: said before
                  Progressing True ReplicaSetUpdated: said before"#]],
        ),
        ("-50s", expect!["status unavailable=1"]),
    ] {
        check_status(
            &format!(
                "deadline=100 replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@{age} | web-a A 3 rev=1; web-b B 1/0 rev=2"
            ),
            Creation::None,
            expected,
        );
    }
}

#[test]
fn a_new_rollout_restarts_the_clock() {
    check_status(
        "gen=3 replicas=3 rev=1 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable@900s:web-a | web-a A 3 rev=1",
        Creation::Created,
        expect![[r#"
            status revision=2 observedGeneration=3 updated=0
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True NewReplicaSetCreated: Created new replica set "web-5f4c5f5fc8""#]],
    );
}

#[test]
fn a_set_that_was_just_created_counts_as_nothing() {
    check_status(
        "replicas=3 rev=2 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetCreated | web-a A 3 rev=1; web-b B 1 unsynced rev=2",
        Creation::None,
        expect!["later: status unavailable=1 updated=0"],
    );
}

#[test]
fn progress_moves_the_clock() {
    check_status(
        "replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@500s | web-a A 3 rev=1; web-b B 1/0 ready=1 rev=2",
        Creation::None,
        expect![[r#"
            status ready=4 unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing."#]],
    );
}

#[test]
fn counts_wait_while_sets_are_resized() {
    check_status(
        "replicas=3 surge=1 unavailable=0 rev=2 status=3/0/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@29s | web-a A 3 rev=1; web-b B 1/1 rev=2",
        Creation::None,
        expect![[r#"
            later: status available=4 ready=4 replicas=4 updated=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing."#]],
    );
}

#[test]
fn a_new_generation_never_waits() {
    check_status(
        "gen=3 replicas=3 surge=1 unavailable=0 rev=2 status=3/0/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@500s | web-a A 3 rev=1; web-b B 1/1 rev=2",
        Creation::None,
        expect![[r#"
            status available=4 observedGeneration=3 ready=4 replicas=4 updated=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing."#]],
    );
}

#[test]
fn a_new_verdict_never_waits() {
    check_status(
        "replicas=3 surge=1 unavailable=0 rev=2 status=3/0/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetCreated@500s | web-a A 3 rev=1; web-b B 1/1 rev=2",
        Creation::None,
        expect![[r#"
            status available=4 ready=4 replicas=4 updated=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing."#]],
    );
}

#[test]
fn a_complete_rollout() {
    check_status(
        "replicas=3 surge=1 unavailable=0 rev=2 status=4/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@500s | web-a A 0 rev=1; web-b B 3 rev=2",
        Creation::None,
        expect![[r#"
            status replicas=3
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed."#]],
    );
}

#[test]
fn a_complete_rollout_says_nothing_again() {
    check_status(
        "replicas=3 rev=2 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable@500s | web-a A 0 rev=1; web-b B 3 rev=2",
        Creation::None,
        expect!["status unchanged"],
    );
}

#[test]
fn lost_pods_after_a_complete_rollout_are_no_failure() {
    check_status(
        "replicas=3 surge=1 unavailable=0 rev=2 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable@9000s | web-b B 3/2 rev=2",
        Creation::None,
        expect![[r#"
            status available=2 ready=2 unavailable=1
              Progressing True NewReplicaSetAvailable 9000s ago: ReplicaSet "web-b" has successfully progressed.
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability."#]],
    );
}

#[test]
fn a_missed_deadline() {
    check_status(
        "deadline=100 replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@100s | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect![[r#"
            status unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing."#]],
    );
}

#[test]
fn a_deadline_a_second_away() {
    check_status(
        "deadline=100 replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@99s | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect!["status unavailable=1"],
    );
}

#[test]
fn a_missed_deadline_stays() {
    check_status(
        "deadline=100 replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded@900s | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect!["status unavailable=1"],
    );
}

#[test]
fn progress_lifts_a_missed_deadline() {
    check_status(
        "deadline=100 replicas=3 surge=1 unavailable=1 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded@900s | web-a A 3 rev=1; web-b B 1/1 rev=2",
        Creation::None,
        expect![[r#"
            status available=4 ready=4
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing."#]],
    );
}

#[test]
fn an_undo_after_a_missed_deadline_starts_afresh() {
    check_status(
        "gen=3 tpl=A deadline=100 replicas=3 surge=1 unavailable=0 rev=2 status=4/4/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded@900s:web-b | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect![[r#"
            status revision=3 observedGeneration=3 unavailable=1 updated=3
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True FoundNewReplicaSet: Found new replica set "web-a""#]],
    );
}

#[test]
fn a_set_found_after_a_crash_starts_the_clock() {
    check_status(
        "replicas=3 rev=2 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable@900s:web-a | web-a A 3 rev=1; web-b B 1 unsynced rev=2",
        Creation::None,
        expect![[r#"
            status unavailable=1 updated=0
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True FoundNewReplicaSet: Found new replica set "web-b""#]],
    );
}

#[test]
fn no_deadline_has_no_condition() {
    check_status(
        "deadline=2147483647 replicas=1 rev=1 status=1/1/1/0/0 cond=Progressing:True:ReplicaSetUpdated | web-b B 1 rev=1",
        Creation::None,
        expect![[r#"
            status available=1
              Available True MinimumReplicasAvailable: Deployment has minimum availability."#]],
    );
}

#[test]
fn a_pause() {
    check_status(
        "replicas=3 paused rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:ReplicaSetUpdated@900s | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect![[r#"
            status unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing Unknown DeploymentPaused: Deployment is paused"#]],
    );
}

#[test]
fn a_pause_keeps_a_missed_deadline() {
    check_status(
        "replicas=3 paused rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ProgressDeadlineExceeded@900s | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect!["status unavailable=1"],
    );
}

#[test]
fn a_resume_restarts_the_clock() {
    check_status(
        "deadline=100 replicas=3 surge=1 unavailable=0 rev=2 status=4/1/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:Unknown:DeploymentPaused@900s | web-a A 3 rev=1; web-b B 1/0 rev=2",
        Creation::None,
        expect![[r#"
            status unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing Unknown DeploymentResumed: Deployment is resumed"#]],
    );
}

#[test]
fn scaling_judges_no_progress() {
    check_status(
        "gen=3 replicas=5 rev=1 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable@900s | web-b B 3 rev=1 desired=3 max=4",
        Creation::None,
        expect![[r#"
            later: status observedGeneration=3
              Progressing True NewReplicaSetAvailable 900s ago: ReplicaSet "web-b" has successfully progressed.
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability."#]],
    );
}

#[test]
fn too_few_available_pods() {
    check_status(
        "replicas=4 unavailable=1 rev=1 status=4/4/4/4/0 cond=Available:True:MinimumReplicasAvailable@500s cond=Progressing:True:NewReplicaSetAvailable@900s | web-b B 4/2 rev=1",
        Creation::None,
        expect![[r#"
            status available=2 ready=2 unavailable=2
              Progressing True NewReplicaSetAvailable 900s ago: ReplicaSet "web-b" has successfully progressed.
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability."#]],
    );
}

#[test]
fn as_many_available_pods_as_needed() {
    check_status(
        "replicas=4 unavailable=1 rev=1 status=4/4/2/2/0 cond=Available:False:MinimumReplicasUnavailable@500s cond=Progressing:True:NewReplicaSetAvailable@900s | web-b B 4/3 rev=1",
        Creation::None,
        expect![[r#"
            status available=3 ready=3 unavailable=1
              Progressing True NewReplicaSetAvailable 900s ago: ReplicaSet "web-b" has successfully progressed.
              Available True MinimumReplicasAvailable: Deployment has minimum availability."#]],
    );
}

#[test]
fn recreate_needs_every_pod() {
    check_status(
        "type=Recreate replicas=4 rev=1 status=4/4/4/4/0 cond=Available:True:MinimumReplicasAvailable@500s cond=Progressing:True:NewReplicaSetAvailable@900s | web-b B 4/3 rev=1",
        Creation::None,
        expect![[r#"
            status available=3 ready=3 unavailable=1
              Progressing True NewReplicaSetAvailable 900s ago: ReplicaSet "web-b" has successfully progressed.
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability."#]],
    );
}

#[test]
fn a_failure_of_the_new_set_shows() {
    check_status(
        "replicas=3 surge=1 unavailable=0 rev=2 status=3/0/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetCreated | web-a A 3 rev=1 failure=FailedDelete; web-b B 1/0 pods=0 rev=2 failure=FailedCreate",
        Creation::None,
        expect![[r#"
            status unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True NewReplicaSetCreated 60s ago: said before
              ReplicaFailure True FailedCreate: web-b failed"#]],
    );
}

#[test]
fn a_failure_of_an_old_set_shows() {
    check_status(
        "replicas=3 surge=1 unavailable=0 rev=2 status=3/0/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetCreated | web-a A 3 rev=1 failure=FailedDelete; web-b B 1/0 pods=0 rev=2",
        Creation::None,
        expect![[r#"
            status unavailable=1
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True NewReplicaSetCreated 60s ago: said before
              ReplicaFailure True FailedDelete: web-a failed"#]],
    );
}

#[test]
fn a_healed_failure_goes() {
    check_status(
        "replicas=1 rev=2 status=1/1/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=ReplicaFailure:True:FailedCreate cond=Progressing:True:NewReplicaSetAvailable | web-b B 1 rev=2",
        Creation::None,
        expect![[r#"
            status
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing True NewReplicaSetAvailable 60s ago: ReplicaSet "web-b" has successfully progressed."#]],
    );
}

#[test]
fn conditions_of_others_stay() {
    check_status(
        "gen=3 replicas=1 rev=2 status=1/1/1/1/0 cond=StatusUpdate:True:E2E cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable | web-b B 1 rev=2",
        Creation::None,
        expect!["status observedGeneration=3"],
    );
}

#[test]
fn terminating_pods_are_summed() {
    check_status(
        "replicas=3 rev=2 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable | web-a A 0 rev=1 term=2; web-b B 3 rev=2 term=1",
        Creation::None,
        expect!["status terminating=3"],
    );
}

#[test]
fn terminating_pods_are_unknown_when_a_set_does_not_say() {
    check_status(
        "replicas=3 rev=2 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable | web-a A 0 rev=1 term=-; web-b B 3 rev=2 term=1",
        Creation::None,
        expect!["status terminating=null"],
    );
}

#[test]
fn a_deleting_deployment_still_counts() {
    check_status(
        "gen=3 deleting replicas=3 rev=2 status=3/3/3/3/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable | web-b B 1 rev=2",
        Creation::None,
        expect![[r#"
            status available=1 observedGeneration=3 ready=1 replicas=1 updated=1
              Progressing True NewReplicaSetAvailable 60s ago: ReplicaSet "web-b" has successfully progressed.
              Available False MinimumReplicasUnavailable: Deployment does not have minimum availability."#]],
    );
}

#[test]
fn an_adoption_comes_before_any_status() {
    check_status(
        "gen=3 replicas=3 | old B 3 orphan",
        Creation::None,
        expect!["status unchanged"],
    );
}

#[test]
fn a_revision_alone_is_written() {
    check_status(
        "replicas=1 rev=1 status=1/1/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable | web-b B 1 rev=4",
        Creation::None,
        expect!["status revision=4"],
    );
}

#[test]
fn a_taken_name_counts_as_a_collision() {
    check_status(
        "replicas=1 rev=1 status=1/1/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable:web-a | web-a A 1 rev=1",
        Creation::NameTaken,
        expect!["status collisionCount=1 updated=0"],
    );
}

#[test]
fn another_taken_name_counts_again() {
    check_status(
        "collisions=1 replicas=1 rev=1 status=1/1/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable:web-a | web-a A 1 rev=1",
        Creation::NameTaken,
        expect!["status collisionCount=2 updated=0"],
    );
}

#[test]
fn a_refused_set() {
    check_status(
        "gen=3 replicas=1 rev=1 status=1/1/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable:web-a | web-a A 1 rev=1",
        failed("exceeded quota: pods=3", false),
        expect![[r#"
            status observedGeneration=3 updated=0
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ReplicaSetCreateError: Failed to create new replica set "web-5f4c5f5fc8": exceeded quota: pods=3"#]],
    );
}

#[test]
fn a_refused_set_of_our_own_kind() {
    check_status(
        "own gen=3 replicas=1 rev=1 status=1/1/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable:web-a | web-a A 1 rev=1",
        failed("exceeded quota: pods=3", false),
        expect![[r#"
            status observedGeneration=3 selector="app=web" updated=0
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ReplicaSetCreateError: Failed to create new replica set "web-5f4c5f5fc8": exceeded quota: pods=3
              Reconciling True ReplicaSetCreateError: ReplicaSet "web-5f4c5f5fc8" cannot be created: exceeded quota: pods=3
              Ready False ReplicaSetCreateError: ReplicaSet "web-5f4c5f5fc8" cannot be created: exceeded quota: pods=3"#]],
    );
}

#[test]
fn a_set_refused_for_good_stalls() {
    check_status(
        "own gen=3 replicas=1 rev=1 status=1/1/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:True:NewReplicaSetAvailable:web-a | web-a A 1 rev=1",
        failed("spec.template.spec.containers: Required value", true),
        expect![[r#"
            status observedGeneration=3 selector="app=web" updated=0
              Available True MinimumReplicasAvailable 60s ago: said before
              Progressing False ReplicaSetCreateError: Failed to create new replica set "web-5f4c5f5fc8": spec.template.spec.containers: Required value
              Stalled True ReplicaSetCreateError: ReplicaSet "web-5f4c5f5fc8" cannot be created: spec.template.spec.containers: Required value
              Ready False ReplicaSetCreateError: ReplicaSet "web-5f4c5f5fc8" cannot be created: spec.template.spec.containers: Required value"#]],
    );
}
