//! Reading a workload's spec and status.

use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use serde_json::Value;

/// Whether a pod may still run: terminating ones do, finished ones do not.
pub fn may_run(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Image of a pod's first container.
pub fn image(pod: &Pod) -> &str {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    container
        .and_then(|container| container.image.as_deref())
        .unwrap_or("")
}

/// The integer at a JSON pointer; 0 where it is absent, as Kubernetes omits zeros.
pub fn int(object: &DynamicObject, pointer: &str) -> i64 {
    object
        .data
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

/// The text at a JSON pointer; empty where it is absent.
pub fn text<'a>(object: &'a DynamicObject, pointer: &str) -> &'a str {
    object
        .data
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// Status, reason and message of a condition.
pub fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = object.data.pointer("/status/conditions")?.as_array()?;
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind)?;
    let field = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or("");
    Some((field("status"), field("reason"), field("message")))
}

/// Whether a condition has this status and reason; what it is instead, if not.
pub fn has_condition(
    object: &DynamicObject,
    kind: &str,
    status: &str,
    reason: &str,
) -> Result<(), String> {
    match condition(object, kind) {
        Some((known, why, _)) if known == status && why == reason => Ok(()),
        other => Err(format!(
            "condition {kind} is {other:?}, not {status} {reason}"
        )),
    }
}

/// Whether the controller has seen the newest spec.
pub fn observed(object: &DynamicObject) -> Result<(), String> {
    let generation = object.metadata.generation.unwrap_or(0);
    let seen = int(object, "/status/observedGeneration");
    if seen >= generation {
        Ok(())
    } else {
        Err(format!(
            "generation {generation} was not observed yet ({seen})"
        ))
    }
}

/// Whether a Deployment's rollout is complete, by the rule of `kubectl rollout status`.
pub fn rolled_out(deployment: &DynamicObject) -> Result<(), String> {
    observed(deployment)?;
    let wanted = deployment
        .data
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1);
    for field in ["updatedReplicas", "replicas", "availableReplicas"] {
        let count = int(deployment, &format!("/status/{field}"));
        if count != wanted {
            return Err(format!("{field} is {count}, not {wanted}"));
        }
    }
    Ok(())
}

/// Whether a ReplicaSet has exactly `wanted` pods, all available.
pub fn settled(set: &DynamicObject, wanted: i64) -> Result<(), String> {
    observed(set)?;
    for field in ["replicas", "readyReplicas", "availableReplicas"] {
        let count = int(set, &format!("/status/{field}"));
        if count != wanted {
            return Err(format!("{field} is {count}, not {wanted}"));
        }
    }
    Ok(())
}
