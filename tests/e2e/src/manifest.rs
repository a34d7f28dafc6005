//! Manifests that the cases start from.

use serde_json::{Value, json};

use crate::target::Target;

/// An image that every test node has: serves HTTP, can be told to fail, understands SIGTERM.
pub const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.66.1";
/// Another image, so that a template differs by it.
pub const OTHER_IMAGE: &str = "registry.k8s.io/e2e-test-images/nginx:1.27.0-2";
/// An image that no node can get: its pods never become ready.
pub const MISSING_IMAGE: &str = "ironkeel.invalid/no-such-image:1";

/// A pod template with one container that is ready at once and ends at once when told to.
pub fn template(app: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": AGNHOST, "imagePullPolicy": "IfNotPresent", "args": ["pause"]}],
        },
    })
}

/// A Deployment of `replicas` pods labelled `app=<name>`.
pub fn deployment(target: Target, name: &str, replicas: i32) -> Value {
    workload(target, "Deployment", name, replicas)
}

/// A ReplicaSet of `replicas` pods labelled `app=<name>`.
pub fn replica_set(target: Target, name: &str, replicas: i32) -> Value {
    workload(target, "ReplicaSet", name, replicas)
}

fn workload(target: Target, kind: &str, name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": target.api_version(),
        "kind": kind,
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name),
        },
    })
}
