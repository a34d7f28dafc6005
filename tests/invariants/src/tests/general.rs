use ironkeel_runtime::resource::{
    NATIVE_DEPLOYMENTS as DEPLOYMENTS, NATIVE_REPLICA_SETS as SETS, PODS, Resource,
};
use serde_json::{Value, json};

use super::history::{C, History, U, owner, pod, set};
use crate::Writer;

const NOTHING: [&str; 0] = [];
const LEASES: Resource = Resource::new("coordination.k8s.io", "v1", "Lease", "leases");
const CONFIG_MAPS: Resource = Resource::new("", "v1", "ConfigMap", "configmaps");

#[test]
fn only_own_objects_are_deleted() {
    let mut history = History::new();
    history.set("a", 0);
    history.create(U, PODS, "mine", pod("a"));
    history.create(
        U,
        PODS,
        "orphan",
        json!({"metadata": {"labels": {"app": "web"}}}),
    );
    history.wait(10);
    assert_eq!(history.remove(C, PODS, "mine"), NOTHING);
    assert_eq!(history.remove(C, PODS, "orphan"), ["G1-owner"]);
}

#[test]
fn deployments_belong_to_users() {
    let mut history = History::new();
    history.deployment(1, "v1");
    assert_eq!(history.remove(C, DEPLOYMENTS, "web"), ["G1-owner"]);
}

#[test]
fn other_kinds_are_not_written() {
    let mut history = History::new();
    let object = json!({"metadata": {}});
    assert_eq!(history.create(U, CONFIG_MAPS, "x", object.clone()), NOTHING);
    assert_eq!(history.create(C, CONFIG_MAPS, "y", object), ["G1-foreign"]);
}

#[test]
fn a_create_has_one_controller_that_exists() {
    let mut history = History::new();
    history.set("a", 9);
    assert_eq!(history.pod("a", "a-1"), NOTHING);
    let mut orphan = pod("a");
    orphan["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(history.create(C, PODS, "a-2", orphan), ["G2-controller"]);
    let mut stranger = pod("a");
    stranger["metadata"]["ownerReferences"] = json!([owner("ReplicaSet", "a", "other")]);
    assert_eq!(history.create(C, PODS, "a-3", stranger), ["G2-controller"]);
    let mut misnamed = pod("a");
    misnamed["metadata"]["ownerReferences"] = json!([owner("ReplicaSet", "b", "a")]);
    assert_eq!(history.create(C, PODS, "a-4", misnamed), ["G2-controller"]);
}

fn orphan(history: &mut History, name: &str, app: &str) {
    let object = json!({"metadata": {"labels": {"app": app}}, "status": {"phase": "Running"}});
    assert_eq!(history.create(U, PODS, name, object), NOTHING);
}

fn own(history: &mut History, name: &str, set: &str) -> Vec<&'static str> {
    history.edit(C, PODS, name, |pod| {
        pod["metadata"]["ownerReferences"] = json!([owner("ReplicaSet", set, set)]);
    })
}

#[test]
fn a_matching_orphan_is_adopted_by_a_live_owner() {
    let mut history = History::new();
    history.set("a", 3);
    orphan(&mut history, "p", "web");
    assert_eq!(own(&mut history, "p", "a"), NOTHING);
    orphan(&mut history, "q", "db");
    assert_eq!(own(&mut history, "q", "a"), ["G1-adopt"]);
}

#[test]
fn an_owner_that_goes_adopts_nothing() {
    let mut history = History::new();
    history.set("a", 3);
    orphan(&mut history, "p", "web");
    orphan(&mut history, "q", "web");
    history.terminate(U, SETS, "a");
    assert_eq!(own(&mut history, "p", "a"), NOTHING, "read a moment before");
    history.wait(10);
    assert_eq!(own(&mut history, "q", "a"), ["G1-adopt"]);
}

