//! The situations of upstream's unit tables (1.37), and some that they leave out.

use std::fmt::Write;

use expect_test::{Expect, expect};

use super::fixture::*;
use super::show::{show_plan, show_status};
use super::*;

/// Lines of `name: scene`.
fn cases(text: &str) -> impl Iterator<Item = (&str, Scene)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (name, text) = line.split_once(": ").unwrap();
            (name, scene(text))
        })
}

/// The sizes that ReplicaSets have after the plan, those of new ones included.
fn check_sizes(text: &str, expected: &Expect) {
    let mut shown = String::new();
    for (name, scene) in cases(text) {
        let plan = plan(&scene.observed());
        let mut words: Vec<String> = Vec::new();
        for set in &scene.sets {
            let mut size = set.spec.replicas.unwrap_or(1).into();
            for action in &plan.actions {
                if let Action::PatchSet {
                    set: found, patch, ..
                } = action
                    && found.name == set.metadata.name
                    && let Some(replicas) = patch.pointer("/spec/replicas")
                {
                    size = replicas.as_i64().unwrap();
                }
            }
            words.push(format!("{}={size}", set.metadata.name));
        }
        for action in &plan.actions {
            if let Action::CreateSet { set, .. } = action {
                words.push(format!("new={}", set.replicas));
            }
        }
        writeln!(shown, "{name}: {}", words.join(" ")).unwrap();
    }
    expected.assert_eq(&shown);
}

/// Plans, one line each.
fn check_plans(text: &str, expected: &Expect) {
    let mut shown = String::new();
    for (name, scene) in cases(text) {
        let plan = show_plan(&plan(&scene.observed())).replace('\n', " / ");
        writeln!(shown, "{name}: {plan}").unwrap();
    }
    expected.assert_eq(&shown);
}

