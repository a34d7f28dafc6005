use std::fmt::Write as _;

use expect_test::{Expect, expect};

use crate::fixture::Scene;
use crate::replicaset::{Failure, FailureReason, Outcome, StatusWrite, status};
use crate::workload::ReplicaSetStatus;

/// A status as text: counts, generation, then a line per condition.
fn render(write: Option<&StatusWrite>) -> String {
    let Some(StatusWrite { status, may_wait }) = write else {
        return "unchanged".to_owned();
    };
    let mut text = format!(
        "{}{} replicas, {} labelled, {} ready, {} available",
        if *may_wait { "later: " } else { "" },
        status.replicas,
        status.fully_labeled_replicas,
        status.ready_replicas,
        status.available_replicas
    );
    if let Some(terminating) = status.terminating_replicas {
        let _ = write!(text, ", {terminating} terminating");
    }
    let _ = write!(text, ", generation {}", status.observed_generation);
    if let Some(selector) = &status.selector {
        let _ = write!(text, ", selector {selector}");
    }
    for condition in &status.conditions {
        let since = condition.last_transition_time.unwrap().strftime("%H:%M:%S");
        let _ = write!(
            text,
            "\n{}={} {} since {since}: {}",
            condition.kind, condition.status, condition.reason, condition.message
        );
    }
    text
}

#[track_caller]
fn check(text: &str, outcome: &Outcome, expected: Expect) {
    let scene = Scene::parse(text);
    expected.assert_eq(&render(status(&scene.observed(), outcome).as_ref()));
}

fn nothing_done() -> Outcome {
    Outcome::default()
}

fn done(created: usize, deleted: usize) -> Outcome {
    Outcome {
        created,
        deleted,
        failure: None,
    }
}

fn failed(created: usize, reason: FailureReason) -> Outcome {
    Outcome {
        created,
        deleted: 0,
        failure: Some(Failure {
            reason,
            message: "exceeded quota".to_owned(),
        }),
    }
}

#[test]
fn pods_are_counted_by_how_far_they_are() {
    check(
        "replicas=4 minReady=30 | a Running Ready@40s; b Running Ready@10s; c Running; d Pending",
        &nothing_done(),
        expect!["4 replicas, 4 labelled, 2 ready, 1 available, 0 terminating, generation 1"],
    );
}

#[test]
fn a_pod_is_available_from_the_very_second_on() {
    check(
        "replicas=1 minReady=30 | a Running Ready@30s",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 1 ready, 1 available, 0 terminating, generation 1"],
    );
    check(
        "replicas=1 minReady=30 | a Running Ready@29s",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 1 ready, 0 available, 0 terminating, generation 1"],
    );
}

#[test]
fn without_min_ready_seconds_ready_is_available() {
    // Even when nobody knows since when, or when the node's clock runs ahead.
    check(
        "replicas=2 | a Running Ready@?; b Running Ready@-30s",
        &nothing_done(),
        expect!["2 replicas, 2 labelled, 2 ready, 2 available, 0 terminating, generation 1"],
    );
}

#[test]
fn with_min_ready_seconds_an_unknown_time_is_not_available() {
    check(
        "replicas=1 minReady=1 | a Running Ready@?",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 1 ready, 0 available, 0 terminating, generation 1"],
    );
}

#[test]
fn terminating_pods_are_counted_apart() {
    check(
        "replicas=1 | a Running Ready; b Running Ready deleting; c Pending deleting",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 1 ready, 1 available, 2 terminating, generation 1"],
    );
    // Not those that already ended, nor those of others, nor those that no longer match.
    check(
        "replicas=0 observed=1 status=0/0/0/0/0 | a Failed deleting; b Running foreign deleting; \
         c Running orphan deleting; d Running labels=app=db deleting",
        &nothing_done(),
        expect!["unchanged"],
    );
}

#[test]
fn pods_that_ended_or_belong_to_others_are_not_counted() {
    check(
        "replicas=1 | a Failed; b Succeeded; c Running foreign; d Running labels=app=db; e Running",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 1"],
    );
}

