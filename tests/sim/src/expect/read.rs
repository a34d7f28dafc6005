//! Reading objects as users read them.

use serde_json::Value;

/// The integer at a JSON pointer; 0 where it is absent, as Kubernetes omits zeros.
pub(super) fn int(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

/// The text at a JSON pointer; empty where it is absent.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("")
}

/// The wanted size; absent means 1.
pub(super) fn size(object: &Value) -> i64 {
    object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1)
}

/// Image of the first container of a workload's template.
pub(super) fn image(workload: &Value) -> &str {
    text(workload, "/spec/template/spec/containers/0/image")
}

/// Status and reason of a condition; empty where there is none.
pub fn condition<'a>(object: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let conditions = object.pointer("/status/conditions");
    let found = conditions.and_then(Value::as_array).and_then(|conditions| {
        conditions
            .iter()
            .find(|condition| condition["type"] == kind)
    });
    found.map_or(("", ""), |condition| {
        (text(condition, "/status"), text(condition, "/reason"))
    })
}

/// Whether a pod has the condition `Ready`.
pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").0 == "True"
}

/// Whether a pod counts for its owner: neither ended nor being deleted.
pub fn is_active(pod: &Value) -> bool {
    !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") && !is_deleting(pod)
}

/// Whether a deletion was asked for.
pub(super) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// UID of the managing controller.
pub(super) fn controller(object: &Value) -> Option<&str> {
    object
        .pointer("/metadata/ownerReferences")?
        .as_array()?
        .iter()
        .find(|owner| owner["controller"] == true)
        .map(|owner| text(owner, "/uid"))
}

/// Whether a workload's selector takes these labels. Stories use plain labels alone; no selector takes nothing.
pub(super) fn selects(workload: &Value, labels: &Value) -> bool {
    let selector = match workload.pointer("/spec/selector/matchLabels") {
        Some(selector) => selector.as_object(),
        // A ReplicationController's selector is a plain map.
        None => workload
            .pointer("/spec/selector")
            .and_then(Value::as_object),
    };
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
    })
}

/// Whether the workload's status says that its spec is met in full: for a Deployment the rule of
/// `kubectl rollout status`. What is missing, if not.
pub fn is_complete(object: &Value) -> Result<(), String> {
    let generation = int(object, "/metadata/generation");
    let observed = int(object, "/status/observedGeneration");
    if observed != generation {
        return Err(format!(
            "observedGeneration is {observed}, not {generation}"
        ));
    }
    let wanted = size(object);
    let counts: &[&str] = match text(object, "/kind") {
        "Deployment" => &[
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
        ],
        _ => &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
        ],
    };
    for count in counts {
        let found = int(object, &format!("/status/{count}"));
        if found != wanted {
            return Err(format!("status.{count} is {found}, not {wanted}"));
        }
    }
    Ok(())
}

/// Whether everything that `wanted` says is in `object` too; the first pointer that differs otherwise. Lists have to be of
/// one length, for a story writes them whole.
pub(super) fn differs(wanted: &Value, object: &Value, at: &str) -> Option<String> {
    match (wanted, object) {
        (Value::Object(wanted), Value::Object(object)) => wanted.iter().find_map(|(key, value)| {
            let at = format!("{at}.{key}");
            match object.get(key) {
                Some(known) => differs(value, known, &at),
                // What is false is left out by the built-in kinds.
                None if value.is_null() || *value == false => None,
                None => Some(at),
            }
        }),
        (Value::Array(wanted), Value::Array(object)) if wanted.len() == object.len() => wanted
            .iter()
            .zip(object)
            .enumerate()
            .find_map(|(index, (wanted, object))| {
                differs(wanted, object, &format!("{at}[{index}]"))
            }),
        _ => (wanted != object).then(|| at.to_owned()),
    }
}
