//! The end of small runs, by hand.

use ironkeel_runtime::resource::NATIVE_DEPLOYMENTS;
use serde_json::json;

use super::*;
use crate::scenario::{Deed, Propagation, manifest};

const KINDS: Kinds = Kinds::Native;

fn done(deed: Deed) -> Done {
    Done {
        deed,
        on: None,
        refused: None,
    }
}

fn created(replicas: i32, image: &str) -> Done {
    done(Deed::Create(manifest::deployment(
        KINDS, "web", replicas, image,
    )))
}

/// A Deployment of `replicas` pods that is as it should be.
fn good(replicas: i64, image: &str) -> End {
    let mut end = End::default();
    let size = i32::try_from(replicas).unwrap();
    let mut deployment = manifest::deployment(KINDS, "web", size, image);
    deployment["metadata"]["uid"] = json!("d");
    deployment["metadata"]["generation"] = json!(1);
    deployment["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
    deployment["status"] = json!({
        "observedGeneration": 1,
        "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    });
    put(&mut end, KINDS.deployments(), "web", deployment);
    let mut set = manifest::replica_set(KINDS, "web", size, image);
    let labels = json!({"app": "web", "pod-template-hash": "x"});
    set["metadata"] = json!({
        "name": "web-x", "uid": "s", "namespace": NAMESPACE, "generation": 1, "labels": labels,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": [{"name": "web", "uid": "d", "controller": true}],
    });
    set["spec"]["selector"]["matchLabels"] = labels.clone();
    set["spec"]["template"]["metadata"]["labels"] = labels.clone();
    set["status"] = json!({
        "observedGeneration": 1, "replicas": replicas, "fullyLabeledReplicas": replicas, "readyReplicas": replicas,
        "availableReplicas": replicas,
    });
    put(&mut end, KINDS.replica_sets(), "web-x", set);
    for number in 0..replicas {
        let name = format!("web-x-{number}");
        let mut pod = manifest::pod(&name, &labels);
        pod["metadata"]["uid"] = json!(name);
        pod["metadata"]["ownerReferences"] =
            json!([{"name": "web-x", "uid": "s", "controller": true}]);
        pod["spec"]["containers"][0]["image"] = json!(image);
        pod["status"] =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        put(&mut end, PODS, &name, pod);
    }
    end
}

fn put(end: &mut End, resource: Resource, name: &str, object: Value) {
    end.0.insert(Target::new(resource, name), Arc::new(object));
}

fn change(end: &mut End, resource: Resource, name: &str, pointer: &str, value: Value) {
    let object = end.0.get_mut(&Target::new(resource, name)).unwrap();
    *Arc::make_mut(object).pointer_mut(pointer).unwrap() = value;
}

fn rules(done: &[Done], end: &End) -> Vec<&'static str> {
    let mut rules: Vec<&str> = judge(KINDS, done, end)
        .iter()
        .map(|violation| violation.rule)
        .collect();
    rules.dedup();
    rules
}

#[test]
fn what_is_as_it_was_asked_for_is_good() {
    let end = good(2, "web:1");
    let found = judge(KINDS, &[created(2, "web:1")], &end);
    assert_eq!(found, [], "{found:?}");
    assert_eq!(rules(&[created(0, "web:1")], &good(0, "web:1")), [""; 0]);
}

#[test]
fn each_thing_that_is_wrong_is_told() {
    let web = Target::new(NATIVE_DEPLOYMENTS, "web");
    let asked = [created(2, "web:1")];
    let wrong = |spoil: &dyn Fn(&mut End)| {
        let mut end = good(2, "web:1");
        spoil(&mut end);
        rules(&asked, &end)
    };
    let lacks_a_pod = wrong(&|end| {
        end.0.remove(&Target::new(PODS, "web-x-0"));
    });
    assert!(lacks_a_pod.contains(&"END-status"), "{lacks_a_pod:?}");
    let set = KINDS.replica_sets();
    let deployments = KINDS.deployments();
    for (resource, name, pointer, value, rule) in [
        (
            deployments,
            "web",
            "/status/updatedReplicas",
            json!(1),
            "END-complete",
        ),
        (
            deployments,
            "web",
            "/status/observedGeneration",
            json!(0),
            "END-status",
        ),
        (
            deployments,
            "web",
            "/status/conditions/1/reason",
            json!("ReplicaSetUpdated"),
            "END-conditions",
        ),
        (deployments, "web", "/spec/replicas", json!(3), "END-spec"),
        (set, "web-x", "/spec/replicas", json!(3), "END-sizes"),
        (
            set,
            "web-x",
            "/status/readyReplicas",
            json!(1),
            "END-status",
        ),
        (
            set,
            "web-x",
            "/metadata/ownerReferences/0/uid",
            json!("gone"),
            "END-leftovers",
        ),
        (
            PODS,
            "web-x-0",
            "/metadata/labels/app",
            json!("other"),
            "END-release",
        ),
        (
            PODS,
            "web-x-0",
            "/metadata/ownerReferences",
            json!([]),
            "END-adoption",
        ),
        (
            PODS,
            "web-x-0",
            "/spec/containers/0/image",
            json!("web:0"),
            "END-template",
        ),
    ] {
        let found = wrong(&|end| change(end, resource, name, pointer, value.clone()));
        assert!(found.contains(&rule), "{pointer}: {found:?}, not {rule}");
    }
    // Deleted, and everything is there.
    let delete = done(Deed::Delete(web, Propagation::Background));
    let found = rules(&[created(2, "web:1"), delete], &good(2, "web:1"));
    assert!(found.contains(&"END-deleted"), "{found:?}");
    // Never made at all.
    assert_eq!(rules(&asked, &End::default()), ["END-there"]);
}

#[test]
fn a_rollout_that_cannot_go_on_says_so_and_keeps_enough() {
    let web = Target::new(NATIVE_DEPLOYMENTS, "web");
    let asked = [
        created(2, "web:1"),
        done(Deed::Merge(web, manifest::image("broken:2"))),
    ];
    // Nothing was done about the new image.
    let mut end = good(2, "web:1");
    change(&mut end, KINDS.deployments(), "web", "/spec/template", {
        manifest::template("web", "broken:2")
    });
    let found = rules(&asked, &end);
    assert!(found.contains(&"END-conditions"), "{found:?}");
}

#[test]
fn strangers_stay_as_they_are() {
    let made = manifest::pod("theirs", &json!({"app": "theirs", STRANGER: "yes"}));
    let asked = [done(Deed::Create(made.clone()))];
    let mut end = End::default();
    let mut pod = made;
    pod["metadata"]["uid"] = json!("p");
    pod["status"] = json!({"phase": "Running"});
    put(&mut end, PODS, "theirs", pod);
    assert_eq!(rules(&asked, &end), [""; 0]);
    change(
        &mut end,
        PODS,
        "theirs",
        "/metadata/labels",
        json!({"app": "web"}),
    );
    assert_eq!(rules(&asked, &end), ["END-strangers"]);
    assert_eq!(rules(&asked, &End::default()), ["END-strangers"]);
}

#[test]
fn what_the_server_refused_is_told_and_not_expected() {
    let refused = Done {
        refused: Some("409 taken".to_owned()),
        ..created(2, "web:1")
    };
    assert_eq!(rules(&[refused], &End::default()), ["END-refused"]);
}
