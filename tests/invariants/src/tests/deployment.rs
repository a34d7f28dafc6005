use ironkeel_runtime::resource::{
    NATIVE_DEPLOYMENTS as DEPLOYMENTS, NATIVE_REPLICA_SETS as SETS, PODS,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::history::{C, History, U, template};

use crate::Rules;

const NOTHING: [&str; 0] = [];

/// Three pods of `v1`, all ready and told, and the Deployment's template then changed to `v2`.
fn rolling() -> History {
    let mut history = History::new();
    history.deployment(3, "v1");
    assert_eq!(history.deployed_set("web-1", 3, "v1", 1), NOTHING);
    let pods = ["web-1-a", "web-1-b", "web-1-c"];
    for pod in pods {
        assert_eq!(history.pod("web-1", pod), NOTHING);
    }
    history.ready(&pods);
    assert_eq!(history.tell("web-1", 3, 3), NOTHING);
    assert_eq!(status(&mut history, 3, true), NOTHING);
    change(&mut history, |spec| spec["template"] = template("v2"));
    history
}

/// The user changes the Deployment's spec.
fn change(history: &mut History, edit: impl FnOnce(&mut Value)) {
    let found = history.edit(U, DEPLOYMENTS, "web", |web| edit(&mut web["spec"]));
    assert_eq!(found, NOTHING);
}

/// The controller writes the Deployment's status, all pods being of the present template.
fn status(history: &mut History, pods: i64, complete: bool) -> Vec<&'static str> {
    let at = history.now().to_string();
    let reason = if complete {
        "NewReplicaSetAvailable"
    } else {
        "ReplicaSetUpdated"
    };
    history.edit(C, DEPLOYMENTS, "web", |web| {
        let generation = web["metadata"]["generation"].clone();
        web["status"] = json!({
            "observedGeneration": generation, "replicas": pods, "updatedReplicas": pods,
            "readyReplicas": pods, "availableReplicas": pods,
            "conditions": [{
                "type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": at,
            }],
        });
    })
}

#[test]
fn sizes_stay_within_the_surge() {
    let mut history = rolling();
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);
    assert_eq!(history.scale(C, "web-2", 2), ["D-surge"]);

    let mut history = rolling();
    assert_eq!(history.deployed_set("web-2", 2, "v2", 2), ["D-surge"]);
}

#[test]
fn an_older_spec_may_still_be_carried_out() {
    let mut history = rolling();
    change(&mut history, |spec| spec["replicas"] = 2.into());
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);

    let mut history = rolling();
    change(&mut history, |spec| spec["replicas"] = 2.into());
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), ["D-surge"]);
}

#[test]
fn a_set_that_the_user_grew_is_not_the_controllers_surge() {
    let mut history = rolling();
    history.scale(U, "web-1", 9);
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);
}

#[test]
fn available_pods_go_only_while_enough_are_left() {
    let mut history = rolling();
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.scale(C, "web-1", 2), NOTHING);
    assert_eq!(history.scale(C, "web-1", 1), ["D-available"]);
}

#[test]
fn new_pods_that_are_available_replace_old_ones() {
    let mut history = rolling();
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);
    assert_eq!(history.pod("web-2", "web-2-a"), NOTHING);
    history.ready(&["web-2-a"]);
    history.wait(5);
    assert_eq!(history.scale(C, "web-1", 1), NOTHING);
    assert_eq!(history.scale(C, "web-1", 0), ["D-available"]);
}

/// Two old sets of which one does not work, and a view of which it is known how old it is.
#[test]
fn what_does_not_work_goes_before_what_works() {
    let broken = || {
        let mut history = History::with(Rules {
            view_age: Some(SignedDuration::from_secs(1)),
            ..Rules::default()
        });
        history.deployment(3, "v1");
        history.deployed_set("web-1", 2, "v1", 1);
        for pod in ["web-1-a", "web-1-b"] {
            history.pod("web-1", pod);
        }
        history.ready(&["web-1-a", "web-1-b"]);
        change(&mut history, |spec| spec["template"] = template("v2"));
        history.wait(5);
        assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);
        change(&mut history, |spec| spec["template"] = template("v3"));
        history.wait(5);
        history
    };
    assert_eq!(broken().scale(C, "web-2", 0), NOTHING);
    assert_eq!(broken().scale(C, "web-1", 1), ["D-available"]);
}

#[test]
fn a_scaling_shrinks_every_set() {
    let mut history = rolling();
    change(&mut history, |spec| spec["replicas"] = 1.into());
    let found = history.edit(C, SETS, "web-1", |set| {
        set["spec"]["replicas"] = 1.into();
        set["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = "1".into();
    });
    assert_eq!(found, NOTHING);
}

fn recreating() -> History {
    let mut history = rolling();
    change(&mut history, |spec| {
        spec["strategy"] = json!({"type": "Recreate"});
    });
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.scale(C, "web-1", 0), NOTHING);
    history
}

#[test]
fn recreate_waits_for_the_old_pods() {
    let mut history = recreating();
    assert_eq!(history.deployed_set("web-2", 3, "v2", 2), ["D-recreate"]);

    let mut history = recreating();
    for pod in ["web-1-a", "web-1-b", "web-1-c"] {
        history.remove(C, PODS, pod);
    }
    assert_eq!(history.deployed_set("web-2", 3, "v2", 2), NOTHING);
}