#[test]
fn a_label_that_changed_behind_the_controller_is_nobodys_fault() {
    let mut history = History::new();
    history.set("a", 3);
    orphan(&mut history, "p", "web");
    history.edit(U, PODS, "p", |pod| {
        pod["metadata"]["labels"]["app"] = "db".into();
    });
    assert_eq!(own(&mut history, "p", "a"), NOTHING);
}

#[test]
fn only_what_the_selector_misses_is_released() {
    let release = |history: &mut History| {
        history.edit(C, PODS, "a-1", |pod| {
            pod["metadata"]["ownerReferences"] = json!([]);
        })
    };
    let mut history = History::new();
    history.set("a", 1);
    history.pod("a", "a-1");
    assert_eq!(release(&mut history), ["G1-release"]);

    let mut history = History::new();
    history.set("a", 1);
    history.pod("a", "a-1");
    history.edit(U, PODS, "a-1", |pod| {
        pod["metadata"]["labels"]["app"] = "db".into();
    });
    assert_eq!(release(&mut history), NOTHING);
}

#[test]
fn a_pod_is_not_stolen() {
    let mut history = History::new();
    history.set("a", 1);
    history.set("b", 1);
    history.pod("a", "a-1");
    assert_eq!(own(&mut history, "a-1", "b"), ["G3-steal"]);
}

#[test]
fn nothing_is_created_for_an_owner_that_is_known_to_go() {
    let mut history = History::new();
    history.set("a", 3);
    history.terminate(U, SETS, "a");
    assert_eq!(history.pod("a", "a-1"), NOTHING, "the watch may lag");
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.pod("a", "a-2"), ["G4-deleting"]);
}

#[test]
fn a_recreated_owner_inherits_no_create() {
    let mut history = History::new();
    history.set("a", 3);
    history.remove(U, SETS, "a");
    let mut again = set(3, "v1");
    again["metadata"]["uid"] = "a2".into();
    history.create(U, SETS, "a", again);
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.pod("a", "a-1"), ["G4-deleting"]);
}

#[test]
fn a_status_is_about_a_generation_that_was_there() {
    let status = |history: &mut History, observed: i64| {
        history.edit(C, SETS, "a", |set| {
            set["status"] = json!({"observedGeneration": observed});
        })
    };
    let mut history = History::new();
    history.set("a", 0);
    assert_eq!(status(&mut history, 1), NOTHING);
    for seconds in [1, 2] {
        history.edit(U, SETS, "a", |set| {
            set["spec"]["minReadySeconds"] = seconds.into();
        });
    }
    assert_eq!(status(&mut history, 2), NOTHING);
    assert_eq!(status(&mut history, 4), ["G5-generation"]);
    assert_eq!(status(&mut history, 3), ["G5-monotone"]);
}

#[test]
fn a_write_says_something() {
    let mut history = History::new();
    history.set("a", 0);
    let time = |history: &mut History, time: &str| {
        history.edit(C, SETS, "a", |set| {
            set["status"] = json!({"observedGeneration": 1, "conditions": [
                {"type": "Ready", "status": "True", "lastUpdateTime": time},
            ]});
        })
    };
    assert_eq!(time(&mut history, "2026-11-21T10:00:00Z"), NOTHING);
    assert_eq!(time(&mut history, "2026-11-21T10:00:01Z"), ["G5-noop"]);
    // Set right after a clock that was ahead.
    assert_eq!(time(&mut history, "2026-11-21T09:00:00Z"), NOTHING);
}

#[test]
fn what_others_wrote_stays() {
    let mut history = History::new();
    history.set("a", 0);
    history.edit(U, SETS, "a", |set| {
        set["metadata"]["annotations"] = json!({"mine": "x"});
        set["status"]["theirs"] = 1.into();
        set["status"]["conditions"] = json!([{"type": "Theirs", "status": "True"}]);
    });
    let mut change = |edit: &dyn Fn(&mut Value)| history.edit(C, SETS, "a", edit);
    assert_eq!(change(&|set| set["status"]["replicas"] = 0.into()), NOTHING);
    assert_eq!(
        change(&|set| set["metadata"]["annotations"] = json!({})),
        ["G9-fields"]
    );
    assert_eq!(
        change(&|set| set["status"]["theirs"] = 2.into()),
        ["G9-fields"]
    );
    assert_eq!(
        change(&|set| set["status"]["conditions"] = json!([])),
        ["G9-fields"]
    );
    assert_eq!(
        change(&|set| set["spec"]["template"] = json!({})),
        ["G9-fields"]
    );
    assert_eq!(
        change(&|set| set["metadata"]["labels"] = json!({})),
        ["G9-fields"]
    );
}

