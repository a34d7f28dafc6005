//! What two runs must have in common in the end: everything but names, identities and times.

use std::collections::HashMap;
use std::fmt::Write as _;

use ironkeel_runtime::resource::{PODS, Resource};
use serde_json::{Map, Value, json};

use crate::history::State;

/// Metadata that says which object it is, or when it was written.
const IDENTITY: [&str; 8] = [
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "ownerReferences",
];
/// Fields of a status or a condition that are times, and texts that hold names.
const TIMES_AND_TEXTS: [&str; 6] = [
    "lastTransitionTime",
    "lastUpdateTime",
    "lastProbeTime",
    "startTime",
    "startedAt",
    "message",
];
/// A set is scaled in steps, and their number follows from the order in which pods start. So does the number of changes
/// that a set has seen.
const STEPS: [&str; 2] = ["generation", "observedGeneration"];
/// Labels whose value names a set.
const HASH: &str = "pod-template-hash";

/// The state without what may differ, sorted.
pub fn normalise(state: &State) -> Value {
    let owners: HashMap<&str, &(Resource, String)> = state
        .iter()
        .filter_map(|(key, object)| Some((object["metadata"]["uid"].as_str()?, key)))
        .collect();
    let mut objects: Vec<String> = state
        .iter()
        .map(|((resource, _), object)| one(*resource, object, &owners, state).to_string())
        .collect();
    objects.sort();
    Value::Array(
        objects
            .into_iter()
            .filter_map(|text| serde_json::from_str(&text).ok())
            .collect(),
    )
}

/// Where two normal forms differ, in a few lines; `None` if they are equal.
pub fn difference(expected: &Value, found: &Value) -> Option<String> {
    if expected == found {
        return None;
    }
    let (expected, found) = (list(expected), list(found));
    let only = |these: &[String], those: &[String], sign: char| {
        let mut those = those.to_vec();
        let mut lines = String::new();
        for line in these {
            if let Some(place) = those.iter().position(|other| other == line) {
                those.swap_remove(place);
            } else {
                let _ = writeln!(lines, "{sign} {line}");
            }
        }
        lines
    };
    Some(format!(
        "{}{}",
        only(&expected, &found, '-'),
        only(&found, &expected, '+')
    ))
}

fn list(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(Value::to_string)
        .collect()
}

fn one(
    resource: Resource,
    object: &Value,
    owners: &HashMap<&str, &(Resource, String)>,
    state: &State,
) -> Value {
    let mut object = object.clone();
    let owner = object["metadata"]["ownerReferences"][0]["uid"].as_str();
    let is_dependent = owner.is_some();
    let owner = owner.and_then(|uid| owners.get(uid));
    // By what it is, for its name may differ.
    let owner = owner.map(|key| {
        let image = state
            .get(*key)
            .and_then(|owner| crate::expect::template_image(owner).map(str::to_owned));
        json!([key.0.to_string(), image])
    });
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.retain(|field, _| !IDENTITY.contains(&field.as_str()));
        if is_dependent {
            meta.retain(|field, _| !STEPS.contains(&field.as_str()));
        }
    }
    if let Some(status) = object["status"].as_object_mut() {
        // A count that is left out is 0; one that was another before it became 0 stays there in a custom resource.
        status.retain(|_, value| *value != 0 && !value.is_null());
        if is_dependent {
            status.retain(|field, _| !STEPS.contains(&field.as_str()));
        }
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            conditions.sort_by_key(|condition| condition["type"].to_string());
        }
    }
    // The node is the stand-in's, and the same for all.
    if resource == PODS {
        object["spec"] = json!({ "containers": object["spec"]["containers"] });
    }
    clean(&mut object);
    json!({ "kind": resource.to_string(), "owner": owner, "object": object })
}

/// Removes times and texts, and hides hashes, at any depth.
fn clean(value: &mut Value) {
    match value {
        Value::Object(fields) => clean_fields(fields),
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn clean_fields(fields: &mut Map<String, Value>) {
    fields.retain(|field, _| !TIMES_AND_TEXTS.contains(&field.as_str()));
    for (field, value) in fields {
        if field == HASH {
            *value = json!("<hash>");
        } else {
            clean(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ironkeel_runtime::resource::NATIVE_REPLICA_SETS;

    use super::*;

    fn state(suffix: &str, replicas: i64, reason: &str) -> State {
        let set = json!({
            "metadata": { "name": format!("web-{suffix}"), "uid": format!("u{suffix}"), "generation": suffix.len(),
                          "ownerReferences": [{ "uid": "d" }] },
            "spec": { "replicas": replicas, "selector": { "matchLabels": { "pod-template-hash": suffix } },
                      "template": { "spec": { "containers": [{ "image": "app:1" }] } } },
            "status": { "unavailableReplicas": if suffix == "a" { json!(0) } else { Value::Null }, "conditions": [
                { "type": "B", "reason": reason, "message": suffix }, { "type": "A", "lastUpdateTime": suffix } ] },
        });
        let pod = json!({
            "metadata": { "name": suffix, "labels": { "pod-template-hash": suffix },
                          "ownerReferences": [{ "uid": format!("u{suffix}") }] },
            "spec": { "nodeName": suffix, "containers": [] }, "status": { "startTime": suffix },
        });
        [
            (
                (NATIVE_REPLICA_SETS, format!("web-{suffix}")),
                Arc::new(set),
            ),
            ((PODS, suffix.to_owned()), Arc::new(pod)),
        ]
        .into()
    }

    #[test]
    fn names_and_times_make_no_difference() {
        let one = normalise(&state("a", 2, "Good"));
        assert_eq!(difference(&one, &normalise(&state("bb", 2, "Good"))), None);
    }

    #[test]
    fn everything_else_does() {
        let one = normalise(&state("a", 2, "Good"));
        for other in [state("b", 3, "Good"), state("b", 2, "Bad"), State::new()] {
            let text = difference(&one, &normalise(&other)).unwrap();
            assert!(text.starts_with("- {"), "{text}");
        }
    }
}
