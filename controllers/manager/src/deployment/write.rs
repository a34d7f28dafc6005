//! Writes of a Deployment's sync: ReplicaSets, the Deployment itself, its status.

use std::time::Duration;

use ironkeel_plan::deployment::{SetRef, StatusWrite};
use ironkeel_runtime::write::{Operations, Precondition, Target};
use serde_json::{Map, Value};

use super::Sync;
use crate::execute::SyncError;

impl Sync<'_> {
    /// Changes a ReplicaSet whose spec nobody has changed since it was observed.
    pub(super) async fn patch_set(
        &self,
        target: Target<'_>,
        set: &SetRef,
        patch: Value,
    ) -> Result<(), SyncError> {
        let controller = self.controller;
        let (writer, leader) = (&controller.writer, &controller.leader);
        let observed = controller.sets.get(&target.key());
        let is_annotated = observed.is_some_and(|known| !known.metadata.annotations.is_empty());
        let write = async {
            if is_annotated {
                let operations = operations(set, &patch);
                writer
                    .patch_tested(leader, &self.owner, target, None, &operations)
                    .await
            } else {
                // A JSON patch cannot add to annotations that are not there, without the risk that
                // it replaces them.
                let seen = Precondition::version(&set.uid, set.resource_version);
                writer
                    .patch_merge(leader, &self.owner, target, None, seen, patch)
                    .await
            }
        };
        controller.windows.time(write).await?;
        Ok(())
    }

    /// Patches the Deployment itself, or its status. This rests on all of it, so that its version
    /// is the condition: a user's change in between is looked at first.
    pub(super) async fn patch_deployment(
        &mut self,
        subresource: Option<&'static str>,
        patch: Value,
    ) -> Result<(), SyncError> {
        let controller = self.controller;
        let meta = &self.deployment.metadata;
        let target = Target {
            resource: controller.family.resource,
            namespace: &meta.namespace,
            name: &meta.name,
        };
        let seen = Precondition::version(&meta.uid, self.resource_version);
        let write = controller.writer.patch_merge(
            &controller.leader,
            &self.owner,
            target,
            subresource,
            seen,
            patch,
        );
        let written = controller.windows.time(write).await?;
        self.resource_version = written.resource_version;
        Ok(())
    }

    /// Writes the status, unless it may wait; then the answer is how long.
    pub(super) async fn write_status(
        &mut self,
        status: Option<StatusWrite>,
    ) -> Result<Option<Duration>, SyncError> {
        let patience = &self.controller.patience;
        let uid = &self.deployment.metadata.uid;
        let Some(write) = status else {
            patience.written(uid);
            return Ok(None);
        };
        let window = self.controller.windows.step() * 2;
        if let Some(left) = patience.wait(uid, write.may_wait, window) {
            return Ok(Some(left));
        }
        self.patch_deployment(Some("status"), write.patch).await?;
        patience.written(uid);
        patience.acted(uid);
        Ok(None)
    }
}

/// The operations that do what the merge patch `patch` of annotations, `managedFields` and spec says.
fn operations(set: &SetRef, patch: &Value) -> Operations {
    let mut operations = Operations::on(&set.uid).test(&["metadata", "generation"], set.generation);
    let members = |pointer: &str| {
        let object = patch.pointer(pointer).and_then(Value::as_object);
        object.into_iter().flat_map(Map::iter)
    };
    for (key, value) in members("/metadata/annotations") {
        let member = ["metadata", "annotations", key.as_str()];
        operations = match value {
            Value::Null => operations.remove(&member),
            value => operations.set(&member, value.clone()),
        };
    }
    if let Some(fields) = patch.pointer("/metadata/managedFields") {
        // The API server sorts them: were there an entry of an apply, it would be the first.
        operations = operations
            .test(&["metadata", "managedFields", "0", "operation"], "Update")
            .set(&["metadata", "managedFields"], fields.clone());
    }
    for (field, value) in members("/spec") {
        operations = operations.set(&["spec", field.as_str()], value.clone());
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set() -> SetRef {
        SetRef {
            name: "web-5d4".to_owned(),
            uid: "u".to_owned(),
            resource_version: 17,
            generation: 3,
        }
    }

    #[test]
    fn the_record_of_fields_goes_only_where_nobody_has_applied_the_set() {
        let patch = json!({ "metadata": { "managedFields": [{}] } });
        assert_eq!(
            json!(operations(&set(), &patch)).as_array().unwrap()[2..],
            [
                json!({ "op": "test", "path": "/metadata/managedFields/0/operation", "value": "Update" }),
                json!({ "op": "add", "path": "/metadata/managedFields", "value": [{}] }),
            ]
        );
    }

    #[test]
    fn a_size_is_written_on_the_spec_that_was_observed() {
        let patch = json!({
            "metadata": { "annotations": { "deployment.kubernetes.io/max-replicas": "13", "gone": null } },
            "spec": { "replicas": 5 },
        });
        assert_eq!(
            json!(operations(&set(), &patch)),
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "u" },
                { "op": "test", "path": "/metadata/generation", "value": 3 },
                { "op": "add", "path": "/metadata/annotations/deployment.kubernetes.io~1max-replicas", "value": "13" },
                { "op": "remove", "path": "/metadata/annotations/gone" },
                { "op": "add", "path": "/spec/replicas", "value": 5 },
            ])
        );
    }
}
