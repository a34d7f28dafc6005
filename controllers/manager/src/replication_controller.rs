//! A core/v1 ReplicationController, read as the ReplicaSet that it is but for its selector.

use std::collections::BTreeMap;

use ironkeel_plan::meta::{Meta, Stored};
use ironkeel_plan::selector::LabelSelector;
use ironkeel_plan::template::Template;
use ironkeel_plan::workload::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};
use serde::{Deserialize, Deserializer};

/// An object that the ReplicaSet planner can plan for.
pub trait AsReplicaSet: Stored {
    /// The object as the planner reads it.
    fn as_replica_set(&self) -> &ReplicaSet;
}

impl AsReplicaSet for ReplicaSet {
    fn as_replica_set(&self) -> &ReplicaSet {
        self
    }
}

/// A ReplicationController.
#[derive(Clone, Debug)]
pub struct ReplicationController(ReplicaSet);

impl AsReplicaSet for ReplicationController {
    fn as_replica_set(&self) -> &ReplicaSet {
        &self.0
    }
}

impl Stored for ReplicationController {
    fn namespace(&self) -> &str {
        self.0.namespace()
    }
    fn name(&self) -> &str {
        self.0.name()
    }
    fn uid(&self) -> &str {
        self.0.uid()
    }
    fn resource_version(&self) -> u64 {
        self.0.resource_version()
    }
    fn controller_uid(&self) -> Option<&str> {
        self.0.controller_uid()
    }
    fn has_deletion_timestamp(&self) -> bool {
        self.0.has_deletion_timestamp()
    }
}

impl<'de> Deserialize<'de> for ReplicationController {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        /// `spec` of a ReplicationController: its selector is a plain map of labels.
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Spec {
            replicas: Option<i32>,
            min_ready_seconds: i32,
            selector: BTreeMap<String, String>,
            template: Template,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Wire {
            metadata: Meta,
            spec: Spec,
            status: ReplicaSetStatus,
        }
        let Wire {
            metadata,
            spec,
            status,
        } = Wire::deserialize(input)?;
        let selector = LabelSelector {
            match_labels: spec.selector,
            match_expressions: Vec::new(),
        };
        let spec = ReplicaSetSpec {
            replicas: spec.replicas,
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: spec.template,
        };
        Ok(Self(ReplicaSet {
            metadata,
            spec,
            status,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_selector_becomes_match_labels() {
        let read: ReplicationController = serde_json::from_str(
            r#"{"metadata":{"name":"rc","namespace":"ns","uid":"u","resourceVersion":"7"},
                "spec":{"replicas":2,"selector":{"app":"x"},"template":{"metadata":{"labels":{"app":"x"}}}}}"#,
        )
        .unwrap();
        let set = read.as_replica_set();
        assert_eq!(set.spec.selector.to_string(), "app=x");
        assert_eq!((set.spec.replicas, read.resource_version()), (Some(2), 7));
    }
}