#[test]
fn annotations_of_a_deployment_are_handed_on() {
    let mut history = History::new();
    history.deployment(0, "v1");
    history.deployed_set("web-1", 0, "v1", 1);
    history.edit(U, DEPLOYMENTS, "web", |web| {
        web["metadata"]["annotations"] = json!({"note": "x"});
    });
    let mut note = |key: &str| {
        history.edit(C, SETS, "web-1", |set| {
            set["metadata"]["annotations"][key] = "x".into();
        })
    };
    assert_eq!(note("note"), NOTHING);
    assert_eq!(note("deployment.kubernetes.io/revision-history"), NOTHING);
    assert_eq!(note("invented"), ["G9-fields"]);
}

fn lease(history: &mut History, process: u32) {
    let writer = Writer::Controller(process);
    let name = format!("manager-{process}");
    let at = history.now().to_string();
    let found = history.create(
        writer,
        LEASES,
        "ironkeel",
        json!({"metadata": {}, "spec": {"holderIdentity": name, "renewTime": at}}),
    );
    assert_eq!(found, NOTHING);
}

#[test]
fn nothing_is_written_after_the_renew_deadline() {
    let mut history = History::new();
    history.set("a", 3);
    lease(&mut history, 1);
    history.wait(11);
    assert_eq!(
        history.pod("a", "a-1"),
        NOTHING,
        "ten seconds and one under way"
    );
    history.wait(1);
    assert_eq!(history.pod("a", "a-2"), ["G7-lease"]);
    lease(&mut history, 1);
    assert_eq!(history.pod("a", "a-3"), NOTHING);
    let other = history.create(Writer::Controller(2), PODS, "a-4", pod("a"));
    assert_eq!(
        other,
        ["G7-lease"],
        "it never led; late creates are not counted"
    );
}

#[test]
fn a_create_of_the_last_leader_counts_for_nobody() {
    let mut history = History::new();
    history.set("a", 1);
    lease(&mut history, 1);
    lease(&mut history, 2);
    let two = Writer::Controller(2);
    assert_eq!(history.create(two.clone(), PODS, "a-1", pod("a")), NOTHING);
    assert_eq!(history.pod("a", "a-2"), NOTHING, "it was under way");
    assert_eq!(history.create(two, PODS, "a-3", pod("a")), ["RS-replicas"]);
}

#[test]
fn no_finalizer_of_ours_is_left_behind() {
    let mut history = History::new();
    history.set("a", 3);
    let mut object = pod("a");
    object["metadata"]["finalizers"] = json!(["ironkeel.dev/hold"]);
    assert_eq!(history.create(C, PODS, "a-1", object), ["G8-finalizer"]);
    let mut object = pod("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    assert_eq!(history.create(C, PODS, "a-2", object), NOTHING);
}

#[test]
fn nothing_is_left_of_an_owner_that_is_gone() {
    let mut history = History::new();
    history.deployment(1, "v1");
    history.deployed_set("web-1", 1, "v1", 1);
    history.pod("web-1", "web-1-a");
    history.remove(U, DEPLOYMENTS, "web");
    let gc = Writer::GarbageCollector;
    assert!(history.end().contains(&"G8-leftover"));
    history.remove(gc.clone(), SETS, "web-1");
    assert_eq!(history.end(), ["G8-leftover"]);
    history.remove(gc, PODS, "web-1-a");
    assert_eq!(history.end(), NOTHING);
}
