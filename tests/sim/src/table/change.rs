//! What a write changed, in a few words.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields that follow from others or that nobody reads in a table.
const NOISE: [&str; 24] = [
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.generateName",
    "metadata.creationTimestamp",
    "metadata.deletionGracePeriodSeconds",
    "metadata.managedFields",
    "metadata.selfLink",
    "spec.progressDeadlineSeconds",
    "spec.revisionHistoryLimit",
    "spec.selector",
    "spec.template.metadata",
    "status.startTime",
    "status.podIP",
    "status.podIPs",
    "status.hostIP",
    "status.hostIPs",
    "status.qosClass",
    "status.selector",
    "status.fullyLabeledReplicas",
];

/// Of an object that is new, only these are worth a word.
const OF_NEW: [&str; 8] = [
    "spec.replicas",
    "spec.paused",
    "spec.hard",
    "spec.template.spec.containers.main.image",
    "spec.containers.main.image",
    "spec.strategy",
    "metadata.owner",
    "metadata.labels",
];

/// The difference between two states of an object; of a new one, what it is.
pub(super) fn words(before: Option<&Value>, after: Option<&Value>) -> String {
    let flat = |object: Option<&Value>| {
        let mut leaves = BTreeMap::new();
        if let Some(object) = object {
            flatten(object, "", &mut leaves);
        }
        leaves
    };
    let (old, new) = (flat(before), flat(after));
    if after.is_none() {
        return String::new();
    }
    let mut parts = Vec::new();
    for (path, value) in &new {
        let known = old.get(path);
        if known == Some(value) || (before.is_none() && !is_of(path, &OF_NEW)) {
            continue;
        }
        parts.push(match known {
            Some(known) => format!("{} {known}→{value}", short(path)),
            None => format!("{} {value}", short(path)),
        });
    }
    for (path, value) in &old {
        if !new.contains_key(path) {
            parts.push(format!("{} {value}→none", short(path)));
        }
    }
    parts.join(", ")
}

fn is_of(path: &str, fields: &[&str]) -> bool {
    fields.iter().any(|field| {
        path.strip_prefix(field)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// `status.readyReplicas` as `readyReplicas`, an annotation by the last part of its key.
fn short(path: &str) -> String {
    if let Some(key) = path.strip_prefix("metadata.annotations.") {
        return key.rsplit('/').next().unwrap_or(key).to_owned();
    }
    if path.rsplit('.').next() == Some("image") {
        return "image".to_owned();
    }
    let path = path
        .strip_prefix("metadata.")
        .or_else(|| path.strip_prefix("status."))
        .or_else(|| path.strip_prefix("spec."))
        .unwrap_or(path);
    path.trim_start_matches("labels.").to_owned()
}

/// All leaves by path; lists of conditions, owners and containers by what their entries are called.
fn flatten(value: &Value, path: &str, leaves: &mut BTreeMap<String, String>) {
    if is_of(path, &NOISE) {
        return;
    }
    let join = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    match (path, value) {
        ("status.conditions", Value::Array(conditions)) => {
            for condition in conditions {
                let reason = condition["reason"].as_str().unwrap_or("");
                let value = format!("{} {reason}", text(&condition["status"]));
                let path = format!("status.{}", text(&condition["type"]));
                leaves.insert(path, value.trim_end().to_owned());
            }
        }
        ("metadata.ownerReferences", Value::Array(owners)) => {
            for owner in owners {
                let role = if owner["controller"] == true {
                    "controls"
                } else {
                    "owns"
                };
                let path = format!("metadata.owner.{}", text(&owner["name"]));
                leaves.insert(path, role.to_owned());
            }
        }
        ("status.containerStatuses", Value::Array(containers)) => {
            for container in containers {
                let restarts = container["restartCount"].as_i64().unwrap_or(0);
                if restarts > 0 {
                    leaves.insert("status.restarts".to_owned(), restarts.to_string());
                }
            }
        }
        ("metadata.deletionTimestamp", _) => {
            leaves.insert("metadata.deleting".to_owned(), String::new());
        }
        (_, Value::Object(fields)) => {
            for (key, value) in fields {
                flatten(value, &join(key), leaves);
            }
        }
        (_, Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                let key = item["name"]
                    .as_str()
                    .map_or_else(|| index.to_string(), str::to_owned);
                flatten(item, &join(&key), leaves);
            }
        }
        (_, leaf) => {
            leaves.insert(path.to_owned(), text(leaf));
        }
    }
}
