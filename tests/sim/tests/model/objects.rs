//! Objects that random requests are made of, good ones and bad ones.

use ironkeel_runtime::resource::{PODS, REPLICATION_CONTROLLERS, Resource};
use ironkeel_sim::api::resource::LEASES;
use serde_json::{Value, json};

use crate::dice::Dice;

/// A pod's spec with one container.
fn pod_spec(dice: &mut Dice) -> Value {
    let image = dice.pick(&["i:1", "i:2", "i", "r.example/i:latest"]);
    let mut container = json!({ "name": "c", "image": image });
    if dice.once_in(4) {
        container["ports"] = json!([{ "containerPort": 80 }]);
    }
    if dice.once_in(4) {
        container["env"] = json!([{ "name": "A", "value": "1" }]);
    }
    let mut spec = json!({ "containers": [container] });
    if dice.once_in(4) {
        spec["terminationGracePeriodSeconds"] = json!(dice.below(60));
    }
    spec
}

fn labels(dice: &mut Dice) -> Value {
    dice.pick(&[
        json!({ "app": "a" }),
        json!({ "app": "b" }),
        json!({ "app": "a", "tier": "t" }),
        json!({}),
    ])
}

/// Whether the strategy of a kind is upstream's or ours: patches differ.
pub(crate) fn is_custom(resource: Resource) -> bool {
    resource.group.contains("ironkeel")
}

/// A new object; one in four has something wrong with it.
pub(crate) fn new(dice: &mut Dice, resource: Resource, name: &str) -> Value {
    let mut object = json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": { "name": name, "labels": labels(dice) },
    });
    if resource == LEASES {
        object["spec"] =
            json!({ "holderIdentity": "h", "leaseDurationSeconds": 15, "leaseTransitions": 0 });
    } else if resource == PODS {
        object["spec"] = pod_spec(dice);
    } else {
        let template = json!({ "metadata": { "labels": { "app": "a" } }, "spec": pod_spec(dice) });
        object["spec"] = json!({ "replicas": dice.below(4), "template": template });
        object["spec"]["selector"] = match resource {
            REPLICATION_CONTROLLERS => json!({ "app": "a" }),
            _ if dice.once_in(4) => {
                json!({ "matchExpressions": [{ "key": "app", "operator": "In", "values": ["a", "z"] }] })
            }
            _ => json!({ "matchLabels": { "app": "a" } }),
        };
        if resource.kind == "Deployment" {
            decorate_deployment(dice, &mut object["spec"]);
        }
    }
    if dice.once_in(5) {
        object["metadata"]["finalizers"] = json!(["example.com/a"]);
    }
    if dice.once_in(5) {
        object["metadata"]["annotations"] = json!({ "example.com/n": dice.below(9).to_string() });
    }
    if dice.once_in(8) {
        object["status"] = json!({ "replicas": 3 });
    }
    if dice.once_in(4) {
        spoil(dice, resource, &mut object);
    }
    object
}

fn decorate_deployment(dice: &mut Dice, spec: &mut Value) {
    if dice.once_in(4) {
        spec["strategy"] = dice.pick(&[
            json!({ "type": "Recreate" }),
            json!({ "rollingUpdate": { "maxSurge": 1 } }),
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "50%", "maxSurge": 0 } }),
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 0 } }),
            json!({ "type": "Recreate", "rollingUpdate": { "maxSurge": 1 } }),
        ]);
    }
    if dice.once_in(6) {
        spec["paused"] = json!(dice.once_in(2));
    }
    if dice.once_in(6) {
        spec["minReadySeconds"] = json!(dice.below(3) * 600);
    }
    if dice.once_in(6) {
        spec["revisionHistoryLimit"] = json!(dice.below(3));
    }
}

/// Breaks one rule.
fn spoil(dice: &mut Dice, resource: Resource, object: &mut Value) {
    match dice.below(9) {
        0 => object["metadata"]["name"] = json!("Not_a_name"),
        1 => object["metadata"]["labels"] = json!({ "app": "-a" }),
        2 => object["metadata"]["namespace"] = json!("elsewhere"),
        3 => object["metadata"]["finalizers"] = json!(["a b"]),
        4 => {
            object["metadata"]["ownerReferences"] =
                json!([{ "apiVersion": "v1", "kind": "Pod", "name": "p" }]);
        }
        5 => {
            let owner = |name: &str| json!({ "apiVersion": "v1", "kind": "Pod", "name": name, "uid": name, "controller": true });
            object["metadata"]["ownerReferences"] = json!([owner("a"), owner("b")]);
        }
        _ if resource == LEASES => object["spec"]["leaseDurationSeconds"] = json!(0),
        6 if resource == PODS => object["spec"]["containers"] = json!([]),
        7 if resource == PODS => object["spec"]["containers"][0]["name"] = json!(""),
        _ if resource == PODS => object["spec"]["restartPolicy"] = json!("Sometimes"),
        6 => object["spec"]["replicas"] = json!(-1),
        7 => object["spec"]["template"]["metadata"]["labels"] = json!({ "app": "q" }),
        _ => {
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.remove("selector");
            }
        }
    }
}