/// The condition `Progressing` after a sync that creates nothing.
fn check_progress(text: &str, expected: &Expect) {
    let mut shown = String::new();
    for (name, scene) in cases(text) {
        let write = status(&scene.observed(), &Outcome::default());
        let text = show_status(write.as_ref());
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with("Progressing"))
            .unwrap_or("none");
        writeln!(shown, "{name}: {}", line.trim()).unwrap();
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_scaling_is_shared_out() {
    check_sizes(
        "10 to 12: replicas=12 surge=0 unavailable=1 | web-b B 10 desired=10 max=10
         10 to 5: replicas=5 surge=0 unavailable=1 | web-b B 10 desired=10 max=10
         5 to 10: replicas=10 surge=0 unavailable=1 | web-a A 3 desired=5 max=5; web-b B 2 desired=5 max=5
         5 to 3: replicas=3 surge=0 unavailable=1 | web-a A 3 desired=5 max=5; web-b B 2 desired=5 max=5
         9 to 4: replicas=4 surge=0 unavailable=1 | web-a A 1 desired=9 max=9; web-b B 8 desired=9 max=9
         7 to 10: replicas=10 surge=0 unavailable=1 | web-x X 2 desired=7 max=7; web-a A 3 desired=7 max=7; web-b B 2 desired=7 max=7
         13 to 8: replicas=8 surge=0 unavailable=1 | web-x X 3 desired=13 max=13; web-a A 8 desired=13 max=13; web-b B 2 desired=13 max=13
         3 to 4: replicas=4 surge=0 unavailable=1 | web-x X 1 desired=3 max=3; web-a A 1 desired=3 max=3; web-b B 1 desired=3 max=3
         3 to 2: replicas=2 surge=0 unavailable=1 | web-x X 1 desired=3 max=3; web-a A 1 desired=3 max=3; web-b B 1 desired=3 max=3
         4 to 5 without a new set: replicas=5 surge=0 unavailable=1 | web-x X 2 desired=4 max=4; web-a A 2 desired=4 max=4
         6 to 0: replicas=0 surge=0 unavailable=1 | web-x X 1 desired=6 max=6; web-a A 2 desired=6 max=6; web-b B 3 desired=6 max=6
         0 to 6: replicas=6 surge=0 unavailable=1 | web-x X 0 desired=0 max=0; web-a A 0 desired=0 max=0; web-b B 0 desired=0 max=0
         a write that failed: replicas=5 surge=0 unavailable=1 | web-x X 1 desired=5 max=5; web-a A 1 desired=3 max=3; web-b B 2 desired=5 max=5
         surge pods: replicas=20 surge=2 unavailable=1 | web-a A 6 desired=10 max=12; web-b B 6 desired=10 max=12
         surge changes too: replicas=50 surge=6 unavailable=1 | web-a A 8 desired=10 max=13; web-b B 5 desired=10 max=13
         template changes too: replicas=14 surge=0 unavailable=1 | web-x X 3 desired=10 max=10; web-a A 7 desired=10 max=10
         saturated and broken: replicas=2 surge=1 unavailable=1 paused | web-a A 1; web-b B 2/0
         saturated and well: replicas=2 surge=1 unavailable=1 paused | web-a A 1; web-b B 2",
        &expect![[r#"
            10 to 12: web-b=12
            10 to 5: web-b=5
            5 to 10: web-a=6 web-b=4
            5 to 3: web-a=2 web-b=1
            9 to 4: web-a=0 web-b=4
            7 to 10: web-x=3 web-a=4 web-b=3
            13 to 8: web-x=2 web-a=5 web-b=1
            3 to 4: web-x=1 web-a=1 web-b=2
            3 to 2: web-x=0 web-a=1 web-b=1
            4 to 5 without a new set: web-x=2 web-a=3
            6 to 0: web-x=0 web-a=0 web-b=0
            0 to 6: web-x=0 web-a=0 web-b=6
            a write that failed: web-x=1 web-a=2 web-b=2
            surge pods: web-a=11 web-b=11
            surge changes too: web-a=34 web-b=22
            template changes too: web-x=4 web-a=10
            saturated and broken: web-a=1 web-b=2
            saturated and well: web-a=0 web-b=2
        "#]],
    );
}

#[test]
fn notes_that_make_no_sense_are_no_notes() {
    check_sizes(
        "no number: replicas=3 surge=0 unavailable=1 | web-b B 5 desired=abc max=abc
         negative: replicas=3 surge=0 unavailable=1 | web-b B 5 desired=-4 max=-4
         beyond 32 bits: replicas=3 surge=0 unavailable=1 | web-b B 5 desired=2147483648
         none at all: replicas=3 surge=1 unavailable=0 | web-a A 2 desired=- max=-; web-b B 2 desired=- max=-
         none and paused: replicas=6 surge=0 unavailable=1 paused status=4/2/4/4 | web-a A 2 desired=- max=-; web-b B 2 desired=- max=-
         maximum 0: replicas=8 surge=0 unavailable=1 status=4/2/4/4 | web-a A 2 desired=4 max=0; web-b B 2 desired=4 max=0
         maximum 0 without a status: replicas=8 surge=0 unavailable=1 | web-a A 2 desired=4 max=0; web-b B 2 desired=4 max=0",
        &expect![[r#"
            no number: web-b=3
            negative: web-b=3
            beyond 32 bits: web-b=3
            none at all: web-a=1 web-b=3
            none and paused: web-a=3 web-b=3
            maximum 0: web-a=4 web-b=4
            maximum 0 without a status: web-a=2 web-b=6
        "#]],
    );
}

#[test]
fn sizes_at_the_ends_of_the_range() {
    check_sizes(
        "a negative old set: replicas=3 | web-a A -5/0; web-b B 3
         a negative new set: replicas=3 | web-b B -5/0
         a negative set wanted at 0: replicas=0 | web-b B -5/0
         a negative count of available pods: replicas=3 surge=1 unavailable=0 | web-a A 3/-1; web-b B 1/0
         as many as there are numbers: replicas=2147483647 surge=100% unavailable=0 | web-b B 1 desired=2147483647
         proportions of large numbers: replicas=2147483647 surge=0 unavailable=1 | web-a A 1000000000 desired=2000000000 max=2000000000; web-b B 1000000000 desired=2000000000 max=2000000000
         more than there are numbers: replicas=5 surge=1 unavailable=1 | web-a A 2147483647 desired=5; web-b B 2147483647 desired=5
         a surge beyond the range: replicas=2147483640 surge=2147483647 unavailable=0 | web-a A 2147483640",
        &expect![[r#"
            a negative old set: web-a=-5 web-b=3
            a negative new set: web-b=3
            a negative set wanted at 0: web-b=-5
            a negative count of available pods: web-a=3 web-b=1
            as many as there are numbers: web-b=2147483647
            proportions of large numbers: web-a=1073741823 web-b=1073741824
            more than there are numbers: web-a=2147483647 web-b=5
            a surge beyond the range: web-a=2147483640 new=7
        "#]],
    );
}

#[test]
fn a_new_set_grows_within_the_surge() {
    check_sizes(
        "full: replicas=10 surge=2 unavailable=0 | web-a A 10/0; web-b B 2/0
         room for two: replicas=10 surge=2 unavailable=0 | web-a A 10; web-b B 0
         room for all that lack: replicas=10 surge=2 unavailable=0 | web-a A 5; web-b B 0
         no room: replicas=10 surge=0 unavailable=1 | web-a A 10/9; web-b B 0
         too large: replicas=10 surge=2 unavailable=0 | web-a A 2; web-b B 11
         a percentage of surge: replicas=3 surge=34% unavailable=0 | web-a A 3; web-b B 0
         over the top by itself: replicas=2 surge=1 unavailable=1 | web-a A 9/0; web-b B 0",
        &expect![[r#"
            full: web-a=10 web-b=2
            room for two: web-a=10 web-b=2
            room for all that lack: web-a=5 web-b=7
            no room: web-a=9 web-b=1
            too large: web-a=2 web-b=10
            a percentage of surge: web-a=3 web-b=2
            over the top by itself: web-a=1 web-b=2
        "#]],
    );
}

#[test]
fn old_sets_shrink_within_availability() {
    check_sizes(
        "one is broken: replicas=10 surge=1 unavailable=0 | web-a A 10/9; web-b B 1/0
         two may go: replicas=10 surge=1 unavailable=2 | web-a A 10; web-b B 1/0
         two are broken: replicas=10 surge=1 unavailable=2 | web-a A 10/8; web-b B 1/0
         one is broken and one may go: replicas=10 surge=1 unavailable=2 | web-a A 10/9; web-b B 1/0
         new pods are not there yet: replicas=10 surge=0 unavailable=2 | web-a A 8; web-b B 2/0
         new pods are there: replicas=10 surge=0 unavailable=2 | web-a A 8; web-b B 2/2
         more broken than may go: replicas=10 surge=0 unavailable=2 | web-a A 10/2; web-b B 0
         broken in two sets: replicas=12 surge=0 unavailable=6 | web-x X 8/5; web-a A 3/0; web-b B 1/0
         none is available: replicas=4 surge=1 unavailable=1 | web-a A 4/0; web-b B 1/0
         nothing but broken new pods: replicas=4 surge=1 unavailable=1 | web-a A 3; web-b B 2/0",
        &expect![[r#"
            one is broken: web-a=10 web-b=1
            two may go: web-a=8 web-b=3
            two are broken: web-a=8 web-b=3
            one is broken and one may go: web-a=8 web-b=3
            new pods are not there yet: web-a=8 web-b=2
            new pods are there: web-a=6 web-b=4
            more broken than may go: web-a=8 web-b=2
            broken in two sets: web-x=5 web-a=1 web-b=6
            none is available: web-a=3 web-b=2
            nothing but broken new pods: web-a=3 web-b=2
        "#]],
    );
}

#[test]
fn recreate_counts_pods_that_may_run() {
    check_sizes(
        "a status with pods: replicas=2 type=Recreate | web-a A 0 pods=1
         no pods: replicas=2 type=Recreate | web-a A 0
         no pods that it knows of: replicas=2 type=Recreate | web-a A 0 stale
         no answer ever: replicas=2 type=Recreate | web-a A 0 never
         no answer, and none to come: replicas=2 type=Recreate | web-a A 0 stale deleting
         pods of the new set: replicas=2 type=Recreate | web-a A 0; web-b B 0 | web-b: p Running
         a pod that failed: replicas=2 type=Recreate | web-a A 0 | web-a: p Failed
         a pod that ended: replicas=2 type=Recreate | web-a A 0 | web-a: p Succeeded
         a pod out of sight: replicas=2 type=Recreate | web-a A 0 | web-a: p Unknown
         a pod that waits: replicas=2 type=Recreate | web-a A 0 | web-a: p Pending
         one that failed and one that runs: replicas=2 type=Recreate | web-a A 0 | web-a: p Failed; web-a: q Running
         evicted and terminating: replicas=2 type=Recreate | web-a A 0 | web-a: p Failed deleting
         a new set that is too large: replicas=2 type=Recreate | web-a A 0; web-b B 5",
        &expect![[r#"
            a status with pods: web-a=0
            no pods: web-a=0 new=2
            no pods that it knows of: web-a=0
            no answer ever: web-a=0
            no answer, and none to come: web-a=0 new=2
            pods of the new set: web-a=0 web-b=2
            a pod that failed: web-a=0 new=2
            a pod that ended: web-a=0 new=2
            a pod out of sight: web-a=0
            a pod that waits: web-a=0
            one that failed and one that runs: web-a=0
            evicted and terminating: web-a=0 new=2
            a new set that is too large: web-a=0 web-b=2
        "#]],
    );
}

#[test]
fn recreate_in_the_middle_of_a_rolling_update_that_scales() {
    check_sizes(
        "old sets go first: replicas=12 type=Recreate | web-a A 8 desired=10 max=13; web-b B 5 desired=10 max=13
         without a new set: replicas=12 type=Recreate | web-x X 8 desired=10 max=13; web-a A 5 desired=10 max=13
         then the new one waits: replicas=12 type=Recreate | web-a A 0 desired=12 max=12; web-b B 5 desired=10 max=13 | web-a: p Running deleting
         then the new one grows: replicas=12 type=Recreate | web-a A 0 desired=12 max=12; web-b B 5 desired=10 max=13
         a pause keeps all: replicas=12 type=Recreate paused | web-a A 8 desired=10 max=13; web-b B 5 desired=10 max=13",
        &expect![[r#"
            old sets go first: web-a=0 web-b=5
            without a new set: web-x=0 web-a=0
            then the new one waits: web-a=0 web-b=5
            then the new one grows: web-a=0 web-b=12
            a pause keeps all: web-a=8 web-b=5
        "#]],
    );
}

#[test]
fn a_rollout_is_looked_at_again_when_its_deadline_passes() {
    check_plans(
        "no deadline: replicas=2 deadline=2147483647 cond=Progressing:True:ReplicaSetUpdated@1s | web-b B 2/1 rev=1
         no condition: replicas=2 rev=1 | web-b B 2/1 rev=1
         complete: replicas=2 rev=1 cond=Progressing:True:ReplicaSetUpdated@1s | web-b B 2 rev=1
         failed already: replicas=2 rev=1 deadline=60 cond=Progressing:False:ProgressDeadlineExceeded@1s | web-b B 2/1 rev=1
         some time left: replicas=2 rev=1 deadline=60 cond=Progressing:True:ReplicaSetUpdated@17s | web-b B 2/1 rev=1
         no time left: replicas=2 rev=1 deadline=60 cond=Progressing:True:ReplicaSetUpdated@90s | web-b B 2/1 rev=1
         resumed: replicas=2 rev=1 deadline=60 cond=Progressing:Unknown:DeploymentResumed@10s | web-b B 2/1 rev=1
         refused: replicas=2 rev=1 deadline=60 cond=Progressing:False:ReplicaSetCreateError@10s | web-b B 2/1 rev=1",
        &expect![[r#"
            no deadline: 
            no condition: 
            complete: 
            failed already: 
            some time left: again after 43s
            no time left: 
            resumed: again after 50s
            refused: again after 50s
        "#]],
    );
}

#[test]
fn progress_is_judged_by_counts_and_clock() {
    check_progress(
        "no deadline: replicas=3 deadline=2147483647 status=2/2/2/2/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-a A 0 pods=1; web-b B 3/2
         more updated: replicas=3 status=2/1/2/2/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-b B 3/2
         fewer old: replicas=3 status=5/3/2/2/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-a A 0 pods=1 ready=0; web-b B 3/2
         more ready: replicas=3 status=3/3/1/1/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-b B 3/1 ready=2
         more available: replicas=3 status=3/3/2/1/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-b B 3/2
         fewer ready: replicas=3 status=3/3/3/3/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-b B 3/2
         fewer updated: replicas=3 status=3/3/2/2/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-b B 3/2 pods=2
         out of time: replicas=3 deadline=60 status=3/3/2/2/0 cond=Progressing:True:ReplicaSetUpdated@61s | web-b B 3/2
         progress in the last moment: replicas=3 deadline=60 status=3/3/1/1/0 cond=Progressing:True:ReplicaSetUpdated@61s | web-b B 3/2
         progress behind the deadline: replicas=3 deadline=60 status=3/3/1/1/0 cond=Progressing:False:ProgressDeadlineExceeded@61s | web-b B 3/2
         complete behind the deadline: replicas=3 deadline=60 status=3/3/1/1/0 cond=Progressing:False:ProgressDeadlineExceeded@61s | web-b B 3
         a longer deadline behind the old one: replicas=3 deadline=900 gen=3 status=3/3/2/2/0 cond=Progressing:False:ProgressDeadlineExceeded@61s | web-b B 3/2
         a shorter deadline: replicas=3 deadline=20 gen=3 status=3/3/2/2/0 cond=Progressing:True:ReplicaSetUpdated@61s | web-b B 3/2
         complete and then fewer: replicas=3 status=3/3/3/3/0 deadline=60 cond=Progressing:True:NewReplicaSetAvailable@900s | web-b B 3/1
         no set and no pods: replicas=0 type=Recreate status=1/1/1/1/0 cond=Progressing:True:ReplicaSetUpdated@500s | web-a A 0 | web-a: p Running deleting
         a status beyond reason: replicas=3 status=-2147483648/2147483647/0/0/0 deadline=60 cond=Progressing:True:ReplicaSetUpdated@10s | web-b B 3/0",
        &expect![[r#"
            no deadline: none
            more updated: Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
            fewer old: Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
            more ready: Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
            more available: Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
            fewer ready: Progressing True ReplicaSetUpdated 500s ago: said before
            fewer updated: Progressing True ReplicaSetUpdated 500s ago: said before
            out of time: Progressing False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
            progress in the last moment: Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
            progress behind the deadline: Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
            complete behind the deadline: Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
            a longer deadline behind the old one: Progressing False ProgressDeadlineExceeded 61s ago: ReplicaSet "web-b" has timed out progressing.
            a shorter deadline: Progressing False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
            complete and then fewer: Progressing True NewReplicaSetAvailable 900s ago: ReplicaSet "web-b" has successfully progressed.
            no set and no pods: Progressing True NewReplicaSetAvailable: Deployment "web" has successfully progressed.
            a status beyond reason: Progressing True ReplicaSetUpdated 10s ago: said before
        "#]],
    );
}

#[test]
fn a_verdict_on_another_set_starts_the_clock_anew() {
    check_progress(
        "an undo at the end of the deadline: replicas=3 deadline=600 surge=1 unavailable=0 status=4/1/3/3/0 cond=Progressing:True:ReplicaSetUpdated@599s:web-c | web-b B 3/3; web-c C 1/0
         an undo behind it: replicas=3 deadline=600 surge=1 unavailable=0 status=4/3/3/3/0 cond=Progressing:True:NewReplicaSetCreated@700s:web-c | web-b B 3/3; web-c C 1/0
         found though it could not be created: replicas=3 status=3/3/0/0/0 cond=Progressing:False:ReplicaSetCreateError@700s | web-b B 3/0
         its own: replicas=3 status=3/3/0/0/0 cond=Progressing:True:NewReplicaSetCreated@700s:web-b | web-b B 3/0",
        &expect![[r#"
            an undo at the end of the deadline: Progressing True ReplicaSetUpdated: ReplicaSet "web-b" is progressing.
            an undo behind it: Progressing True FoundNewReplicaSet: Found new replica set "web-b"
            found though it could not be created: Progressing True FoundNewReplicaSet: Found new replica set "web-b"
            its own: Progressing False ProgressDeadlineExceeded: ReplicaSet "web-b" has timed out progressing.
        "#]],
    );
}

#[test]
fn a_legacy_rollback_knows_which_revision_was_the_last() {
    check_plans(
        "returned to and not yet numbered: replicas=1 ann=deprecated.deployment.rollback.to=0 | web-b B 0 rev=1; web-c C 1 rev=2
         below zero: replicas=1 ann=deprecated.deployment.rollback.to=-3 | web-a A 0 rev=1; web-b B 1 rev=2
         a number beyond 64 bits: replicas=1 rev=2 ann=deprecated.deployment.rollback.to=99999999999999999999 | web-a A 0 rev=1; web-b B 1 rev=2
         while paused, history stays: replicas=1 paused history=0 rev=2 ann=deprecated.deployment.rollback.to=1 | web-a A 0 rev=1; web-b B 1 rev=2",
        &expect![[r#"
            returned to and not yet numbered: patch deployment -deprecated.deployment.rollback.to template={"spec":{"containers":[{"image":"C","name":"c"}]}} (Normal DeploymentRollback: Rolled back deployment "web" to revision 2)
            below zero: patch deployment -deprecated.deployment.rollback.to / event Warning DeploymentRollbackRevisionNotFound: Unable to find the revision to rollback to.
            a number beyond 64 bits: 
            while paused, history stays: 
        "#]],
    );
}

#[test]
fn an_automatic_rollback_ends() {
    check_plans(
        "asked for again before it was marked: own rollback replicas=3 surge=1 unavailable=0 rev=2 ann=deployment.ironkeel.dev/rollback={\"from\":\"web-b\",\"fromRevision\":2,\"to\":\"web-a\",\"toRevision\":1} cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=3 completed=1; web-b B 1/0 rev=4
         asked for again and marked: own rollback replicas=3 surge=1 unavailable=0 rev=4 cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=3 completed=1; web-b B 1/0 rev=4 rolledback
         switched on behind the deadline, seen: own rollback gen=3 observed=3 replicas=3 surge=1 unavailable=0 rev=2 cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-b B 1/0 rev=2
         switched on behind the deadline, not yet seen: own rollback gen=3 observed=2 replicas=3 surge=1 unavailable=0 rev=2 cond=Progressing:False:ProgressDeadlineExceeded | web-a A 3 rev=1 completed=1; web-b B 1/0 rev=2
         written and then a crash: own rollback replicas=3 surge=1 unavailable=0 rev=2 ann=deployment.ironkeel.dev/rollback={\"from\":\"web-c\",\"fromRevision\":2,\"to\":\"web-b\",\"toRevision\":1} cond=Progressing:False:ProgressDeadlineExceeded:web-c | web-b B 3 rev=1 completed=1; web-c C 1/0 rev=2
         edited in between: own rollback tpl=D replicas=3 surge=1 unavailable=0 rev=2 ann=deployment.ironkeel.dev/rollback={\"from\":\"web-c\",\"fromRevision\":2,\"to\":\"web-b\",\"toRevision\":1} cond=Progressing:False:ProgressDeadlineExceeded:web-c | web-b B 3 rev=1 completed=1; web-c C 1/0 rev=2
         the failed set is gone: own rollback replicas=3 surge=1 unavailable=0 rev=3 ann=deployment.ironkeel.dev/rollback={\"from\":\"web-c\",\"fromRevision\":2,\"to\":\"web-b\",\"toRevision\":1} cond=Progressing:False:ProgressDeadlineExceeded | web-a A 0 rev=0 completed=0; web-b B 3/1 rev=3 completed=1",
        &expect![[r#"
            asked for again before it was marked: patch web-b deployment.ironkeel.dev/rolled-back-revision=2 / patch deployment -deployment.ironkeel.dev/rollback revision=4
            asked for again and marked: 
            switched on behind the deadline, seen: patch deployment deployment.ironkeel.dev/rollback={"from":"web-b","fromRevision":2,"to":"web-a","toRevision":1} template={"spec":{"containers":[{"image":"A","name":"c"}]}} (Normal DeploymentRolledBack: Rolled back deployment "web" from revision 2 to revision 1: the progress deadline passed)
            switched on behind the deadline, not yet seen: 
            written and then a crash: patch web-c deployment.ironkeel.dev/rolled-back-revision=2 replicas=0 (Normal ScalingReplicaSet: Scaled down replica set web-c from 1 to 0) / patch web-b revision=3 revision-history=1 / patch deployment revision=3
            edited in between: create web-855c595488 replicas=0 desired-replicas=3 max-replicas=4 revision=3 / patch web-c deployment.ironkeel.dev/rolled-back-revision=2 / patch deployment revision=3
            the failed set is gone: 
        "#]],
    );
}

#[test]
fn a_set_that_was_never_observed_has_no_terminating_pods() {
    for text in [
        "own replicas=3 | web-a A 3 term=2; web-b B 1 never",
        "own replicas=3 | web-a A 3 term=2; web-b B 1 unsynced",
    ] {
        let scene = scene(text);
        let write = status(&scene.observed(), &Outcome::default()).unwrap();
        assert_eq!(write.status.terminating_replicas, Some(2), "{text}");
    }
}

#[test]
fn what_was_never_observed_is_written_whatever_it_says() {
    check_progress(
        "a first status: own gen=1 observed=-1 replicas=0 | web-b B 0 never",
        &expect![[r#"
            a first status: Progressing True NewReplicaSetAvailable: ReplicaSet "web-b" has successfully progressed.
        "#]],
    );
    check_plans(
        "is kept from cleanup: own replicas=1 history=0 rev=2 | web-a A 0 rev=1 never; web-b B 1 rev=2
         holds healthy pods: own replicas=3 surge=1 unavailable=0 rev=2 | web-a A 3 rev=1; web-x X 0 rev=0 never; web-b B 1 rev=2",
        &expect![[r#"
            is kept from cleanup: 
            holds healthy pods: 
        "#]],
    );
}

#[test]
fn a_refusal_is_no_matter_of_time_or_progress() {
    let mut shown = String::new();
    for (name, scene) in cases(
        "long ago: replicas=1 deadline=60 status=1/0/1/1/0 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ReplicaSetCreateError@900s | web-a A 1 rev=1
         old pods come up: replicas=2 deadline=60 status=2/0/1/1/0 cond=Progressing:False:ReplicaSetCreateError@9s | web-a A 2 rev=1
         nothing is wanted: replicas=0 deadline=60 cond=Available:True:MinimumReplicasAvailable cond=Progressing:False:ReplicaSetCreateError@9s | web-a A 0 rev=1
         missed before: replicas=1 deadline=60 cond=Progressing:False:ProgressDeadlineExceeded@9s | web-a A 1 rev=1
         no deadline: replicas=1 deadline=2147483647 cond=Progressing:False:ReplicaSetCreateError@9s | web-a A 1 rev=1",
    ) {
        let outcome = Outcome {
            creation: Creation::Failed {
                message: "exceeded quota".to_owned(),
                permanent: false,
            },
        };
        let write = status(&scene.observed(), &outcome);
        writeln!(shown, "{name}: {}", show_status(write.as_ref())).unwrap();
    }
    expect![[r#"
        long ago: status unchanged
        old pods come up: status available=2 ready=2
          Progressing False ReplicaSetCreateError 9s ago: said before
          Available True MinimumReplicasAvailable: Deployment has minimum availability.
        nothing is wanted: status terminating=0
        missed before: status available=1 ready=1 replicas=1 terminating=0
          Available True MinimumReplicasAvailable: Deployment has minimum availability.
          Progressing False ReplicaSetCreateError: Failed to create new replica set "web-5f4c5f5fc8": exceeded quota
        no deadline: status available=1 ready=1 replicas=1 terminating=0
          Available True MinimumReplicasAvailable: Deployment has minimum availability.
    "#]].assert_eq(&shown);
}

#[test]
fn a_label_that_is_no_text_costs_no_other() {
    let mut scene = scene("replicas=1 | ");
    let mut template = Value::clone(&scene.deployment.spec.template.0);
    template["metadata"]["labels"]["empty"] = Value::Null;
    scene.deployment.spec.template = Template(Arc::new(template));
    let plan = plan(&scene.observed());
    let Some(Action::CreateSet { set, .. }) = plan.actions.first() else {
        panic!("{plan:?}");
    };
    assert!(scene.deployment.spec.selector.matches_map(&set.labels));
    assert!(set.selector.matches_map(&set.labels));
}
