//! The objects of the scenarios.

use serde_json::{Value, json};

/// Nobody serves this scheduler.
const SCHEDULER: &str = "nobody";

/// Whose kinds a scenario uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `apps/v1`.
    BuiltIn,
    /// `apps.ironkeel.dev/v1`.
    Ours,
}

impl Family {
    /// The `apiVersion` of Deployments and ReplicaSets.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::BuiltIn => "apps/v1",
            Self::Ours => "apps.ironkeel.dev/v1",
        }
    }
}

/// One pod's template: a small pod, as the published scale tests have it.
fn template(app: &str, revision: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": app } },
        "spec": {
            "schedulerName": SCHEDULER,
            "containers": [{
                "name": "pause",
                "image": "registry.k8s.io/pause:3.10",
                "env": [{ "name": "REVISION", "value": revision }],
                "resources": { "requests": { "cpu": "1m", "memory": "1Mi" } },
            }],
        },
    })
}

/// A ReplicaSet.
pub fn replica_set(family: Family, name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": family.api_version(),
        "kind": "ReplicaSet",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": template(name, "1"),
        },
    })
}

/// A Deployment that rolls with 25 % above and 25 % below.
pub fn deployment(family: Family, name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": family.api_version(),
        "kind": "Deployment",
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" },
            },
            "template": template(name, "1"),
        },
    })
}

/// A merge patch that gives the template of [`deployment`] `name` another revision.
pub fn next_revision(name: &str) -> Value {
    json!({ "spec": { "template": template(name, "2") } })
}

/// A pod as the ReplicaSet `owner` would have made it.
pub fn owned_pod(family: Family, owner: &str, uid: &str, number: u32) -> Value {
    let mut pod = template(owner, "1");
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(format!("{owner}-{number:05}"));
    pod["metadata"]["generateName"] = json!(format!("{owner}-"));
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": family.api_version(),
        "kind": "ReplicaSet",
        "name": owner,
        "uid": uid,
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
    pod
}