#[test]
fn adopted_pods_are_counted() {
    check(
        "replicas=1 | a Running Ready orphan",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 1 ready, 1 available, 0 terminating, generation 1"],
    );
    // Not by a set that is being deleted.
    check(
        "replicas=1 deleting observed=1 status=0/0/0/0/0 | a Running Ready orphan",
        &nothing_done(),
        expect!["unchanged"],
    );
}

#[test]
fn fully_labelled_pods_have_every_label_of_the_template() {
    check(
        "replicas=4 template=app=web,tier=front | a Running; b Running labels=app=web,tier=front; \
         c Running labels=app=web,tier=front,extra=1; d Running labels=app=web,tier=back",
        &nothing_done(),
        expect!["4 replicas, 2 labelled, 0 ready, 0 available, 0 terminating, generation 1"],
    );
}

#[test]
fn a_status_that_is_written_already_is_not_written_again() {
    check(
        "replicas=1 observed=1 status=1/1/1/1/0 | a Running Ready",
        &nothing_done(),
        expect!["unchanged"],
    );
    check(
        "replicas=1 rc observed=1 status=1/1/1/1 | a Running Ready",
        &nothing_done(),
        expect!["unchanged"],
    );
}

#[test]
fn a_new_generation_alone_is_written() {
    check(
        "replicas=1 gen=2 observed=1 status=1/1/1/1/0 | a Running Ready",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 1 ready, 1 available, 0 terminating, generation 2"],
    );
}

#[test]
fn terminating_pods_are_reported_even_when_there_never_were_any() {
    check(
        "replicas=0 observed=1 status=0/0/0/0 |",
        &nothing_done(),
        expect!["0 replicas, 0 labelled, 0 ready, 0 available, 0 terminating, generation 1"],
    );
}

#[test]
fn a_replication_controller_reports_no_terminating_pods() {
    check(
        "replicas=1 rc | a Running Ready; b Running Ready deleting",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 1 ready, 1 available, generation 1"],
    );
}

#[test]
fn a_status_that_the_pods_events_bring_anyway_waits_for_them() {
    // Created just now: three pods are about to be seen.
    check("replicas=3 |", &done(3, 0), expect!["unchanged"]);
    check(
        "replicas=1 gen=2 observed=1 status=2/2/0/0/0 | a Running; b Running",
        &done(0, 1),
        expect!["unchanged"],
    );
    // With nothing created, as in a terminating namespace, it does not wait.
    check(
        "replicas=3 |",
        &nothing_done(),
        expect!["0 replicas, 0 labelled, 0 ready, 0 available, 0 terminating, generation 1"],
    );
}

#[test]
fn what_was_seen_may_wait_for_what_was_done() {
    check(
        "replicas=3 observed=1 status=3/3/3/3/0 | a Running Ready; b Running Ready",
        &done(1, 0),
        expect!["later: 2 replicas, 2 labelled, 2 ready, 2 available, 0 terminating, generation 1"],
    );
    // Not while syncs have to follow: then it tells how far the set is.
    check(
        "replicas=3 observed=1 status=3/3/3/3/0 | a Running Ready",
        &done(1, 0),
        expect!["1 replicas, 1 labelled, 1 ready, 1 available, 0 terminating, generation 1"],
    );
}