#[test]
fn a_pause_is_kept() {
    let mut history = rolling();
    change(&mut history, |spec| spec["paused"] = true.into());
    assert_eq!(
        history.deployed_set("web-2", 1, "v2", 2),
        NOTHING,
        "the watch may lag"
    );

    let mut history = rolling();
    change(&mut history, |spec| spec["paused"] = true.into());
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), ["D-paused"]);
}

#[test]
fn a_deployment_that_goes_gets_no_set() {
    let mut history = rolling();
    history.terminate(U, DEPLOYMENTS, "web");
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), ["G4-deleting"]);
}

#[test]
fn a_template_has_one_set() {
    let mut history = rolling();
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);
    assert_eq!(history.deployed_set("web-3", 0, "v2", 3), ["D-one-new"]);
}

#[test]
fn revisions_rise() {
    let number = |history: &mut History, number: &str| {
        history.edit(C, SETS, "web-1", |set| {
            set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = number.into();
        })
    };
    let mut history = rolling();
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);
    assert_eq!(number(&mut history, "3"), NOTHING);
    assert_eq!(number(&mut history, "2"), ["D-revision", "D-revision"]);
    let mut history = rolling();
    assert_eq!(history.deployed_set("web-2", 1, "v2", 1), ["D-revision"]);
}

/// An old set without pods that has answered, beside the new one; `limit` old ones are kept.
fn finished(limit: i64) -> History {
    let mut history = rolling();
    change(&mut history, |spec| {
        spec["revisionHistoryLimit"] = limit.into();
    });
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.deployed_set("web-2", 1, "v2", 2), NOTHING);
    for size in [2, 0] {
        let found = history.edit(C, SETS, "web-1", |set| {
            set["spec"]["replicas"] = size.into();
            set["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] =
                size.to_string().into();
        });
        assert_eq!(found, NOTHING);
    }
    history
}

fn empty(history: &mut History) {
    history.wait(10);
    for pod in ["web-1-a", "web-1-b", "web-1-c"] {
        assert_eq!(history.remove(C, PODS, pod), NOTHING);
    }
    assert_eq!(history.tell("web-1", 0, 0), NOTHING);
}

#[test]
fn only_empty_old_sets_beyond_the_limit_go() {
    let mut history = finished(0);
    empty(&mut history);
    assert_eq!(history.remove(C, SETS, "web-1"), NOTHING);

    let mut history = finished(0);
    assert_eq!(
        history.remove(C, SETS, "web-1"),
        ["D-history"],
        "it has pods"
    );

    let mut history = finished(1);
    empty(&mut history);
    assert_eq!(
        history.remove(C, SETS, "web-1"),
        ["D-history"],
        "one is kept"
    );
}

#[test]
fn a_generation_is_observed_once_its_set_is_there() {
    let mut history = rolling();
    assert_eq!(status(&mut history, 3, false), ["G5-acted"]);

    let mut history = rolling();
    history.deployed_set("web-2", 1, "v2", 2);
    assert_eq!(status(&mut history, 3, false), NOTHING);
}

#[test]
fn a_scaling_is_observed_once_the_set_has_its_size() {
    let mut history = rolling();
    change(&mut history, |spec| {
        spec["template"] = template("v1");
        spec["replicas"] = 4.into();
    });
    assert_eq!(status(&mut history, 3, false), ["G5-acted"]);
    history.scale(C, "web-1", 4);
    change(&mut history, |spec| spec["minReadySeconds"] = 1.into());
    assert_eq!(status(&mut history, 3, false), NOTHING);
}

#[test]
fn complete_means_that_all_were_ready() {
    let mut history = rolling();
    history.deployed_set("web-2", 1, "v2", 2);
    assert_eq!(status(&mut history, 3, false), NOTHING);
    assert_eq!(status(&mut history, 3, true), ["D-complete"]);
}

#[test]
fn the_end_of_a_rollout_whose_pods_work_is_complete() {
    let mut history = History::new();
    history.deployment(1, "v1");
    history.deployed_set("web-1", 1, "v1", 1);
    history.pod("web-1", "web-1-a");
    history.ready(&["web-1-a"]);
    history.tell("web-1", 1, 1);
    assert_eq!(history.end(), ["D-settled", "D-settled", "D-settled"]);
    assert_eq!(status(&mut history, 1, false), NOTHING);
    assert_eq!(history.end(), ["D-settled"]);
    assert_eq!(status(&mut history, 1, true), NOTHING);
    assert_eq!(history.end(), NOTHING);
    change(&mut history, |spec| spec["template"] = template("v2"));
    assert_eq!(history.end(), ["D-settled", "D-settled", "D-settled"]);
}

#[test]
fn a_rollout_without_progress_is_called_failed() {
    let mut history = History::new();
    history.deployment(1, "v1");
    history.deployed_set("web-1", 1, "v1", 1);
    history.pod("web-1", "web-1-a");
    history.tell("web-1", 1, 0);
    let found = history.edit(C, DEPLOYMENTS, "web", |web| {
        web["status"] = json!({
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
            "conditions": [{
                "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated",
                "lastUpdateTime": "2026-11-21T10:00:00Z",
            }],
        });
    });
    assert_eq!(found, NOTHING);
    history.wait(600);
    assert_eq!(history.end(), NOTHING);
    history.wait(61);
    assert_eq!(history.end(), ["D-deadline"]);
}
