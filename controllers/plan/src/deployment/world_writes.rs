//! What the writes of a Deployment do to the model cluster, preconditions included.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::sets::size;
use super::world::World;
use super::*;
use crate::meta::{Meta, OwnerReference};
use crate::revision;

impl World {
    pub(super) fn apply(&mut self, action: &Action) {
        match action {
            Action::Adopt(_) | Action::Release(_) => panic!("nothing to claim: {action:?}"),
            Action::CreateSet { set, .. } => {
                let revision: i64 = set.annotations[revision::REVISION].parse().unwrap();
                self.check_revision(revision);
                self.writes.set_create += 1;
                if set.replicas > 0 {
                    self.tell(format!("scaled {}", set.name));
                }
                let version = self.next_version();
                let created = ReplicaSet {
                    metadata: Meta {
                        name: set.name.clone(),
                        namespace: "default".to_owned(),
                        uid: format!("{}-{version}", set.name),
                        resource_version: version,
                        generation: 1,
                        creation_timestamp: Some(self.now),
                        labels: set.labels.clone(),
                        annotations: set.annotations.clone(),
                        owner_references: vec![OwnerReference {
                            api_version: "apps/v1".to_owned(),
                            kind: "Deployment".to_owned(),
                            name: "web".to_owned(),
                            uid: "web-uid".to_owned(),
                            controller: Some(true),
                            block_owner_deletion: Some(true),
                        }],
                        ..Meta::default()
                    },
                    spec: crate::workload::ReplicaSetSpec {
                        replicas: Some(set.replicas),
                        min_ready_seconds: set.min_ready_seconds,
                        selector: set.selector.clone(),
                        template: set.template.clone(),
                    },
                    ..ReplicaSet::default()
                };
                let known = self.sets.insert(set.name.clone(), created);
                assert!(known.is_none(), "{} exists", set.name);
            }
            Action::PatchSet { set, patch, scaled } => {
                self.writes.set_patch += 1;
                if let Some(scaled) = scaled {
                    self.tell(format!("scaled {}", scaled.set));
                }
                let version = self.next_version();
                let known = self.sets.get_mut(&set.name).expect("a set to patch");
                let seen = (&set.uid, set.generation);
                let live = (&known.metadata.uid, known.metadata.generation);
                assert_eq!(seen, live, "stale precondition");
                let before = revision::number(&known.metadata.annotations);
                merge_annotations(&mut known.metadata.annotations, patch);
                let after = revision::number(&known.metadata.annotations);
                if let Some(replicas) = patch.pointer("/spec/replicas").and_then(Value::as_i64) {
                    known.spec.replicas = Some(replicas as i32);
                }
                let seconds = patch.pointer("/spec/minReadySeconds");
                if let Some(seconds) = seconds.and_then(Value::as_i64) {
                    known.spec.min_ready_seconds = seconds as i32;
                }
                if patch.get("spec").is_some() {
                    known.metadata.generation += 1;
                }
                known.metadata.resource_version = version;
                if let Some(after) = after.filter(|_| after != before) {
                    self.check_revision(after);
                }
            }
            Action::DeleteSet(set) => {
                self.writes.set_delete += 1;
                let known = self.sets.remove(&set.name).expect("a set to delete");
                assert_eq!(size(&known), 0, "deleted with replicas");
                assert_eq!(known.status.replicas, 0, "deleted with pods");
                self.pods
                    .retain(|_, pod| *pod.controller.as_ref().unwrap().name != *set.name);
            }
            Action::PatchDeployment { patch, .. } => {
                self.writes.deployment_patch += 1;
                merge_annotations(&mut self.deployment.metadata.annotations, patch);
                if let Some(change) = patch.pointer("/spec/template") {
                    let mut template = Value::clone(&self.deployment.spec.template.0);
                    merge(&mut template, change);
                    self.deployment.spec.template = Template(Arc::new(template));
                    self.deployment.metadata.generation += 1;
                }
                self.deployment.metadata.resource_version = self.next_version();
            }
        }
    }

    /// Every revision that is given out is above all that were given out before.
    fn check_revision(&mut self, revision: i64) {
        assert!(
            revision > self.highest_revision,
            "revision {revision} again"
        );
        self.highest_revision = revision;
    }

    pub(super) fn write_status(&mut self, write: &StatusWrite) {
        self.writes.deployment_status += 1;
        let mut stored = serde_json::to_value(&self.deployment.status).unwrap();
        if let Some(change) = write.patch.get("status") {
            merge(&mut stored, change);
        }
        assert_eq!(stored, serde_json::to_value(&write.status).unwrap());
        self.deployment.status = write.status.clone();
        merge_annotations(&mut self.deployment.metadata.annotations, &write.patch);
        self.deployment.metadata.resource_version = self.next_version();
    }
}

fn merge_annotations(annotations: &mut BTreeMap<String, String>, patch: &Value) {
    let Some(changes) = patch
        .pointer("/metadata/annotations")
        .and_then(Value::as_object)
    else {
        return;
    };
    for (key, value) in changes {
        match value {
            Value::Null => annotations.remove(key),
            value => annotations.insert(key.clone(), value.as_str().unwrap().to_owned()),
        };
    }
}

/// RFC 7386.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = serde_json::json!({});
    }
    let fields = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