/// A change of what the user wants, as a merge patch.
pub(crate) fn spec_patch(dice: &mut Dice, resource: Resource) -> Value {
    let common = match dice.below(14) {
        0 => Some(json!({ "metadata": { "labels": labels(dice) } })),
        1 => Some(json!({ "metadata": { "labels": { "tier": null, "app": "b" } } })),
        2 => Some(
            json!({ "metadata": { "annotations": { "example.com/n": dice.below(9).to_string() } } }),
        ),
        3 => Some(json!({ "metadata": { "annotations": null } })),
        4 => Some(json!({ "metadata": { "finalizers": ["example.com/a", "example.com/b"] } })),
        5 => Some(json!({ "metadata": { "finalizers": null } })),
        6 => Some(json!({ "status": { "replicas": 9 } })),
        7 => Some(json!({})),
        _ => None,
    };
    if let Some(common) = common {
        return common;
    }
    if resource == LEASES {
        return json!({ "spec": { "holderIdentity": dice.pick(&["a", "b"]), "leaseTransitions": dice.below(3) } });
    }
    if resource == PODS {
        return dice.pick(&[
            json!({ "spec": { "containers": [{ "name": "c", "image": "i:3" }] } }),
            json!({ "spec": { "nodeName": "elsewhere" } }),
            json!({ "spec": { "activeDeadlineSeconds": 5 } }),
        ]);
    }
    let template =
        json!({ "metadata": { "labels": { "app": "a", "v": dice.below(3).to_string() } } });
    let mut choices = vec![
        json!({ "spec": { "replicas": dice.below(5) } }),
        json!({ "spec": { "replicas": dice.below(5) } }),
        json!({ "spec": { "replicas": null } }),
        json!({ "spec": { "replicas": -2 } }),
        json!({ "spec": { "minReadySeconds": dice.below(3) } }),
        json!({ "spec": { "template": template } }),
        json!({ "spec": { "template": { "metadata": { "labels": { "app": "x" } } } } }),
        json!({ "spec": { "template": { "spec": { "terminationGracePeriodSeconds": dice.below(9) } } } }),
    ];
    if resource != REPLICATION_CONTROLLERS {
        choices
            .push(json!({ "spec": { "selector": { "matchLabels": { "app": "a", "v": "1" } } } }));
    }
    if resource.kind == "Deployment" {
        choices.extend([
            json!({ "spec": { "paused": true } }),
            json!({ "spec": { "paused": null } }),
            json!({ "spec": { "strategy": { "type": "Recreate", "rollingUpdate": null } } }),
            json!({ "spec": { "strategy": { "type": "Recreate" } } }),
            json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "150%" } } } }),
            json!({ "spec": { "strategy": { "rollingUpdate": { "maxUnavailable": "101%" } } } }),
            json!({ "spec": { "progressDeadlineSeconds": dice.below(3) * 300 } }),
            json!({ "spec": { "revisionHistoryLimit": null } }),
        ]);
        if is_custom(resource) {
            choices.extend([
                json!({ "spec": { "rollback": { "onProgressDeadline": true } } }),
                json!({ "spec": { "rollback": null } }),
                json!({ "spec": { "podReplacementPolicy": "Never" } }),
                json!({ "spec": { "unknown": 1 } }),
            ]);
        }
    }
    dice.pick(&choices)
}

/// A status as a controller or a kubelet writes it.
pub(crate) fn status_patch(dice: &mut Dice, resource: Resource) -> Value {
    let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status, "lastTransitionTime": "2026-11-21T10:00:00Z" });
    let status = if resource == PODS {
        dice.pick(&[
            json!({ "phase": "Running", "conditions": [condition("Ready", "True")] }),
            json!({ "phase": "Failed" }),
            json!({ "phase": "Succeeded" }),
            json!({ "conditions": [condition("Ready", "False"), condition("Initialized", "True")] }),
        ])
    } else {
        let replicas = dice.below(4);
        let mut status = json!({ "replicas": replicas, "readyReplicas": dice.below(4), "availableReplicas": dice.below(3) });
        if dice.once_in(2) {
            status["observedGeneration"] = json!(dice.below(4));
        }
        if dice.once_in(3) {
            status["conditions"] = json!([condition("ReplicaFailure", "True")]);
        }
        if dice.once_in(4) {
            status["conditions"] = Value::Null;
        }
        if dice.once_in(6) && resource != REPLICATION_CONTROLLERS {
            status["terminatingReplicas"] = json!(dice.below(2));
        }
        if dice.once_in(6) && resource.kind == "Deployment" {
            status["collisionCount"] = json!(dice.below(2));
        }
        if dice.once_in(8) && is_custom(resource) {
            status["selector"] = json!("app=a");
        }
        status
    };
    let mut patch = json!({ "status": status });
    match dice.below(6) {
        0 => patch["metadata"] = json!({ "labels": { "app": "s" } }),
        1 => patch["metadata"] = json!({ "annotations": { "example.com/s": "1" } }),
        2 => patch["spec"] = json!({ "replicas": 7 }),
        _ => {}
    }
    patch
}