#[test]
fn a_failed_creation_becomes_a_condition() {
    check(
        "replicas=3 | a Running",
        &failed(1, FailureReason::FailedCreate),
        expect![[r"
            1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 1
            ReplicaFailure=True FailedCreate since 12:00:00: exceeded quota"]],
    );
}

#[test]
fn a_failed_deletion_becomes_a_condition() {
    check(
        "replicas=0 observed=1 status=1/1/0/0/0 | a Running",
        &failed(0, FailureReason::FailedDelete),
        expect![[r"
            1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 1
            ReplicaFailure=True FailedDelete since 12:00:00: exceeded quota"]],
    );
}

#[test]
fn a_failure_is_written_at_once_even_after_some_creations() {
    check(
        "replicas=3 |",
        &failed(1, FailureReason::FailedCreate),
        expect![[r"
            0 replicas, 0 labelled, 0 ready, 0 available, 0 terminating, generation 1
            ReplicaFailure=True FailedCreate since 12:00:00: exceeded quota"]],
    );
}

#[test]
fn transition_times_are_whole_seconds() {
    // As the API stores them: a finer time would differ from what is read back.
    let scene = Scene::parse("replicas=3 |");
    let mut observed = scene.observed();
    observed.now += jiff::SignedDuration::from_millis(750);
    let status = status(&observed, &failed(0, FailureReason::FailedCreate))
        .unwrap()
        .status;
    let since = status.conditions[0].last_transition_time;
    assert_eq!(since, Some(scene.observed().now));
}

#[test]
fn a_known_failure_stays_as_it_was_first_written() {
    check(
        "replicas=3 observed=1 status=1/1/0/0/0 failure=FailedCreate | a Running",
        &failed(0, FailureReason::FailedCreate),
        expect!["unchanged"],
    );
    check(
        "replicas=0 observed=1 status=1/1/0/0/0 failure=FailedCreate | a Running",
        &failed(0, FailureReason::FailedDelete),
        expect!["unchanged"],
    );
}

#[test]
fn a_failure_is_healed_by_a_sync_without_one() {
    check(
        "replicas=1 observed=1 status=1/1/0/0/0 failure=FailedCreate | a Running",
        &nothing_done(),
        expect!["1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 1"],
    );
}

#[test]
fn a_selector_that_cannot_be_used_leaves_the_status_alone() {
    check(
        "replicas=3 selector= | a Running",
        &nothing_done(),
        expect!["unchanged"],
    );
    check(
        "replicas=3 template=app=db | a Running",
        &nothing_done(),
        expect!["unchanged"],
    );
}

#[test]
fn our_own_kind_says_what_it_still_does() {
    check(
        "replicas=3 extras | a Running",
        &nothing_done(),
        expect![[r"
            1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 1, selector app=web
            Reconciling=True LessLabelled since 12:00:00: 1 of 3 replicas exist
            Ready=False LessLabelled since 12:00:00: 1 of 3 replicas exist"]],
    );
    check(
        "replicas=2 extras | a Running; b Running Ready",
        &nothing_done(),
        expect![[r"
            2 replicas, 2 labelled, 1 ready, 1 available, 0 terminating, generation 1, selector app=web
            Reconciling=True LessAvailable since 12:00:00: 1 of 2 replicas are available
            Ready=False LessAvailable since 12:00:00: 1 of 2 replicas are available"]],
    );
    check(
        "replicas=1 extras | a Running Ready; b Running Ready",
        &nothing_done(),
        expect![[r"
            2 replicas, 2 labelled, 2 ready, 2 available, 0 terminating, generation 1, selector app=web
            Reconciling=True ExtraPods since 12:00:00: 1 replicas are to be deleted
            Ready=False ExtraPods since 12:00:00: 1 replicas are to be deleted"]],
    );
}

#[test]
fn our_own_kind_says_when_it_is_done() {
    check(
        "replicas=1 extras | a Running Ready",
        &nothing_done(),
        expect![[r"
            1 replicas, 1 labelled, 1 ready, 1 available, 0 terminating, generation 1, selector app=web
            Ready=True AllReplicasAvailable since 12:00:00: 1 of 1 replicas are available"]],
    );
    check(
        "replicas=0 extras |",
        &nothing_done(),
        expect![[r"
            0 replicas, 0 labelled, 0 ready, 0 available, 0 terminating, generation 1, selector app=web
            Ready=True AllReplicasAvailable since 12:00:00: 0 of 0 replicas are available"]],
    );
}

#[test]
fn our_own_kind_says_why_pods_are_missing() {
    check(
        "replicas=1 extras |",
        &failed(0, FailureReason::FailedCreate),
        expect![[r"
            0 replicas, 0 labelled, 0 ready, 0 available, 0 terminating, generation 1, selector app=web
            ReplicaFailure=True FailedCreate since 12:00:00: exceeded quota
            Reconciling=True FailedCreate since 12:00:00: exceeded quota
            Ready=False FailedCreate since 12:00:00: exceeded quota"]],
    );
}

#[test]
fn our_own_kind_says_what_a_user_must_mend() {
    check(
        "replicas=3 selector= extras | a Running",
        &nothing_done(),
        expect![[r"
            0 replicas, 0 labelled, 0 ready, 0 available, generation 1
            Stalled=True SelectingAll since 12:00:00: This replica set is selecting all pods. A non-empty selector is required.
            Ready=False SelectingAll since 12:00:00: This replica set is selecting all pods. A non-empty selector is required."]],
    );
}

#[test]
fn conditions_move_on_from_one_state_to_the_next() {
    let written = |from: &StatusWrite, text: &str| {
        let mut scene = Scene::parse(text);
        scene.set.status = from.status.clone();
        // An hour later, to tell transition times apart.
        for condition in &mut scene.set.status.conditions {
            condition.last_transition_time = condition
                .last_transition_time
                .map(|at| at - jiff::SignedDuration::from_hours(1));
        }
        status(&scene.observed(), &nothing_done()).unwrap()
    };
    let nothing = StatusWrite {
        status: ReplicaSetStatus::default(),
        may_wait: false,
    };
    let stalled = written(&nothing, "replicas=2 selector= extras |");
    let busy = written(&stalled, "replicas=2 extras | a Running Ready");
    expect![[r"
        1 replicas, 1 labelled, 1 ready, 1 available, 0 terminating, generation 1, selector app=web
        Ready=False LessLabelled since 11:00:00: 1 of 2 replicas exist
        Reconciling=True LessLabelled since 12:00:00: 1 of 2 replicas exist"]]
    .assert_eq(&render(Some(&busy)));
    let stuck = written(&busy, "replicas=2 selector= extras |");
    expect![[r"
        1 replicas, 1 labelled, 1 ready, 1 available, 0 terminating, generation 1, selector app=web
        Ready=False SelectingAll since 10:00:00: This replica set is selecting all pods. A non-empty selector is required.
        Stalled=True SelectingAll since 12:00:00: This replica set is selecting all pods. A non-empty selector is required."]]
    .assert_eq(&render(Some(&stuck)));
    let done = written(
        &busy,
        "replicas=2 extras | a Running Ready; b Running Ready",
    );
    expect![[r"
        2 replicas, 2 labelled, 2 ready, 2 available, 0 terminating, generation 1, selector app=web
        Ready=True AllReplicasAvailable since 12:00:00: 2 of 2 replicas are available"]]
    .assert_eq(&render(Some(&done)));
    let mut scene = Scene::parse("replicas=2 extras | a Running Ready; b Running Ready");
    scene.set.status = done.status;
    assert_eq!(status(&scene.observed(), &nothing_done()), None);
}

#[test]
fn conditions_of_others_stay() {
    let mut scene = Scene::parse("replicas=0 observed=1 status=0/0/0/0/0 failure=Foreign |");
    scene.set.status.conditions[0].kind = "Someone".to_owned();
    assert_eq!(status(&scene.observed(), &nothing_done()), None);
}

#[test]
fn a_status_serialises_as_the_api_has_it() {
    let scene = Scene::parse("replicas=2 | a Running Ready; b Running deleting");
    let status = status(&scene.observed(), &failed(0, FailureReason::FailedCreate))
        .map(|write| write.status);
    expect![[r#"
        {
          "replicas": 1,
          "fullyLabeledReplicas": 1,
          "readyReplicas": 1,
          "availableReplicas": 1,
          "terminatingReplicas": 1,
          "observedGeneration": 1,
          "conditions": [
            {
              "type": "ReplicaFailure",
              "status": "True",
              "lastTransitionTime": "2026-11-21T12:00:00Z",
              "reason": "FailedCreate",
              "message": "exceeded quota"
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&status).unwrap());
}

#[test]
fn a_generation_counts_as_observed_once_its_number_of_pods_is_made_right() {
    let halfway = "gen=2 replicas=4 status=1/1/0/0/0 | a Running";
    let counted = "gen=2 replicas=4 status=0/0/0/0/1 | a Running";
    check(halfway, &done(1, 0), expect!["unchanged"]);
    check(
        counted,
        &done(1, 0),
        expect!["1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 0"],
    );
    check(
        counted,
        &done(3, 0),
        expect!["later: 1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 2"],
    );
    check(
        counted,
        &failed(1, FailureReason::FailedCreate),
        expect![[r#"
        1 replicas, 1 labelled, 0 ready, 0 available, 0 terminating, generation 2
        ReplicaFailure=True FailedCreate since 12:00:00: exceeded quota"#]],
    );
}
