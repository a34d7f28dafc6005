//! Manifests of stories.

use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::{REPLICATION_CONTROLLERS, Resource};
use serde_json::{Value, json};

use super::{Kinds, NAMESPACE, Target};
use crate::api::resource::{NAMESPACES, RESOURCE_QUOTAS};
use crate::expect::STRANGER;

/// The label value of the workload that most stories are about.
pub(crate) const APP: &str = "web";
/// The label value of a pod that was taken out of its set.
pub(crate) const LOOSE: &str = "loose";

/// A pod template with one container.
pub(crate) fn template(app: &str, image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [container(image)]},
    })
}

fn container(image: &str) -> Value {
    json!({"name": "main", "image": image})
}

/// A Deployment of `replicas` pods.
pub(crate) fn deployment(kinds: Kinds, app: &str, replicas: i32, image: &str) -> Value {
    workload(kinds.deployments(), app, replicas, image)
}

/// A ReplicaSet of `replicas` pods.
pub(crate) fn replica_set(kinds: Kinds, app: &str, replicas: i32, image: &str) -> Value {
    workload(kinds.replica_sets(), app, replicas, image)
}

/// A ReplicationController of `replicas` pods.
pub(crate) fn replication_controller(app: &str, replicas: i32, image: &str) -> Value {
    let mut controller = workload(REPLICATION_CONTROLLERS, app, replicas, image);
    controller["spec"]["selector"] = json!({"app": app});
    controller
}

fn workload(resource: Resource, app: &str, replicas: i32, image: &str) -> Value {
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": {"name": app, "namespace": NAMESPACE, "labels": {"app": app}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": template(app, image),
        },
    })
}

/// A pod without owner.
pub(crate) fn pod(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": [container("web:1")]},
    })
}

/// A set of somebody else, without pods, that no Deployment of a story selects.
pub(crate) fn stranger_set(kinds: Kinds, name: &str) -> Value {
    let labels = json!({STRANGER: "yes", "app": "theirs"});
    json!({
        "apiVersion": kinds.replica_sets().api_version(),
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container("theirs:1")]}},
        },
    })
}

/// A set of somebody else whose pods carry the label of the story's workload and one more.
pub(crate) fn neighbour_set(kinds: Kinds, replicas: i32) -> Value {
    let mut set = stranger_set(kinds, "neighbour");
    let labels = json!({"app": APP, "team": "theirs"});
    set["spec"]["replicas"] = json!(replicas);
    set["spec"]["selector"] = json!({"matchLabels": labels});
    set["spec"]["template"]["metadata"]["labels"] = labels;
    set
}

/// A quota of pods.
pub(crate) fn quota(pods: i32) -> Value {
    json!({
        "apiVersion": RESOURCE_QUOTAS.api_version(),
        "kind": RESOURCE_QUOTAS.kind,
        "metadata": {"name": "pods", "namespace": NAMESPACE},
        "spec": {"hard": {"pods": pods.to_string()}},
    })
}

/// The patch that gives a workload another image, which starts a rollout.
pub(crate) fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [container(image)]}}}})
}

/// The namespace of the story itself.
pub(crate) fn namespace() -> Target {
    Target {
        resource: NAMESPACES,
        key: Key::new("", NAMESPACE),
    }
}
