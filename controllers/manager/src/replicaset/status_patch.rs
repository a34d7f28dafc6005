//! The patch that writes a set's status.

use ironkeel_plan::workload::{ReplicaSet, ReplicaSetStatus};
use ironkeel_runtime::write::Operations;
use serde_json::{Map, Value, json};

/// The patch from the set's status to `new`.
///
/// It rests on the whole status that was observed, and not on the spec: a Deployment resizes the
/// set at any time, and `observedGeneration` says which spec a status is about. So a status that
/// arrives late, from a process that led before, neither replaces a later one nor mixes with it.
pub(super) fn status_operations(set: &ReplicaSet, new: &ReplicaSetStatus) -> Operations {
    let fields = |status: &ReplicaSetStatus| match json!(status) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut operations = Operations::on(&set.metadata.uid);
    if let Some(served) = &set.status.served.0 {
        operations = operations.test(&["status"], Value::clone(served));
    }
    let old = fields(&set.status);
    let new = fields(new);
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        operations = operations.remove(&["status", key]);
    }
    for (key, value) in new {
        if old.get(&key) != Some(&value) {
            operations = operations.set(&["status", &key], value);
        }
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_written_on_the_status_that_was_observed() {
        // As it was served, with a field that nobody here reads and without the counts that are 0.
        let served = json!({ "replicas": 3, "observedGeneration": 1, "newer": true, "conditions": [{ "type": "x" }] });
        let object = json!({ "metadata": { "uid": "u" }, "status": served });
        let set: ReplicaSet = serde_json::from_value(object).unwrap();
        let then = ReplicaSetStatus {
            replicas: 5,
            observed_generation: 2,
            ..ReplicaSetStatus::default()
        };
        assert_eq!(
            json!(status_operations(&set, &then)),
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "u" },
                { "op": "test", "path": "/status", "value": served },
                { "op": "remove", "path": "/status/conditions" },
                { "op": "add", "path": "/status/observedGeneration", "value": 2 },
                { "op": "add", "path": "/status/replicas", "value": 5 },
            ])
        );
    }

    #[test]
    fn an_object_without_a_status_gets_one() {
        let set = ReplicaSet::default();
        let first = ReplicaSetStatus {
            replicas: 3,
            ..ReplicaSetStatus::default()
        };
        let text = json!(status_operations(&set, &first)).to_string();
        assert!(!text.contains(r#""path":"/status","#), "{text}");
    }
}
